"""The columns of a statement for reading: as wide as what stands in them, amounts with their points aligned."""

from __future__ import annotations

from collections.abc import Iterable

from credit_wallet.domain.cycle import local_time
from credit_wallet.domain.money import decimal_text, format_micros
from credit_wallet.domain.outcomes import Transaction
from credit_wallet.domain.text import one_line

USUAL_TIME = len("2026-05-15T12:00:00.000Z")
"""Characters of a time as the ledger writes it."""


class Amounts:
    """A column of numbers whose decimal points stand under each other; at least ``width`` wide."""

    def __init__(self, width: int) -> None:
        self._min_width = width
        self._whole = self._places = 0

    @property
    def width(self) -> int:
        """Characters of the column."""
        return max(self._min_width, self._whole + self._places)

    def fit(self, texts: Iterable[str]) -> None:
        """Make room for numbers that are written so."""
        for text in texts:
            whole, point, places = text.partition(".")
            self._whole = max(self._whole, len(whole))
            self._places = max(self._places, len(point) + len(places))

    def text(self, number: str) -> str:
        """A number in the column."""
        whole, point, places = number.partition(".")
        return f"{whole:>{self.width - self._places}}{point + places:<{self._places}}"

    def heading(self, title: str) -> str:
        """The column's title."""
        return f"{title:>{self.width}}"


class Layout:
    """The columns of a statement's entries."""

    def __init__(self, time_zone: str) -> None:
        self.time_zone = time_zone
        self.time_width = USUAL_TIME
        """Characters of the longest time of an entry, by the wallet's clocks."""
        self.amounts, self.balances, self.quantities = Amounts(14), Amounts(16), Amounts(len("Quantity"))
        self.item_width = 0
        """Characters of the longest item; 0 when no entry names one."""
        self._usual_time_seen = False

    def fit(self, entries: Iterable[Transaction]) -> Layout:
        """Make room for ``entries``."""
        for entry in entries:
            self.amounts.fit([format_micros(entry.amount_micros)])
            self.balances.fit([format_micros(entry.ledger_balance_micros or 0)])
            if entry.item is not None and entry.quantity_micros is not None:
                self.item_width = max(self.item_width, len("Item"), len(one_line(entry.item)))
                self.quantities.fit([quantity_text(entry.quantity_micros or 0)])
            if len(entry.occurred_at) != USUAL_TIME or not self._usual_time_seen:
                self._usual_time_seen = True
                self.time_width = max(self.time_width, len(self.time(entry)))
        return self

    def time(self, entry: Transaction) -> str:
        """When an entry was written, by the wallet's clocks."""
        return one_line(local_time(entry.occurred_at, self.time_zone))


def quantity_text(quantity_micros: int) -> str:
    """A quantity for people: ``1,234.5``."""
    whole, point, places = decimal_text(quantity_micros).partition(".")
    return f"{int(whole):,}{point}{places}"
