"""Amounts below the yen, items and facts over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from databases import on_both_databases
from http_answers import CREDIT_YEN, assert_problem
from service import OPERATOR_KEY, TOPUP_URL, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = on_both_databases

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "tokens.output"
unit_price_yen = "0.8"
per = 1000
"""


@pytest.fixture(params=[True, False], ids=["fast", "documented"])
def api(request: pytest.FixtureRequest, wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, fast_lane=request.param)) as opened:
        yield opened


def ok(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_headers_and_bodies_say_the_balance_both_ways(api: Api, token: str) -> None:
    charged = api.post("/credit/charge", token, key="a", amount_yen="3.30")
    assert (ok(charged)["balance_yen"], ok(charged)["balance"]) == (9_996, "9996.7")
    for answer in (charged, api.get("/credit/wallet", token), api.get("/credit/keys", token)):
        assert answer.headers["x-wallet-balance"] == "9996"
        assert answer.headers["x-wallet-balance-exact"] == "9996.7"
    again = api.post("/credit/charge", token, key="a", amount_yen="3.3")
    assert again.content == charged.content.replace(b'"replayed":false', b'"replayed":true')


def test_a_refusal_says_exactly_what_is_missing_and_what_suffices(api: Api, token: str) -> None:
    api.post("/credit/charge", token, key="a", amount_yen="0.7")
    refused = api.post("/credit/charge", token, key="b", amount_yen="10000.55")
    assert_problem(
        refused,
        402,
        "insufficient_funds",
        balance_yen=9_999,
        balance="9999.3",
        missing_yen=2,
        missing="1.25",
        debt_yen=0,
        debt="0",
        topup_url=TOPUP_URL,
    )
    assert "top up ¥2 or more" in refused.json()["detail"]  # payments are in whole yen
    assert refused.headers["x-wallet-balance-exact"] == "9999.3"


def test_a_hold_is_captured_refunded_and_shown_exactly(api: Api, token: str) -> None:
    held = ok(api.post("/credit/hold", token, key="h", amount_yen="10.5"))
    assert (held["amount"], held["balance"]) == ("10.5", "9989.5")
    part = ok(api.post("/credit/capture", token, key="c1", hold_id=held["hold_id"], amount_yen="0.25", final=False))
    last = ok(api.post("/credit/capture", token, key="c2", hold_id=held["hold_id"], amount_yen="4.125"))
    assert (part["balance"], last["amount"], last["balance"]) == ("9989.5", "4.125", "9995.625")
    shown = ok(api.get(f"/credit/holds/{held['hold_id']}", token))
    assert (shown["amount"], shown["captured"], shown["captured_yen"]) == ("10.5", "4.375", 4)
    back = ok(api.post("/credit/refund", OPERATOR_KEY, key="r", txn_id=last["txn_id"], amount_yen="0.125"))
    assert (back["amount"], back["balance"]) == ("0.125", "9995.75")
    too_much = api.post("/credit/refund", OPERATOR_KEY, key="r2", txn_id=last["txn_id"], amount_yen="4.000001")
    assert_problem(too_much, 409, "refund_exceeds_charge", refundable_yen=4, refundable="4")
    entry = ok(api.get(f"/credit/transactions/{last['txn_id']}", token))
    assert (entry["amount"], entry["refunded"], entry["ledger_balance"]) == ("-4.125", "0.125", "9995.625")


def test_the_whole_yen_of_entries_add_up_to_those_of_the_balance(api: Api, token: str) -> None:
    for number, amount in enumerate(("3.30", "0.4", "0.000001", "7", "0.3")):
        api.post("/credit/charge", token, key=str(number), amount_yen=amount)
    entries = ok(api.get("/credit/transactions", token))["transactions"]
    wallet = ok(api.get("/credit/wallet", token))
    assert sum(entry["amount_yen"] for entry in entries) == wallet["balance_yen"] == 9_988
    assert sum(Decimal(entry["amount"]) for entry in entries) == Decimal(wallet["balance"]) == Decimal("9988.999999")
    assert wallet["spendable"] == wallet["lots"][0]["remaining"] == "9988.999999"


def test_an_item_is_held_and_captured_by_what_was_measured(api: Api, token: str, wallets: CreditWallet) -> None:
    wallets.prices.apply(PRICES)
    held = ok(api.post("/credit/hold", token, key="h", item="tokens.output", quantity=4_000))
    assert (held["amount"], held["price_version"]) == ("3.2", 1)
    measured = {"item": "tokens.output", "quantity": "1234.5", "facts": {"model": "large"}}
    captured = ok(api.post("/credit/capture", token, key="c", hold_id=held["hold_id"], **measured))
    assert (captured["amount"], captured["price_version"], captured["balance"]) == ("0.9876", 1, "9999.0124")
    entry = ok(api.get(f"/credit/transactions/{captured['txn_id']}", token))
    assert (entry["item"], entry["quantity"], entry["price_version"]) == ("tokens.output", "1234.5", 1)
    assert (entry["facts"], entry["agent_facts"]) == ({}, {"model": "large"})


def test_who_set_a_fact_is_kept_apart(api: Api, wallet: CreatedWallet, wallets: CreditWallet) -> None:
    seller = wallets.sellers.create().token
    facts = {"facts": {"tool": "search"}}
    owners = ok(api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3, **facts))
    operators = ok(api.post("/credit/charge", OPERATOR_KEY, key="b", amount_yen=3, wallet_id=1, **facts))
    both = {**facts, "agent_facts": {"run": "r1"}, "wallet_id": 1}
    sellers = ok(api.post("/credit/charge", seller, key="c", amount_yen=3, **both))
    sold = ok(api.post("/credit/purchase", seller, key="d", amount_yen="0.5", attempt="1", **both))
    assert (sold["amount"], sold["balance"]) == ("0.5", "9990.5")
    refused = api.post("/credit/charge", wallet.owner_token, key="e", amount_yen=3, agent_facts={"run": "r1"})
    assert_problem(refused, 422, "invalid_request", field="agent_facts")
    shown = []
    for sale in (owners, operators, sellers, sold):
        entry = ok(api.get(f"/credit/transactions/{sale['txn_id']}", wallet.owner_token))
        shown.append((entry["facts"], entry["agent_facts"]))
    search, run = {"tool": "search"}, {"run": "r1"}
    assert shown == [({}, search), (search, {}), (search, run), (search, run)]


def test_a_batch_may_mix_amounts_and_items(api: Api, token: str, wallets: CreditWallet) -> None:
    wallets.prices.apply(PRICES)
    charges: list[dict[str, Any]] = [
        {"wallet_id": 1, "idempotency_key": "a", "amount_yen": 3},
        {"wallet_id": 1, "idempotency_key": "b", "amount_yen": "0.000001", "facts": {"tool": "search"}},
        {"wallet_id": 1, "idempotency_key": "c", "item": "search", "quantity": "2"},
        {"wallet_id": 1, "idempotency_key": "d", "item": "unheard.of"},
        {"wallet_id": 1, "idempotency_key": "e", "amount_yen": 20_000},
    ]
    outcomes = ok(api.post("/credit/charge/batch", OPERATOR_KEY, charges=charges))["outcomes"]
    assert [each["amount"] for each in outcomes[:3]] == ["3", "0.000001", "6.6"]
    assert [each["code"] for each in outcomes[3:]] == ["item_not_priced", "insufficient_funds"]
    assert outcomes[4]["missing"] == "10009.600001"
    wrong = [*charges, {"wallet_id": 1, "idempotency_key": "f", "item": "search", "amount_yen": 3}]
    refused = api.post("/credit/charge/batch", OPERATOR_KEY, charges=wrong)
    assert_problem(refused, 422, "invalid_request", field="charges[5].amount_yen")
    assert api.get("/credit/wallet", token).json()["balance"] == str(CREDIT_YEN - Decimal("9.600001"))


def test_credit_by_hand_is_exact_and_payments_are_whole(api: Api, token: str, wallet: CreatedWallet) -> None:
    topped_up = ok(api.post("/operator/topup", OPERATOR_KEY, key="t", wallet_id=wallet.wallet_id, amount_yen="0.25"))
    assert topped_up["balance"] == "10000.25"
    paid = api.post("/credit/topup", token, key="p", amount_yen="100.5")
    assert_problem(paid, 422, "invalid_amount", field="amount_yen")


def test_the_metrics_have_the_fractions(api: Api, token: str) -> None:
    api.post("/credit/charge", token, key="a", amount_yen="0.25")
    api.post("/credit/hold", token, key="b", amount_yen="0.5")
    lines = api.get("/metrics", OPERATOR_KEY).text.splitlines()
    assert "credit_wallet_balance_outstanding_yen 9999.25" in lines
    assert "credit_wallet_held_yen 0.5" in lines
