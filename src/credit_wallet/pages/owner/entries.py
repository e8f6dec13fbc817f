"""Ledger entries as lists show them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from credit_wallet.pages.formats import Formats


class Day(NamedTuple):
    """The entries of a day by the wallet's clocks."""

    day: str
    entries: list[Any]


def by_day(entries: Iterable[Any], formats: Formats) -> list[Day]:
    """Entries that follow each other, by day."""
    return [
        Day(day, list(its)) for day, its in groupby(entries, key=lambda entry: formats.iso_date(entry["occurred_at"]))
    ]
