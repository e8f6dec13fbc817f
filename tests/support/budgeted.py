"""Budgets as the stores keep them: made by their jobs, and read from their tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.budget_settings import BudgetSettings, KeySettings, NewBudget
from credit_wallet.domain.budgets import Mode, Scope, Unit
from credit_wallet.domain.money import MICROS
from credit_wallet.errors import WalletError
from credit_wallet.stores import budget_jobs

NINE = datetime(2026, 5, 15, 9, tzinfo=UTC)


def make(
    wallets: CreditWallet,
    wallet_id: int,
    limit: int,
    *,
    window: str = "day",
    scope: Scope = (),
    unit: Unit = "yen",
    mode: Mode = "cap",
    time_zone: str | None = None,
    **raised: Any,
) -> int:
    """A budget's id."""
    new = NewBudget(
        wallet_id, None, unit, limit * MICROS, window, scope, mode, (80, 100), time_zone, "monday", **raised
    )
    return wallets._ledger.change_secrets(wallet_id, budget_jobs.create_budget, new)


def change(wallets: CreditWallet, wallet_id: int, budget_id: int, **settings: Any) -> None:
    changes = BudgetSettings(**settings)
    wallets._ledger.change_secrets(wallet_id, budget_jobs.configure_budget, budget_id, changes)


def delete(wallets: CreditWallet, wallet_id: int, budget_id: int) -> str:
    return wallets._ledger.change_secrets(wallet_id, budget_jobs.delete_budget, budget_id)


def change_key(wallets: CreditWallet, wallet_id: int, key_id: int, **settings: Any) -> None:
    changes = KeySettings(**settings)
    wallets._ledger.change_secrets(wallet_id, budget_jobs.configure_key, key_id, changes)


def named_by(refused: pytest.ExceptionInfo[WalletError]) -> dict[str, Any]:
    """The budget that a refusal names."""
    budget = refused.value.details["budget"]
    assert isinstance(budget, dict)
    return budget


def spent_in(db_url: str, budget_id: int) -> dict[tuple[str, str], int]:
    """Whole yen or calls that were spent, by the start of the window and the value."""
    with PlainSql(db_url) as ledger:
        rows = ledger.run(
            "SELECT window_start, value, spent FROM am_credit_budget_spent WHERE budget_id = ? ORDER BY 1, 2", budget_id
        )
    return {(start, value): spent for start, value, spent in rows}


def held_in(db_url: str, budget_id: int) -> dict[str, int]:
    """Whole yen or calls that holds reserve, by value."""
    with PlainSql(db_url) as ledger:
        return dict(ledger.run("SELECT value, held FROM am_credit_budget_held WHERE budget_id = ?", budget_id))
