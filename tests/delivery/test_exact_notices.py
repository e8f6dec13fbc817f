"""Notices below the yen: every event says its amounts whole and exactly, people read the exact ones."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import format_instant
from credit_wallet.errors import WalletError
from credit_wallet.notices.texts import Notice, message_of

EXACT = {
    "budget.threshold_reached": ("spent",),
    "budget.exhausted": ("left",),
    "balance.low": ("balance",),
    "credit.expiring": ("remaining",),
    "credit.expired": ("expired",),
    "wallet.exhausted": ("balance", "refused"),
    "key_cap.threshold_reached": ("spent",),
    "key_cap.exhausted": ("left",),
    "spending.anomaly_detected": ("spent", "usual"),
    "topup.due": ("balance",),
}
"""Kinds with amounts that can have a fraction. All others are about payments, which are whole yen."""


def text(kind: str, payload: dict[str, Any], language: str) -> str:
    return message_of([Notice(1, 7, None, kind, payload, "")], language).body


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", EXACT)
def test_people_read_exact_amounts(kind: str, language: str) -> None:
    payload: dict[str, Any] = {}
    for name in EXACT[kind]:
        payload |= {f"{name}_yen": 1_234, name: "1234.567"}
    shown = text(kind, payload, language)
    assert "¥1,234.567" in shown
    assert shown.count("¥1,234") == len(EXACT[kind])


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", EXACT)
def test_an_event_from_before_the_upgrade_says_whole_yen(kind: str, language: str) -> None:
    shown = text(kind, {f"{name}_yen": 1_234 for name in EXACT[kind]}, language)
    assert shown.count("¥1,234") == len(EXACT[kind])


@pytest.mark.parametrize(
    ("usual", "shown"), [("0.000001", "¥0.000001"), ("0.4", "¥0.4"), ("12.541666", "¥12"), ("300", "¥300")]
)
def test_a_usual_hour_is_a_mean_and_has_no_places_unless_it_costs_less_than_a_yen(usual: str, shown: str) -> None:
    hour = {"hour": "2026-05-15T12", "spent_yen": 1_000, "spent": "1000.5"}
    usual_yen = int(float(usual))
    body = text("spending.anomaly_detected", {**hour, "usual_yen": usual_yen, "usual": usual}, "en")
    assert body == f"Wallet 7 spent ¥1,000.5 in the hour from 2026-05-15 12:00 UTC. A usual hour costs {shown}."


def test_a_digest_says_each_exactly() -> None:
    notices = [
        Notice(1, 7, "search", "balance.low", {"balance_yen": 3, "balance": "3.3", "low_balance_yen": 10}, ""),
        Notice(2, 7, "search", "wallet.exhausted", {"balance_yen": 0, "refused_yen": 4}, ""),
    ]
    assert message_of(notices, "en").body == (
        "Low balance\nWallet 7 (search) has ¥3.3 left, below the ¥10 that was set.\n\n"
        "Not enough credit\nWallet 7 (search) has ¥0 left and refused a call that costs ¥4. Top it up to continue."
    )
    assert message_of(notices, "ja").body.startswith(
        "残高が少なくなりました\nウォレット7(search)の残高は¥3.3で、設定額の¥10を下回りました。"
    )


@on_every_database
def test_every_event_says_its_amounts_whole_and_exactly(wallets: CreditWallet, clock: Clock, db_url: str) -> None:
    wallet_id = wallets.create(monthly_budget_yen=15, budget_mode="cap").wallet_id
    wallets.configure(wallet_id, low_balance_yen=90, auto_topup_threshold=90, auto_topup_amount=100)
    key_id = wallets.keys.create(wallet_id, monthly_cap_yen=4).key_id
    end = format_instant(clock() + timedelta(days=5))
    wallets.topup(wallet_id, "90.25", idempotency_key="start")
    wallets.topup(wallet_id, "1.75", idempotency_key="promo", promo=True, expires_at=end)
    for number, (amount, of_key) in enumerate([("3.7", key_id), ("1", key_id), ("10.85", None), ("3.3", None)]):
        with suppress(WalletError):
            wallets.charge(wallet_id, amount, idempotency_key=f"{number}", key_id=of_key)
    wallets.configure(wallet_id, monthly_budget_yen=0)
    with suppress(WalletError):
        wallets.charge(wallet_id, "1000.5", idempotency_key="too much")
    wallets.topup(wallet_id, "2.5", idempotency_key="promo 2", promo=True, expires_at=end)
    wallets.maintenance.emit_expiry_notices()
    clock.advance(days=6)
    wallets.maintenance.expire_due()
    with PlainSql(db_url) as host:
        rows = host.run("SELECT kind, payload FROM am_credit_outbox ORDER BY event_id")
    emitted = {kind: json.decode(payload) for kind, payload in rows}
    assert set(EXACT) - set(emitted) == {"spending.anomaly_detected"}
    said = {
        (kind, name): (emitted[kind][f"{name}_yen"], emitted[kind][name]) for kind in emitted for name in EXACT[kind]
    }
    assert said == {
        ("topup.due", "balance"): (88, "88.3"),
        ("balance.low", "balance"): (88, "88.3"),
        ("budget.threshold_reached", "spent"): (14, "14.55"),
        ("key_cap.threshold_reached", "spent"): (3, "3.7"),
        ("key_cap.exhausted", "left"): (0, "0.3"),
        ("budget.exhausted", "left"): (0, "0.45"),
        ("wallet.exhausted", "balance"): (77, "77.45"),
        ("wallet.exhausted", "refused"): (1_000, "1000.5"),
        ("credit.expiring", "remaining"): (2, "2.5"),
        ("credit.expired", "expired"): (2, "2.5"),
    }
    for kind, payload in emitted.items():
        for language in ("en", "ja"):
            assert "…" not in text(kind, payload, language), kind
