"""Charges by what they were for, added up by the hour and by the day behind the rail.

Each entry is counted once, in the order of ``txn_id``: the number of the last one counted moves in the transaction that
adds the sums, and only from where the sums began. The same on every database.

A charge counts in rows of its whole wallet and, when an agent key paid, in rows of that key alone: one of everything,
and for each dimension that it has one of all values and one of its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct, json

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage_periods import periods_of
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.sql import statements

SQL = statements("usage.sql")

ENTRIES_A_STEP = 20_000
"""Entries counted in one step; fewer when they would make more than ``MAX_SUMS``."""

MAX_SUMS = 8_000
"""Sums added in one transaction, during which SQLite takes no charges: some ten milliseconds."""

SUMS_A_STATEMENT = 1_000

EVERYTHING, KEY, ITEM = "", ".key", ".item"
"""Dimensions beside the keys of facts, which have no dot."""

ALL_VALUES = ""
"""The value of the row of all charges that have a dimension."""

NO_ITEM, SEVERAL_ITEMS = "", "*"

_ELEMENTS = {"": "json_each(:sums)", "postgres": "jsonb_array_elements(CAST(:sums AS JSONB))"}


class Cell(NamedTuple):
    """A row of the sums by the hour or by the day. ``key_id`` 0 stands for the whole wallet."""

    is_day: bool
    wallet_id: int
    key_id: int
    dimension: str
    period: str
    value: str


class Sums:
    """What charges and refunds add up to, exactly. ``item`` is the one that all of them are for."""

    __slots__ = ("amount_micros", "charges", "item", "quantity_micros", "refunded_micros")

    def __init__(self, item: str) -> None:
        self.item = item
        self.charges = self.quantity_micros = self.amount_micros = self.refunded_micros = 0

    def add(self, other: Sums) -> None:
        """Add other sums; the quantities of several items are not added up."""
        if self.item != other.item:
            self.item = SEVERAL_ITEMS
        self.quantity_micros = 0 if self.item == SEVERAL_ITEMS else self.quantity_micros + other.quantity_micros
        self.charges += other.charges
        self.amount_micros += other.amount_micros
        self.refunded_micros += other.refunded_micros


Rollup: TypeAlias = dict[Cell, Sums]


class Counted(Struct, frozen=True):
    """The sums of the entries after ``after`` and up to ``last``."""

    after: int
    last: int
    rollup: Rollup


class Moved(NamedTuple):
    """A row of the statement ``moved``."""

    wallet_id: int
    time_zone: str
    at: str
    key_id: int | None
    item: str | None
    facts: str | None
    agent_facts: str | None
    charges: int
    quantity_units: int
    quantity_fraction: int
    amount_yen: int
    amount_fraction: int
    refunded_yen: int
    refunded_fraction: int

    def sums(self) -> Sums:
        """Its amounts put together."""
        sums = Sums(self.item or NO_ITEM)
        sums.charges = self.charges
        sums.quantity_micros = self.quantity_units * MICROS + self.quantity_fraction
        sums.amount_micros = self.amount_yen * MICROS + self.amount_fraction
        sums.refunded_micros = self.refunded_yen * MICROS + self.refunded_fraction
        return sums


def count_next(source: Source, settled_txn_id: int) -> Counted | None:
    """Count the next entries up to ``settled_txn_id``, below which no entry will come; None when all are counted."""
    [(after,)] = source.rows(SQL["counted"], {})
    limit = ENTRIES_A_STEP
    while True:
        limits = {"after": after, "settled": settled_txn_id, "limit": limit}
        [(last,)] = source.rows(SQL["last_to_count"], limits)
        if last is None:
            return None
        rollup = rollup_of(source.rows(SQL["moved"], {"after": after, "last": last}))
        if len(rollup) <= MAX_SUMS or limit == 1:
            return Counted(after, last, rollup)
        limit = max(1, limit // 4)


def rollup_of(rows: Iterable[tuple[Any, ...]]) -> Rollup:
    """The sums of rows of the statement ``moved``."""
    rollup: Rollup = {}
    for row in rows:
        moved = Moved._make(row)
        sums = moved.sums()
        for cell in cells_of(moved):
            found = rollup.get(cell)
            if found is None:
                found = rollup[cell] = Sums(sums.item)
            found.add(sums)
    return rollup


def cells_of(moved: Moved) -> Iterator[Cell]:
    """The rows that a charge counts in; none when plain SQL wrote a time that is none."""
    periods = periods_of(moved.at, moved.time_zone)
    if periods is None:
        return
    dimensions = _dimensions(moved.key_id, moved.item, moved.facts, moved.agent_facts)
    for is_day, period in ((False, periods.hour), (True, periods.day)):
        for key_id, dimension, value in dimensions:
            yield Cell(is_day, moved.wallet_id, key_id, dimension, period, value)


@lru_cache(maxsize=16_384)
def _dimensions(
    key_id: int | None, item: str | None, facts: str | None, agent_facts: str | None
) -> tuple[tuple[int, str, str], ...]:
    """Of the whole wallet, and of the agent key that paid."""
    values = _decoded(agent_facts) | _decoded(facts)
    if item is not None:
        values[ITEM] = item
    named = [(EVERYTHING, ALL_VALUES)]
    for dimension, value in values.items():
        named += [(dimension, ALL_VALUES), (dimension, value)]
    found = [(0, dimension, value) for dimension, value in named]
    if key_id is not None:
        found += [(0, KEY, ALL_VALUES), (0, KEY, str(key_id))]
        found += [(key_id, dimension, value) for dimension, value in named]
    return tuple(found)


def _decoded(facts: str | None) -> dict[str, str]:
    return {} if facts is None else json.decode(facts, type=dict[str, str])


def add(connection: Connection, counted: Counted, dialect: str) -> bool:
    """Add what was counted, unless another process has counted the same entries."""
    if not connection.execute(SQL["count_up_to"], {"after": counted.after, "last": counted.last}).fetchall():
        return False
    for is_day, statement in ((False, _addition(dialect)), (True, _addition(dialect).replace("hour", "day"))):
        rows = [_row(cell, sums) for cell, sums in sorted(counted.rollup.items()) if cell.is_day is is_day]
        for start in range(0, len(rows), SUMS_A_STATEMENT):
            sums = json.encode(rows[start : start + SUMS_A_STATEMENT]).decode()
            connection.execute(statement, {"sums": sums})
    return True


def _addition(dialect: str) -> str:
    return SQL["add_to_hours"].replace("json_each(sums)", _ELEMENTS[dialect])


def _row(cell: Cell, sums: Sums) -> tuple[int | str, ...]:
    return (
        cell.wallet_id,
        cell.key_id,
        cell.dimension,
        cell.period,
        cell.value,
        sums.charges,
        sums.item,
        *divmod(sums.quantity_micros, MICROS),
        *divmod(sums.amount_micros, MICROS),
        *divmod(sums.refunded_micros, MICROS),
    )
