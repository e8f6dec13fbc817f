"""What a cycle's charges were for: item × quantity @ unit price, from the entries of a statement's steps.

Quantities and amounts are exact sums of entries, so all lines together, those of charges without an item included, are
the cycle's charges to the micro.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from credit_wallet.domain.money import Exact, WholeYen, decimal_of
from credit_wallet.domain.views import Transaction
from credit_wallet.domain.visibility import is_hidden


class SpendReadings(Struct, frozen=True):
    """Reads what was charged, what was refunded, and what was spent in the end, in whole yen and exactly."""

    charged_yen = WholeYen()
    charged = Exact()
    refunded_yen = WholeYen()
    refunded = Exact()
    spent_yen = WholeYen()
    spent = Exact()


class PriceLine(Struct, frozen=True):
    """``quantity`` of an item at one price: ``unit_price`` yen for ``per`` units; ``price`` says it in words.

    Without a ``unit_price`` the amount was not quantity × unit price: the item had graduated tiers, which ``price``
    tells, or the charge named its amount. ``charged`` is the sum of entries that are each rounded to the micro.
    """

    price_version: int | None
    unit_price: Decimal | None
    per: int | None
    charges: int
    quantity_micros: int
    charged_micros: int
    price: str | None = None

    quantity = Exact()
    charged_yen = WholeYen()
    charged = Exact()


class ItemSpend(SpendReadings, frozen=True):
    """What was spent on ``item``, or by charges that name none; ``prices`` divide what was charged by price."""

    item: str | None
    charges: int
    quantity_micros: int
    charged_micros: int
    refunded_micros: int
    spent_micros: int
    prices: tuple[PriceLine, ...]

    quantity = Exact()


class Price(Protocol):
    """A price of the price book."""

    @property
    def valid_from(self) -> str:
        """The instant since when, "" for always."""

    @property
    def per(self) -> int:
        """The units that the unit price is for."""

    @property
    def unit_price_micros(self) -> int:
        """Of a price without tiers."""

    @property
    def tiers(self) -> Sequence[object]:
        """Empty for a price without tiers."""

    def cost_micros(self, quantity_micros: int, used_micros: int) -> int:
        """What a quantity costs, after ``used_micros`` in the cycle."""

    def words(self) -> str:
        """For people."""


PricesOf: TypeAlias = Callable[[int, str], Sequence[Price]]
"""The prices of a version of the price book for an item, whoever they are for."""


class CycleEntry(Protocol):
    """An entry of the cycle; a refund also has the key and the item of the charge that it refunds."""

    @property
    def entry(self) -> Transaction:
        """The entry."""

    @property
    def paid_by(self) -> int | None:
        """The agent key that the spending belongs to, None for the owner."""

    @property
    def paid_item(self) -> str | None:
        """The item of the charge that a refund refunds."""


class _Line(NamedTuple):
    """What charges have in common whose quantities are added up."""

    price_version: int | None
    unit_price_micros: int | None
    per: int | None
    words: str | None


class _Sums:
    def __init__(self) -> None:
        self.charges = self.quantity_micros = self.charged_micros = 0

    def add(self, entry: Transaction) -> None:
        self.charges += 1
        self.quantity_micros += entry.quantity_micros or 0
        self.charged_micros -= entry.amount_micros


class ItemTotals:
    """Adds up spending by item and price. Memory grows with the items and prices, not with the entries.

    For an agent, ``viewer_key_id``, only its own spending is added up.
    """

    def __init__(self, prices_of: PricesOf, viewer_key_id: int | None = None) -> None:
        self._prices_of, self._viewer_key_id = prices_of, viewer_key_id
        self._prices: dict[tuple[int, str], list[Price]] = {}
        self._lines: dict[str | None, dict[_Line, _Sums]] = {}
        self._refunded_micros: dict[str | None, int] = {}

    def add(self, entries: Iterable[CycleEntry]) -> None:
        """Add the charges and refunds among ``entries``."""
        for each in entries:
            if is_hidden(each.paid_by, self._viewer_key_id):
                continue
            entry = each.entry
            if entry.txn_type == "charge":
                lines = self._lines.setdefault(entry.item, {})
                lines.setdefault(self._line(entry), _Sums()).add(entry)
            elif entry.txn_type == "refund":
                item = each.paid_item
                self._refunded_micros[item] = self._refunded_micros.get(item, 0) + entry.amount_micros

    def shown(self) -> list[ItemSpend]:
        """The totals, the most expensive item first and what names none last."""
        items = [self._of_item(item) for item in {**self._lines, **self._refunded_micros}]
        return sorted(items, key=lambda each: (each.item is None, -each.spent_micros, each.item))

    def _of_item(self, item: str | None) -> ItemSpend:
        lines = self._lines.get(item, {})
        prices = tuple(
            _price_line(line, sums) for line, sums in sorted(lines.items(), key=lambda each: _order(each[0]))
        )
        charged_micros = sum(line.charged_micros for line in prices)
        refunded_micros = self._refunded_micros.get(item, 0)
        return ItemSpend(
            item,
            sum(line.charges for line in prices),
            sum(line.quantity_micros for line in prices),
            charged_micros,
            refunded_micros,
            charged_micros - refunded_micros,
            prices,
        )

    def _line(self, entry: Transaction) -> _Line:
        if entry.item is None or entry.price_version is None:
            return _Line(entry.price_version, None, None, None)
        prices = self._latest_first(entry.price_version, entry.item)
        price = _price_of(entry, prices)
        if price is None:
            return _Line(entry.price_version, None, None, _tiers_of(entry, prices))
        return _Line(entry.price_version, price.unit_price_micros, price.per, price.words())

    def _latest_first(self, version: int, item: str) -> list[Price]:
        if (version, item) not in self._prices:
            prices = self._prices_of(version, item)
            self._prices[version, item] = sorted(prices, key=lambda price: price.valid_from, reverse=True)
        return self._prices[version, item]


def _price_of(entry: Transaction, prices: Iterable[Price]) -> Price | None:
    """The price without tiers by which a charge was made: the latest that was valid and that gives its amount.

    Which of the wallet's, its group's and everybody's it was is not on record, and a group can have changed since.
    """
    for price in prices:
        is_valid = price.valid_from <= entry.occurred_at and not price.tiers
        if is_valid and price.cost_micros(entry.quantity_micros or 0, 0) == -entry.amount_micros:
            return price
    return None


def _tiers_of(entry: Transaction, prices: Iterable[Price]) -> str | None:
    """The graduated price that was valid for a charge, in words, if it was one alone."""
    valid = [price for price in prices if price.tiers and price.valid_from <= entry.occurred_at]
    words = {price.words() for price in valid if price.valid_from == valid[0].valid_from}
    return words.pop() if len(words) == 1 else None


def _price_line(line: _Line, sums: _Sums) -> PriceLine:
    unit_price = None if line.unit_price_micros is None else decimal_of(line.unit_price_micros)
    figures = (sums.charges, sums.quantity_micros, sums.charged_micros)
    return PriceLine(line.price_version, unit_price, line.per, *figures, line.words)


def _order(line: _Line) -> tuple[int, int]:
    return line.price_version or 0, -1 if line.unit_price_micros is None else line.unit_price_micros
