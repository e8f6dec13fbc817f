"""Charges that plain SQL wrote, counted in budgets when they are backfilled.

Such a charge has no agent key, no item and no facts: the budgets without conditions count it, in the window that it was
written in. It was made already, so nothing is refused and nothing told.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from credit_wallet.domain.budgets import Budget
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.windows import ALWAYS, Span, second_after, window_at
from credit_wallet.stores import Connection
from credit_wallet.stores.budget_rows import budget_of, parse_kinds
from credit_wallet.stores.sql import statements

_SQL = statements("budgets.sql")

WHOLE_WALLET = ""
"""The anchor of budgets without conditions."""


def count_backfilled(
    connection: Connection, wallet_id: int, budget_kinds: str, charges: Iterable[tuple[str, int]], now: datetime
) -> None:
    """Count charges, each with the instant that its writer gave it and its yen; behind the wallet's lock."""
    if WHOLE_WALLET not in parse_kinds(budget_kinds):
        return
    charges = list(charges)
    for row in connection.execute(_SQL["of_whole_wallet"], {"wallet_id": wallet_id}).fetchall():
        budget = budget_of(row)
        here = {"wallet_id": wallet_id, "budget_id": budget.budget_id}
        for occurred_at, yen in charges:
            spent = {**here, "spent": yen if budget.unit == "yen" else 1}
            if budget.rolls is None:
                _count(connection, budget, occurred_at, spent)
            else:
                _step(connection, timedelta(seconds=budget.rolls), occurred_at, spent, now)


def _count(connection: Connection, budget: Budget, occurred_at: str, spent: dict[str, Any]) -> None:
    """A window in which nothing can be found is not counted in: the text may be no instant, or of year 1."""
    span = Span(ALWAYS, ALWAYS)
    if budget.window != "total":
        try:
            span = window_at(budget.window, parse_instant(occurred_at), budget.time_zone, budget.week_start)
        except (ValueError, OverflowError):
            return
    connection.execute(_SQL["add_spent"], {**spent, "window_start": span.start, "window_end": span.end})


def _step(connection: Connection, length: timedelta, occurred_at: str, spent: dict[str, Any], now: datetime) -> None:
    with suppress(ValueError, OverflowError):
        at = format_instant(second_after(parse_instant(occurred_at)))
        counted_from = format_instant(now.replace(microsecond=0) - length)
        connection.execute(_SQL["add_step"], {**spent, "at": at})
        connection.execute(_SQL["add_rolling"], {**spent, "at": at, "counted_from": counted_from})
