"""What each call of the HTTP service does and answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from clock import Clock
from databases import Databases, on_both_databases
from http_answers import CREDIT_YEN, assert_problem, funded
from plain_sql import PlainSql
from service import OPERATOR_KEY, TOPUP_URL, Api, Service, credentials, new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import CreatedKey, CreatedWallet
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.errors import PaymentProviderError
from credit_wallet.http.metrics import Metrics

pytestmark = on_both_databases

UNREACHABLE = PaymentProviderError("Stripe could not be asked")


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets)) as opened:
        yield opened


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    """A wallet with ``CREDIT_YEN`` and a budget of the same."""
    return funded(wallets, monthly_budget_yen=CREDIT_YEN)


@pytest.fixture
def token(wallet: CreatedWallet) -> str:
    return wallet.owner_token


@pytest.fixture
def stranger(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


# Charging


def test_a_charge_answers_what_it_did(api: Api, wallet: CreatedWallet) -> None:
    answer = api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3, note="search")
    assert answer.status_code == 200
    assert answer.json() | {"txn_id": 0} == {
        "txn_id": 0,
        "wallet_id": wallet.wallet_id,
        "amount_yen": 3,
        "balance_yen": 9_997,
        "replayed": False,
        "alerts": [],
        "hold_id": None,
        "expires_at": None,
    }
    assert answer.headers["x-wallet-balance"] == "9997"
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
    wallets.configure(wallet.wallet_id, enabled=False)
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
        ({"amount_yen": "3"}, "invalid_amount", "amount_yen"),
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


# What operators do


def test_the_operator_refunds_a_charge_in_parts_and_never_more_than_it_took(api: Api, token: str) -> None:
    txn_id = api.post("/credit/charge", token, key="a", amount_yen=100).json()["txn_id"]
    part = api.post("/credit/refund", OPERATOR_KEY, key="r1", txn_id=txn_id, amount_yen=30)
    assert part.json()["balance_yen"] == 9_930
    more = api.post("/credit/refund", OPERATOR_KEY, key="r2", txn_id=txn_id, amount_yen=71)
    assert_problem(more, 409, "refund_exceeds_charge")
    rest = api.post("/credit/refund", OPERATOR_KEY, key="r3", txn_id=txn_id)
    assert (rest.json()["amount_yen"], rest.json()["balance_yen"]) == (70, CREDIT_YEN)
    unknown = api.post("/credit/refund", OPERATOR_KEY, key="r4", txn_id=999)
    assert_problem(unknown, 404, "entry_not_found")


def test_the_operator_tops_up(api: Api, wallet: CreatedWallet, wallets: CreditWallet) -> None:
    body = {"wallet_id": wallet.wallet_id, "amount_yen": 500, "promo": True, "expires_at": "2026-06-01T00:00:00Z"}
    first = api.post("/operator/topup", OPERATOR_KEY, key="t", **body)
    again = api.post("/operator/topup", OPERATOR_KEY, key="t", **body)
    assert first.json()["balance_yen"] == again.json()["balance_yen"] == 10_500
    assert again.headers["idempotent-replayed"] == "true"
    assert (wallets.lots.list(wallet.wallet_id)[0].kind, wallets.lots.list(wallet.wallet_id)[0].remaining_yen) == (
        "promo",
        500,
    )
    late = api.post("/operator/topup", OPERATOR_KEY, key="u", **body | {"expires_at": "yesterday"})
    assert_problem(late, 422, "invalid_request", field="expires_at")


def test_the_operator_creates_lists_shows_and_switches_wallets(api: Api) -> None:
    created = api.post(
        "/operator/wallets", OPERATOR_KEY, label="robots", monthly_budget_yen=500, time_zone="Asia/Tokyo"
    )
    assert created.status_code == 201
    wallet_id, token = created.json()["wallet_id"], created.json()["owner_token"]
    assert api.get("/credit/wallet", token).json()["label"] == "robots"
    shown = api.get(f"/operator/wallets/{wallet_id}", OPERATOR_KEY).json()
    assert (shown["monthly_budget_yen"], shown["time_zone"], shown["enabled"]) == (500, "Asia/Tokyo", True)
    assert shown in api.get("/operator/wallets", OPERATOR_KEY).json()
    assert api.get("/operator/wallets", OPERATOR_KEY, after=wallet_id).json() == []
    switched = api.post(f"/operator/wallets/{wallet_id}/enabled", OPERATOR_KEY, enabled=False)
    assert switched.json()["enabled"] is False
    assert_problem(api.get("/operator/wallets/999", OPERATOR_KEY), 404, "wallet_not_found")
    nowhere = api.post("/operator/wallets", OPERATOR_KEY, time_zone="Mars/Olympus")
    assert_problem(nowhere, 422, "invalid_request", field="time_zone")


# What owners see and set


def test_an_owner_sees_the_wallet(api: Api, wallet: CreatedWallet) -> None:
    api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3)
    seen = api.get("/credit/wallet", wallet.owner_token)
    document = seen.json()
    latest, start = document.pop("recent_transactions")
    assert (latest["txn_type"], latest["amount_yen"], start["txn_type"]) == ("charge", -3, "topup")
    assert document == {
        "wallet_id": wallet.wallet_id,
        "label": None,
        "balance_yen": 9_997,
        "held_yen": 0,
        "debt_yen": 0,
        "auto_topup_threshold": 0,
        "auto_topup_amount": 0,
        "monthly_budget_yen": CREDIT_YEN,
        "budget_mode": "alert",
        "time_zone": "UTC",
        "current_cycle": "2026-05",
        "current_cycle_spent_yen": 3,
        "enabled": True,
        "created_at": "2026-05-15T12:00:00.000Z",
        "low_balance_yen": 0,
        "alert_thresholds_pct": [],
        "lots": [{"lot_id": 1, "kind": "paid", "remaining_yen": 9_997, "expires_at": None}],
        "notification_targets": [],
        "auto_topup": {
            "state": "off",
            "payment_method": None,
            "reason": None,
            "retry_at": None,
            "action_url": None,
        },
        "spendable_yen": 9_997,
        "key": None,
        "topup_url": TOPUP_URL,
    }


@pytest.mark.parametrize(
    ("settings", "cap_yen", "spendable_yen"),
    [
        ({}, 0, CREDIT_YEN - 300),
        ({"monthly_budget_yen": 500}, 0, CREDIT_YEN - 300),
        ({"monthly_budget_yen": 500, "budget_mode": "cap"}, 0, 200),
        ({"monthly_budget_yen": 100, "budget_mode": "cap"}, 0, 0),
        ({}, 400, 100),
        ({"monthly_budget_yen": 350, "budget_mode": "cap"}, 400, 50),
        ({"enabled": False}, 0, 0),
    ],
)
def test_an_agent_sees_its_key_and_the_largest_charge_that_would_be_let_through(
    api: Api, wallets: CreditWallet, settings: dict[str, Any], cap_yen: int, spendable_yen: int
) -> None:
    wallet_id = funded(wallets).wallet_id
    agent = wallets.keys.create(wallet_id, monthly_cap_yen=cap_yen)
    api.post("/credit/charge", agent.token, key="spent", amount_yen=200)
    api.post("/credit/hold", agent.token, key="held", amount_yen=100)
    wallets.configure(wallet_id, **settings)
    seen = api.get("/credit/wallet", agent.token).json()
    assert (seen["key"]["key_id"], seen["key"]["current_cycle_spent_yen"], seen["key"]["held_yen"]) == (
        agent.key_id,
        200,
        100,
    )
    assert seen["spendable_yen"] == spendable_yen
    assert api.post("/credit/charge", agent.token, key="more", amount_yen=spendable_yen + 1).status_code in (402, 403)
    if spendable_yen:
        assert api.post("/credit/charge", agent.token, key="all", amount_yen=spendable_yen).status_code == 200


def test_an_owner_changes_settings_and_the_rest_stays(api: Api, token: str) -> None:
    changed = api.call("PATCH", "/credit/wallet", token, json={"budget_mode": "cap", "label": "agents"})
    assert changed.status_code == 200
    assert (changed.json()["budget_mode"], changed.json()["label"]) == ("cap", "agents")
    assert changed.json()["monthly_budget_yen"] == CREDIT_YEN
    half = api.call("PATCH", "/credit/wallet", token, json={"auto_topup_threshold": 5})
    assert_problem(half, 422, "invalid_request", field="auto_topup_amount")
    unknown = api.call("PATCH", "/credit/wallet", token, json={"balance_yen": 5})
    assert_problem(unknown, 422, "invalid_request", field="balance_yen")


def test_an_entry_says_what_was_given_back_of_it(api: Api, token: str, wallets: CreditWallet) -> None:
    charged = api.post("/credit/charge", token, key="a", amount_yen=5, note="GET /search").json()["txn_id"]
    wallets.refund(charged, 2, idempotency_key="r")
    entry = api.get(f"/credit/transactions/{charged}", token).json()
    assert (entry["amount_yen"], entry["refunded_yen"], entry["note"]) == (-5, 2, "GET /search")
    assert_problem(api.get("/credit/transactions/99", token), 404, "entry_not_found", txn_id=99)


def test_a_hold_says_what_became_of_it(api: Api, token: str) -> None:
    hold = api.post("/credit/hold", token, key="a", amount_yen=5).json()["hold_id"]
    api.post("/credit/capture", token, key="b", hold_id=hold, amount_yen=2)
    shown = api.get(f"/credit/holds/{hold}", token).json()
    assert (shown["status"], shown["amount_yen"], shown["captured_yen"]) == ("captured", 5, 2)
    assert_problem(api.get("/credit/holds/99", token), 404, "hold_not_found", hold_id=99)


def test_pages_of_transactions_lead_to_the_end(api: Api, token: str, stranger: CreatedWallet) -> None:
    for number in range(6):
        api.post("/credit/charge", token, key=f"k{number}", amount_yen=number + 1)
        api.post("/credit/charge", stranger.owner_token, key=f"k{number}", amount_yen=1)
    seen, cursor = [], None
    while True:
        page = api.get("/credit/transactions", token, limit=3, **({"cursor": cursor} if cursor else {})).json()
        seen += [entry["amount_yen"] for entry in page["transactions"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["transactions"]) == 3
    assert seen == [-6, -5, -4, -3, -2, -1, CREDIT_YEN]
    topups = api.get("/credit/transactions", token, type="topup").json()["transactions"]
    assert [entry["amount_yen"] for entry in topups] == [CREDIT_YEN]


def test_pages_of_one_key_or_one_note_have_nothing_else(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    agent = wallets.keys.create(wallet.wallet_id)
    for number in range(5):
        api.post("/credit/charge", agent.token, key=f"a{number}", amount_yen=number + 1, note="GET /search")
        api.post("/credit/charge", wallet.owner_token, key=f"o{number}", amount_yen=100, note="GET /search")
    api.post("/credit/charge", agent.token, key="other", amount_yen=50, note="GET /fetch")
    for token in (wallet.owner_token, agent.token):  # an agent sees its whole wallet
        wanted: dict[str, Any] = {"key_id": agent.key_id, "note": "GET /search"}
        first = api.get("/credit/transactions", token, limit=3, **wanted).json()
        rest = api.get("/credit/transactions", token, limit=3, cursor=first["next_cursor"], **wanted).json()
        assert [entry["amount_yen"] for entry in first["transactions"]] == [-5, -4, -3]
        assert [entry["amount_yen"] for entry in rest["transactions"]] == [-2, -1]
        assert rest["next_cursor"] is None
        fetched = api.get("/credit/transactions", token, note="GET /fetch").json()["transactions"]
        assert [entry["key_id"] for entry in fetched] == [agent.key_id]


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/credit/transactions", {"limit": 0}, "limit"),
        ("/credit/transactions", {"key_id": 0}, "key_id"),
        ("/credit/transactions", {"key_id": 2**63}, "key_id"),
        ("/credit/transactions", {"key_id": "mine"}, "key_id"),
        ("/credit/transactions", {"note": "x" * 501}, "note"),
        ("/credit/transactions", {"note": "\0"}, "note"),
        ("/credit/statement", {"rows": "lots"}, "rows"),
        ("/credit/transactions", {"limit": 201}, "limit"),
        ("/credit/transactions", {"limit": "many"}, "limit"),
        ("/credit/transactions", {"cursor": "x"}, "cursor"),
        ("/credit/transactions", {"type": "gift"}, "type"),
        ("/credit/alerts", {"cycle": "2026-13"}, "cycle"),
        ("/credit/statement", {"cycle": "May"}, "cycle"),
        ("/credit/statement", {"format": "pdf"}, "format"),
    ],
)
def test_a_bad_query_is_refused_naming_the_parameter(
    api: Api, token: str, path: str, params: dict[str, object], field: str
) -> None:
    assert_problem(api.get(path, token, **params), 422, "invalid_request", field=field)


def test_an_owner_sees_the_alerts_of_a_cycle(api: Api, token: str) -> None:
    charged = api.post("/credit/charge", token, key="a", amount_yen=8_000).json()
    assert [alert["threshold_pct"] for alert in charged["alerts"]] == [50, 80]
    assert [alert["threshold_pct"] for alert in api.get("/credit/alerts", token).json()] == [80, 50]
    assert api.get("/credit/alerts", token, cycle="2026-04").json() == []


@pytest.mark.parametrize(
    ("form", "content_type", "begins"),
    [
        ("json", "application/json", '{"wallet_id":'),
        ("csv", "text/csv; charset=utf-8", "\ufefftxn_id,"),
        ("text", "text/plain; charset=utf-8", ""),
    ],
)
def test_a_statement_comes_in_three_formats(api: Api, token: str, form: str, content_type: str, begins: str) -> None:
    api.post("/credit/charge", token, key="a", amount_yen=1_234)
    answer = api.get("/credit/statement", token, cycle="2026-05", format=form)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert answer.text.startswith(begins)
    assert "1234" in answer.text.replace(",", "")
    assert answer.headers["x-wallet-balance"] == "8766"


@pytest.mark.parametrize("form", ["json", "csv", "text"])
def test_a_statement_of_the_first_cycle_that_there_is_can_be_had(api: Api, form: str) -> None:
    created = api.post("/operator/wallets", OPERATOR_KEY, time_zone="Asia/Tokyo").json()
    assert api.get("/credit/statement", created["owner_token"], cycle="1000-01", format=form).status_code == 200


def test_a_statement_tells_who_spent_and_on_what(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    agent = wallets.keys.create(wallet.wallet_id, label="crawler")
    api.post("/credit/charge", agent.token, key="a", amount_yen=30, note="GET /search")
    report = api.get("/credit/statement", wallet.owner_token).json()
    spent = {"charges": 1, "charged_yen": 30, "refunded_yen": 0, "spent_yen": 30}
    assert report["spend_by_key"] == [{"key_id": agent.key_id, "label": "crawler", "monthly_cap_yen": 0, **spent}]
    assert report["spend_by_note"] == [{"note": "GET /search", **spent}]
    for rows, last in (("keys", f"{agent.key_id},crawler,1,30,0,30,0"), ("notes", "1,1,30,0,30,GET /search")):
        answer = api.get("/credit/statement", wallet.owner_token, format="csv", rows=rows)
        assert answer.text.splitlines()[-1] == last


def test_a_forecast_tells_where_spending_is_heading(api: Api, token: str) -> None:
    api.post("/credit/charge", token, key="a", amount_yen=1_000)
    forecast = api.get("/credit/forecast", token).json()
    assert (forecast["spent_yen"], forecast["balance_yen"]) == (1_000, 9_000)
    assert forecast["projected_cycle_spend_yen"] > 1_000


READS = ("/credit/wallet", "/credit/transactions", "/credit/alerts", "/credit/statement", "/credit/forecast")


@pytest.mark.parametrize("path", [*READS, "/credit/keys"])
def test_every_answer_to_an_owner_carries_the_balance(api: Api, token: str, path: str) -> None:
    assert api.get(path, token).headers["x-wallet-balance"] == str(CREDIT_YEN)


# Top-ups through Stripe, where none are set up


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/credit/topup", {"amount_yen": 1_000}),
        ("GET", "/credit/topups/{}", None),
        ("DELETE", "/credit/topups/{}", None),
        ("POST", "/operator/topups/{}/pay-back", {"amount_yen": 1}),
        ("POST", "/webhooks/stripe", {}),
    ],
)
def test_a_service_without_payments_says_so(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, method: str, path: str, body: dict[str, int] | None
) -> None:
    topup = wallets.topups.request(wallet.wallet_id, 1_000, idempotency_key="before")
    token = OPERATOR_KEY if path.startswith("/operator") else wallet.owner_token
    answer = api.call(method, path.format(topup.topup_id), token, key="k", json=body)
    assert_problem(answer, 501, "payments_not_configured")
    assert [each["topup_id"] for each in api.get("/credit/topups", wallet.owner_token).json()["topups"]] == [
        topup.topup_id
    ]


@pytest.mark.parametrize("path", ["/credit/topup", "/operator/topups/tu_1/pay-back"])
def test_asking_for_a_payment_needs_a_key(api: Api, token: str, path: str) -> None:
    caller = OPERATOR_KEY if path.startswith("/operator") else token
    assert_problem(api.post(path, caller, amount_yen=1_000), 428, "idempotency_key_required")
    assert_problem(api.post(path, caller, key="k", amount_yen=0), 422, "invalid_amount", field="amount_yen")


def test_a_delivery_longer_than_any_of_stripes_is_refused(wallets: CreditWallet) -> None:
    with Api(new_app(wallets, payments=StandIn(UNREACHABLE))) as api:
        answer = api.call("POST", "/webhooks/stripe", content=b" " * (1 << 20) + b" ")
    assert_problem(answer, 413, "body_too_large")


def test_a_provider_that_cannot_be_asked_is_a_bad_gateway(wallets: CreditWallet, token: str) -> None:
    with Api(new_app(wallets, payments=StandIn(UNREACHABLE))) as api:
        answer = api.post("/credit/topup", token, key="k", amount_yen=1_000)
        assert_problem(answer, 502, "payment_provider_error")
        assert answer.headers["retry-after"] == "1"
        assert_problem(api.call("POST", "/webhooks/stripe", content=b"{}"), 502, "payment_provider_error")


# Agent keys


def test_keys_are_created_listed_shown_and_revoked(api: Api, token: str) -> None:
    created = api.post("/credit/keys", token, label="crawler", monthly_cap_yen=100)
    assert created.status_code == 201
    key_id, agent = created.json()["key_id"], created.json()["token"]
    (listed,) = api.get("/credit/keys", token).json()
    assert listed == api.get(f"/credit/keys/{key_id}", token).json()
    assert (listed["label"], listed["monthly_cap_yen"], listed["revoked_at"]) == ("crawler", 100, None)
    assert agent not in api.get("/credit/keys", token).text
    revoked = api.call("DELETE", f"/credit/keys/{key_id}", token)
    assert (revoked.status_code, revoked.json()["revoked_at"]) == (200, "2026-05-15T12:00:00.000Z")
    assert api.call("DELETE", f"/credit/keys/{key_id}", token).json() == revoked.json()


def test_somebody_elses_key_does_not_exist(
    api: Api, token: str, stranger: CreatedWallet, wallets: CreditWallet
) -> None:
    theirs = wallets.keys.create(stranger.wallet_id)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = api.call(method, f"/credit/keys/{theirs.key_id}{path}", token, json={} if method == "POST" else None)
        assert_problem(answer, 404, "key_not_found", key_id=theirs.key_id)
    assert wallets.keys.show(theirs.key_id).revoked_at is None
    assert_problem(api.get("/credit/keys/999", token), 404, "key_not_found", key_id=999)


@pytest.fixture
def agent(wallets: CreditWallet, wallet: CreatedWallet) -> CreatedKey:
    return wallets.keys.create(wallet.wallet_id, label="agent")


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_revoked_key_stops_working_at_once(
    wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey, *, fast_lane: bool
) -> None:
    with Api(new_app(wallets, fast_lane=fast_lane)) as api:
        assert api.post("/credit/charge", agent.token, key="a", amount_yen=3).status_code == 200
        hold_id = api.post("/credit/hold", agent.token, key="h", amount_yen=3).json()["hold_id"]
        api.call("DELETE", f"/credit/keys/{agent.key_id}", wallet.owner_token)
        attempts = [
            api.post("/credit/charge", agent.token, key="b", amount_yen=3),
            api.post("/credit/hold", agent.token, key="c", amount_yen=3),
            api.post("/credit/capture", agent.token, key="d", hold_id=hold_id, amount_yen=3),
            api.post("/credit/release", agent.token, key="e", hold_id=hold_id),
            api.get("/credit/wallet", agent.token),
        ]
        for attempt in attempts:
            assert_problem(attempt, 401, "unauthorized")
        assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 6


def test_a_key_revoked_behind_the_services_back_spends_nothing(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey, db_url: str, clock: Clock
) -> None:
    """The service remembers a token for a moment; the transaction that would move money does not."""
    assert api.post("/credit/charge", agent.token, key="a", amount_yen=3).status_code == 200
    with CreditWallet.open(db_url, clock=clock) as elsewhere:
        elsewhere.keys.revoke(agent.key_id)
    assert_problem(api.post("/credit/charge", agent.token, key="b", amount_yen=3), 401, "unauthorized")
    assert_problem(api.post("/credit/hold", agent.token, key="c", amount_yen=3), 401, "unauthorized")
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 3


def test_a_rotated_key_works_beside_the_new_one_for_the_overlap(
    wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey, clock: Clock
) -> None:
    with Api(new_app(wallets)) as api:
        rotated = api.post(f"/credit/keys/{agent.key_id}/rotate", wallet.owner_token, overlap_seconds=60)
        assert rotated.status_code == 201
        new = rotated.json()["token"]
        assert api.post("/credit/charge", agent.token, key="a", amount_yen=3).status_code == 200
        assert api.post("/credit/charge", new, key="b", amount_yen=3).status_code == 200
        clock.advance(seconds=60)
        assert_problem(api.post("/credit/charge", agent.token, key="c", amount_yen=3), 401, "unauthorized")
        assert api.post("/credit/charge", new, key="d", amount_yen=3).status_code == 200


def test_a_rotation_without_overlap_ends_the_old_key_at_once(
    api: Api, wallet: CreatedWallet, agent: CreatedKey
) -> None:
    assert api.post("/credit/charge", agent.token, key="a", amount_yen=3).status_code == 200
    api.post(f"/credit/keys/{agent.key_id}/rotate", wallet.owner_token, overlap_seconds=0)
    assert_problem(api.post("/credit/charge", agent.token, key="b", amount_yen=3), 401, "unauthorized")
    assert_problem(api.get("/credit/wallet", agent.token), 401, "unauthorized")


# Every answer


@pytest.mark.parametrize("path", ["/credit/charge", "/credit/wallet", "/healthz", "/nowhere"])
def test_a_request_id_is_echoed_or_made(api: Api, token: str, path: str) -> None:
    method = "POST" if path == "/credit/charge" else "GET"

    def request_id(given: str | None) -> str:
        headers = {} if given is None else {"X-Request-Id": given}
        answered: str = api.call(method, path, token, headers=headers).headers["x-request-id"]
        return answered

    assert request_id("mine-1") == "mine-1"
    made = [request_id(None), request_id(None), request_id("x" * 129), request_id("a\tb")]
    assert all(re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", each) for each in made)
    assert len(set(made)) == len(made)


def test_an_unknown_address_is_404_and_a_wrong_method_is_405_with_the_right_ones(api: Api, token: str) -> None:
    assert_problem(api.get("/nowhere", token), 404, "not_found")
    for method, path, allowed in (
        ("GET", "/credit/charge", "OPTIONS, POST"),
        ("DELETE", "/credit/wallet", "GET, HEAD, OPTIONS, PATCH"),
        ("PUT", "/credit/keys/1", "DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
    ):
        answer = api.call(method, path, token)
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed
        options = api.call("OPTIONS", path)
        assert (options.status_code, options.headers["allow"]) == (204, allowed)


# For machines


def test_a_service_that_can_take_charges_says_so(api: Api) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json() == {"status": "ready"}


@pytest.mark.usefixtures("impatient")
def test_it_is_not_ready_while_another_process_locks_the_database(wallets: CreditWallet, db_url: str) -> None:
    with CreditWallet.open(db_url) as impatient, Api(new_app(impatient)) as api, PlainSql(db_url) as host:
        token = funded(wallets).owner_token
        with host.exclusively():
            answer = api.get("/readyz")
            assert_problem(answer, 503, "database_locked")
            assert answer.headers["retry-after"] == "1"
            charge = api.post("/credit/charge", token, key="a", amount_yen=3)
            assert_problem(charge, 503, "database_locked")
            assert charge.headers["retry-after"] == "1"
        assert api.get("/readyz").status_code == 200
        assert api.post("/credit/charge", token, key="a", amount_yen=3).json()["balance_yen"] == 9_997


def test_it_is_not_ready_once_the_rail_is_closed(api: Api, wallets: CreditWallet) -> None:
    wallets.close()
    assert_problem(api.get("/readyz"), 503, "rail_busy")
    assert api.get("/healthz").status_code == 200


def test_metrics_have_their_names(api: Api, token: str) -> None:
    api.post("/credit/charge", token, key="a", amount_yen=3)
    answer = api.get("/metrics", OPERATOR_KEY)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")}
    assert {
        "credit_wallet_rail_batch_commands",
        "credit_wallet_rail_commit_seconds",
        "credit_wallet_rail_waiting_commands",
        "credit_wallet_outcomes_total",
        "credit_wallet_alerts_total",
        "credit_wallet_topups_yen_total",
        "credit_wallet_wallets",
        "credit_wallet_balance_outstanding_yen",
        "credit_wallet_held_yen",
        "credit_wallet_debt_yen",
    } <= names
    assert "credit_wallet_wallets 1.0" in answer.text
    assert "credit_wallet_balance_outstanding_yen 9997.0" in answer.text


def test_the_metrics_of_a_service_count_what_it_did(db_url: str) -> None:
    with Service(db_url) as service, httpx.Client(base_url=service.url) as client:
        operator = {"Authorization": f"Bearer {OPERATOR_KEY}"}
        created = client.post("/operator/wallets", headers=operator, json={"monthly_budget_yen": 100}).json()
        credit = {"wallet_id": created["wallet_id"], "amount_yen": 100}
        client.post("/operator/topup", headers=operator | {"Idempotency-Key": "t"}, json=credit)
        owner = {"Authorization": f"Bearer {created['owner_token']}"}
        for key, amount_yen in (("a", 60), ("a", 60), ("b", 41)):
            client.post("/credit/charge", headers=owner | {"Idempotency-Key": key}, json={"amount_yen": amount_yen})
        figures = client.get("/metrics", headers=credentials(OPERATOR_KEY)).text
        for line in (
            'credit_wallet_outcomes_total{command="charge",outcome="ok"} 1.0',
            'credit_wallet_outcomes_total{command="charge",outcome="replayed"} 1.0',
            'credit_wallet_outcomes_total{command="charge",outcome="insufficient_funds"} 1.0',
            'credit_wallet_alerts_total{threshold_pct="50"} 1.0',
            "credit_wallet_topups_yen_total 100.0",
        ):
            assert line in figures
        assert service.stop() == 0


def test_the_metrics_count_payments_once_by_the_names_of_their_commands(db_url: str) -> None:
    metrics = Metrics()
    with CreditWallet.open(db_url, observe=metrics.batch) as wallets:
        wallet_id = wallets.create().wallet_id
        topup = wallets.topups.request(wallet_id, 500, idempotency_key="t")
        paid = PaymentFact(observed_at=1, status="succeeded", received_yen=500)
        for _ in range(2):
            wallets.topups.settle(wallet_id, str(topup.topup_id), paid)
        figures = metrics.text(wallets).decode()
    for line in (
        'credit_wallet_outcomes_total{command="request_topup",outcome="ok"} 1.0',
        'credit_wallet_outcomes_total{command="settle_topup",outcome="ok"} 2.0',
        "credit_wallet_topups_yen_total 500.0",
    ):
        assert line in figures


def test_the_documentation_is_served(api: Api) -> None:
    assert api.get("/openapi.json").json()["openapi"].startswith("3.1")
    assert api.get("/docs").headers["content-type"].startswith("text/html")


# The fast lane and the documented routes

CHARGE = "/credit/charge"
BODIES: list[tuple[str, bytes]] = [
    (CHARGE, b'{"amount_yen": 3}'),
    (CHARGE, b'{"amount_yen": 3, "note": "\\u3042\\ud83d\\ude00"}'),
    (CHARGE, b'{"amount_yen": 99999}'),
    (CHARGE, b'{"amount_yen": 3, "wallet_id": 1}'),
    (CHARGE, b'{"amount_yen": 3, "wallet_id": 2}'),
    (CHARGE, b'{"amount_yen": 3, "wallet_id": 99}'),
    (CHARGE, b'{"amount_yen": 3, "amount_yen": 4}'),
    (CHARGE, b'{"amount_yen": 3.0}'),
    (CHARGE, b'{"amount_yen": 1e400}'),
    (CHARGE, b'{"amount_yen": NaN}'),
    (CHARGE, b'{"amount_yen": -1}'),
    (CHARGE, b'{"amount_yen": "3"}'),
    (CHARGE, b'{"amount_yen": ' + b"9" * 5_000 + b"}"),
    (CHARGE, b'{"amount_yen": 3, "note": "\xff"}'),
    (CHARGE, b'{"amount_yen": 3, "note": "\\ud800"}'),
    (CHARGE, b'{"amount_yen": 3, "note": "\\u0000"}'),
    (CHARGE, b'{"amount_yen": 3, "nota": "x"}'),
    (CHARGE, b'{"amount_yen": 3'),
    (CHARGE, b"{}"),
    (CHARGE, b"[]"),
    (CHARGE, b"[[1]]"),
    (CHARGE, b"null"),
    (CHARGE, b""),
    (CHARGE, b"[" * 10_000),
    (CHARGE, b'{"x": ' + b"[" * 10_000),
    (CHARGE, b'{"amount_yen": 3}' + b" " * 20_000),
    (CHARGE, b'{"amount_yen": 3}' + b" " * 2_000_000),
    ("/credit/hold", b'{"amount_yen": 3}'),
    ("/credit/hold", b'{"amount_yen": 3, "ttl_seconds": 0}'),
    ("/credit/capture", b'{"hold_id": 1, "amount_yen": 2}'),
    ("/credit/capture", b'{"hold_id": 1, "amount_yen": 999}'),
    ("/credit/capture", b'{"hold_id": 2, "amount_yen": 2}'),
    ("/credit/capture", b'{"hold_id": 99, "amount_yen": 2}'),
    ("/credit/release", b'{"hold_id": 1}'),
    ("/credit/release", b'{"hold_id": 2}'),
    ("/credit/release", b'{"hold_id": "1"}'),
]
CREDENTIALS = ("owner", "agent", "operator", "nobody", "malformed", "basic", "header")
KEYS: tuple[str | None, ...] = (None, "", "same", "x" * 256, "a\x01b", "\xe9")


def answers_of(wallets: CreditWallet, *, fast_lane: bool) -> list[tuple[int, bytes, dict[str, str]]]:
    """Status, body and headers of every body of the table with good credentials and key, and of bad ones."""
    owner = funded(wallets, monthly_budget_yen=100)
    theirs = funded(wallets)
    wallets.hold(owner.wallet_id, 10, idempotency_key="h")
    wallets.hold(theirs.wallet_id, 10, idempotency_key="h")
    headers = {
        "owner": {"Authorization": f"Bearer {owner.owner_token}"},
        "agent": {"Authorization": f"bearer {wallets.keys.create(owner.wallet_id).token}"},
        "operator": {"Authorization": f"Bearer {OPERATOR_KEY}"},
        "nobody": {},
        "malformed": {"Authorization": "Bearer x"},
        "basic": {"Authorization": "Basic eDp4"},
        "header": {"X-API-Key": owner.owner_token},
    }
    requests: list[tuple[str, bytes, str, str | None]]
    requests = [(path, body, "owner", f"key-{number}") for number, (path, body) in enumerate(BODIES)]
    requests += [(CHARGE, BODIES[0][1], who, "by-" + who) for who in CREDENTIALS]
    requests += [(CHARGE, b"{", who, "bad-" + who) for who in CREDENTIALS]
    requests += [(CHARGE, BODIES[3][1], "operator", "named"), (CHARGE, BODIES[5][1], "operator", "unknown")]
    requests += [(CHARGE, BODIES[0][1], "owner", key) for key in (*KEYS, "same")]
    requests += [(CHARGE, BODIES[1][1], "owner", "same")]
    answers = []
    with Api(new_app(wallets, fast_lane=fast_lane)) as api:
        for path, body, who, key in requests:
            fields: dict[str, str | bytes] = {**headers[who], "X-Request-Id": "same"}
            if key is not None:
                fields["Idempotency-Key"] = key.encode("latin-1")
            answer = api.call("POST", path, content=body, headers=fields)
            answers.append((answer.status_code, answer.content, dict(sorted(answer.headers.items()))))
    return answers


def test_the_fast_lane_answers_as_the_documented_routes_do(databases: Databases, clock: Clock) -> None:
    """Byte for byte, each on a ledger of its own."""

    def answers(*, fast_lane: bool) -> list[tuple[int, bytes, dict[str, str]]]:
        with databases.ledger() as url, CreditWallet.open(url, clock=clock) as wallets:
            return answers_of(wallets, fast_lane=fast_lane)

    fast, documented = answers(fast_lane=True), answers(fast_lane=False)
    for number, (one, other) in enumerate(zip(fast, documented, strict=True)):
        assert one == other, number
    assert {status for status, _, _ in fast} == {200, 400, 401, 402, 403, 404, 409, 413, 422, 428}
