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
