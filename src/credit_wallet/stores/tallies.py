"""Sums by many names in little memory: kept in a temporary database that spills to disk.

SQLite uses an unnamed file for it, which disappears when the connection is closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import apsw

CACHE_KIB = 256
"""Maximum memory, besides the names being added."""

_TABLE = f"""
PRAGMA cache_size = -{CACHE_KIB};
PRAGMA synchronous = OFF;
CREATE TABLE tally (name BLOB PRIMARY KEY, first INTEGER, charges INTEGER, charged_yen INTEGER, refunded_yen INTEGER)
WITHOUT ROWID
"""
_ADD = """
INSERT INTO tally VALUES (?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    first = min(first, excluded.first), charges = charges + excluded.charges,
    charged_yen = charged_yen + excluded.charged_yen, refunded_yen = refunded_yen + excluded.refunded_yen
"""
_DEAREST = """
SELECT name, charges, charged_yen, refunded_yen FROM tally ORDER BY charged_yen - refunded_yen DESC, first LIMIT ?
"""
_TOTAL = """
SELECT count(*), coalesce(sum(charges), 0), coalesce(sum(charged_yen), 0), coalesce(sum(refunded_yen), 0) FROM tally
"""

Name: TypeAlias = int | str
"""A number, or a text; 0 and the empty text are names like any other."""


class Tally(NamedTuple):
    """The sums of one name. ``first`` orders names that cost the same."""

    name: Name
    first: int
    charges: int
    charged_yen: int
    refunded_yen: int


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
            self._connection.executemany(_ADD, together.values())

    def dearest(self, limit: int = -1) -> list[tuple[Name, int, int, int]]:
        """Name, charges, charged and refunded yen the most expensive first, up to ``limit`` names (-1: all)."""
        return list(self._connection.execute(_DEAREST, (limit,)))

    def total(self) -> tuple[int, int, int, int]:
        """How many names there are, and their charges, charged and refunded yen together."""
        [(names, charges, charged_yen, refunded_yen)] = self._connection.execute(_TOTAL)
        return names, charges, charged_yen, refunded_yen

    def close(self) -> None:
        """Drop everything."""
        self._connection.close()


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        one.name,
        min(one.first, other.first),
        one.charges + other.charges,
        one.charged_yen + other.charged_yen,
        one.refunded_yen + other.refunded_yen,
    )
