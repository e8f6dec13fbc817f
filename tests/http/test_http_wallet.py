"""What owners and agents see of a wallet over HTTP, and what owners set."""

from __future__ import annotations

from typing import Any

import pytest
from databases import on_both_databases
from http_answers import CREDIT_YEN, assert_problem, funded
from service import OPERATOR_KEY, TOPUP_URL, Api

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = on_both_databases


def test_an_owner_sees_the_wallet(api: Api, wallet: CreatedWallet) -> None:
    api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3)
    seen = api.get("/credit/wallet", wallet.owner_token)
    document = seen.json()
    latest, start = document.pop("recent_transactions")
    assert (latest["txn_type"], latest["amount_yen"], start["txn_type"]) == ("charge", -3, "topup")
    assert document.pop("budgets") == api.get("/credit/budgets", wallet.owner_token).json()
    assert document == {
        "wallet_id": wallet.wallet_id,
        "label": None,
        "reference": None,
        "metadata": {},
        "token_prefix": wallet.owner_token[:12],
        "balance_yen": 9_997,
        "balance": "9997",
        "held_yen": 0,
        "held": "0",
        "debt_yen": 0,
        "debt": "0",
        "auto_topup_threshold": 0,
        "auto_topup_amount": 0,
        "monthly_budget_yen": CREDIT_YEN,
        "budget_mode": "alert",
        "time_zone": "UTC",
        "current_cycle": "2026-05",
        "current_cycle_spent_yen": 3,
        "current_cycle_spent": "3",
        "enabled": True,
        "frozen": False,
        **dict.fromkeys(("frozen_at", "frozen_reason", "frozen_note", "closing_at", "closed_at", "merged_into")),
        "created_at": "2026-05-15T12:00:00.000Z",
        "low_balance_yen": 0,
        "alert_thresholds_pct": [],
        "price_group": None,
        "auto_topup_daily_yen": 0,
        "auto_topup_monthly_yen": 0,
        "lots": [
            {
                "lot_id": 1,
                "kind": "paid",
                "remaining_yen": 9_997,
                "remaining": "9997",
                "expires_at": None,
                "days_left": None,
            }
        ],
        "next_expiring": None,
        "notification_targets": [],
        "auto_topup": {
            "state": "off",
            "payment_method": None,
            "reason": None,
            "retry_at": None,
            "action_url": None,
        },
        "spendable_yen": 9_997,
        "spendable": "9997",
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
        (None, 0, 0),
    ],
)
def test_an_agent_sees_its_key_and_the_largest_charge_that_would_be_let_through(
    api: Api, wallets: CreditWallet, settings: dict[str, Any] | None, cap_yen: int, spendable_yen: int
) -> None:
    wallet_id = funded(wallets).wallet_id
    agent = wallets.keys.create(wallet_id, monthly_cap_yen=cap_yen)
    api.post("/credit/charge", agent.token, key="spent", amount_yen=200)
    api.post("/credit/hold", agent.token, key="held", amount_yen=100)
    if settings is None:
        wallets.freeze(wallet_id)
    else:
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


def test_a_statement_without_its_entries_is_the_rest_of_it(api: Api, wallet: CreatedWallet) -> None:
    api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3, note="tea")
    whole = api.get("/credit/statement", wallet.owner_token).json()
    assert len(whole["entries"]) == 2
    assert api.get("/credit/statement", wallet.owner_token, entries="none").json() == {**whole, "entries": []}
    text = api.get("/credit/statement", wallet.owner_token, format="text").text
    short = api.get("/credit/statement", wallet.owner_token, format="text", entries="none").text
    assert text.startswith(short)
    assert "tea" in short
    assert "  Entry" in text.removeprefix(short)


def test_a_statement_tells_who_spent_and_on_what(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    agent = wallets.keys.create(wallet.wallet_id, label="crawler")
    api.post("/credit/charge", agent.token, key="a", amount_yen=30, note="GET /search")
    report = api.get("/credit/statement", wallet.owner_token).json()
    spent: dict[str, Any] = {"charges": 1, "charged_yen": 30, "refunded_yen": 0, "spent_yen": 30}
    spent |= {"charged": "30", "refunded": "0", "spent": "30"}
    assert report["spend_by_key"] == [{"key_id": agent.key_id, "label": "crawler", "monthly_cap_yen": 0, **spent}]
    assert report["spend_by_note"] == [{"note": "GET /search", **spent}]
    for rows, last in (
        ("keys", f"{agent.key_id},crawler,1,30,0,30,0,30,0,30"),
        ("notes", "1,1,30,0,30,GET /search,30,0,30"),
    ):
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
