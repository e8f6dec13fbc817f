"""A batch is dated behind its lock: what has waited for another writer comes after it, in time as well."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import apsw
import psycopg
import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.database_urls import is_postgres, sqlite_path

pytestmark = on_every_database

MAY = datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC)
_INSTANTS = "SELECT occurred_at FROM am_credit_transaction_log WHERE wallet_id = ? ORDER BY txn_id"


def is_locked(url: str, wallet_id: int) -> bool:
    """Whether a writer would have to wait for the wallet."""
    if is_postgres(url):
        with psycopg.connect(url, autocommit=True) as node:
            try:
                node.execute("SELECT 1 FROM am_credit_wallet WHERE wallet_id = %s FOR UPDATE NOWAIT", [wallet_id])
            except psycopg.errors.LockNotAvailable:
                return True
            return False
    with closing(apsw.Connection(str(sqlite_path(url)))) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return True
        return False


class WatchedClock(Clock):
    """Calls ``watch`` whenever it is read."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.watch: Callable[[], None] | None = None

    def __call__(self) -> datetime:
        if self.watch is not None:
            self.watch()
        return super().__call__()


@pytest.fixture
def clock() -> WatchedClock:
    return WatchedClock(MAY)


def test_the_clock_of_a_batch_is_read_once_and_behind_the_lock(
    wallets: CreditWallet, clock: WatchedClock, db_url: str
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    seen: list[bool] = []
    clock.watch = lambda: seen.append(is_locked(db_url, wallet_id))
    wallets.charge(wallet_id, 1, idempotency_key="charge")
    assert seen == [True]
    wallets.hold(wallet_id, 1, idempotency_key="hold")
    assert seen == [True, True]


def test_what_has_waited_over_the_end_of_a_month_is_of_the_next_one(
    wallets: CreditWallet, clock: WatchedClock, db_url: str
) -> None:
    wallet_id = wallets.create(monthly_budget_yen=50, budget_mode="cap").wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    wallets.charge(wallet_id, 50, idempotency_key="all of May")
    with ThreadPoolExecutor(1) as threads:
        with PlainSql(db_url) as host, host.exclusively():
            waiting = threads.submit(wallets.charge, wallet_id, 50, idempotency_key="waits")
            while not wallets._ledger.lanes.waiting():
                pass
            clock.advance(seconds=1)
        waiting.result()
    with PlainSql(db_url) as host:
        instants = [at for (at,) in host.run(_INSTANTS, wallet_id)]
    assert instants[1:] == ["2026-05-31T23:59:59.000Z", "2026-06-01T00:00:00.000Z"]
    assert wallets.verify() == []
