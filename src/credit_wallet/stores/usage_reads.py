"""Reading what charges were for: pages in the order of periods and values, bounded whatever the ledger's length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

from msgspec import Struct

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage_periods import Every, days_of
from credit_wallet.stores import Source
from credit_wallet.stores.jobs.usage import ALL_VALUES, NO_ITEM, SEVERAL_ITEMS
from credit_wallet.stores.sql import statements

_SQL = statements("usage_reads.sql")

MAX_DAYS = 20_000
"""Days of values that months are added up from at once; of more, each month's values are read page by page."""

MAX_MONTHS = 12
"""Months of a page that are read so."""

MAX_UNITS = 20_000_000_000_000_000
"""Of a day: what a month's days can add up to fits into 64 bits."""


class Place(NamedTuple):
    """Where a page begins: at a value of a period. The value "" stands for what does not have the dimension."""

    period: str
    value: str = ALL_VALUES


class Asked(Struct, frozen=True):
    """A question: ``key_id`` 0 is the whole wallet, ``last`` the last period."""

    wallet_id: int
    key_id: int
    dimension: str
    every: Every
    start: Place
    last: str
    limit: int


class Part(NamedTuple):
    """Sums of a period: of all charges (``everything``), or of those that have the dimension with a value.

    The ``value`` "" then stands for any.
    """

    period: str
    everything: bool
    value: str
    charges: int
    item: str
    quantity_micros: int
    amount_micros: int
    refunded_micros: int

    def without(self, other: Part) -> Part:
        """What is left of these sums without ``other``, which is a part of them."""
        return self._replace(
            charges=self.charges - other.charges,
            quantity_micros=self.quantity_micros - other.quantity_micros,
            amount_micros=self.amount_micros - other.amount_micros,
            refunded_micros=self.refunded_micros - other.refunded_micros,
        )

    @property
    def one_item(self) -> str | None:
        """The item that all charges are for."""
        return None if self.item in (NO_ITEM, SEVERAL_ITEMS) else self.item


class CountedTo(NamedTuple):
    """Up to which entry usage is counted, when that was written, and the last entry of a wallet."""

    txn_id: int
    occurred_at: str | None
    last_txn_id: int | None


def counted_to(source: Source, wallet_id: int) -> CountedTo:
    """How far the background job has come."""
    [row] = source.rows(_SQL["counted_to"], {"wallet_id": wallet_id})
    return CountedTo._make(row)


def page(source: Source, asked: Asked) -> tuple[list[Part], Place | None]:
    """Up to ``limit`` rows, and where the next page begins; those of a period without the dimension come first."""
    parts, goes_on = (_months if asked.every == "month" else _hours_or_days)(source, asked)
    rows = list(islice(_rows(parts, asked.start), asked.limit + 1))
    if len(rows) > asked.limit:
        return rows[:-1], Place(rows[-1].period, rows[-1].value)
    return rows, goes_on


def _rows(parts: Iterable[Part], start: Place) -> Iterator[Part]:
    """The parts of each period with what is in none of them, from ``start`` on."""
    for period, group in groupby(parts, key=attrgetter("period")):
        total, *values = group
        if not total.everything:  # the page begins within this period
            yield from (each for each in (total, *values) if each.value != ALL_VALUES)
            continue
        having = values.pop(0) if values and values[0].value == ALL_VALUES else None
        rest = total if having is None else total.without(having)
        if Place(period) >= start and (rest.charges or rest.refunded_micros):
            yield rest
        yield from values


def _hours_or_days(source: Source, asked: Asked) -> tuple[list[Part], Place | None]:
    """Each period has a row beside those of its values: twice the limit is enough for a page and one more."""
    statement = _SQL["hours"] if asked.every == "hour" else _SQL["hours"].replace("hour", "day")
    names = {"wallet_id": asked.wallet_id, "key_id": asked.key_id, "dimension": asked.dimension}
    names |= {"period": asked.start.period, "value": asked.start.value, "last": asked.last}
    rows = source.rows(statement, {**names, "limit": 2 * asked.limit + 2})
    return [_part(row) for row in rows], None


def _months(source: Source, asked: Asked) -> tuple[list[Part], Place | None]:
    names = {"wallet_id": asked.wallet_id, "key_id": asked.key_id, "dimension": asked.dimension}
    names |= {"first": f"{asked.start.period}-01", "last": f"{asked.last}-31", "limit": MAX_DAYS}
    rows = source.rows(_SQL["months"], names)
    if sum(row[-1] for row in rows if not row[1]) < MAX_DAYS:
        parts = [_part_of_month(row) for row in rows]
        return [each for each in parts if each.everything or Place(each.period, each.value) >= asked.start], None
    totals = {row[0]: _part_of_month(row) for row in rows if row[1]}
    return _months_by_value(source, asked, totals)


def _months_by_value(source: Source, asked: Asked, totals: dict[str, Part]) -> tuple[list[Part], Place | None]:
    """The months of ``totals``, each from a page of its values."""
    parts: list[Part] = []
    months = [month for month in sorted(totals) if month >= asked.start.period]
    for month in months[:MAX_MONTHS]:
        value = asked.start.value if month == asked.start.period else ALL_VALUES
        parts += [totals[month], *_values_of_month(source, asked, month, value)]
        if len(parts) > 2 * asked.limit + 2:
            return parts, None
    return parts, Place(months[MAX_MONTHS]) if len(months) > MAX_MONTHS else None


def _values_of_month(source: Source, asked: Asked, month: str, value: str) -> list[Part]:
    """The first values of a month from ``value`` on are among the first of each of its days."""
    days = {f"day_{number}": day for number, day in enumerate(days_of(month))}
    of_days = (_SQL["values_of_day"].replace(":day", f":{name}").replace("day_values", f"of_{name}") for name in days)
    statement = f"WITH days AS ({' UNION ALL '.join(of_days)}) {_SQL['values_of_month']}"
    names = {"wallet_id": asked.wallet_id, "key_id": asked.key_id, "dimension": asked.dimension, "month": month}
    rows = source.rows(statement, {**names, **days, "value": value, "limit": asked.limit + 2})
    return [_part_of_month(row) for row in rows]


def _part(row: tuple[Any, ...]) -> Part:
    period, everything, value, charges, item, units, rest, amount_yen, amount_rest, refunded_yen, refunded_rest = row
    return Part(
        period,
        bool(everything),
        value,
        int(charges),
        item,
        int(units) * MICROS + int(rest),
        int(amount_yen) * MICROS + int(amount_rest),
        int(refunded_yen) * MICROS + int(refunded_rest),
    )


def _part_of_month(row: tuple[Any, ...]) -> Part:
    *sums, most_units, _ = row
    part = _part(tuple(sums))
    if part.item == SEVERAL_ITEMS or most_units >= MAX_UNITS:
        return part._replace(item=SEVERAL_ITEMS, quantity_micros=0)
    return part
