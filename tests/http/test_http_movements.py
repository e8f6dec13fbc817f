"""Charges, batches and holds over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases
from http_answers import CREDIT_YEN, assert_problem, funded
from service import OPERATOR_KEY, TOPUP_URL, Api

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = on_both_databases


# Charging


def test_a_charge_answers_what_it_did(api: Api, wallet: CreatedWallet) -> None:
    answer = api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3, note="search")
    assert answer.status_code == 200
    assert answer.json() | {"txn_id": 0} == {
        "txn_id": 0,
        "wallet_id": wallet.wallet_id,
        "amount_yen": 3,
        "amount": "3",
        "balance_yen": 9_997,
        "balance": "9997",
        "replayed": False,
        "alerts": [],
        "hold_id": None,
        "expires_at": None,
        "price_version": None,
    }
    assert answer.headers["x-wallet-balance"] == answer.headers["x-wallet-balance-exact"] == "9997"
    assert "idempotent-replayed" not in answer.headers


def test_a_replay_answers_the_first_body_and_moves_nothing(api: Api, token: str, wallets: CreditWallet) -> None:
    first = api.post("/credit/charge", token, key="a", amount_yen=3)
    api.post("/credit/charge", token, key="b", amount_yen=3)
    again = api.post("/credit/charge", token, key="a", amount_yen=3)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json() | {"replayed": True}
    assert wallets.balance(first.json()["wallet_id"]) == CREDIT_YEN - 6


def test_a_key_used_for_another_request_is_a_conflict(api: Api, token: str) -> None:
    api.post("/credit/charge", token, key="a", amount_yen=3)
    answer = api.post("/credit/charge", token, key="a", amount_yen=4)
    assert_problem(answer, 409, "idempotency_conflict", idempotency_key="a")
    assert answer.headers["x-wallet-balance"] == "9997"


def test_an_empty_wallet_is_told_what_is_missing_and_where_to_pay(api: Api, token: str) -> None:
    answer = api.post("/credit/charge", token, key="a", amount_yen=10_500)
    assert_problem(answer, 402, "insufficient_funds", balance_yen=10_000, missing_yen=500, topup_url=TOPUP_URL)
    assert answer.headers["x-wallet-balance"] == "10000"


def test_an_exhausted_budget_stops_a_capped_wallet(api: Api, wallets: CreditWallet) -> None:
    token = funded(wallets, monthly_budget_yen=100, budget_mode="cap").owner_token
    answer = api.post("/credit/charge", token, key="a", amount_yen=130)
    assert_problem(answer, 402, "budget_exhausted", balance_yen=10_000, missing_yen=30, topup_url=TOPUP_URL)


def test_an_agent_spends_up_to_its_cap(api: Api, wallet: CreatedWallet, wallets: CreditWallet) -> None:
    agent = wallets.keys.create(wallet.wallet_id, monthly_cap_yen=100).token
    assert api.post("/credit/charge", agent, key="a", amount_yen=100).status_code == 200
    answer = api.post("/credit/charge", agent, key="b", amount_yen=30)
    assert_problem(answer, 402, "key_cap_exhausted", balance_yen=9_900, missing_yen=30, topup_url=TOPUP_URL)


def test_a_disabled_wallet_spends_nothing(api: Api, wallet: CreatedWallet, wallets: CreditWallet) -> None:
    wallets.freeze(wallet.wallet_id)
    assert_problem(api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3), 403, "wallet_disabled")


def test_the_operator_charges_the_wallet_that_it_names(api: Api, wallet: CreatedWallet) -> None:
    answer = api.post("/credit/charge", OPERATOR_KEY, key="a", amount_yen=3, wallet_id=wallet.wallet_id)
    assert answer.json()["balance_yen"] == 9_997
    unnamed = api.post("/credit/charge", OPERATOR_KEY, key="b", amount_yen=3)
    assert_problem(unnamed, 422, "invalid_request", field="wallet_id")
    unknown = api.post("/credit/charge", OPERATOR_KEY, key="b", amount_yen=3, wallet_id=99)
    assert_problem(unknown, 404, "wallet_not_found")


@pytest.mark.parametrize("path", ["/credit/charge", "/credit/hold", "/credit/capture", "/credit/release"])
def test_a_movement_without_an_idempotency_key_is_refused(
    api: Api, token: str, wallet: CreatedWallet, wallets: CreditWallet, path: str
) -> None:
    hold_id = wallets.hold(wallet.wallet_id, 5, idempotency_key="h").hold_id
    bodies: dict[str, dict[str, Any]] = {
        "/credit/capture": {"hold_id": hold_id, "amount_yen": 3},
        "/credit/release": {"hold_id": hold_id},
    }
    answer = api.post(path, token, **bodies.get(path, {"amount_yen": 3}))
    assert_problem(answer, 428, "idempotency_key_required")


@pytest.mark.parametrize("path", ["/credit/refund", "/operator/topup"])
def test_an_operators_movement_without_an_idempotency_key_is_refused(
    api: Api, wallet: CreatedWallet, path: str
) -> None:
    body: dict[str, Any] = (
        {"txn_id": 1} if path == "/credit/refund" else {"wallet_id": wallet.wallet_id, "amount_yen": 3}
    )
    assert_problem(api.post(path, OPERATOR_KEY, **body), 428, "idempotency_key_required")


def test_the_warnings_follow_the_share_of_the_budget_spent(api: Api, wallets: CreditWallet) -> None:
    token = funded(wallets, monthly_budget_yen=100).owner_token
    for amount_yen, warning in ((79, None), (1, "80"), (19, "80"), (2, "100")):
        charged = api.post("/credit/charge", token, key=str(amount_yen), amount_yen=amount_yen)
        assert charged.headers.get("x-wallet-warn") == warning
        assert api.get("/credit/wallet", token).headers.get("x-wallet-warn") == warning


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"amount_yen": 0}, "invalid_amount", "amount_yen"),
        ({"amount_yen": -3}, "invalid_amount", "amount_yen"),
        ({"amount_yen": 3.5}, "invalid_amount", "amount_yen"),
        ({"amount_yen": "three"}, "invalid_amount", "amount_yen"),
        ({"amount_yen": True}, "invalid_amount", "amount_yen"),
        ({"amount_yen": None}, "invalid_amount", "amount_yen"),
        ({"amount_yen": 10**12 + 1}, "invalid_amount", "amount_yen"),
        ({}, "invalid_amount", "amount_yen"),
        ({"amount_yen": 3, "note": "x" * 501}, "invalid_request", "note"),
        ({"amount_yen": 3, "note": 7}, "invalid_request", "note"),
        ({"amount_yen": 3, "wallet_id": 0}, "invalid_request", "wallet_id"),
        ({"amount_yen": 3, "amount": 3}, "invalid_request", "amount"),
    ],
)
def test_bad_input_is_refused_naming_the_field(
    api: Api, token: str, body: dict[str, object], code: str, field: str
) -> None:
    assert_problem(api.post("/credit/charge", token, key="a", **body), 422, code, field=field)


@pytest.mark.parametrize("idempotency_key", ["", "x" * 256, "a\tb"])
def test_an_unusable_idempotency_key_is_refused(api: Api, token: str, idempotency_key: str) -> None:
    answer = api.post("/credit/charge", token, key=idempotency_key, amount_yen=3)
    assert_problem(answer, 422, "invalid_request", field="idempotency_key")


def test_a_body_that_is_too_large_is_refused(api: Api, token: str) -> None:
    charge = api.call("POST", "/credit/charge", token, key="a", content=b'{"amount_yen": 3}' + b" " * 16_384)
    assert_problem(charge, 413, "body_too_large")
    settings = api.call("PATCH", "/credit/wallet", token, content=b"{}" + b" " * (1 << 20))
    assert_problem(settings, 413, "body_too_large")


# Batches


def batch_of(wallet_id: int, size: int) -> list[dict[str, object]]:
    return [{"wallet_id": wallet_id, "amount_yen": 3, "idempotency_key": f"item-{n}"} for n in range(size)]


def test_a_batch_answers_item_by_item(api: Api, wallet: CreatedWallet) -> None:
    charges = [*batch_of(wallet.wallet_id, 2), {"wallet_id": 99, "amount_yen": 3, "idempotency_key": "nobody"}]
    charges.append({"wallet_id": wallet.wallet_id, "amount_yen": 20_000, "idempotency_key": "poor"})
    answer = api.post("/credit/charge/batch", OPERATOR_KEY, charges=charges)
    assert answer.status_code == 200
    first, second, unknown, poor = answer.json()["outcomes"]
    assert (first["balance_yen"], second["balance_yen"]) == (9_997, 9_994)
    assert unknown["code"] == "wallet_not_found"
    assert (poor["code"], poor["missing_yen"], poor["topup_url"]) == ("insufficient_funds", 10_006, TOPUP_URL)
    again = api.post("/credit/charge/batch", OPERATOR_KEY, charges=charges).json()["outcomes"]
    assert again[:2] == [first | {"replayed": True}, second | {"replayed": True}]


def test_a_batch_takes_a_thousand_charges_and_no_more(api: Api, wallet: CreatedWallet) -> None:
    answer = api.post("/credit/charge/batch", OPERATOR_KEY, charges=batch_of(wallet.wallet_id, 1_000))
    assert answer.json()["outcomes"][-1]["balance_yen"] == CREDIT_YEN - 3_000
    more = api.post("/credit/charge/batch", OPERATOR_KEY, charges=batch_of(wallet.wallet_id, 1_001))
    assert_problem(more, 422, "invalid_request", field="charges")
    none = api.post("/credit/charge/batch", OPERATOR_KEY, charges=[])
    assert_problem(none, 422, "invalid_request", field="charges")


def test_a_batch_names_the_item_and_field_that_is_wrong(api: Api, wallet: CreatedWallet) -> None:
    charges = batch_of(wallet.wallet_id, 2)
    charges[1]["amount_yen"] = 0
    answer = api.post("/credit/charge/batch", OPERATOR_KEY, charges=charges)
    assert_problem(answer, 422, "invalid_amount", field="charges[1].amount_yen")


# Holds


def test_a_hold_is_captured_in_part_and_the_rest_comes_back(api: Api, token: str) -> None:
    held = api.post("/credit/hold", token, key="h", amount_yen=500, ttl_seconds=60)
    assert held.json()["balance_yen"] == 9_500
    assert held.json()["expires_at"] == "2026-05-15T12:01:00.000Z"
    assert api.get("/credit/wallet", token).json()["held_yen"] == 500
    body = {"hold_id": held.json()["hold_id"], "amount_yen": 120}
    captured = api.post("/credit/capture", token, key="c", **body)
    assert (captured.json()["amount_yen"], captured.json()["balance_yen"]) == (120, 9_880)
    again = api.post("/credit/capture", token, key="c", **body)
    assert again.headers["idempotent-replayed"] == "true"
    closed = api.post("/credit/release", token, key="r", hold_id=body["hold_id"])
    assert_problem(closed, 409, "hold_closed", hold_id=body["hold_id"], hold_status="captured")


def test_a_hold_is_released_whole(api: Api, token: str) -> None:
    hold_id = api.post("/credit/hold", token, key="h", amount_yen=500).json()["hold_id"]
    released = api.post("/credit/release", token, key="r", hold_id=hold_id)
    assert (released.status_code, released.json()["balance_yen"]) == (200, CREDIT_YEN)
    assert released.headers["x-wallet-balance"] == str(CREDIT_YEN)


def test_a_hold_gives_itself_back_when_its_time_is_over(api: Api, token: str, clock: Clock) -> None:
    hold_id = api.post("/credit/hold", token, key="h", amount_yen=500, ttl_seconds=60).json()["hold_id"]
    clock.advance(seconds=61)
    assert api.get("/credit/wallet", token).headers["x-wallet-balance"] == str(CREDIT_YEN)
    late = api.post("/credit/capture", token, key="c", hold_id=hold_id, amount_yen=5)
    assert_problem(late, 409, "hold_closed", hold_status="expired")


def test_no_more_can_be_captured_than_is_held(api: Api, token: str) -> None:
    hold_id = api.post("/credit/hold", token, key="h", amount_yen=5).json()["hold_id"]
    answer = api.post("/credit/capture", token, key="c", hold_id=hold_id, amount_yen=6)
    assert_problem(answer, 422, "invalid_amount")


@pytest.mark.parametrize("path", ["/credit/capture", "/credit/release"])
def test_somebody_elses_hold_does_not_exist(
    api: Api, token: str, stranger: CreatedWallet, wallets: CreditWallet, path: str
) -> None:
    hold_id = wallets.hold(stranger.wallet_id, 5, idempotency_key="h").hold_id
    amount = {"amount_yen": 3} if path == "/credit/capture" else {}
    theirs = api.post(path, token, key="c", hold_id=hold_id, **amount)
    nobodys = api.post(path, token, key="c", hold_id=999, **amount)
    assert_problem(theirs, 404, "hold_not_found", hold_id=hold_id)
    assert theirs.text.replace(str(hold_id), "999") == nobodys.text.replace(str(hold_id), "999")
    assert wallets.balance(stranger.wallet_id).held_yen == 5
