"""GET /credit/usage: what charges were for, and whose an agent sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from http_answers import assert_problem
from service import Api, new_app

from credit_wallet import CreditWallet


class Seen(NamedTuple):
    api: Api
    owner: str
    agent: str
    agent_id: int
    other_id: int


@pytest.fixture
def seen(wallets: CreditWallet) -> Iterator[Seen]:
    wallet = wallets.create()
    wallet_id = wallet.wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    agent, other = wallets.keys.create(wallet_id), wallets.keys.create(wallet_id)
    for number, (key_id, tool) in enumerate(
        [(agent.key_id, "search"), (agent.key_id, "search"), (other.key_id, "secret"), (None, "search"), (None, None)]
    ):
        wallets.charge(
            wallet_id,
            "3.30",
            idempotency_key=f"c{number}",
            key_id=key_id,
            facts={"tool": tool} if tool else None,
        )
    while wallets.maintenance.count_usage():
        pass
    with Api(new_app(wallets)) as api:
        yield Seen(api, wallet.owner_token, agent.token, agent.key_id, other.key_id)


def test_an_owner_sees_everything_by_fact(seen: Seen) -> None:
    report = seen.api.get("/credit/usage", seen.owner, by="tool", every="month").json()

    rows = [(row["value"], row["charges"], row["amount"], row["amount_yen"]) for row in report["rows"]]
    assert rows == [(None, 1, "3.3", 3), ("search", 3, "9.9", 9), ("secret", 1, "3.3", 3)]
    assert (report["by"], report["every"], report["is_current"], report["next_cursor"]) == ("tool", "month", True, None)
    assert report["counted_to_txn_id"] >= 6


def test_an_agent_sees_its_own_charges_alone(seen: Seen) -> None:
    for asked, rows in (
        ({"by": "tool"}, [("search", 2)]),
        ({"by": "key"}, [(str(seen.agent_id), 2)]),
        ({}, [(None, 2)]),
        ({"by": "tool", "key_id": seen.agent_id}, [("search", 2)]),
    ):
        report = seen.api.get("/credit/usage", seen.agent, **asked)
        assert [(row["value"], row["charges"]) for row in report.json()["rows"]] == rows
        assert "secret" not in report.text

    refused = seen.api.get("/credit/usage", seen.agent, key_id=seen.other_id)
    assert_problem(refused, 403, "forbidden")


def test_an_owner_sees_who_paid(seen: Seen) -> None:
    rows = seen.api.get("/credit/usage", seen.owner, by="key").json()["rows"]
    assert [(row["value"], row["charges"]) for row in rows] == [
        (None, 2),
        (str(seen.agent_id), 2),
        (str(seen.other_id), 1),
    ]
    rows = seen.api.get("/credit/usage", seen.owner, by="tool", key_id=seen.other_id).json()["rows"]
    assert [(row["value"], row["charges"]) for row in rows] == [("secret", 1)]


def test_pages_go_on(seen: Seen) -> None:
    first = seen.api.get("/credit/usage", seen.owner, by="tool", limit=2).json()
    rest = seen.api.get("/credit/usage", seen.owner, by="tool", limit=2, cursor=first["next_cursor"]).json()
    assert [row["value"] for row in first["rows"] + rest["rows"]] == [None, "search", "secret"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("by", "No Fact"),
        ("by", ""),
        ("every", "week"),
        ("since", "yesterday"),
        ("since", "2026-W48"),
        ("since", "9998-12-31"),
        ("until", "0999-01-01"),
        ("cursor", "x"),
        ("cursor", "~"),
        ("limit", "0"),
        ("limit", "1001"),
        ("key_id", "0"),
    ],
)
def test_what_is_malformed_is_named(seen: Seen, name: str, value: str) -> None:
    refused = seen.api.get("/credit/usage", seen.owner, **{name: value})
    assert refused.status_code == 422
    assert refused.json()["field"] in (name, "since")


def test_a_cursor_of_another_question_is_no_error_of_the_service(seen: Seen) -> None:
    for by in ("key", "tool", "item"):
        for cursor in ("2026-11~x", "2026-11-28T10~7", "2026-11-28~" + "9" * 30, "2026-99-99~"):
            assert seen.api.get("/credit/usage", seen.owner, by=by, cursor=cursor).status_code in (200, 422)
