"""Who may make which call: every operation of the service, each with every kind of caller."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Literal, NamedTuple, TypeAlias

import pytest
from clock import Clock
from service import OPERATOR_KEY, Api, new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.domain.tokens import new_token
from credit_wallet.http.app import documented
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.wire import failure_limit

Who: TypeAlias = Literal["anybody", "known", "wallet", "looker", "owner", "operator", "seller", "mover", "watcher"]
"""``known``: whoever has a good token; ``wallet``: owner or agent key; ``looker``: those and sellers; ``seller``: the
operator and sellers; ``mover``: those, owner and agent key; ``watcher``: anybody without a token or with a good one."""

BOUGHT: dict[str, object] = {"wallet_id": 1, "purchase_key": "bought", "attempt": "a"}
OWN_KEY = "host's own"
OWN_SHA256 = sha256(OWN_KEY.encode()).hexdigest()
THIRD = "opens a third wallet as its owner"

BODIES: dict[str, dict[str, object]] = {
    "PATCH /credit/wallet": {},
    "POST /credit/keys": {},
    "POST /credit/keys/{key_id}/rotate": {},
    "PATCH /credit/keys/{key_id}": {"label": "agent"},
    "POST /credit/budgets": {"limit_yen": 900, "window": "day"},
    "PATCH /credit/budgets/{budget_id}": {"limit_yen": 800},
    "POST /credit/charge": {"amount_yen": 1},
    "POST /credit/hold": {"amount_yen": 1},
    "POST /credit/capture": {"hold_id": 1, "amount_yen": 1},
    "POST /credit/release": {"hold_id": 2},
    "POST /credit/extend": {"hold_id": 3, "ttl_seconds": 1_000},
    "POST /credit/purchase": {"amount_yen": 1, "attempt": "a"},
    "POST /credit/purchase/serve": BOUGHT,
    "POST /credit/purchase/renew": BOUGHT,
    "POST /credit/purchase/undo": BOUGHT,
    "POST /credit/refund": {"txn_id": 2},
    "POST /credit/charge/batch": {"charges": [{"wallet_id": 1, "amount_yen": 1, "idempotency_key": "item"}]},
    "POST /operator/topup": {"wallet_id": 1, "amount_yen": 1},
    "POST /credit/transfers": {"amount_yen": 1, "to_owner_token": THIRD},
    "POST /operator/transfers": {"from_wallet_id": 1, "to_wallet_id": 3, "amount_yen": 1},
    "POST /operator/wallets": {},
    "POST /operator/wallets/{wallet_id}/enabled": {"enabled": True},
    "POST /operator/wallets/{wallet_id}/price-group": {"price_group": None},
    "POST /credit/topup": {"amount_yen": 100},
    "POST /operator/topups/{topup_id}/pay-back": {"amount_yen": 1},
    "POST /webhooks/stripe": {},
    "PUT /operator/notification-targets": {"notification_targets": []},
    "POST /credit/token/rotate": {},
    "POST /operator/wallets/{wallet_id}/token/rotate": {"overlap_seconds": 60},
    "POST /operator/wallets/{wallet_id}/secrets": {"sha256": "a" * 64},
    "POST /operator/grants": {"wallet_id": 1, "amount_yen": 5},
    "POST /operator/sellers": {},
    "POST /operator/sellers/{seller_id}/rotate": {},
    "POST /credit/notification-targets/{target_id}/confirm": {"code": "K7QM-3XRA"},
    "POST /credit/notification-targets/{target_id}/ask-again": {},
}
"""What a good call sends, when it sends anything; ids are those that ``ledger`` makes."""

ACCESS: dict[str, Who] = {
    "GET /healthz": "anybody",
    "GET /readyz": "anybody",
    "GET /metrics": "watcher",
    "GET /credit/wallet": "wallet",
    "PATCH /credit/wallet": "owner",
    "GET /credit/transactions": "wallet",
    "GET /credit/transactions/{txn_id}": "looker",
    "GET /credit/holds/{hold_id}": "looker",
    "GET /credit/lots": "wallet",
    "GET /credit/lots/expired": "wallet",
    "GET /credit/usage": "wallet",
    "GET /credit/prices": "known",
    "GET /credit/alerts": "wallet",
    "GET /credit/statement": "wallet",
    "GET /credit/forecast": "wallet",
    "GET /credit/keys": "owner",
    "POST /credit/keys": "owner",
    "GET /credit/keys/{key_id}": "owner",
    "PATCH /credit/keys/{key_id}": "owner",
    "DELETE /credit/keys/{key_id}": "owner",
    "POST /credit/keys/{key_id}/rotate": "owner",
    "GET /credit/budgets": "owner",
    "POST /credit/budgets": "owner",
    "GET /credit/budgets/changes": "owner",
    "GET /credit/budgets/{budget_id}": "owner",
    "PATCH /credit/budgets/{budget_id}": "owner",
    "DELETE /credit/budgets/{budget_id}": "owner",
    "GET /credit/budgets/{budget_id}/values": "owner",
    "POST /credit/notification-targets/{target_id}/confirm": "owner",
    "POST /credit/notification-targets/{target_id}/ask-again": "owner",
    "POST /credit/charge": "mover",
    "POST /credit/hold": "mover",
    "POST /credit/capture": "mover",
    "POST /credit/release": "mover",
    "POST /credit/extend": "mover",
    "POST /credit/refund": "seller",
    "POST /credit/purchase": "seller",
    "POST /credit/purchase/serve": "seller",
    "POST /credit/purchase/renew": "seller",
    "POST /credit/purchase/undo": "seller",
    "POST /credit/charge/batch": "operator",
    "POST /operator/topup": "operator",
    "POST /credit/transfers": "owner",
    "GET /credit/transfers": "owner",
    "GET /credit/transfers/{transfer_id}": "owner",
    "POST /operator/transfers": "operator",
    "POST /operator/wallets": "operator",
    "GET /operator/wallets": "operator",
    "GET /operator/seal": "operator",
    "GET /operator/log": "operator",
    "GET /operator/wallets/{wallet_id}/log": "operator",
    "GET /credit/log": "owner",
    "GET /operator/wallets/{wallet_id}": "operator",
    "POST /operator/wallets/{wallet_id}/enabled": "operator",
    "POST /operator/wallets/{wallet_id}/price-group": "operator",
    "POST /credit/topup": "owner",
    "GET /credit/topups": "owner",
    "GET /credit/topups/{topup_id}": "owner",
    "DELETE /credit/topups/{topup_id}": "owner",
    "POST /operator/topups/{topup_id}/pay-back": "operator",
    "POST /webhooks/stripe": "anybody",
    "GET /operator/notification-targets": "operator",
    "PUT /operator/notification-targets": "operator",
    "GET /credit/whoami": "known",
    "POST /credit/token/rotate": "owner",
    "POST /operator/wallets/{wallet_id}/token/rotate": "operator",
    "GET /operator/wallets/{wallet_id}/secrets": "operator",
    "POST /operator/wallets/{wallet_id}/secrets": "operator",
    "DELETE /operator/secrets/{sha256}": "operator",
    "GET /credit/topups/consents": "owner",
    "GET /operator/wallets/{wallet_id}/topups/consents": "operator",
    "POST /operator/grants": "operator",
    "GET /operator/grants": "operator",
    "GET /operator/grants/{grant_id}/occurrences": "operator",
    "DELETE /operator/grants/{grant_id}": "operator",
    "POST /operator/sellers": "operator",
    "GET /operator/sellers": "operator",
    "DELETE /operator/sellers/{seller_id}": "operator",
    "POST /operator/sellers/{seller_id}/rotate": "operator",
}

SOMEBODY_ELSES = {
    "GET /credit/keys/{key_id}": 404,
    "PATCH /credit/keys/{key_id}": 404,
    "DELETE /credit/keys/{key_id}": 404,
    "POST /credit/keys/{key_id}/rotate": 404,
    "GET /credit/budgets/{budget_id}": 404,
    "PATCH /credit/budgets/{budget_id}": 404,
    "DELETE /credit/budgets/{budget_id}": 404,
    "GET /credit/budgets/{budget_id}/values": 404,
    "POST /credit/notification-targets/{target_id}/confirm": 404,
    "POST /credit/notification-targets/{target_id}/ask-again": 404,
    "GET /credit/topups/{topup_id}": 404,
    "GET /credit/transfers/{transfer_id}": 404,
    "DELETE /credit/topups/{topup_id}": 404,
    "GET /credit/transactions/{txn_id}": 404,
    "GET /credit/holds/{hold_id}": 404,
    "POST /credit/capture": 404,
    "POST /credit/release": 404,
    "POST /credit/extend": 404,
    "POST /credit/charge": 403,
    "POST /credit/hold": 403,
}
"""What the owner of another wallet gets where a call names something of this one; elsewhere it sees its own wallet."""

NOT_SOLD = {
    "GET /credit/transactions/{txn_id}": 404,
    "GET /credit/holds/{hold_id}": 404,
    "POST /credit/capture": 403,
    "POST /credit/release": 403,
    "POST /credit/extend": 403,
    "POST /credit/refund": 403,
}
"""What a seller gets where a call names what somebody else made."""

NOT_PAID = {"GET /credit/transactions/{txn_id}": 404}
"""What an agent key gets where a call names what the owner paid."""

WALLETS = {"agent", "owner", "other owner", "host's own key"}
ALLOWED: dict[Who, set[str]] = {
    "anybody": {*WALLETS, "operator", "seller"},
    "known": {*WALLETS, "operator", "seller"},
    "watcher": {*WALLETS, "operator", "seller"},
    "wallet": WALLETS,
    "looker": {*WALLETS, "seller"},
    "owner": {"owner", "other owner"},
    "operator": {"operator"},
    "seller": {"operator", "seller"},
    "mover": {*WALLETS, "operator", "seller"},
}
BAD_TOKENS = ("no token", "malformed", "unknown", "revoked", "expired", "rotated", "revoked seller")
CALLERS = (*BAD_TOKENS, "agent", "owner", "other owner", "host's own key", "operator", "seller")
OK = 200
REFUSED = 403
UNAUTHORIZED = 401


class Ledger(NamedTuple):
    """A wallet with an agent key (1), three holds of it (1 to 3), a charge (2), purchases, a top-up and a transfer to a
    third wallet; all tokens.
    """

    api: Api
    wallets: CreditWallet
    tokens: dict[str, str | None]
    topup_id: str
    transfer_id: str


@pytest.fixture
def ledger(wallets: CreditWallet, clock: Clock) -> Iterator[Ledger]:
    owner = wallets.create()
    wallets.topup(owner.wallet_id, 1_000, idempotency_key="start")
    wallets.charge(owner.wallet_id, 5, idempotency_key="charge")
    agent = wallets.keys.create(owner.wallet_id)
    wallets.budgets.create(owner.wallet_id, limit_yen=900, window="day")
    for key in ("first", "second", "third"):
        wallets.hold(owner.wallet_id, 5, idempotency_key=key, key_id=agent.key_id, actor="payer")
    seller, revoked_seller = wallets.sellers.create(), wallets.sellers.create()
    wallets.sellers.revoke(revoked_seller.seller_id)
    for actor in ("operator", "seller:1"):
        wallets.purchases.buy(owner.wallet_id, 5, purchase_key="bought", attempt="a", actor=actor)
    wallets.secrets.register(owner.wallet_id, OWN_SHA256, agent.key_id)
    earlier = wallets.keys.create(owner.wallet_id)
    wallets.keys.rotate(earlier.key_id, overlap_seconds=0)
    other = wallets.create()
    wallets.topup(other.wallet_id, 1_000, idempotency_key="start")
    third = wallets.create().wallet_id
    wallets.secrets.register(third, sha256(THIRD.encode()).hexdigest())
    moved = wallets.transfers.create(owner.wallet_id, third, 10, idempotency_key="moved")
    revoked = wallets.keys.create(owner.wallet_id)
    wallets.keys.revoke(revoked.key_id)
    expired = wallets.keys.create(owner.wallet_id, expires_at="2026-05-15T12:00:01Z")
    wallets.grants.create(owner.wallet_id, 5)
    wallets.maintenance.seal()
    clock.advance(seconds=1)
    tokens = {
        "no token": None,
        "malformed": owner.owner_token[:-1] + ("x" if owner.owner_token[-1] != "x" else "y"),
        "unknown": new_token(),
        "revoked": revoked.token,
        "expired": expired.token,
        "agent": agent.token,
        "owner": owner.owner_token,
        "other owner": other.owner_token,
        "rotated": earlier.token,
        "revoked seller": revoked_seller.token,
        "host's own key": OWN_KEY,
        "operator": OPERATOR_KEY,
        "seller": seller.token,
    }
    wallets.targets.add(owner.wallet_id, TargetSettings(url="https://example.com/hook"))
    topup = wallets.topups.request(owner.wallet_id, 100, idempotency_key="topup")
    with Api(new_app(wallets, payments=StandIn())) as api:
        yield Ledger(api, wallets, tokens, str(topup.topup_id), moved.transfer_id)


def expected_status(operation: str, caller: str) -> int:
    """The status, a 2xx being told as 200."""
    who = ACCESS[operation]
    if who == "anybody" or (who == "watcher" and caller == "no token"):
        return OK
    if caller in BAD_TOKENS:
        return UNAUTHORIZED
    if caller not in ALLOWED[who]:
        return REFUSED
    if caller == "other owner":
        return SOMEBODY_ELSES.get(operation, OK)
    if caller == "seller":
        return NOT_SOLD.get(operation, OK)
    if caller in ("agent", "host's own key"):
        return NOT_PAID.get(operation, OK)
    return OK


def body_of(operation: str, caller: str) -> dict[str, object] | None:
    body = BODIES.get(operation)
    names_wallet = operation in ("POST /credit/charge", "POST /credit/hold", "POST /credit/purchase")
    if names_wallet and caller in ("operator", "seller", "other owner"):
        return {**(body or {}), "wallet_id": 1}
    return body


def operations(document: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


def test_the_table_names_every_operation(ledger: Ledger) -> None:
    documented = operations(ledger.api.get("/openapi.json").json())
    assert documented == ACCESS.keys()
    assert {operation for operation in documented if not operation.startswith(("GET", "DELETE"))} == BODIES.keys()


def test_the_document_asks_for_a_token_wherever_the_service_does(ledger: Ledger) -> None:
    document = ledger.api.get("/openapi.json").json()
    for operation, who in ACCESS.items():
        method, path = operation.split()
        asked = bool(document["paths"][path][method.lower()].get("security"))
        assert asked == (who != "anybody"), operation


@pytest.mark.parametrize("caller", CALLERS)
def test_every_operation_answers_this_caller_as_the_table_says(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    monkeypatch.setattr(failure_limit, "FAILURES_ALLOWED", len(ACCESS))
    answered = {}
    # What ends what others use comes last.
    for operation in sorted(ACCESS, key=lambda each: (each.startswith("DELETE"), each.endswith("/rotate"))):
        method, path = operation.split()
        answer = ledger.api.call(
            method,
            path.format(
                key_id=1,
                budget_id="budget-1",
                wallet_id=1,
                txn_id=2,
                hold_id=1,
                topup_id=ledger.topup_id,
                transfer_id=ledger.transfer_id,
                seller_id=1,
                target_id=1,
                grant_id=1,
                sha256=OWN_SHA256,
            ),
            ledger.tokens[caller],
            key=operation,
            json=body_of(operation, caller),
        )
        answered[operation] = OK if answer.is_success else answer.status_code
        if not answer.is_success:
            assert answer.headers["content-type"] == "application/problem+json"
            assert ("www-authenticate" in answer.headers) == (answer.status_code == UNAUTHORIZED)
    assert answered == {operation: expected_status(operation, caller) for operation in ACCESS}
    if caller in BAD_TOKENS or caller == "other owner":
        assert ledger.wallets.show(1).balance_yen == 960
        assert ledger.wallets.show(1).held_yen == 15
        assert ledger.wallets.keys.show(1).revoked_at is None
    assert ledger.wallets.verify() == []


def test_nothing_but_mcp_and_the_document_itself_is_undocumented(ledger: Ledger) -> None:
    served = {route.path_format for route in documented().routes if not route.path_format.startswith("/docs")}
    assert served - ledger.api.get("/openapi.json").json()["paths"].keys() == {"/openapi.json", "/mcp"}


@pytest.mark.parametrize("caller", CALLERS)
def test_mcp_is_for_whoever_has_a_wallet(ledger: Ledger, caller: str) -> None:
    headers = {"Host": "localhost", "Accept": "application/json, text/event-stream"}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = ledger.api.call("POST", "/mcp", ledger.tokens[caller], json=message, headers=headers)
    expected = UNAUTHORIZED if caller in BAD_TOKENS else OK if caller in ALLOWED["wallet"] else REFUSED
    assert answer.status_code == expected


@pytest.mark.parametrize("caller", BAD_TOKENS)
def test_a_bad_token_in_the_other_header_is_as_bad(ledger: Ledger, caller: str) -> None:
    token = ledger.tokens[caller]
    headers = {} if token is None else {"X-API-Key": token}
    assert ledger.api.call("GET", "/credit/wallet", headers=headers).status_code == UNAUTHORIZED


@pytest.mark.parametrize("caller", ["agent", "owner", "host's own key", "operator", "seller"])
def test_a_good_token_works_in_either_header(ledger: Ledger, caller: str) -> None:
    path = "/operator/wallets" if caller == "operator" else "/credit/whoami"
    token = ledger.tokens[caller]
    assert token is not None
    assert ledger.api.get(path, token).status_code == OK
    assert ledger.api.call("GET", path, headers={"X-API-Key": token}).status_code == OK
