"""What charges were for, added up by hour, day and month behind the rail.

Each entry is counted once, in the order of ``txn_id``: the number of the last one counted moves in the transaction that
adds the sums, and only from where the sums began. The same on every database.

A charge counts in one row of everything, and for each dimension that it has in one of all values and one of its value:
among those of the whole wallet, and among those of the agent key that paid. A wallet's usage begins with its first
entry that says who paid or what for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from msgspec import MsgspecError, Struct, json

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage_periods import EVERY, Every, periods_of
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.sql import statements

SQL = statements("usage.sql")
BEGINNINGS, WRONG_BEGINNINGS = (
    SQL[name].replace("begin_with", SQL["begin_with"]) for name in ("beginnings", "wrong_beginnings")
)
_ON_RECORD = "am_credit_usage_start k"
_ON_RECORD_OR_NEW = f"(SELECT wallet_id, first_txn_id FROM am_credit_usage_start UNION ALL {BEGINNINGS}) k"

MAX_ENTRIES = 20_000
"""Maximum entries counted in one step."""

MAX_SUMS = 2_500
"""Sums added in one transaction, during which SQLite takes no charges: some twenty milliseconds."""

SUMS_A_STATEMENT = 1_000

EVERYTHING, KEY, ITEM = "", ".key", ".item"
"""Dimensions beside the keys of facts, which have no dot."""

ALL_VALUES = ""
"""The value of the row of all charges that have a dimension."""

WHOLE_WALLET = 0
"""Instead of the id of an agent key."""

NO_ITEM, SEVERAL_ITEMS = "", "*"

_ELEMENTS = {"": "json_each(:sums)", "postgres": "jsonb_array_elements(CAST(:sums AS JSONB))"}

Cell: TypeAlias = tuple[int, Every, str, int, str, str]
"""A row: wallet, length of the period, dimension, agent key or ``WHOLE_WALLET``, period, and value."""


class Sums:
    """What charges and refunds add up to, exactly. ``item`` is the one that all of them are for."""

    __slots__ = ("amount_micros", "charges", "item", "quantity_micros", "refunded_micros")

    def __init__(self, charges: int, item: str, quantity_micros: int, amount_micros: int, refunded_micros: int) -> None:
        self.charges, self.item, self.quantity_micros = charges, item, quantity_micros
        self.amount_micros, self.refunded_micros = amount_micros, refunded_micros

    def copy(self) -> Sums:
        """The same sums, to add to."""
        return Sums(self.charges, self.item, self.quantity_micros, self.amount_micros, self.refunded_micros)

    def add(self, other: Sums) -> None:
        """Add other sums; the quantities of several items are not added up."""
        if self.item == other.item:
            self.quantity_micros += other.quantity_micros
        else:
            self.item, self.quantity_micros = SEVERAL_ITEMS, 0
        self.charges += other.charges
        self.amount_micros += other.amount_micros
        self.refunded_micros += other.refunded_micros


Rollup: TypeAlias = dict[Cell, Sums]


class Counted(Struct, frozen=True):
    """The sums of the entries after ``after`` and up to ``last``."""

    after: int
    last: int
    beginnings: list[tuple[int, int]]
    """Wallets whose usage begins, each with the entry that it begins with."""

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
        return Sums(
            self.charges,
            self.item or NO_ITEM,
            self.quantity_units * MICROS + self.quantity_fraction,
            self.amount_yen * MICROS + self.amount_fraction,
            self.refunded_yen * MICROS + self.refunded_fraction,
        )


class Pace:
    """How many entries a step counts: as many as make up to ``MAX_SUMS``, learnt from the steps before."""

    def __init__(self) -> None:
        self.entries = MAX_ENTRIES

    def take(self, sums: int) -> bool:
        """Whether a step that made ``sums`` may be added."""
        if sums > MAX_SUMS and self.entries > 1:
            self.entries = max(1, self.entries // 2)
            return False
        if sums < MAX_SUMS // 3:
            self.entries = min(MAX_ENTRIES, self.entries * 2)
        return True


def count_next(source: Source, settled_txn_id: int, pace: Pace) -> Counted | None:
    """Count the next entries up to ``settled_txn_id``, below which no entry will come; None when all are counted."""
    [(after,)] = source.rows(SQL["counted"], {})
    while True:
        limits = {"after": after, "settled": settled_txn_id, "limit": pace.entries}
        [(last,)] = source.rows(SQL["last_to_count"], limits)
        if last is None:
            return None
        span = {"after": after, "last": last}
        if not may_say(source, span):
            return Counted(after, last, [], {})
        beginnings = [(wallet_id, first) for wallet_id, first in source.rows(BEGINNINGS, span)]
        moved = SQL["moved"].replace(_ON_RECORD, _ON_RECORD_OR_NEW) if beginnings else SQL["moved"]
        rollup = rollup_of(source.rows(moved, span), pace.entries > 1)
        if pace.take(len(rollup)):
            return Counted(after, last, beginnings, rollup)


def may_say(source: Source, span: Mapping[str, int]) -> bool:
    """Whether there can be anything to count."""
    return bool(source.rows(SQL["may_say"], span)[0][0])


def rollup_of(rows: Iterable[tuple[Any, ...]], bounded: bool = False) -> Rollup:
    """The sums of rows of the statement ``moved``; when ``bounded``, it ends when there are more than ``MAX_SUMS``."""
    rollup: Rollup = {}
    limit = 3 * MAX_SUMS if bounded else None
    for row in rows:
        moved = Moved._make(row)
        periods = periods_of(moved.at, moved.time_zone)
        if periods is None:
            continue  # plain SQL wrote a time that is none
        wallet_id, sums = moved.wallet_id, moved.sums()
        for key_id, dimension, value in _places(moved.key_id, moved.item, moved.facts, moved.agent_facts):
            for every, period in zip(EVERY, periods, strict=True):
                cell = (wallet_id, every, dimension, key_id, period, value)
                if (found := rollup.get(cell)) is None:
                    rollup[cell] = sums.copy()
                else:
                    found.add(sums)
        if limit is not None and len(rollup) > limit:
            break
    return rollup


@lru_cache(maxsize=16_384)
def _places(
    key_id: int | None, item: str | None, facts: str | None, agent_facts: str | None
) -> tuple[tuple[int, str, str], ...]:
    """Where a charge counts, for the wallet and for its agent key: in all values and in its value of each dimension."""
    values = _decoded(agent_facts) | _decoded(facts)
    if item is not None:
        values[ITEM] = item
    if key_id is None:
        return tuple(_of(WHOLE_WALLET, values))
    return (*_of(WHOLE_WALLET, {**values, KEY: str(key_id)}), *_of(key_id, values))


def _of(key_id: int, values: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    yield key_id, EVERYTHING, ALL_VALUES
    for dimension, value in values.items():
        yield key_id, dimension, ALL_VALUES
        yield key_id, dimension, value


def _decoded(facts: str | None) -> dict[str, str]:
    """Facts as the ledger writes them; of anything else, which ``verify`` names, nothing."""
    try:
        return {} if facts is None else json.decode(facts, type=dict[str, str])
    except MsgspecError:
        return {}


def add(connection: Connection, counted: Counted, dialect: str) -> bool:
    """Add what was counted, unless another process has counted the same entries."""
    if not connection.execute(SQL["count_up_to"], {"after": counted.after, "last": counted.last}).fetchall():
        return False
    for wallet_id, first_txn_id in counted.beginnings:
        connection.execute(SQL["begin"], {"wallet_id": wallet_id, "first_txn_id": first_txn_id})
    statement = SQL["add"].replace("json_each(sums)", _ELEMENTS[dialect])
    rows = [_row(cell, counted.rollup[cell]) for cell in sorted(counted.rollup)]
    for start in range(0, len(rows), SUMS_A_STATEMENT):
        connection.execute(statement, {"sums": json.encode(rows[start : start + SUMS_A_STATEMENT]).decode()})
    return True


def _row(cell: Cell, sums: Sums) -> tuple[int | str, ...]:
    return (
        *cell,
        sums.charges,
        sums.item,
        *divmod(sums.quantity_micros, MICROS),
        *divmod(sums.amount_micros, MICROS),
        *divmod(sums.refunded_micros, MICROS),
    )
