"""Migration 306: PostgreSQL keeps room for new versions of rows on their pages, so an update touches no index."""

from __future__ import annotations

from databases import on_postgres
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.runtime.steady_clock import utc_now
from credit_wallet.stores.databases import database_at

ROOM = "306_credit_room_for_updates.sql"

_TABLES = """
SELECT DISTINCT regexp_replace(relname, '_p[0-9]+$', ''), array_to_string(reloptions, ', ') FROM pg_class
WHERE relkind = 'r' AND relname ~ '^am_credit_(wallet|key|budget_spent|budget_held)(_p[0-9]+)*$' ORDER BY 1
"""
TABLES = ("am_credit_budget_held", "am_credit_budget_spent", "am_credit_key", "am_credit_wallet")


@on_postgres
def test_room_is_kept_in_each_partition_until_it_is_rolled_back(wallets: CreditWallet, db_url: str) -> None:
    with PlainSql(db_url) as host:
        assert host.run(_TABLES) == [(table, "fillfactor=45") for table in TABLES]
        assert database_at(db_url).rollback(306)[-1] == ROOM
        assert host.run(_TABLES) == [(table, None) for table in TABLES]
        database_at(db_url).upgrade(utc_now())
    assert wallets.verify() == []
