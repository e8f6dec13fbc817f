"""The tables of budgets in a SQLite file: what a batch reads of them, and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain
from typing import Any

import apsw

from credit_wallet.domain.budgets import Budget
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.decision import BudgetChange, Decision
from credit_wallet.rules.state import Counter
from credit_wallet.stores.budget_rows import (
    BUDGET_COLUMNS,
    CHANGE_COLUMNS,
    FIGURE_COLUMNS,
    HELD_COLUMNS,
    LATER_COLUMNS,
    MOVED_COLUMNS,
    SPENT_COLUMNS,
    STEP_COLUMNS,
    Figures,
    Passed,
    RollingCounter,
    budget_of,
    change_row,
    figures_of,
    held_row,
    moved_or_whole,
    moved_row,
    spent_row,
    step_rows,
    with_later_windows,
)
from credit_wallet.stores.known_budgets import OLDEST_STEPS

_ROWS_A_STATEMENT = (128, 64, 32, 16, 8, 4, 2, 1)


def _for_sizes(statement: Callable[[str], str], columns: int) -> dict[int, str]:
    """A statement for each number of wanted rows, given the list of their parameters."""
    row = f"({', '.join('?' * columns)})"
    return {size: statement(", ".join([row] * size)) for size in _ROWS_A_STATEMENT}


_AT_ANCHORS = _for_sizes(
    lambda rows: (
        f"""
    WITH wanted (wanted_wallet_id, wanted_anchor) AS (VALUES {rows})
    SELECT {BUDGET_COLUMNS} FROM wanted CROSS JOIN am_credit_budget INDEXED BY idx_am_credit_budget_anchor
    ON wallet_id = wanted_wallet_id AND anchor = wanted_anchor AND deleted_at IS NULL
    """
    ),
    2,
)
_BY_ID = f"SELECT {BUDGET_COLUMNS} FROM am_credit_budget WHERE wallet_id = ? AND budget_id = ? AND deleted_at IS NULL"
_FIGURES = _for_sizes(
    lambda rows: (
        f"""
    WITH wanted (wallet_id, budget_id, window_start, value) AS (VALUES {rows})
    SELECT {FIGURE_COLUMNS} FROM wanted w
    LEFT JOIN am_credit_budget_spent s ON s.wallet_id = w.wallet_id AND s.budget_id = w.budget_id
         AND s.window_start = w.window_start AND s.value = w.value
    LEFT JOIN am_credit_budget_held h ON h.wallet_id = w.wallet_id AND h.budget_id = w.budget_id AND h.value = w.value
    """
    ),
    4,
)
"""In the order of the wanted rows, which is the order of the loop over them."""

_LATER = _for_sizes(
    lambda rows: (
        f"""
    WITH wanted (wallet_id, budget_id, window_start, value) AS (VALUES {rows})
    SELECT {LATER_COLUMNS} FROM wanted w CROSS JOIN am_credit_budget_spent s
    ON s.wallet_id = w.wallet_id AND s.budget_id = w.budget_id AND s.window_start > w.window_start AND s.value = w.value
    """
    ),
    4,
)
_BETWEEN = """
SELECT coalesce(sum(spent), 0), coalesce(sum(spent_fraction), 0), count(*) FROM am_credit_budget_step
WHERE wallet_id = ? AND budget_id = ? AND value = ? AND at > ? AND at <= ?
"""
_OLDEST = f"""
SELECT at, spent, spent_fraction FROM am_credit_budget_step
WHERE wallet_id = ? AND budget_id = ? AND value = ? AND at > ? ORDER BY at LIMIT {OLDEST_STEPS}
"""
_PUT_SPENT = _for_sizes(
    lambda rows: (
        f"""
    INSERT INTO am_credit_budget_spent ({", ".join(SPENT_COLUMNS)}) VALUES {rows}
    ON CONFLICT (wallet_id, budget_id, window_start, value) DO UPDATE
    SET {", ".join(f"{column} = excluded.{column}" for column in SPENT_COLUMNS[5:])}
    """
    ),
    len(SPENT_COLUMNS),
)
_PUT_MOVED = _for_sizes(
    lambda rows: (
        f"""
    INSERT INTO am_credit_budget_spent ({", ".join(MOVED_COLUMNS)}) VALUES {rows}
    ON CONFLICT (wallet_id, budget_id, window_start, value) DO UPDATE
    SET spent = excluded.spent, spent_fraction = excluded.spent_fraction
    """
    ),
    len(MOVED_COLUMNS),
)
"""For rows that exist: it touches no index, and many rows a statement take three quarters of the time of an UPDATE."""

_PUT_HELD = f"""
INSERT INTO am_credit_budget_held ({", ".join(HELD_COLUMNS)}) VALUES ({", ".join("?" * len(HELD_COLUMNS))})
ON CONFLICT (wallet_id, budget_id, value) DO UPDATE
SET held = excluded.held, held_fraction = excluded.held_fraction
"""
_DELETE_HELD = "DELETE FROM am_credit_budget_held WHERE wallet_id = ? AND budget_id = ? AND value = ?"
_PUT_STEP = f"""
INSERT INTO am_credit_budget_step AS s ({", ".join(STEP_COLUMNS)}) VALUES ({", ".join("?" * len(STEP_COLUMNS))})
ON CONFLICT (wallet_id, budget_id, value, at) DO UPDATE
SET spent = s.spent + excluded.spent + (s.spent_fraction + excluded.spent_fraction) / {MICROS},
    spent_fraction = (s.spent_fraction + excluded.spent_fraction) % {MICROS}
"""
_PUT_CHANGE = f"""
INSERT INTO am_credit_budget_change ({", ".join(CHANGE_COLUMNS)}) VALUES ({", ".join("?" * len(CHANGE_COLUMNS))})
"""


class SqliteBudgets:
    """The tables of budgets behind one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def definitions(self, anchors: Collection[tuple[int, str]], ids: Collection[tuple[int, int]]) -> list[Budget]:
        rows = list(self._rows(_AT_ANCHORS, list(anchors)))
        for wallet_and_id in ids:
            rows += self._connection.execute(_BY_ID, wallet_and_id)
        return [budget_of(row) for row in rows]

    def figures(self, counters: Sequence[Counter], *, with_later: bool) -> list[Figures]:
        wanted = [
            (counter.budget.wallet_id, counter.budget.budget_id, counter.window_start, counter.value)
            for counter in counters
        ]
        rows = self._rows(_FIGURES, wanted)
        figures = [self._figures(counter, row) for counter, row in zip(counters, list(rows), strict=True)]
        return with_later_windows(figures, counters, self._rows(_LATER, wanted)) if with_later else figures

    def put_spent(self, counters: Collection[Counter]) -> None:
        changed, whole = moved_or_whole(counters)
        moved: list[Any] = []  # flat, so that no row of thousands is an object that lives to be collected
        for counter in changed:
            moved += moved_row(counter)
        done, columns = 0, len(MOVED_COLUMNS)
        for size, statement in _PUT_MOVED.items():
            while len(moved) - done >= size * columns:
                self._connection.execute(statement, moved[done : done + size * columns])
                done += size * columns
        for _ in self._rows(_PUT_SPENT, list(map(spent_row, whole))):
            raise AssertionError("an INSERT returned a row")

    def write(self, decision: Decision, at: str) -> None:
        """What a decision changes."""
        if decision.spent_in:
            counters = decision.spent_in.values()
            if steps := step_rows(counters):
                self._connection.executemany(_PUT_STEP, steps)
            self.put_spent(counters)
        if decision.held_in:
            self.put_held(decision.held_in.values())
        if decision.budget_changes:
            self.put_changes(decision.budget_changes, at)

    def put_held(self, counters: Collection[Counter]) -> None:
        """Write what holds reserve; a counter in which none does has no row."""
        rows = [held_row(counter) for counter in counters if counter.held_micros]
        gone = [held_row(counter)[:3] for counter in counters if not counter.held_micros]
        if rows:
            self._connection.executemany(_PUT_HELD, rows)
        if gone:
            self._connection.executemany(_DELETE_HELD, gone)

    def put_changes(self, changes: Collection[BudgetChange], at: str) -> None:
        """Log changes made at an instant."""
        self._connection.executemany(_PUT_CHANGE, [change_row(change, at) for change in changes])

    def _figures(self, counter: Counter, row: tuple[Any, ...]) -> Figures:
        since = row[-2]
        if since is None or not isinstance(counter, RollingCounter):
            return figures_of(row)
        here = (counter.budget.wallet_id, counter.budget.budget_id, counter.value)
        first, last = sorted((since, counter.counted_from))
        [(between, between_fraction, steps)] = self._connection.execute(_BETWEEN, (*here, first, last))
        between_micros = between * MICROS + between_fraction
        figures = figures_of(row, Passed(between_micros, steps, ()))
        spent_micros = figures.spent_micros + (between_micros if counter.counted_from < since else -between_micros)
        if spent_micros + figures.held_micros + counter.asked_micros <= counter.limit_micros:
            return figures
        oldest = self._connection.execute(_OLDEST, (*here, counter.counted_from))
        left = [(at, whole * MICROS + fraction) for at, whole, fraction in oldest]
        return figures._replace(oldest=left)

    def _rows(self, statements: dict[int, str], wanted: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        done = 0
        for size, statement in statements.items():
            while len(wanted) - done >= size:
                yield from self._connection.execute(statement, tuple(chain.from_iterable(wanted[done : done + size])))
                done += size
