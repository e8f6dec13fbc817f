"""The columns of a statement for reading: as wide as what stands in them, amounts with their points aligned."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from credit_wallet.domain.cycle import local_time
from credit_wallet.domain.money import MICROS, decimal_text, format_micros
from credit_wallet.domain.text import one_line
from credit_wallet.domain.views import Transaction

USUAL_TIME = len("2026-05-15T12:00:00.000Z")
"""Characters of a time as the ledger writes it."""


class Numbers:
    """A column of amounts or quantities, in micros, whose decimal points stand under each other."""

    def __init__(self, width: int, written: Callable[[int], str] = format_micros) -> None:
        """At least ``width`` wide; ``written`` is a number for people."""
        self._min_width, self._written = width, written
        self._whole = self._places = self._low = self._high = 0

    @property
    def width(self) -> int:
        """Characters of the column."""
        return max(self._min_width, self._whole + self._places)

    def fit(self, micros: int) -> None:
        """Make room for a number. A whole one between two that fit needs no look."""
        if self._low <= micros <= self._high and not micros % MICROS:
            return
        self._low, self._high = min(self._low, micros), max(self._high, micros)
        whole, point, places = self._written(micros).partition(".")
        self._whole = max(self._whole, len(whole))
        self._places = max(self._places, len(point) + len(places))

    def text(self, micros: int) -> str:
        """A number in the column."""
        number = self._written(micros)
        if not self._places:
            return number.rjust(self.width)
        whole, point, places = number.partition(".")
        return f"{whole:>{self.width - self._places}}{point + places:<{self._places}}"

    def heading(self, title: str = "") -> str:
        """The column's title, or nothing in its place."""
        return title.rjust(self.width)


class Layout:
    """The columns of a statement's entries."""

    def __init__(self, time_zone: str) -> None:
        self.time_zone = time_zone
        self.time_width = USUAL_TIME
        """Characters of the longest time of an entry, by the wallet's clocks."""
        self.amounts, self.balances = Numbers(14), Numbers(16)
        self.quantities = Numbers(len("Quantity"), quantity_text)
        self.item_width = 0
        """Characters of the longest item; 0 when no entry names one."""
        self._usual_time_seen = False

    def fit(self, entries: Iterable[Transaction]) -> Layout:
        """Make room for ``entries``."""
        for entry in entries:
            self.amounts.fit(entry.amount_micros)
            self.balances.fit(entry.ledger_balance_micros or 0)
            if entry.item is not None and entry.quantity_micros is not None:
                self.item_width = max(self.item_width, len("Item"), len(one_line(entry.item)))
                self.quantities.fit(entry.quantity_micros)
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
