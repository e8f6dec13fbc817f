"""The tables of budgets in PostgreSQL: what a batch reads of them, and what it writes, behind the wallets' locks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec import json

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
    NOTHING_PASSED,
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
from credit_wallet.stores.postgres.arrays import numbers, texts
from credit_wallet.stores.postgres.connection import Raw

_AT_ANCHORS = f"""
SELECT {BUDGET_COLUMNS}
FROM unnest(%s::bigint[], %s::text[]) AS wanted (wanted_wallet_id, wanted_anchor)
CROSS JOIN LATERAL (SELECT * FROM am_credit_budget
                    WHERE wallet_id = wanted_wallet_id AND anchor = wanted_anchor AND deleted_at IS NULL OFFSET 0) AS b
"""
_BY_ID = f"""
SELECT {BUDGET_COLUMNS}
FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (wanted_wallet_id, wanted_id)
JOIN am_credit_budget ON wallet_id = wanted_wallet_id AND budget_id = wanted_id AND deleted_at IS NULL
"""
_FIGURES = f"""
SELECT {FIGURE_COLUMNS}
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[])
     WITH ORDINALITY AS w (wallet_id, budget_id, window_start, value, position)
LEFT JOIN LATERAL (SELECT * FROM am_credit_budget_spent s WHERE s.wallet_id = w.wallet_id AND s.budget_id = w.budget_id
     AND s.window_start = w.window_start AND s.value = w.value OFFSET 0) s ON true
LEFT JOIN LATERAL (SELECT * FROM am_credit_budget_held h WHERE h.wallet_id = w.wallet_id AND h.budget_id = w.budget_id
     AND h.value = w.value OFFSET 0) h ON true
ORDER BY position
"""
_LATER = f"""
SELECT {LATER_COLUMNS}
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS w (wallet_id, budget_id, window_start, value)
CROSS JOIN LATERAL (SELECT * FROM am_credit_budget_spent s WHERE s.wallet_id = w.wallet_id AND s.budget_id = w.budget_id
     AND s.window_start > w.window_start AND s.value = w.value OFFSET 0) s
"""
_ROLLING = f"""
SELECT coalesce(between_steps.whole, 0), coalesce(between_steps.fraction, 0), between_steps.steps,
       CASE WHEN s.spent + coalesce(h.held + 1, 0)
                 + CASE WHEN w.counted_from < s.counted_from
                        THEN coalesce(between_steps.whole + between_steps.fraction / {MICROS} + 1, 0) ELSE 0 END
                 >= w.room_whole
            THEN (SELECT json_agg(json_build_array(oldest.at, oldest.spent, oldest.spent_fraction) ORDER BY oldest.at)
                  FROM (SELECT at, spent, spent_fraction FROM am_credit_budget_step t
                        WHERE t.wallet_id = w.wallet_id AND t.budget_id = w.budget_id AND t.value = w.value
                          AND t.at > w.counted_from
                        ORDER BY t.at LIMIT {OLDEST_STEPS}) AS oldest)::text
            END
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[])
     WITH ORDINALITY AS w (wallet_id, budget_id, value, counted_from, room_whole, position)
LEFT JOIN am_credit_budget_spent s ON s.wallet_id = w.wallet_id AND s.budget_id = w.budget_id
     AND s.window_start = '' AND s.value = w.value
LEFT JOIN am_credit_budget_held h ON h.wallet_id = w.wallet_id AND h.budget_id = w.budget_id AND h.value = w.value
CROSS JOIN LATERAL (
    SELECT sum(t.spent)::bigint, sum(t.spent_fraction)::bigint, count(*) FROM am_credit_budget_step t
    WHERE t.wallet_id = w.wallet_id AND t.budget_id = w.budget_id AND t.value = w.value
      AND t.at > least(w.counted_from, s.counted_from) AND t.at <= greatest(w.counted_from, s.counted_from)
) AS between_steps (whole, fraction, steps)
ORDER BY position
"""
_PUT_SPENT = f"""
INSERT INTO am_credit_budget_spent ({", ".join(SPENT_COLUMNS)})
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::int[],
                     %s::bigint[], %s::int[], %s::bigint[], %s::int[], %s::int[], %s::text[], %s::text[])
ON CONFLICT (wallet_id, budget_id, window_start, value) DO UPDATE
SET {", ".join(f"{column} = excluded.{column}" for column in SPENT_COLUMNS[5:])}
"""
_UPDATE_MOVED = """
UPDATE am_credit_budget_spent s SET spent = new.spent, spent_fraction = new.spent_fraction
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::int[])
     AS new (wallet_id, budget_id, window_start, value, spent, spent_fraction)
WHERE s.wallet_id = new.wallet_id AND s.budget_id = new.budget_id AND s.window_start = new.window_start
  AND s.value = new.value
"""
"""For rows that exist: it touches no index."""

_NOTE_WRITTEN = """
UPDATE am_credit_wallet SET budget_kinds = budget_kinds WHERE wallet_id = ANY (%s::bigint[])
"""
"""Tells other lanes and nodes that counters of wallets were written: they compare the versions of the wallets' rows."""

_PUT_HELD = f"""
INSERT INTO am_credit_budget_held ({", ".join(HELD_COLUMNS)})
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::int[])
ON CONFLICT (wallet_id, budget_id, value) DO UPDATE SET held = excluded.held, held_fraction = excluded.held_fraction
"""
_DELETE_HELD = """
DELETE FROM am_credit_budget_held h
USING unnest(%s::bigint[], %s::bigint[], %s::text[]) AS gone (wallet_id, budget_id, value)
WHERE h.wallet_id = gone.wallet_id AND h.budget_id = gone.budget_id AND h.value = gone.value
"""
_PUT_STEPS = f"""
INSERT INTO am_credit_budget_step AS s ({", ".join(STEP_COLUMNS)})
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::int[])
ON CONFLICT (wallet_id, budget_id, value, at) DO UPDATE
SET spent = s.spent + excluded.spent + (s.spent_fraction + excluded.spent_fraction) / {MICROS},
    spent_fraction = (s.spent_fraction + excluded.spent_fraction) %% {MICROS}
"""
_PUT_CHANGES = f"""
INSERT INTO am_credit_budget_change ({", ".join(CHANGE_COLUMNS)})
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
"""
_TEXTS = ("window_start", "value", "window_end", "counted_from", "last_at", "at")


class PostgresBudgets:
    """The tables of budgets behind one connection."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def definitions(self, anchors: Collection[tuple[int, str]], ids: Collection[tuple[int, int]]) -> list[Budget]:
        asked = []
        if anchors:
            wallet_ids, names = zip(*anchors, strict=True)
            asked.append(self._raw.execute(_AT_ANCHORS, [numbers(wallet_ids), texts(names)]))
        if ids:
            asked.append(self._raw.execute(_BY_ID, list(map(numbers, zip(*ids, strict=True)))))
        return [budget_of(row) for answer in asked for row in answer.fetchall()]

    def figures(self, counters: Sequence[Counter], *, with_later: bool) -> list[Figures]:
        wanted = [
            numbers([counter.budget.wallet_id for counter in counters]),
            numbers([counter.budget.budget_id for counter in counters]),
            texts([counter.window_start for counter in counters]),
            texts([counter.value for counter in counters]),
        ]
        rows = self._raw.execute(_FIGURES, wanted)
        later = self._raw.execute(_LATER, wanted) if with_later else None
        rolling = [counter for counter in counters if isinstance(counter, RollingCounter)]
        asked = self._windows(rolling) if rolling else None
        read = rows.fetchall()
        windows = map(_passed, () if asked is None else asked.fetchall())
        figures = [
            figures_of(row, next(windows) if isinstance(counter, RollingCounter) else NOTHING_PASSED)
            for counter, row in zip(counters, read, strict=True)
        ]
        return figures if later is None else with_later_windows(figures, counters, later.fetchall())

    def put_spent(self, counters: Collection[Counter]) -> None:
        self._write_spent(counters)
        self._raw.execute(_NOTE_WRITTEN, [numbers({counter.budget.wallet_id for counter in counters})])

    def write(self, decision: Decision, at: str) -> None:
        """What a decision changes; whoever calls this writes the wallets' rows as well."""
        if decision.spent_in:
            counters = decision.spent_in.values()
            self._put(_PUT_STEPS, STEP_COLUMNS, step_rows(counters))
            self._write_spent(counters)
        if decision.held_in:
            self.put_held(decision.held_in.values())
        if decision.budget_changes:
            self.put_changes(decision.budget_changes, at)

    def put_held(self, counters: Collection[Counter]) -> None:
        """Write what holds reserve; a counter in which none does has no row."""
        self._put(_PUT_HELD, HELD_COLUMNS, [held_row(counter) for counter in counters if counter.held_micros])
        gone = [held_row(counter)[:3] for counter in counters if not counter.held_micros]
        self._put(_DELETE_HELD, HELD_COLUMNS[:3], gone)

    def put_changes(self, changes: Collection[BudgetChange], at: str) -> None:
        """Log changes made at an instant."""
        rows = [change_row(change, at) for change in changes]
        columns = zip(*rows, strict=True)
        self._raw.execute(
            _PUT_CHANGES,
            [
                numbers(column) if name in ("wallet_id", "after_txn_id") else texts(column)
                for name, column in zip(CHANGE_COLUMNS, columns, strict=True)
            ],
        )

    def _write_spent(self, counters: Collection[Counter]) -> None:
        moved, whole = moved_or_whole(counters)
        self._put(_UPDATE_MOVED, MOVED_COLUMNS, list(map(moved_row, moved)))
        self._put(_PUT_SPENT, SPENT_COLUMNS, list(map(spent_row, whole)))

    def _windows(self, counters: Sequence[RollingCounter]) -> Any:
        return self._raw.execute(
            _ROLLING,
            [
                numbers([counter.budget.wallet_id for counter in counters]),
                numbers([counter.budget.budget_id for counter in counters]),
                texts([counter.value for counter in counters]),
                texts([counter.counted_from for counter in counters]),
                numbers([(counter.limit_micros - counter.asked_micros) // MICROS for counter in counters]),
            ],
        )

    def _put(self, statement: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            columns = zip(*rows, strict=True)
            self._raw.execute(
                statement,
                [
                    texts(column) if name in _TEXTS else numbers(column)
                    for name, column in zip(names, columns, strict=True)
                ],
            )


def _passed(row: tuple[Any, ...]) -> Passed:
    between, between_fraction, steps, text = row
    oldest = json.decode(text, type=list[tuple[str, int, int]]) if text else []
    left = [(at, whole * MICROS + fraction) for at, whole, fraction in oldest]
    return Passed(between * MICROS + between_fraction, steps, left)
