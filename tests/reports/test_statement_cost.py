"""What a statement of an old cycle reads does not grow with what came after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import apsw
import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.database_urls import is_postgres, sqlite_path
from credit_wallet.domain.commands import Charge
from credit_wallet.stores import LedgerSource
from credit_wallet.stores.sqlite.connection import connect_for_reading

pytestmark = on_every_database

OLD_ENTRIES = 40
EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "


class CountingSource:
    """A source that counts the pages that each statement reads, cached ones included."""

    def __init__(self, source: LedgerSource, url: str) -> None:
        self._source = source
        self._sqlite = None if is_postgres(url) else connect_for_reading(sqlite_path(url))
        self.pages = 0

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if self._sqlite is not None:
            before = self._read()
            rows = self._sqlite.rows(statement, parameters)
            self.pages += self._read() - before
            return rows
        [(plans,)] = self._source.rows(EXPLAIN + statement, parameters)
        plan = (json.loads(plans) if isinstance(plans, str) else plans)[0]["Plan"]
        self.pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        return self._source.rows(statement, parameters)

    def _read(self) -> int:
        assert self._sqlite is not None
        return sum(
            self._sqlite.status(each)[0] for each in (apsw.SQLITE_DBSTATUS_CACHE_HIT, apsw.SQLITE_DBSTATUS_CACHE_MISS)
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def pages_of_a_statement(wallets: CreditWallet, url: str, wallet_id: int, cycle: str) -> int:
    """How many it reads, planned by statistics of what there is; it has the entries of that cycle."""
    if is_postgres(url):
        with PlainSql(url) as host:
            host.run("ANALYZE")
    reader = wallets._ledger.reader
    source = reader.source
    counting: Any = CountingSource(source, url)
    reader.source = counting
    try:
        assert len(wallets.statement(wallet_id, cycle).entries) == OLD_ENTRIES
    finally:
        reader.source = source
    return int(counting.pages)


def charge(wallets: CreditWallet, wallet_id: int, number: int, key: str) -> None:
    wallets.charge_many([Charge(wallet_id, f"{key} {each}", 1_000_000) for each in range(number)])


@pytest.mark.parametrize("months", [1, 24])
def test_a_statement_of_an_old_cycle_reads_no_more_when_more_has_come_after(
    wallets: CreditWallet, db_url: str, clock: Clock, months: int
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100_000, idempotency_key="credit")
    charge(wallets, wallet_id, OLD_ENTRIES - 1, "old")
    old = wallets.show(wallet_id).current_cycle
    clock.advance(days=31)
    charge(wallets, wallet_id, 1_000, "after")
    before = pages_of_a_statement(wallets, db_url, wallet_id, old)
    for month in range(months):
        charge(wallets, wallet_id, 2_400 // months, f"later {month}")
        clock.advance(days=31)
    assert pages_of_a_statement(wallets, db_url, wallet_id, old) < before + 3 * OLD_ENTRIES
