"""Days, months and instants at the edge of what a calendar has: answered or refused, never a failure of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_document import document
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet

DAYS = ("0001-01-01", "0001-01-03", "0999-12-31", "1000-01-01", "9998-12-31", "9999-12-31")
MONTHS = ("0000-01", "0001-01", "1000-01", "9998-12", "9999-12")
INSTANTS = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1000-01-01T00:00:00+14:00",
    "9998-12-31T23:59:59.999-12:00",
    "9999-12-31T23:59:59.999999-23:59",
    "9999-12-31T24:00:00Z",
)
EDGES = (*DAYS, *MONTHS, *INSTANTS, "9998-W53", "9998-W53-7", "-0001-01-01", "10000-01-01")
ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago")

DATES = {"since", "until", "cycle"}
"""Query parameters that say when."""

BODIES = (
    ("/credit/keys", "expires_at", {"label": "bot"}),
    ("/credit/budgets", "raised_until", {"limit_yen": 10, "window": "day", "raised_limit_yen": 20}),
    ("/operator/topup", "expires_at", {"wallet_id": 1, "amount_yen": 10}),
    ("/operator/grants", "starts_at", {"wallet_id": 1, "amount_yen": 10}),
    ("/operator/grants", "until", {"wallet_id": 1, "amount_yen": 10, "every": "month"}),
)


def asked() -> list[tuple[str, str]]:
    """The addresses of the document with a parameter that says when."""
    return [
        (path, each["name"])
        for path, operations in sorted(document()["paths"].items())
        for each in operations.get("get", {}).get("parameters", ())
        if each["in"] == "query" and each["name"] in DATES
    ]


@pytest.fixture(params=ZONES)
def api(request: pytest.FixtureRequest, wallets: CreditWallet) -> Iterator[tuple[Api, str]]:
    owner = wallets.create(time_zone=request.param)
    wallets.topup(owner.wallet_id, 100, idempotency_key="start")
    wallets.charge(owner.wallet_id, 1, idempotency_key="one")
    with Api(new_app(wallets)) as asking:
        yield asking, owner.owner_token


def test_the_document_has_parameters_that_say_when() -> None:
    found = {path for path, _ in asked()}
    assert {"/credit/usage", "/credit/transactions", "/credit/log", "/operator/log", "/credit/statement"} <= found


def test_whatever_day_is_asked_for_is_answered_or_refused(api: tuple[Api, str]) -> None:
    asking, owner = api
    for path, name in asked():
        token = OPERATOR_KEY if path.startswith("/operator") else owner
        for edge in EDGES:
            for more in _beside(path):
                answer = asking.get(path.replace("{wallet_id}", "1"), token, **{name: edge, **more})
                assert answer.status_code in (200, 422), (path, name, edge, more, answer.text)


def _beside(path: str) -> list[dict[str, Any]]:
    return [{"every": every} for every in ("hour", "day", "month")] if path.endswith("/usage") else [{}]


@pytest.mark.parametrize(
    ("since", "until"), [("1000-01-01", "9998-12-31"), ("1000-01", "9998-12"), ("9998-12", "1000-01")]
)
def test_the_longest_range_is_answered_or_refused(api: tuple[Api, str], since: str, until: str) -> None:
    asking, owner = api
    for path in ("/credit/usage", "/credit/transactions", "/credit/log"):
        answer = asking.get(path, owner, since=since, until=until)
        assert answer.status_code in (200, 422), (path, answer.text)


def test_whatever_day_is_sent_is_taken_or_refused(api: tuple[Api, str]) -> None:
    asking, owner = api
    for path, field, body in BODIES:
        token = OPERATOR_KEY if path.startswith("/operator") else owner
        for number, edge in enumerate(EDGES):
            answer = asking.post(path, token, key=f"{path} {field} {number}", **{**body, field: edge})
            assert answer.status_code in (200, 201, 422), (path, field, edge, answer.text)
            if answer.status_code == 422:
                assert field in answer.text, (path, field, edge, answer.text)
