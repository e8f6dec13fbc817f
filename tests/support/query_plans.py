"""What a ledger asks its database, and by which plans the answers are found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from credit_wallet.database_urls import is_postgres


class Recorded:
    """A source that remembers what it was asked."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.asked.append((statement, parameters))
        rows: list[tuple[Any, ...]] = self._source.rows(statement, parameters)
        return rows

    def explained(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._source.rows(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return rows


def plans(recorded: Recorded, url: str, asked: Mapping[str, Any]) -> Iterator[str]:
    """The plan of each statement of the ledger at ``url``, with its parameters."""
    return plans_on_postgres(url, asked) if is_postgres(url) else plans_on_sqlite(recorded, asked)


def plans_on_sqlite(recorded: Recorded, asked: Mapping[str, Any]) -> Iterator[str]:
    for statement, parameters in asked.items():
        yield "\n".join(row[3] for row in recorded.explained(statement, parameters))


def plans_on_postgres(url: str, asked: Mapping[str, Any]) -> Iterator[str]:
    """As they are when there are many rows: an index is used wherever one can be."""
    with psycopg.connect(url) as server:
        server.execute("SET enable_seqscan = off")
        for statement, parameters in asked.items():
            text = re.sub(r"(?<!:):([a-z_]+[0-9]*)", r"%(\1)s", statement.replace("%", "%%"))
            rows = server.execute("EXPLAIN " + text, parameters).fetchall()
            yield "\n".join(line for (line,) in rows)
