"""What an owner sees and changes of a wallet, operators see and change at its address, as operators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from databases import SqliteFiles
from http_answers import assert_problem, funded
from openapi_document import document
from service import OPERATOR_KEY, Api, new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.domain.operators import ROOT, OperatorAccess
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.http import key_routes, log_routes, movement_routes, purchase_routes, transfer_routes
from credit_wallet.http.app import documented
from credit_wallet.http.mirrored_routes import TITLES
from credit_wallet.ledger.reading_lanes import OPERATORS, OWNERS, REPORTS
from credit_wallet.notices.targets import WantedTarget
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.mirrored import mirrored

DOCUMENT = document()
OWNERS_ALONE = {
    log_routes.list_own_acts: "operators see more of it: GET …/log",
    key_routes.whoami: "it is about the caller's token",
    key_routes.rotate_owner_token: "operators replace a token, at once by default: POST …/token/rotate",
    transfer_routes.create_transfer: "it needs the other wallet's token; operators name both: POST /operator/transfers",
}
"""The routes of owners that operators do not have, and why."""

PATHS = sorted({re.sub(r":\w+", "", path) for handler in TITLES for path in handler.paths})
READ = [path for path in PATHS if "get" in DOCUMENT["paths"][path]]
EMPTY = ("/credit/deliveries", "/credit/lots/expired", "/credit/topups/consents")
"""What the wallet of the tests has none of."""

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HERE = "/operator/wallets/1"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CreditWallet, CreatedWallet]]:
    """A wallet 1 that has one of everything."""
    with (
        SqliteFiles(tmp_path_factory.mktemp("mirrored")).ledger() as url,
        CreditWallet.open(url, clock=lambda: NOW) as wallets,
    ):
        owner, other = funded(wallets, monthly_budget_yen=100), wallets.create()
        wallets.keys.create(1, label="agent")
        wallets.hold(1, 5, idempotency_key="h")
        wallets.budgets.create(1, limit_yen=50, window="day", scope={"tool": "*"}, mode="alert")
        wallets.charge(1, 60, idempotency_key="c", facts={"tool": "search"}, key_id=1)
        wallets.transfers.create(1, other.wallet_id, 7, idempotency_key="t")
        wallets.topup(1, 4, idempotency_key="soon", promo=True, expires_at="9998-01-01T00:00:00Z")
        wallets.targets.set(1, [WantedTarget(url="https://example.com/hook")], mail=False, private=False)
        wallets.maintenance.count_usage()
        yield wallets, owner


@pytest.fixture(scope="module")
def service(ledger: tuple[CreditWallet, CreatedWallet]) -> Iterator[Api]:
    with Api(new_app(ledger[0], payments=StandIn())) as api:
        yield api


def filled(wallets: CreditWallet, path: str) -> str:
    """An owner's address about something that wallet 1 has."""
    transfer = wallets.transfers.list(1)[0].transfer_id
    topup = wallets.topups.request(1, 1_000, idempotency_key="of the owner").topup_id
    ids = {"transfer_id": transfer, "topup_id": topup, "budget_id": "budget-1"}
    return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "1"), path)


def test_every_route_of_owners_is_mirrored_or_named_as_one_that_is_not() -> None:
    of_owners = {
        handler
        for route in documented().routes
        for handler in getattr(route, "route_handlers", ())
        if route.path.startswith("/credit/") and "OPTIONS" not in handler.http_methods
    }
    moving = {*movement_routes.MOVEMENT_ROUTES, *purchase_routes.PURCHASE_ROUTES}
    names = {handler.fn.__name__ for handler in of_owners - {None}}
    assert names == {handler.fn.__name__ for handler in (*TITLES, *OWNERS_ALONE, *moving)}


@pytest.mark.parametrize("path", PATHS)
def test_the_two_are_documented_alike(path: str) -> None:
    twins = DOCUMENT["paths"][mirrored(path, "{wallet_id}")]
    for method, owners in DOCUMENT["paths"][path].items():
        if mirrored(path, "{wallet_id}") == "/operator/wallets/{wallet_id}/transfers" and method == "post":
            continue
        twin = twins[method]
        wallet_id, *others = twin["parameters"]
        assert (wallet_id["name"], wallet_id["in"]) == ("wallet_id", "path")
        assert others == [each for each in owners.get("parameters", ()) if each["name"] != "X-Payer-Token"]
        assert twin.get("requestBody") == owners.get("requestBody")
        [answer] = [status for status in owners["responses"] if status.startswith("2")]
        assert twin["responses"][answer] == owners["responses"][answer]
        assert (twin["operationId"], twin["summary"]) != (owners["operationId"], owners["summary"])
        assert "For operators" in twin["description"]


@pytest.mark.parametrize("path", READ)
def test_an_operator_is_answered_what_the_owner_is(
    service: Api, ledger: tuple[CreditWallet, CreatedWallet], path: str
) -> None:
    wallets, owner = ledger
    address = filled(wallets, path)
    theirs, ours = service.get(address, owner.owner_token), service.get(mirrored(address, 1), OPERATOR_KEY)
    assert (ours.status_code, ours.json()) == (200, theirs.json())
    assert (
        ours.json() not in ([], {})
        or path in ("/credit/alerts", "/credit/deliveries")
        or "expired" in path
        or "consents" in path
    )
    assert ours.headers["x-wallet-balance"] == theirs.headers["x-wallet-balance"]


@pytest.mark.parametrize("path", READ)
def test_nobody_else_is_and_an_unknown_wallet_is_404(
    service: Api, ledger: tuple[CreditWallet, CreatedWallet], path: str
) -> None:
    wallets, owner = ledger
    address = filled(wallets, path)
    assert_problem(service.get(mirrored(address, 1), owner.owner_token), 403, "forbidden")
    assert_problem(service.get(mirrored(address, 999), OPERATOR_KEY), 404, "wallet_not_found", wallet_id=999)


def test_what_belongs_to_another_wallet_is_404(service: Api, ledger: tuple[CreditWallet, CreatedWallet]) -> None:
    wallets, _ = ledger
    for path in (path for path in READ if "{" in path):
        answer = service.get(mirrored(filled(wallets, path), 2), OPERATOR_KEY)
        assert answer.status_code == 404 or "transfers" in path, path  # the transfer went there


def test_an_operator_changes_what_the_owner_does_and_the_log_says_the_operator(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    here = mirrored("/credit/wallet", wallet.wallet_id)
    auto: dict[str, Any] = {"auto_topup_threshold": 1_000, "auto_topup_amount": 5_000}
    refused = api.call("PATCH", here, OPERATOR_KEY, json=auto)
    assert_problem(refused, 403, "forbidden", field="auto_topup_consent")
    auto["auto_topup_consent"] = "The customer has agreed by phone on 29 November to be charged ¥5,000 below ¥1,000."
    settings = api.call("PATCH", here, OPERATOR_KEY, json={"label": "acme", **auto}, headers={"X-Act-Note": "by phone"})
    assert (settings.status_code, settings.json()["label"]) == (200, "acme")
    key = api.post(f"{here}/keys", OPERATOR_KEY, label="agent").json()
    assert api.get("/credit/whoami", key["token"]).json()["wallet_id"] == wallet.wallet_id
    capped = api.call("PATCH", f"{here}/keys/{key['key_id']}", OPERATOR_KEY, json={"monthly_cap_yen": 9})
    assert capped.json()["monthly_cap_yen"] == 9
    budget = api.post(f"{here}/budgets", OPERATOR_KEY, limit_yen=5, window="day").json()
    assert api.call("DELETE", f"{here}/budgets/{budget['budget_id']}", OPERATOR_KEY).status_code == 200
    assert api.call("DELETE", f"{here}/keys/{key['key_id']}", OPERATOR_KEY).status_code == 200
    assert_problem(api.get("/credit/whoami", key["token"]), 401, "unauthorized")

    found = wallets.log(wallet.wallet_id)
    assert {(act.by, act.actor) for act in found if act.by != "library"} == {("operator:operator", "operator")}
    assert [act.note for act in found if act.kind == "wallet.configured"] == ["by phone"]
    changes: list[dict[str, Any]] = api.get("/credit/budgets/changes", wallet.owner_token).json()
    assert {change["changed_by"] for change in changes} == {"operator"}
    [consent] = api.get("/credit/topups/consents", wallet.owner_token).json()
    assert (consent["consented_by"], consent["text"]) == ("operator", auto["auto_topup_consent"])
    off = api.call("PATCH", here, OPERATOR_KEY, json={"auto_topup_threshold": 0, "auto_topup_amount": 0})
    assert (off.status_code, off.json()["auto_topup_threshold"]) == (200, 0)


def test_a_payment_that_an_operator_asks_for_has_an_idempotency_key_of_the_operators(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    stand_in = StandIn()
    with Api(new_app(wallets, payments=stand_in)) as api:
        path = mirrored("/credit/topup", wallet.wallet_id)
        assert_problem(api.post(path, OPERATOR_KEY, amount_yen=1_000), 428, "idempotency_key_required")
        assert api.post(path, OPERATOR_KEY, key="k", amount_yen=1_000).status_code == 201
        assert api.post("/credit/topup", wallet.owner_token, key="k", amount_yen=2_000).status_code == 201
    assert stand_in.actors == ["operator", "payer"]


def test_an_owner_who_uses_up_the_wallets_share_does_not_keep_operators_out(
    service: Api, ledger: tuple[CreditWallet, CreatedWallet]
) -> None:
    wallets, owner = ledger
    with wallets.reading_lanes.report(1), wallets.reading_lanes.report(1):
        assert_problem(service.get("/credit/statement", owner.owner_token), 429, "share_exceeded")
        assert service.get(f"{HERE}/statement", OPERATOR_KEY).status_code == 200
    standing_in = Caller.of(OperatorAccess(ROOT, "root", "admin")).standing_in(1)
    assert [standing_in.lane(lane) for lane in (OWNERS, REPORTS)] == [OPERATORS, REPORTS]
    assert standing_in.actor == "operator"
