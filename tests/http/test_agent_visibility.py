"""What an agent key sees of its wallet: its own part, through every route, format and tool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from http_answers import assert_problem
from service import Api, new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedKey
from credit_wallet.http.routing import SECURITY

OTHERS = ("label-of-the-other", "note-of-the-other", "note-of-the-owner", "note-of-the-topup", "note-of-a-hold")
CAP_OF_THE_OTHER = 987_654
OWN = ("own-note", "own-hold")


class Shared(NamedTuple):
    """A wallet with two agent keys; what the second and the owner did is not the first one's to see."""

    api: Api
    agent: CreatedKey
    other: CreatedKey
    owner_token: str
    entries: dict[str, int]
    holds: dict[str, int]


@pytest.fixture
def shared(wallets: CreditWallet) -> Iterator[Shared]:
    wallet = wallets.create(label="shared", monthly_budget_yen=10_000)
    wallet_id = wallet.wallet_id
    wallets.topup(wallet_id, 10_000, idempotency_key="start", note="note-of-the-topup")
    agent = wallets.keys.create(wallet_id, label="own-label", monthly_cap_yen=5_000)
    other = wallets.keys.create(wallet_id, label="label-of-the-other", monthly_cap_yen=CAP_OF_THE_OTHER)
    wallets.budgets.create(
        wallet_id, limit_yen=900, window="day", scope={"key_id": other.key_id}, label="note-of-the-other"
    )
    wallets.budgets.create(wallet_id, limit_yen=900, window="day", scope={"run": "*"}, mode="alert")
    entries: dict[str, int] = {}
    holds: dict[str, int] = {}
    for who, key_id, note in (
        ("own", agent.key_id, "own-note"),
        ("other", other.key_id, "note-of-the-other"),
        ("owner", None, "note-of-the-owner"),
    ):
        names: dict[str, Any] = {"request_id": note, "reference": "shared", "metadata": {"of": note}}
        paid = wallets.charge(
            wallet_id, 10, idempotency_key=who, key_id=key_id, note=note, facts={"run": note}, **names
        ).txn_id
        assert paid is not None
        back = wallets.refund(paid, 4, idempotency_key=f"{who} back", note=f"{note} back").txn_id
        assert back is not None
        entries |= {who: paid, f"{who} back": back}
        note = "own-hold" if who == "own" else "note-of-a-hold"
        held = wallets.hold(wallet_id, 5, idempotency_key=f"{who} hold", key_id=key_id, note=note).hold_id
        assert held is not None
        holds[who] = held
    with Api(new_app(wallets, payments=StandIn())) as api:
        yield Shared(api, agent, other, wallet.owner_token, entries, holds)


def readings(document: dict[str, Any]) -> Iterator[str]:
    """Every address that is read with a token."""
    for path, item in document["paths"].items():
        if item.get("get", {}).get("security") == SECURITY:
            yield path


def test_no_route_shows_an_agent_what_is_somebody_elses(shared: Shared) -> None:
    paths = list(readings(shared.api.get("/openapi.json").json()))
    assert {"/credit/wallet", "/credit/transactions", "/credit/statement"} <= set(paths)
    queries = [
        {},
        *({"format": form, "rows": rows} for form in ("csv", "text") for rows in ("entries", "keys", "notes")),
    ]
    seen = ""
    for path in paths:
        for who in ("own", "own back", "other", "other back", "owner", "owner back"):
            address = path.format(
                txn_id=shared.entries[who],
                hold_id=shared.holds.get(who, 1),
                key_id=shared.other.key_id,
                budget_id=f"key-{shared.other.key_id}",
                wallet_id=1,
                topup_id="tu_x",
                transfer_id="tr_x",
                grant_id=1,
                operator_id=1,
            )
            for query in queries if path == "/credit/statement" else [{}]:
                seen += shared.api.get(address, shared.agent.token, **query).text
    assert all(text in seen for text in OWN[:1])
    for text in (*OTHERS, str(CAP_OF_THE_OTHER)):
        assert text not in seen


def test_an_agent_lists_what_it_paid_and_what_was_given_back_of_it(shared: Shared) -> None:
    page = shared.api.get("/credit/transactions", shared.agent.token).json()["transactions"]
    assert [each["txn_id"] for each in page] == [shared.entries["own back"], shared.entries["own"]]
    wallet = shared.api.get("/credit/wallet", shared.agent.token).json()
    assert wallet["recent_transactions"] == page
    for key_id, status in ((shared.agent.key_id, 200), (shared.other.key_id, 403)):
        assert shared.api.get("/credit/transactions", shared.agent.token, key_id=key_id).status_code == status


def test_a_note_of_somebody_elses_finds_nothing(shared: Shared) -> None:
    found = shared.api.get("/credit/transactions", shared.agent.token, note="note-of-the-owner").json()
    assert found == {"transactions": [], "next_cursor": None, "searched_to": None}
    for text in ("note-of-the-other", "note-of", "OWNER"):
        found = shared.api.get("/credit/transactions", shared.agent.token, query=text).json()
        assert found == {"transactions": [], "next_cursor": None, "searched_to": None}, text
    found = shared.api.get("/credit/transactions", shared.agent.token, query="SHARED own").json()
    assert [each["txn_id"] for each in found["transactions"]] == [shared.entries["own"]]
    page = shared.api.get("/credit/transactions", shared.agent.token, limit=1, query="own-note").json()
    assert page["next_cursor"] is not None
    assert page["searched_to"] is None, "when others were active is not its to know"


def test_an_agent_finds_its_own_alone_by_what_others_share(shared: Shared) -> None:
    own = shared.entries["own"]
    for name, finds in (
        ({"reference": "shared"}, [own]),
        ({"request_id": "own-note"}, [own]),
        ({"request_id": "note-of-the-other"}, []),
        ({"idempotency_key": "own"}, [own]),
        ({"idempotency_key": "other"}, []),
        ({"idempotency_key": "own back"}, [shared.entries["own back"]]),
        ({"idempotency_key": "owner back"}, []),
    ):
        found = shared.api.get("/credit/transactions", shared.agent.token, **name).json()
        assert [each["txn_id"] for each in found["transactions"]] == finds, name
    everything = shared.api.get("/credit/transactions", shared.owner_token, reference="shared").json()
    assert len(everything["transactions"]) == 3


@pytest.mark.parametrize("who", ["own", "other", "owner"])
def test_an_entry_or_a_hold_of_somebody_elses_is_not_there(shared: Shared, who: str) -> None:
    for token, sees in ((shared.agent.token, who == "own"), (shared.owner_token, True)):
        for name in (who, f"{who} back"):
            answer = shared.api.get(f"/credit/transactions/{shared.entries[name]}", token)
            assert answer.status_code == (200 if sees else 404)
        answer = shared.api.get(f"/credit/holds/{shared.holds[who]}", token)
        assert answer.status_code == (200 if sees else 404)
    if who != "own":
        assert_problem(
            shared.api.get(f"/credit/transactions/{shared.entries[who]}", shared.agent.token), 404, "entry_not_found"
        )


@pytest.mark.parametrize(
    ("movement", "more"), [("capture", {"amount_yen": 1}), ("release", {}), ("extend", {"ttl_seconds": 60})]
)
def test_a_hold_of_somebody_elses_cannot_be_told_from_one_that_is_not_there(
    shared: Shared, movement: str, more: dict[str, int]
) -> None:
    said = set()
    for hold_id in (shared.holds["other"], shared.holds["owner"], 999):
        body = {"hold_id": hold_id, **more}
        answer = shared.api.post(f"/credit/{movement}", shared.agent.token, key=f"{movement} {hold_id}", **body)
        assert_problem(answer, 404, "hold_not_found")
        said.add(answer.text.replace(str(hold_id), "…"))
    assert len(said) == 1


def test_a_statement_has_the_wallets_totals_and_the_agents_own_lines(shared: Shared) -> None:
    owners = shared.api.get("/credit/statement", shared.owner_token).json()
    agents = shared.api.get("/credit/statement", shared.agent.token).json()
    assert len(owners["entries"]) == 7
    assert [each["txn_id"] for each in agents["entries"]] == [shared.entries["own"], shared.entries["own back"]]
    assert [(each["key_id"], each["spent_yen"]) for each in agents["spend_by_key"]] == [(shared.agent.key_id, 6)]
    assert [each["note"] for each in agents["spend_by_note"]] == ["own-note"]
    for total in ("opening_yen", "topups_yen", "charges_yen", "refunds_yen", "closing_yen"):
        assert agents[total] == owners[total]


def test_the_tools_of_an_agent_show_it_no_more_than_the_routes(shared: Shared) -> None:
    headers = {"Host": "localhost", "Accept": "application/json, text/event-stream"}
    seen = ""
    for tool in ("credit_wallet_status", "credit_wallet_transactions", "credit_wallet_forecast"):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
        seen += shared.api.call("POST", "/mcp", shared.agent.token, json=message, headers=headers).text
    assert "own-note" in seen
    for text in (*OTHERS, str(CAP_OF_THE_OTHER)):
        assert text not in seen
