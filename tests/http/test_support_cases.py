"""Support cases, each solved over HTTP alone by operators of the least role that can: docs/how-to/support-cases.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clock import Clock
from fake_stripe import FakeStripe
from installation import SECRET, Installation
from openapi_document import document
from service import Service
from support_desk import Desk

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.permissions import PERMISSIONS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "support-cases.md"

CURL = re.compile(r'"\$WALLET([^"?]*)\??([^"]*)".*?\$(VIEWER|SUPPORT|FINANCE)', re.DOTALL)

STOPPED_CARD = "4100000000000019"
"""A card that the bank declines for good."""


@pytest.fixture(scope="module")
def declined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, FakeStripe, int]]:
    """A ledger in which an automatic top-up of a wallet has failed: its database, Stripe, and the wallet."""
    path: Path = tmp_path_factory.mktemp("support") / "wallet.db"
    clock = Clock(datetime.now(UTC) - timedelta(minutes=1))
    with FakeStripe() as fake:
        with CreditWallet.open(f"sqlite:///{path}", clock=clock) as wallets:
            installation = Installation(wallets, fake, clock)
            wallet_id = installation.payer(STOPPED_CARD)
            [done] = installation.payments.run_automatic()
            assert done.status == "failed"
        yield f"sqlite:///{path}", fake, wallet_id


@pytest.fixture(scope="module")
def desk(declined: tuple[str, FakeStripe, int]) -> Iterator[Desk]:
    db_url, fake, _ = declined
    stripe = {
        "CREDIT_WALLET_STRIPE_KEY": "sk_test_123",
        "CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS": SECRET,
        "CREDIT_WALLET_STRIPE_API_URL": fake.url,
        "CREDIT_WALLET_RETURN_URL": "https://wallet.test/paid",
    }
    with Service(db_url, environment=stripe) as service:
        opened = Desk(service.url)
        yield opened
        opened.close()
        service.stop()
    with CreditWallet.open(db_url) as wallets:
        assert wallets.verify() == []


def test_a_disputed_charge_is_explained_by_its_request_id(desk: Desk) -> None:
    wallet_id, owner = desk.registered()
    key = desk.asked("POST", "/credit/keys", owner, {"label": "research agent"})
    body = {"amount_yen": 30, "note": "GET /search", "facts": {"tool": "search"}}
    desk.asked("POST", "/credit/charge", key["token"], body, key="c", X_Request_Id="req-7f3a")

    [entry] = desk.asked("GET", "/operator/transactions?request_id=req-7f3a", "viewer")["transactions"]
    assert (entry["wallet_id"], entry["amount"], entry["note"]) == (wallet_id, "-30", "GET /search")
    assert entry["agent_facts"] == {"tool": "search"}
    payer = desk.asked("GET", f"/operator/wallets/{wallet_id}/keys/{entry['key_id']}", "viewer")
    assert payer["label"] == "research agent"
    refund = {"txn_id": entry["txn_id"], "note": "ticket 4711"}
    assert desk.refused("POST", "/credit/refund", "viewer", refund, key="4711") == "forbidden"
    assert desk.refused("POST", "/credit/refund", "support", refund, key="4711") == "forbidden"
    assert desk.asked("POST", "/credit/refund", "finance", refund, key="4711")["balance"] == "1000"
    [refunded, _] = desk.asked("GET", f"/operator/wallets/{wallet_id}/transactions?limit=2", "viewer")["transactions"]
    assert (refunded["related_txn_id"], refunded["amount"]) == (entry["txn_id"], "30")


def test_a_leaked_key_is_replaced(desk: Desk) -> None:
    wallet_id, owner = desk.registered()
    leaked = desk.asked("POST", "/credit/keys", owner, {"label": "bot", "monthly_cap_yen": 300})
    desk.asked("POST", "/credit/charge", leaked["token"], {"amount_yen": 40}, key="thief")
    here = f"/operator/wallets/{wallet_id}"

    [found] = [key for key in desk.asked("GET", f"{here}/keys", "viewer") if key["label"] == "bot"]
    spent = desk.asked("GET", f"{here}/transactions?key_id={found['key_id']}", "viewer")["transactions"]
    assert [entry["amount"] for entry in spent] == ["-40"]
    rotate = f"{here}/keys/{found['key_id']}/rotate"
    assert desk.refused("POST", rotate, "viewer", {"overlap_seconds": 0}) == "forbidden"
    token = desk.asked("POST", rotate, "support", {"overlap_seconds": 0}, X_Act_Note="leaked, ticket 4712")["token"]
    assert desk.refused("POST", "/credit/charge", leaked["token"], {"amount_yen": 1}, key="again") == "unauthorized"
    assert desk.asked("POST", "/credit/charge", token, {"amount_yen": 1}, key="good")["amount"] == "1"
    after = desk.asked("GET", f"{here}/keys/{found['key_id']}", "viewer")
    assert (after["monthly_cap_yen"], after["current_cycle_spent_yen"]) == (300, 41)
    [act, *_] = desk.asked("GET", f"{here}/log?subject=key:{found['key_id']}", "viewer")["acts"]
    assert (act["kind"], act["note"]) == ("key.token_rotated", "leaked, ticket 4712")


def test_a_leaked_owner_token_is_replaced_at_once(desk: Desk) -> None:
    wallet_id, leaked = desk.registered()
    path = f"/operator/wallets/{wallet_id}/token/rotate"
    assert desk.refused("POST", path, "finance", {}) == "forbidden"
    token = desk.asked("POST", path, "support", {}, X_Act_Note="leaked, ticket 4713")["owner_token"]
    assert desk.refused("GET", "/credit/wallet", leaked) == "unauthorized"
    assert desk.asked("GET", "/credit/wallet", token)["balance"] == "1000"
    changes = desk.asked("GET", f"/operator/wallets/{wallet_id}/log?kind=wallet", "viewer")["acts"]
    assert "leaked, ticket 4713" in [act["note"] for act in changes]


def test_a_mistyped_topup_is_taken_back(desk: Desk) -> None:
    wallet_id, _ = desk.registered(0)
    typed = desk.asked("POST", "/operator/topup", "finance", {"wallet_id": wallet_id, "amount_yen": 100_000}, key="i-7")
    path, body = f"/operator/wallets/{wallet_id}/take-back", {"txn_id": typed["txn_id"], "note": "ticket 4714"}
    assert desk.refused("POST", path, "support", body, key="4714") == "forbidden"
    for _ in range(2):
        taken = desk.asked("POST", path, "finance", body, key="4714")
    assert (taken["amount"], taken["balance"], taken["replayed"]) == ("-100000", "0", True)
    again = {"wallet_id": wallet_id, "amount_yen": 10_000}
    assert desk.asked("POST", "/operator/topup", "finance", again, key="i-7 corrected")["balance"] == "10000"


def test_a_failed_automatic_topup_says_what_to_do(desk: Desk, declined: tuple[str, FakeStripe, int]) -> None:
    *_, wallet_id = declined
    [failed] = desk.asked("GET", "/operator/topups?status=failed", "viewer")["topups"]
    assert (failed["wallet_id"], failed["origin"], failed["reason"]) == (wallet_id, "auto", "fraudulent")
    assert failed["next_step"].startswith("ask the owner to save another card")
    here = f"/operator/wallets/{wallet_id}"
    state = desk.asked("GET", here, "viewer")["auto_topup"]
    assert (state["state"], state["reason"]) == ("stopped", "fraudulent")
    page = {"amount_yen": 1_000, "checkout": True}
    assert desk.refused("POST", f"{here}/topup", "viewer", page, key="4715") == "forbidden"
    assert desk.asked("POST", f"{here}/topup", "support", page, key="4715")["checkout_url"].startswith("http")


def test_who_raised_this_budget_is_in_the_log(desk: Desk) -> None:
    wallet_id, owner = desk.registered()
    budget = desk.asked("POST", "/credit/budgets", owner, {"limit_yen": 100, "window": "day"})["budget_id"]
    here = f"/operator/wallets/{wallet_id}"
    raised = {"limit_yen": 500}
    assert desk.refused("PATCH", f"{here}/budgets/{budget}", "finance", raised) == "forbidden"
    desk.asked("PATCH", f"{here}/budgets/{budget}", "support", raised, X_Act_Note="asked for by phone")

    changed, created = desk.asked("GET", f"{here}/log?subject=budget:{budget}", "viewer")["acts"]
    assert created["by"] == "owner"
    assert changed["by"].startswith("operator:")
    assert (changed["before"]["limit"], changed["after"]["limit"]) == ("100", "500")
    assert changed["note"] == "asked for by phone"
    [latest, _] = desk.asked("GET", f"{here}/budgets/changes", "viewer")
    assert latest["changed_by"] == "operator"
    [seen, _] = desk.asked("GET", "/credit/budgets/changes", owner)
    assert seen == latest


def test_credit_that_is_about_to_lapse_is_seen_and_replaced(desk: Desk) -> None:
    wallet_id, owner = desk.registered(0)
    soon, later = (format_instant(datetime.now(UTC) + timedelta(days=days)) for days in (3, 90))
    lapsing = {"wallet_id": wallet_id, "amount_yen": 200, "promo": True, "expires_at": soon}
    desk.asked("POST", "/operator/topup", "finance", lapsing, key="spring")
    here = f"/operator/wallets/{wallet_id}"

    [lot] = desk.asked("GET", f"{here}/lots", "viewer")
    assert (lot["remaining"], lot["expires_at"], lot["days_left"]) == ("200", soon, 2)
    taken = {"txn_id": lot["lot_id"], "reason": "customer_request", "note": "ticket 4717"}
    assert desk.refused("POST", f"{here}/take-back", "support", taken, key="4717") == "forbidden"
    desk.asked("POST", f"{here}/take-back", "finance", taken, key="4717")
    desk.asked("POST", "/operator/topup", "finance", {**lapsing, "expires_at": later}, key="4717 again")
    assert desk.asked("GET", "/credit/wallet", owner)["next_expiring"]["expires_at"] == later
    assert desk.asked("GET", f"{here}/deliveries", "viewer") == []


def test_a_customer_who_registered_twice_has_one_wallet(desk: Desk) -> None:
    kept, owner = desk.registered(300, label="acme")
    second, second_token = desk.registered(200, label="acme again")
    path, body = f"/operator/wallets/{second}/merge", {"into_wallet_id": kept, "note": "registered twice, ticket 4718"}
    assert desk.refused("POST", path, "support", body) == "forbidden"
    for _ in range(2):
        closed = desk.asked("POST", path, "finance", body)
    assert (closed["balance"], closed["merged_into"]) == ("0", kept)
    assert desk.asked("GET", "/credit/wallet", owner)["balance"] == "500"
    assert desk.refused("GET", "/credit/wallet", second_token) == "unauthorized"
    [moved] = desk.asked("GET", f"/operator/wallets/{kept}/transfers", "viewer")["transfers"]
    assert (moved["amount"], moved["other_wallet_id"]) == ("200", second)


def test_a_customer_who_leaves_is_closed(desk: Desk) -> None:
    wallet_id, owner = desk.registered(400)
    agent = desk.asked("POST", "/credit/keys", owner, {})["token"]
    hold = desk.asked("POST", "/credit/hold", agent, {"amount_yen": 50}, key="h")["hold_id"]
    here, leaving = f"/operator/wallets/{wallet_id}", {"note": "contract ended", "unused": "write_off"}
    assert desk.refused("POST", f"{here}/close", "support", leaving) == "forbidden"
    assert desk.refused("POST", f"{here}/close", "finance", leaving) == "closing_blocked"
    assert desk.refused("POST", "/credit/charge", agent, {"amount_yen": 1}, key="c") == "wallet_disabled"
    desk.asked("POST", "/credit/capture", agent, {"hold_id": hold, "amount_yen": 50}, key="h captured")
    closed = desk.asked("POST", f"{here}/close", "finance", leaving)
    assert (closed["balance"], closed["closed_at"] is None) == ("0", False)
    assert {desk.refused("GET", "/credit/wallet", token) for token in (owner, agent)} == {"unauthorized"}
    written_off, captured, _ = desk.asked("GET", f"{here}/transactions", "viewer")["transactions"]
    assert (written_off["amount"], written_off["reason"], captured["amount"]) == ("-350", "closing", "-50")


def test_the_how_to_makes_calls_that_there_are_as_a_role_that_may() -> None:
    served, found = document(), 0
    for command in re.findall(r"^\$ curl (.*?)(?=^\$|^```)", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.M):
        [(path, query, role)] = re.findall(
            r'"\$WALLET([^"?]*)\??([^"]*)".*?\$(VIEWER|SUPPORT|FINANCE)', command, re.DOTALL
        )
        body = re.search(r"-d '([^']*)'", command)
        method = "get" if body is None else "post"
        [operation] = [
            served["paths"][each][method]
            for each in served["paths"]
            if re.fullmatch(re.sub(r"\{\w+\}", "[0-9]+", each), path) and method in served["paths"][each]
        ]
        assert f"operator:{role.lower()}" in PERMISSIONS[operation["x-permission"]].kinds, command
        taken = {each["name"] for each in operation.get("parameters", ())}
        assert {each.partition("=")[0] for each in query.split("&") if each} <= taken, command
        assert ("Idempotency-Key" in command) == ("Idempotency-Key" in taken), command
        if body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert json.loads(body[1]).keys() <= served["components"]["schemas"][schema]["properties"].keys(), command
        found += 1
    assert found > 15


def test_a_customer_is_found_by_reference(desk: Desk) -> None:
    registration = {"reference": "cust_81", "label": "ACME 研究所", "metadata": {"plan": "team"}}
    made = desk.asked("POST", "/operator/wallets", "support", registration)
    again = desk.asked("POST", "/operator/wallets", "support", registration)
    assert (again["wallet_id"], again["owner_token"], again["created"]) == (made["wallet_id"], None, False)
    for query in ("reference=cust_81", "query=acme", "query=team", "query=研究"):
        found = desk.asked("GET", f"/operator/wallets?{query}", "viewer")["wallets"]
        assert made["wallet_id"] in [wallet["wallet_id"] for wallet in found], query
    assert desk.asked("GET", "/operator/wallets/ref:cust_81", "viewer")["wallet_id"] == made["wallet_id"]
    assert desk.asked("GET", "/operator/wallets/ref:cust_81/keys", "viewer") == []
    assert desk.refused("GET", "/operator/wallets/ref:cust_99", "viewer") == "wallet_not_found"
    assert desk.refused("GET", "/operator/wallets?reference=cust_81", "seller") == "forbidden"
