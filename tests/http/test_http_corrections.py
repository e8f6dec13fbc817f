"""Corrections over HTTP: what an operator sends, what is refused, and who may not."""

from __future__ import annotations

from typing import Any

import pytest
from databases import on_both_databases
from http_answers import CREDIT_YEN, assert_problem
from service import OPERATOR_KEY, Api

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = on_both_databases

WHY = {"reason": "mistyped_topup", "note": "¥11,000 instead of ¥10,000"}


def at(wallet: CreatedWallet, what: str) -> str:
    return f"/operator/wallets/{wallet.wallet_id}/{what}"


@pytest.mark.parametrize("amount", ["-10.5", -10])
def test_a_balance_is_adjusted_once(api: Api, wallet: CreatedWallet, amount: Any) -> None:
    asked = {"amount_yen": amount, **WHY}
    first = api.call("POST", at(wallet, "adjust"), OPERATOR_KEY, key="k", json=asked)
    assert first.status_code == 200, first.text
    document = first.json()
    assert (document["amount"], document["replayed"]) == (str(amount), False)
    again = api.call("POST", at(wallet, "adjust"), OPERATOR_KEY, key="k", json=asked)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == {**document, "replayed": True}
    [entry, *_] = api.get("/credit/transactions", wallet.owner_token).json()["transactions"]
    assert (entry["txn_id"], entry["cause"], entry["reason"]) == (document["txn_id"], "adjustment", WHY["reason"])
    assert entry["note"] == WHY["note"]


def test_a_mistyped_topup_is_taken_back(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    mistyped = wallets.topup(wallet.wallet_id, 500, idempotency_key="500 instead of 50").txn_id
    wallets.charge(wallet.wallet_id, CREDIT_YEN, idempotency_key="spends all that was there before")
    body: dict[str, Any] = {"txn_id": mistyped, "note": "¥500 instead of ¥50"}
    part = api.call("POST", at(wallet, "take-back"), OPERATOR_KEY, key="k", json={**body, "amount_yen": 450})
    assert (part.json()["amount"], part.json()["balance"]) == ("-450", "50")
    wallets.charge(wallet.wallet_id, 20, idempotency_key="spends of it")
    refused = api.call("POST", at(wallet, "take-back"), OPERATOR_KEY, key="k2", json=body)
    assert_problem(refused, 402, "insufficient_funds")
    problem = refused.json()
    assert (problem["max_amount"], problem["missing"]) == ("30", "20")
    owed = api.call("POST", at(wallet, "take-back"), OPERATOR_KEY, key="k2", json={**body, "allow_debt": True})
    assert owed.json()["amount"] == "-30"
    assert wallets.balance(wallet.wallet_id).debt_yen == 20


@pytest.mark.parametrize("what", ["adjust", "take-back"])
def test_it_takes_an_operator_an_idempotency_key_and_a_wallet(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, stranger: CreatedWallet, what: str
) -> None:
    txn_id = wallets.history(wallet.wallet_id)[0].txn_id
    body: dict[str, Any] = {"adjust": {"amount_yen": 5, **WHY}, "take-back": {"txn_id": txn_id, **WHY}}[what]
    for token in (wallet.owner_token, stranger.owner_token):
        assert_problem(api.call("POST", at(wallet, what), token, key="k", json=body), 403, "forbidden")
    assert_problem(api.call("POST", at(wallet, what), OPERATOR_KEY, json=body), 428, "idempotency_key_required")
    nowhere = api.call("POST", f"/operator/wallets/999/{what}", OPERATOR_KEY, key="k", json=body)
    assert nowhere.status_code == 404
    elsewhere = api.call("POST", at(stranger, what), OPERATOR_KEY, key="k", json=body)
    assert elsewhere.status_code == (200 if what == "adjust" else 404)
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"reason": "because"}, "reason"),
        ({"note": ""}, "note"),
        ({"note": " "}, "note"),
        ({"amount_yen": 0}, "amount_yen"),
        ({"amount_yen": "0.0"}, "amount_yen"),
        ({"amount_yen": -1.5}, "amount_yen"),
        ({"kind": "gift"}, "kind"),
    ],
)
def test_what_is_malformed_is_named(api: Api, wallet: CreatedWallet, asked: dict[str, Any], field: str) -> None:
    body = {"amount_yen": -1, **WHY, **asked}
    refused = api.call("POST", at(wallet, "adjust"), OPERATOR_KEY, key="k", json=body)
    assert refused.status_code == 422
    assert refused.json()["field"] == field


@pytest.mark.parametrize("missing", ["reason", "note", "amount_yen"])
def test_why_is_required(api: Api, wallet: CreatedWallet, missing: str) -> None:
    body = {name: value for name, value in {"amount_yen": -1, **WHY}.items() if name != missing}
    assert api.call("POST", at(wallet, "adjust"), OPERATOR_KEY, key="k", json=body).status_code == 422


def test_an_owner_sees_that_the_wallet_is_frozen_and_an_operator_why(api: Api, wallet: CreatedWallet) -> None:
    body = {"frozen": True, "reason": "fraud", "note": "ticket 4715"}
    frozen = api.call("POST", at(wallet, "freeze"), OPERATOR_KEY, json=body)
    assert (frozen.json()["frozen"], frozen.json()["frozen_note"]) == (True, "ticket 4715")
    assert api.call("POST", at(wallet, "freeze"), OPERATOR_KEY, json=body).json() == frozen.json()
    for token, path, reason in (
        (wallet.owner_token, "/credit/wallet", None),
        (OPERATOR_KEY, f"/operator/wallets/{wallet.wallet_id}", "fraud"),
    ):
        seen = api.get(path, token).json()
        assert (seen["frozen"], seen["frozen_at"], seen["frozen_reason"]) == (
            True,
            frozen.json()["frozen_at"],
            reason,
        )
    assert_problem(
        api.call("PATCH", "/credit/wallet", wallet.owner_token, json={"enabled": True}), 422, "invalid_request"
    )
    assert_problem(api.call("POST", at(wallet, "freeze"), wallet.owner_token, json=body), 403, "forbidden")
    refused = api.post("/credit/charge", wallet.owner_token, key="k", amount_yen=1)
    assert_problem(refused, 403, "wallet_disabled")
    assert "fraud" not in refused.text
    api.post(at(wallet, "freeze"), OPERATOR_KEY, frozen=False, reason="other")
    assert api.post("/credit/charge", wallet.owner_token, key="k", amount_yen=1).status_code == 200


def test_a_wallet_is_closed_once_nothing_is_in_the_way(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    held = wallets.hold(wallet.wallet_id, 30, idempotency_key="h")
    body = {"note": "contract ended", "unused": "write_off"}
    blocked = api.call("POST", at(wallet, "close"), OPERATOR_KEY, json=body)
    assert_problem(blocked, 409, "closing_blocked")
    assert (blocked.json()["blocked_by"], blocked.json()["hold_ids"]) == ("holds", [held.hold_id])
    wallets.capture(held.hold_id, 30)
    closed = api.call("POST", at(wallet, "close"), OPERATOR_KEY, json=body)
    assert (closed.status_code, closed.json()["balance_yen"]) == (200, 0)
    assert api.call("POST", at(wallet, "close"), OPERATOR_KEY, json=body).json() == closed.json()
    assert_problem(api.get("/credit/wallet", wallet.owner_token), 401, "unauthorized")
    topup = api.post("/operator/topup", OPERATOR_KEY, key="t", wallet_id=wallet.wallet_id, amount_yen=1)
    assert_problem(topup, 409, "wallet_closed")


def test_two_wallets_of_a_customer_become_one(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, stranger: CreatedWallet
) -> None:
    body = {"into_wallet_id": stranger.wallet_id, "note": "registered twice"}
    merged = api.call("POST", at(wallet, "merge"), OPERATOR_KEY, json=body)
    assert (merged.status_code, merged.json()["merged_into"]) == (200, stranger.wallet_id)
    assert wallets.balance(stranger.wallet_id) == 2 * CREDIT_YEN
    refused = api.post("/credit/charge", OPERATOR_KEY, key="k", amount_yen=1, wallet_id=wallet.wallet_id)
    assert_problem(refused, 409, "wallet_closed")
    assert refused.json()["merged_into"] == stranger.wallet_id
    itself = api.call("POST", at(stranger, "merge"), OPERATOR_KEY, json=body)
    assert_problem(itself, 422, "invalid_request", field="into_wallet_id")
