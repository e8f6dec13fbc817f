"""Charges of plain SQL count in the budgets without conditions, once they are backfilled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from background import funded
from budgeted import NINE, make, named_by, spent_in
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import BudgetExhausted, CallLimitReached

pytestmark = on_every_database


def test_they_count_in_the_window_that_they_were_written_in(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    days = make(wallets, wallet_id, 10)
    runs = make(wallets, wallet_id, 10, scope=(("run", "*"),))
    with PlainSql(db_url) as host:
        for at in ("2026-05-14T23:59:59.000Z", "2026-05-15T08:00:00.000Z", "2026-05-15T08:59:00+00:00"):
            host.move(wallet_id, "charge", -4, at)
        host.move(wallet_id, "refund", 1, "2026-05-15T08:59:00.000Z")
    with pytest.raises(BudgetExhausted) as refused:
        wallets.charge(wallet_id, 3, idempotency_key="a", facts={"run": "r1"})
    assert named_by(refused)["spent"] == "8"
    wallets.charge(wallet_id, 2, idempotency_key="b", facts={"run": "r1"})
    assert spent_in(db_url, days) == {("2026-05-14T00:00:00.000Z", ""): 4, ("2026-05-15T00:00:00.000Z", ""): 10}
    assert [*spent_in(db_url, runs).values()] == [2]


def test_they_are_calls_and_leave_rolling_windows(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 3, unit="calls", window="rolling:1h")
    with PlainSql(db_url) as host:
        for minutes in (-61, -59, -30):
            host.move(wallet_id, "charge", -7, (NINE + timedelta(minutes=minutes)).isoformat())
    wallets.charge(wallet_id, 1, idempotency_key="a")
    with pytest.raises(CallLimitReached) as refused:
        wallets.charge(wallet_id, 1, idempotency_key="b")
    assert refused.value.details["retry_at"] == "2026-05-15T09:01:00.000Z"
    clock.advance(minutes=1)
    wallets.charge(wallet_id, 1, idempotency_key="b")


def test_a_time_that_is_none_counts_in_all(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    budgets = [make(wallets, wallet_id, 10, window=window) for window in ("total", "week", "rolling:1h")]
    with PlainSql(db_url) as host:
        host.move(wallet_id, "charge", -4, "last tuesday")
    wallets.charge(wallet_id, 1, idempotency_key="a")
    assert [[*spent_in(db_url, budget_id).values()] for budget_id in budgets] == [[5], [1], [1]]
