"""Sums by many names in little memory: kept in a temporary database that spills to disk.

SQLite uses an unnamed file for it, which disappears when the connection is closed. Whole yen and the micros beyond them
are summed apart, so that no sum is beyond 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import apsw

from credit_wallet.domain.money import MICROS

CACHE_KIB = 256
"""Maximum memory, besides the names being added."""

_TABLE = f"""
PRAGMA cache_size = -{CACHE_KIB};
PRAGMA synchronous = OFF;
CREATE TABLE tally (
    name BLOB PRIMARY KEY, first INTEGER, charges INTEGER, charged_yen INTEGER, charged_fraction INTEGER,
    refunded_yen INTEGER, refunded_fraction INTEGER
) WITHOUT ROWID
"""
_ADD = f"""
INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    first = min(first, excluded.first), charges = charges + excluded.charges,
    charged_yen = charged_yen + excluded.charged_yen + (charged_fraction + excluded.charged_fraction) / {MICROS},
    charged_fraction = (charged_fraction + excluded.charged_fraction) % {MICROS},
    refunded_yen = refunded_yen + excluded.refunded_yen + (refunded_fraction + excluded.refunded_fraction) / {MICROS},
    refunded_fraction = (refunded_fraction + excluded.refunded_fraction) % {MICROS}
"""
_DEAREST = f"""
SELECT name, charges, charged_yen, charged_fraction, refunded_yen, refunded_fraction FROM tally
ORDER BY charged_yen - refunded_yen - (charged_fraction < refunded_fraction) DESC,
         (charged_fraction - refunded_fraction + {MICROS}) % {MICROS} DESC, first
LIMIT ?
"""
_TOTAL = """
SELECT count(*), coalesce(sum(charges), 0), coalesce(sum(charged_yen), 0), coalesce(sum(charged_fraction), 0),
       coalesce(sum(refunded_yen), 0), coalesce(sum(refunded_fraction), 0)
FROM tally
"""

Name: TypeAlias = int | str
"""A number, or a text; 0 and the empty text are names like any other."""


class Tally(NamedTuple):
    """The sums of one name. ``first`` orders names that cost the same."""

    name: Name
    first: int
    charges: int
    charged_micros: int
    refunded_micros: int


class Tallies:
    """Adds up charges and refunds by name. Not thread-safe; threads may take turns."""

    def __init__(self) -> None:
        self._connection = apsw.Connection("")
        self._connection.execute(_TABLE)

    def add(self, tallies: Iterable[Tally]) -> None:
        """Add to the sums under the same names."""
        together: dict[Name, Tally] = {}
        for each in tallies:
            known = together.get(each.name)
            together[each.name] = each if known is None else _sum(known, each)
        with self._connection:
            self._connection.executemany(_ADD, map(_row, together.values()))

    def dearest(self, limit: int = -1) -> list[tuple[Name, int, int, int]]:
        """Name, charges, charged and refunded micros the most expensive first, up to ``limit`` names (-1: all)."""
        rows = self._connection.execute(_DEAREST, (limit,))
        return [(name, charges, *_micros(amounts)) for name, charges, *amounts in rows]

    def total(self) -> tuple[int, int, int, int]:
        """How many names there are, and their charges, charged and refunded micros together."""
        [(names, charges, *amounts)] = self._connection.execute(_TOTAL)
        return names, charges, *_micros(amounts)

    def close(self) -> None:
        """Drop everything."""
        self._connection.close()


def _row(tally: Tally) -> tuple[Any, ...]:
    charged, refunded = divmod(tally.charged_micros, MICROS), divmod(tally.refunded_micros, MICROS)
    return (tally.name, tally.first, tally.charges, *charged, *refunded)


def _micros(amounts: list[int]) -> tuple[int, int]:
    charged_yen, charged_fraction, refunded_yen, refunded_fraction = amounts
    return charged_yen * MICROS + charged_fraction, refunded_yen * MICROS + refunded_fraction


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        one.name,
        min(one.first, other.first),
        one.charges + other.charges,
        one.charged_micros + other.charged_micros,
        one.refunded_micros + other.refunded_micros,
    )
