"""Reading what charges were for: pages in the order of periods and values, bounded whatever the ledger's length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

from msgspec import Struct

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage_periods import Every
from credit_wallet.stores import Source
from credit_wallet.stores.jobs.usage import ALL_VALUES, NO_ITEM, SEVERAL_ITEMS, WHOLE_WALLET
from credit_wallet.stores.sql import statements
from credit_wallet.stores.views import micros

_SQL = statements("usage_reads.sql")


class Place(NamedTuple):
    """Where a page begins: at a value of a period. The value "" stands for what does not have the dimension."""

    period: str
    value: str = ALL_VALUES


class Asked(Struct, frozen=True):
    """A question: ``key_id`` is the agent key whose charges count, None for all of the wallet; ``last`` a period."""

    wallet_id: int
    key_id: int | None
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
    def place(self) -> Place:
        """Where a page would begin with it."""
        return Place(self.period, self.value)

    @property
    def is_something(self) -> bool:
        """Whether there was any charge or refund."""
        return bool(self.charges or self.refunded_micros)

    @property
    def one_item(self) -> str | None:
        """The item that all charges are for."""
        return None if self.item in (NO_ITEM, SEVERAL_ITEMS) else self.item


class CountedTo(NamedTuple):
    """Up to which entry usage is counted and when that was written; a wallet's last entry, and when its first counted
    one was written.
    """

    txn_id: int
    occurred_at: str | None
    last_txn_id: int | None
    first_at: str | None


def counted_to(source: Source, wallet_id: int) -> CountedTo:
    """How far the background job has come."""
    [row] = source.rows(_SQL["counted_to"], {"wallet_id": wallet_id})
    return CountedTo._make(row)


def page(source: Source, asked: Asked) -> tuple[list[Part], Place | None]:
    """Up to ``limit`` parts and where the next page begins; those of a period without the dimension come first."""
    parts, end = _read(source, asked, asked.start)
    while end is not None and len(parts) <= asked.limit:  # periods of nothing but refunds of nothing, and the like
        more, end = _read(source, asked, end)
        parts += more
    return (parts[: asked.limit], parts[asked.limit].place) if len(parts) > asked.limit else (parts, end)


def _read(source: Source, asked: Asked, start: Place) -> tuple[list[Part], Place | None]:
    """Parts from ``start`` on, more than ``limit`` or all up to the place from which on not everything was read."""
    names = {"wallet_id": asked.wallet_id, "every": asked.every, "dimension": asked.dimension, "last": asked.last}
    names |= {"key_id": WHOLE_WALLET if asked.key_id is None else asked.key_id, **start._asdict()}
    most_parts = 2 * asked.limit + 2  # a period has two parts beside those of its values
    read = [_part(row) for row in source.rows(_SQL["values"], {**names, "limit": most_parts})]
    end = read[-1].place if len(read) == most_parts else None
    complete = (part for part in read if end is None or part.place < end)
    return list(islice(_shown(complete, start), asked.limit + 1)), end


def _shown(parts: Iterator[Part], start: Place) -> Iterator[Part]:
    """The values of each period after what has none of them, from ``start`` on."""
    for period, group in groupby(parts, key=attrgetter("period")):
        total, *values = group
        having = values.pop(0) if values and values[0].value == ALL_VALUES else None
        rest = total if having is None else total.without(having)
        if rest.is_something and Place(period) >= start:
            yield rest
        yield from (part for part in values if part.is_something)


def _part(row: tuple[Any, ...]) -> Part:
    period, everything, value, charges, item, *sums = row
    pairs = zip(sums[::2], sums[1::2], strict=True)
    quantity, amount, refunded = (int(whole) * MICROS + int(rest) for whole, rest in pairs)
    return Part(period, bool(everything), value, int(charges), item, quantity, amount, refunded)


class Spent(NamedTuple):
    """Charges and refunds added up."""

    charges: int = 0
    quantity_micros: int = 0
    charged_micros: int = 0
    refunded_micros: int = 0

    def plus(self, other: Spent, sign: int = 1) -> Spent:
        """Both together, or with a ``sign`` of -1 what is left without the other, which is a part of these."""
        return Spent(*(one + sign * another for one, another in zip(self, other, strict=True)))


class Month(NamedTuple):
    """What a wallet was charged in a month as far as it is counted, from ``first_txn_id`` to ``last_txn_id``."""

    first_txn_id: int
    last_txn_id: int
    sums: dict[tuple[str, int, str], Spent]
    """By dimension, agent key (or ``WHOLE_WALLET``) and value."""

    def of(self, dimension: str, key_id: int, value: str = ALL_VALUES) -> Spent:
        """Nothing where there is no such sum."""
        return self.sums.get((dimension, key_id, value), Spent())

    def divided(self, dimension: str, key_id: int) -> dict[str | None, Spent]:
        """By the values of a dimension; None is for what has none."""
        values: dict[str | None, Spent] = {
            value: spent for (name, of, value), spent in self.sums.items() if (name, of) == (dimension, key_id)
        }
        rest = self.of("", key_id).plus(values.pop(ALL_VALUES, Spent()), -1)._replace(quantity_micros=0)
        return values | {None: rest} if any(rest) else values


def month(source: Source, wallet_id: int, month: str, key_id: int | None) -> Month | None:
    """A month in all, by agent key, and by item; items of the charges of ``key_id``, None: of all.

    None when the wallet has no usage then.
    """
    names = {"wallet_id": wallet_id, "month": month, "key_id": WHOLE_WALLET if key_id is None else key_id}
    rows = source.rows(_SQL["month"], names)
    sums = {(dimension, of, value): _spent(columns) for _, _, dimension, of, value, *columns in rows}
    return Month(rows[0][1], rows[0][0], sums) if rows else None


def _spent(columns: Sequence[Any]) -> Spent:
    charges, *sums = columns
    return Spent(int(charges), *(micros(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)))


def charged_micros(source: Source, wallet_id: int, cycle: str) -> int:
    """What a wallet was charged in a cycle, as it is kept with every charge."""
    [row] = source.rows(_SQL["charged"], {"wallet_id": wallet_id, "cycle": cycle})
    return micros(*row)


class Credit(NamedTuple):
    """How credit came in."""

    cause: str | None
    is_related: bool
    """Whether it belongs to an earlier entry."""

    amount_micros: int


def credits_of(source: Source, wallet_id: int, after: int, last: int, limit: int) -> list[Credit]:
    """Up to ``limit`` of the entries after one and up to another by which credit came in."""
    rows = source.rows(_SQL["credits"], {"wallet_id": wallet_id, "after": after, "last": last, "limit": limit})
    return [Credit(cause, bool(of), micros(yen, 0) if exact is None else int(exact)) for cause, of, yen, exact in rows]
