"""Columns of values as PostgreSQL's array literals, for ``unnest``: one parameter holds a column of a whole batch.

Written by hand because psycopg's own lists cost ten times as much (a list of 1,024 numbers: 0.9 ms against 0.06).
"""

from __future__ import annotations

from collections.abc import Iterable


def numbers(values: Iterable[int | None]) -> str:
    """``{1,2,NULL}``; for integer columns."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def texts(values: Iterable[str | None]) -> str:
    """``{"a","b",NULL}``; for text columns."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'
