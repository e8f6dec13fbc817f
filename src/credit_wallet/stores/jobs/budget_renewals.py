"""Events that a window of a budget has begun, after one in which the budget was used up or refused: a job in separate
transactions, the same on every database.

The rules mark the counter of such a window, and an index finds the marked ones that have ended. A budget that was
deleted meanwhile has no new window.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from credit_wallet.domain.budgets import Budget, shown_value, values_in
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS, decimal_text
from credit_wallet.rules.bounds import told_budget
from credit_wallet.rules.events import budget_renewed
from credit_wallet.stores import Connection
from credit_wallet.stores.budget_rows import budget_of
from credit_wallet.stores.outbox import put_event
from credit_wallet.stores.sql import statements

SQL = statements("renewals.sql")
_BUDGETS = statements("budgets.sql")

WINDOWS_A_STEP = 200


class _Ended(NamedTuple):
    """A window of one value."""

    wallet_id: int
    budget_id: int
    window_start: str
    value: str
    window_end: str


def emit(connection: Connection, now: datetime) -> int:
    """Emit the events that are due, up to ``WINDOWS_A_STEP``; return how many windows were looked at.

    Wallets are locked in order of their ids, as everywhere.
    """
    at = format_instant(now)
    rows = connection.execute(SQL["renewals_due"], {"at": at, "limit": WINDOWS_A_STEP}).fetchall()
    budgets: dict[int, Budget | None] = {}
    locked: set[int] = set()
    for ended in sorted(_Ended(*row) for row in rows):
        if ended.wallet_id not in locked:
            connection.execute(_BUDGETS["lock_wallet"], {"wallet_id": ended.wallet_id}).fetchall()
            locked.add(ended.wallet_id)
        taken = connection.execute(SQL["note_renewal"], ended._asdict()).fetchall()
        if not taken:
            continue
        if ended.budget_id not in budgets:
            budgets[ended.budget_id] = _live_budget(connection, ended)
        budget = budgets[ended.budget_id]
        if budget is not None:
            told = _told(budget, ended, *taken[0])
            put_event(connection, budget_renewed(ended.wallet_id, told, ended.window_start, ended.window_end), at)
    return len(rows)


def _live_budget(connection: Connection, ended: _Ended) -> Budget | None:
    named = {"budget_id": ended.budget_id, "wallet_id": ended.wallet_id}
    rows = connection.execute(_BUDGETS["budget"], named).fetchall()
    live = [budget_of(columns) for *columns, deleted_at in rows if deleted_at is None]
    return live[0] if live else None


def _told(budget: Budget, ended: _Ended, spent: int, spent_fraction: int, refusals: int) -> dict[str, Any]:
    """What the event says of the window that has ended; its limit is the one that counted last in it."""
    return {
        **told_budget(budget),
        "limit": decimal_text(budget.limit_at(ended.window_start)),
        "value": shown_value(ended.value) or None,
        "values": values_in(budget.scope, ended.value),
        "spent": decimal_text(spent * MICROS + spent_fraction),
        "refusals": refusals,
    }
