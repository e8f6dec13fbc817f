"""Pruning of budgets: windows that ended days ago, steps that have left rolling windows, counters of deleted budgets.

A pass reads a table once along its primary key, a bounded number of rows at a time with charges between. Definitions
and the log of changes are kept for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.windows import MAX_ROLLING_SECONDS, rolling_seconds
from credit_wallet.stores import Connection
from credit_wallet.stores.jobs.pruning import ROWS_A_STEP, InTransaction

KEPT_DAYS = 7
"""How long a window that has ended is kept, and a deleted budget's counters."""

CLOCKS_DIFFER = timedelta(days=1)
"""How far behind the clock of another node may be, which still counts in a rolling window."""

_IS_DELETED = """
EXISTS (SELECT 1 FROM am_credit_budget b
        WHERE b.budget_id = {table}.budget_id AND b.wallet_id = {table}.wallet_id AND b.deleted_at < :before)
"""


class _Table(NamedTuple):
    """A table in the order of its key, and the condition for deleting a row."""

    name: str
    key: tuple[str, ...]
    is_over: str

    @property
    def is_gone(self) -> str:
        """The condition, or that the budget is deleted."""
        return f"({self.is_over} OR {_IS_DELETED.format(table=self.name)})"


_SPENT = _Table(
    "am_credit_budget_spent",
    ("wallet_id", "budget_id", "window_start", "value"),
    "(window_end <> '' AND window_end < :before) OR (value <> '' AND last_at < :rolled_before)",
)
"""A rolling window's row goes with its last steps, but not the only one of its budget, which says what was refused."""

_NOT_IN_A_ROW = """
NOT EXISTS (SELECT 1 FROM am_credit_budget_spent r
            WHERE r.wallet_id = am_credit_budget_step.wallet_id AND r.budget_id = am_credit_budget_step.budget_id
              AND r.window_start = '' AND r.value = am_credit_budget_step.value
              AND r.counted_from < am_credit_budget_step.at)
"""
"""A step that its counter's row still has has to be there when the row is brought to another time."""

_HELD = _Table("am_credit_budget_held", ("wallet_id", "budget_id", "value"), "held + held_fraction = 0")
_STEPS = _Table(
    "am_credit_budget_step", ("wallet_id", "budget_id", "value", "at"), f"(at < :rolled_before AND {_NOT_IN_A_ROW})"
)

_ROLLING = """
SELECT DISTINCT b.wallet_id, b.budget_id, b.time_window
FROM (SELECT DISTINCT wallet_id, budget_id FROM am_credit_budget_step WHERE {between}) AS s
JOIN am_credit_budget b ON b.budget_id = s.budget_id AND b.wallet_id = s.wallet_id
"""
_DELETE_STEPS = f"""
DELETE FROM am_credit_budget_step
WHERE {{between}} AND wallet_id = :of_wallet AND budget_id = :of_budget AND at < :left_before AND {_NOT_IN_A_ROW}
RETURNING 1
"""


def prune_budgets(in_transaction: InTransaction, now: datetime, ended: Callable[[], bool]) -> int:
    """Delete what no budget needs at ``now``; return how many rows.

    Steps that have left their window are kept for as long again, at least a day, for clocks that are or step back.
    ``ended`` is called between two bounded pieces; when it returns true, the rest is left for another time.
    """
    deleted = 0
    for table in (_SPENT, _HELD, _STEPS):
        after: tuple[Any, ...] | None = ()
        while after is not None and not ended():
            after, gone = in_transaction(partial(_prune_piece, table=table, after=after, now=now))
            deleted += gone
    return deleted


def _prune_piece(
    connection: Connection, table: _Table, after: tuple[Any, ...], now: datetime
) -> tuple[tuple[Any, ...] | None, int]:
    """Prune the next rows of a table; return the key of the last of them, None when there are none."""
    key = ", ".join(table.key)
    bounds = dict(_named("after", after))
    behind = f"({key}) > ({', '.join(f':{name}' for name in bounds)})" if after else "1 = 1"
    rows = connection.execute(
        f"SELECT {key} FROM {table.name} WHERE {behind} ORDER BY {key} LIMIT :limit", {**bounds, "limit": ROWS_A_STEP}
    ).fetchall()
    if not rows:
        return None, 0
    last = dict(_named("last", rows[-1]))
    between = f"{behind} AND ({key}) <= ({', '.join(f':{name}' for name in last)})"
    bounds |= last
    times = {
        "before": format_instant(now - timedelta(days=KEPT_DAYS)),
        "rolled_before": format_instant(now - 2 * timedelta(seconds=MAX_ROLLING_SECONDS)),
    }
    deleted = connection.execute(
        f"DELETE FROM {table.name} WHERE {between} AND {table.is_gone} RETURNING 1", {**bounds, **times}
    ).fetchall()
    gone = len(deleted)
    if table is _STEPS:
        gone += _prune_steps(connection, between, bounds, now)
    return tuple(rows[-1]), gone


def _prune_steps(connection: Connection, between: str, bounds: dict[str, Any], now: datetime) -> int:
    """Delete those that left the windows of their budgets as long ago again, and longer ago than clocks differ."""
    gone = 0
    for wallet_id, budget_id, window in connection.execute(_ROLLING.format(between=between), bounds).fetchall():
        length = timedelta(seconds=rolling_seconds(window) or MAX_ROLLING_SECONDS)
        left_before = format_instant(now - length - max(length, CLOCKS_DIFFER))
        named = {**bounds, "of_wallet": wallet_id, "of_budget": budget_id, "left_before": left_before}
        gone += len(connection.execute(_DELETE_STEPS.format(between=between), named).fetchall())
    return gone


def _named(prefix: str, values: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    return ((f"{prefix}_{position}", value) for position, value in enumerate(values))
