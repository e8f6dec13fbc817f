"""A search reads what it is about: no statement of it passes all wallets or all words, however many there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
import pytest
from databases import on_both_databases

from credit_wallet import CreditWallet
from credit_wallet.database_urls import is_postgres
from credit_wallet.stores import wallet_search

pytestmark = on_both_databases


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


SEARCHES: Sequence[dict[str, Any]] = (
    {},
    {"sort": "-wallet_id"},
    {"sort": "label"},
    {"sort": "-reference"},
    {"sort": "created_at"},
    {"query": "acme pro"},
    {"query": "acme", "sort": "-label"},
    {"query": "cust_1", "status": "failed_topup"},
    *({"status": status} for status in ("low", "in_debt", "exhausted", "disabled", "closed", "failed_topup")),
    {"status": "low", "sort": "-spent"},
    {"reference": "cust_1"},
    {"query": "cw_live_abcdefgh"},
)


@pytest.mark.parametrize("gathered", [2_000, 0], ids=["gathered", "walked"])
def test_no_statement_of_a_search_reads_a_whole_table(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch, gathered: int
) -> None:
    for number in range(3):
        wallets.create(label=f"acme {number}", reference=f"cust_{number}", metadata={"plan": "pro"})
    monkeypatch.setattr(wallet_search, "GATHERED", gathered)
    reader = wallets._ledger.reader
    recorded = Recorded(reader.source)
    monkeypatch.setattr(reader, "source", recorded)
    for given in SEARCHES:
        if gathered or given.get("sort", "") not in ("-spent",):
            wallets.search(**given, limit=2)
            place = wallets.search(**given, limit=1).next_cursor
            wallets.search(**given, limit=1, cursor=place)
    assert len(recorded.asked) > 20
    asked = dict(recorded.asked)  # the last parameters of each statement
    for plan in plans_on_postgres(db_url, asked) if is_postgres(db_url) else plans_on_sqlite(recorded, asked):
        for line in plan.splitlines():
            assert "SCAN" not in line or "INDEX" in line or "SCAN w" in line, (
                plan
            )  # in the order of an index, to a LIMIT
            assert "Seq Scan" not in line, plan
            assert "FOR ORDER BY" not in line, plan


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
