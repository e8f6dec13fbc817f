"""Who may make which call: every operation of the service, each with every kind of caller."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from clock import Clock
from litestar import get
from notified import told_of_charges
from service import OPERATOR_KEY, Api, new_app
from stand_in import StandIn
from who_may import (
    MAY,
    NOT_HANDED_ON,
    NOT_ITS_OWN,
    NOT_PAID,
    NOT_SETTLED,
    NOT_SOLD,
    OPERATORS,
    SOMEBODY_ELSES,
    WALLETS,
    Who,
)

from credit_wallet import CreditWallet
from credit_wallet.domain.permissions import PERMISSIONS, ROLES, Scope
from credit_wallet.domain.tokens import new_token
from credit_wallet.http.app import ROUTES, declared, documented
from credit_wallet.http.openapi.callers import tables
from credit_wallet.http.routing import NEEDS
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.wire import failure_limit
from credit_wallet.wire.mirrored import mirrored

BOUGHT: dict[str, object] = {"wallet_id": 1, "purchase_key": "bought", "attempt": "a"}
OWN_KEY = "host's own"
OWN_SHA256 = sha256(OWN_KEY.encode()).hexdigest()
LEAKED = "a key of the host's that has leaked"
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
    "POST /operator/wallets/{wallet_id}/freeze": {"frozen": False, "reason": "other"},
    "POST /operator/wallets/{wallet_id}/close": {"note": "n", "unused": "write_off", "release_holds": True},
    "POST /operator/wallets/{wallet_id}/erase": {},
    "POST /operator/wallets/{wallet_id}/link": {},
    "POST /operator/wallets/{wallet_id}/hand-over": {"reference": "cust_2"},
    "POST /operator/wallets/{wallet_id}/merge": {"into_wallet_id": 3, "note": "n"},
    "POST /operator/wallets/{wallet_id}/price-group": {"price_group": None},
    "POST /operator/prices": {"prices": "", "allow_empty": True},
    "POST /operator/wallets/{wallet_id}/metadata": {"metadata": {"plan": "pro"}},
    "POST /credit/topup": {"amount_yen": 100},
    "POST /operator/topups/{topup_id}/pay-back": {"amount_yen": 1},
    "POST /webhooks/stripe": {},
    "PUT /operator/notification-targets": {"notification_targets": []},
    "POST /credit/token/rotate": {},
    "POST /operator/wallets/{wallet_id}/token/rotate": {"overlap_seconds": 60},
    "POST /operator/wallets/{wallet_id}/secrets": {"sha256": "a" * 64},
    "POST /operator/grants": {"wallet_id": 1, "amount_yen": 5},
    "POST /operator/deliveries/{delivery_id}/resend": {},
    "POST /operator/wallets/{wallet_id}/adjust": {"amount_yen": 1, "reason": "goodwill", "note": "late"},
    "POST /operator/wallets/{wallet_id}/take-back": {
        "txn_id": 1,
        "amount_yen": 1,
        "reason": "mistyped_topup",
        "note": "x",
    },
    "POST /operator/sellers": {},
    "POST /operator/sellers/{seller_id}/rotate": {},
    "POST /operator/tokens/revoke": {"token": LEAKED},
    "POST /operator/operators": {"name": "bob", "role": "viewer"},
    "POST /operator/operators/{operator_id}": {"role": "viewer"},
    "POST /operator/operators/{operator_id}/keys": {},
    "POST /credit/notification-targets/{target_id}/confirm": {"code": "K7QM-3XRA"},
    "POST /credit/notification-targets/{target_id}/ask-again": {},
}
"""What a good call sends, when it sends anything; ids are those that ``ledger`` makes."""

ACCESS: dict[str, Who] = {
    "GET /healthz": "anybody",
    "GET /readyz": "anybody",
    "GET /metrics": "watcher",
    "GET /credit/wallet": "read",
    "PATCH /credit/wallet": "manage",
    "GET /credit/transactions": "read",
    "GET /credit/transactions/{txn_id}": "look_up",
    "GET /credit/holds/{hold_id}": "look_up",
    "GET /credit/lots": "read",
    "GET /credit/lots/expired": "read",
    "GET /credit/usage": "read",
    "GET /credit/prices": "identify",
    "GET /credit/alerts": "read",
    "GET /credit/statement": "read",
    "GET /credit/forecast": "read",
    "GET /credit/keys": "manage",
    "POST /credit/keys": "manage",
    "GET /credit/keys/{key_id}": "manage",
    "PATCH /credit/keys/{key_id}": "manage",
    "DELETE /credit/keys/{key_id}": "manage",
    "POST /credit/keys/{key_id}/rotate": "manage",
    "GET /credit/budgets": "manage",
    "POST /credit/budgets": "manage",
    "GET /credit/budgets/changes": "manage",
    "GET /credit/budgets/{budget_id}": "manage",
    "PATCH /credit/budgets/{budget_id}": "manage",
    "DELETE /credit/budgets/{budget_id}": "manage",
    "GET /credit/budgets/{budget_id}/values": "manage",
    "POST /credit/notification-targets/{target_id}/confirm": "manage",
    "POST /credit/notification-targets/{target_id}/ask-again": "manage",
    "POST /credit/charge": "spend",
    "POST /credit/hold": "spend",
    "POST /credit/capture": "spend",
    "POST /credit/release": "spend",
    "POST /credit/extend": "spend",
    "POST /credit/refund": "refund",
    "POST /credit/purchase": "sell",
    "POST /credit/purchase/serve": "sell",
    "POST /credit/purchase/renew": "sell",
    "POST /credit/purchase/undo": "sell",
    "POST /credit/charge/batch": "sell_to_many",
    "POST /operator/topup": "finance",
    "POST /credit/transfers": "own",
    "GET /credit/transfers": "manage",
    "GET /credit/transfers/{transfer_id}": "manage",
    "POST /operator/transfers": "finance",
    "POST /operator/wallets": "support",
    "GET /operator/wallets": "view",
    "GET /operator/seal": "view",
    "GET /operator/transactions": "view",
    "GET /operator/transactions/{txn_id}": "view",
    "GET /operator/log": "administer",
    "GET /operator/wallets/{wallet_id}/personal-data": "administer",
    "GET /operator/wallets/{wallet_id}/log": "view",
    "GET /credit/log": "manage",
    "POST /operator/wallets/{wallet_id}/metadata": "support",
    "POST /operator/wallets/{wallet_id}/freeze": "support",
    "POST /operator/wallets/{wallet_id}/erase": "administer",
    "POST /operator/wallets/{wallet_id}/link": "support",
    "POST /operator/wallets/{wallet_id}/hand-over": "support",
    "POST /operator/wallets/{wallet_id}/close": "finance",
    "POST /operator/wallets/{wallet_id}/merge": "finance",
    "POST /operator/wallets/{wallet_id}/price-group": "administer",
    "POST /credit/topup": "manage",
    "GET /credit/topups": "manage",
    "GET /credit/topups/{topup_id}": "manage",
    "DELETE /credit/topups/{topup_id}": "manage",
    "POST /operator/topups/{topup_id}/pay-back": "finance",
    "POST /webhooks/stripe": "anybody",
    "GET /operator/notification-targets": "view",
    "PUT /operator/notification-targets": "administer",
    "GET /credit/whoami": "identify",
    "POST /credit/token/rotate": "own",
    "POST /operator/wallets/{wallet_id}/token/rotate": "support",
    "GET /operator/wallets/{wallet_id}/secrets": "support",
    "POST /operator/wallets/{wallet_id}/secrets": "support",
    "DELETE /operator/secrets/{sha256}": "support",
    "GET /credit/topups/consents": "manage",
    "GET /credit/topups/options": "manage",
    "POST /operator/grants": "finance",
    "POST /operator/wallets/{wallet_id}/adjust": "finance",
    "POST /operator/wallets/{wallet_id}/take-back": "finance",
    "GET /operator/grants": "view",
    "GET /operator/grants/{grant_id}/occurrences": "view",
    "DELETE /operator/grants/{grant_id}": "finance",
    "POST /operator/sellers": "administer",
    "GET /operator/sellers": "view",
    "DELETE /operator/sellers/{seller_id}": "administer",
    "POST /operator/sellers/{seller_id}/rotate": "administer",
    "POST /operator/tokens/revoke": "support",
    "GET /operator/operators": "administer",
    "POST /operator/operators": "administer",
    "GET /operator/operators/{operator_id}": "administer",
    "POST /operator/operators/{operator_id}": "administer",
    "DELETE /operator/operators/{operator_id}": "administer",
    "GET /operator/operators/{operator_id}/keys": "administer",
    "POST /operator/operators/{operator_id}/keys": "administer",
    "DELETE /operator/operators/{operator_id}/keys/{operator_key_id}": "administer",
    "GET /credit/deliveries": "manage",
    "GET /operator/health": "view",
    "GET /operator/overview": "view",
    "GET /operator/totals": "view",
    "GET /operator/topups": "view",
    "GET /operator/topups/{topup_id}": "view",
    "GET /operator/prices": "view",
    "POST /operator/prices": "administer",
    "GET /operator/prices/revisions": "view",
    "GET /operator/deliveries": "view",
    "POST /operator/deliveries/{delivery_id}/resend": "support",
    "GET /operator/grants/{grant_id}": "view",
    "GET /operator/wallets/{wallet_id}": "view",
    "PATCH /operator/wallets/{wallet_id}": "support",
    "GET /operator/wallets/{wallet_id}/transactions": "view",
    "GET /operator/wallets/{wallet_id}/transactions/{txn_id}": "view",
    "GET /operator/wallets/{wallet_id}/holds/{hold_id}": "view",
    "GET /operator/wallets/{wallet_id}/lots": "view",
    "GET /operator/wallets/{wallet_id}/lots/expired": "view",
    "GET /operator/wallets/{wallet_id}/alerts": "view",
    "GET /operator/wallets/{wallet_id}/statement": "view",
    "GET /operator/wallets/{wallet_id}/forecast": "view",
    "GET /operator/wallets/{wallet_id}/usage": "view",
    "GET /operator/wallets/{wallet_id}/prices": "view",
    "GET /operator/wallets/{wallet_id}/budgets": "view",
    "POST /operator/wallets/{wallet_id}/budgets": "support",
    "GET /operator/wallets/{wallet_id}/budgets/changes": "view",
    "GET /operator/wallets/{wallet_id}/budgets/{budget_id}": "view",
    "PATCH /operator/wallets/{wallet_id}/budgets/{budget_id}": "support",
    "DELETE /operator/wallets/{wallet_id}/budgets/{budget_id}": "support",
    "GET /operator/wallets/{wallet_id}/budgets/{budget_id}/values": "view",
    "GET /operator/wallets/{wallet_id}/keys": "view",
    "POST /operator/wallets/{wallet_id}/keys": "support",
    "GET /operator/wallets/{wallet_id}/keys/{key_id}": "view",
    "PATCH /operator/wallets/{wallet_id}/keys/{key_id}": "support",
    "DELETE /operator/wallets/{wallet_id}/keys/{key_id}": "support",
    "POST /operator/wallets/{wallet_id}/keys/{key_id}/rotate": "support",
    "POST /operator/wallets/{wallet_id}/topup": "support",
    "GET /operator/wallets/{wallet_id}/topups": "view",
    "GET /operator/wallets/{wallet_id}/topups/{topup_id}": "support",
    "DELETE /operator/wallets/{wallet_id}/topups/{topup_id}": "support",
    "GET /operator/wallets/{wallet_id}/topups/consents": "view",
    "GET /operator/wallets/{wallet_id}/topups/options": "view",
    "GET /operator/wallets/{wallet_id}/transfers": "view",
    "GET /operator/wallets/{wallet_id}/transfers/{transfer_id}": "view",
    "GET /operator/wallets/{wallet_id}/deliveries": "view",
    "POST /operator/wallets/{wallet_id}/notification-targets/{target_id}/confirm": "support",
    "POST /operator/wallets/{wallet_id}/notification-targets/{target_id}/ask-again": "support",
}

for own, sent in [*BODIES.items()]:
    method, path = own.split()
    if (twin := f"{method} {mirrored(path, '{wallet_id}')}") in ACCESS:
        BODIES.setdefault(twin, sent)

BAD_TOKENS = (
    *("no token", "malformed", "unknown", "revoked", "expired", "rotated"),
    *("revoked seller", "revoked operator", "rotated operator"),
)
CALLERS = (*BAD_TOKENS, *sorted(WALLETS), *sorted(OPERATORS), "seller")
OK = 200
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "access.md"
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
    wallets.secrets.register(third, sha256(LEAKED.encode()).hexdigest())
    moved = wallets.transfers.create(owner.wallet_id, third, 10, idempotency_key="moved")
    revoked = wallets.keys.create(owner.wallet_id)
    wallets.keys.revoke(revoked.key_id)
    expired = wallets.keys.create(owner.wallet_id, expires_at="2026-05-15T12:00:01Z")
    scoped: dict[str, list[Scope]] = {"spends": ["spend"], "reads": ["read"], "manages": ["manage"]}
    keys = {f"key that {name}": wallets.keys.create(owner.wallet_id, scopes=scopes) for name, scopes in scoped.items()}
    operators = {role: wallets.operators.create(role, role) for role in ROLES}
    gone, turned = wallets.operators.create("gone", "admin"), wallets.operators.create("turned", "admin")
    wallets.operators.revoke(gone.operator_id)
    wallets.operators.rotate(turned.operator_id, overlap_seconds=0)
    wallets.operators.rotate(turned.operator_id, overlap_seconds=60)
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
        "root": OPERATOR_KEY,
        **{name: key.token for name, key in keys.items()},
        "revoked operator": gone.token,
        "rotated operator": turned.token,
        **{"seller operator" if role == "seller" else role: made.token for role, made in operators.items()},
        "seller": seller.token,
    }
    wallets.targets.add(owner.wallet_id, TargetSettings(url="https://example.com/hook"))
    told_of_charges(wallets, "https://example.com/hook")
    wallets.notices.lease(())
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
    if caller not in MAY[who]:
        return REFUSED
    if caller == "other owner":
        return SOMEBODY_ELSES.get(operation, OK)
    if caller == "seller":
        return NOT_SOLD.get(operation, OK)
    if caller == "key that manages":
        return NOT_HANDED_ON.get(operation, OK)
    if caller in ("key that reads", "key that spends"):
        return NOT_ITS_OWN.get(operation, OK)
    if caller in ("agent", "host's own key"):
        return NOT_PAID.get(operation, OK)
    return NOT_SETTLED.get(operation, OK)


def body_of(operation: str, caller: str) -> dict[str, object] | None:
    body = BODIES.get(operation)
    names_wallet = operation in ("POST /credit/charge", "POST /credit/hold", "POST /credit/purchase")
    if names_wallet and caller in ("seller", "other owner", *OPERATORS):
        return {**(body or {}), "wallet_id": 1}
    return body


def operations(document: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


def test_the_table_names_every_operation(ledger: Ledger) -> None:
    documented = operations(ledger.api.get("/openapi.json").json())
    assert documented == ACCESS.keys()
    assert {operation for operation in documented if not operation.startswith(("GET", "DELETE"))} == BODIES.keys()


def test_the_document_says_what_each_operation_needs(ledger: Ledger) -> None:
    document = ledger.api.get("/openapi.json").json()
    needed = {
        f"{method.upper()} {path}": operation["x-permission"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert needed == {
        operation: None if who == "anybody" else "view" if who == "watcher" else who
        for operation, who in ACCESS.items()
    }


def test_a_route_that_does_not_say_what_it_needs_is_not_served() -> None:
    assert all(NEEDS in each.opt for each in ROUTES)

    @get("/undeclared", sync_to_thread=False)
    def undeclared() -> str:
        return "open to everybody"

    with pytest.raises(TypeError, match="undeclared does not say"):
        declared((*ROUTES, undeclared))


def test_the_page_on_access_has_the_tables_of_the_service() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(f"\n\n{tables(ROUTES)}\n")
    assert PERMISSIONS.keys() == MAY.keys() - {"anybody", "watcher"}


def test_the_document_asks_for_a_token_wherever_the_service_does(ledger: Ledger) -> None:
    document = ledger.api.get("/openapi.json").json()
    for operation, who in ACCESS.items():
        method, path = operation.split()
        asked = bool(document["paths"][path][method.lower()].get("security"))
        assert asked == (who != "anybody"), operation


NEEDS_A_NAME = {"reference": "order-1"}


@pytest.mark.parametrize("caller", CALLERS)
def test_every_operation_answers_this_caller_as_the_table_says(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    monkeypatch.setattr(failure_limit, "FAILURES_ALLOWED", len(ACCESS))
    answered = {}
    # What ends what others use comes last.
    for operation in sorted(
        ACCESS, key=lambda each: (each.endswith("/close"), each.startswith("DELETE"), each.endswith("/rotate"))
    ):
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
                operator_id=7,
                operator_key_id=9,
                target_id=1,
                grant_id=1,
                delivery_id=1,
                sha256=OWN_SHA256,
            ),
            ledger.tokens[caller],
            key=operation,
            json=body_of(operation, caller),
            params=NEEDS_A_NAME if operation == "GET /operator/transactions" else None,
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
    expected = UNAUTHORIZED if caller in BAD_TOKENS else OK if caller in MAY["read"] else REFUSED
    assert answer.status_code == expected


@pytest.mark.parametrize("caller", BAD_TOKENS)
def test_a_bad_token_in_the_other_header_is_as_bad(ledger: Ledger, caller: str) -> None:
    token = ledger.tokens[caller]
    headers = {} if token is None else {"X-API-Key": token}
    assert ledger.api.call("GET", "/credit/wallet", headers=headers).status_code == UNAUTHORIZED


@pytest.mark.parametrize("caller", ["agent", "owner", "host's own key", "root", "seller"])
def test_a_good_token_works_in_either_header(ledger: Ledger, caller: str) -> None:
    path = "/operator/wallets" if caller == "root" else "/credit/whoami"
    token = ledger.tokens[caller]
    assert token is not None
    assert ledger.api.get(path, token).status_code == OK
    assert ledger.api.call("GET", path, headers={"X-API-Key": token}).status_code == OK
