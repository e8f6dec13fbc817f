"""Migration 306: PostgreSQL keeps room for new versions of rows on their pages, so updates do not make tables grow."""

from __future__ import annotations

from databases import on_postgres
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.stores.databases import database_at

ROOM = "306_credit_room_for_updates.sql"

_TABLES = """
SELECT DISTINCT regexp_replace(relname, '_p[0-9]+$', ''), array_to_string(reloptions, ', ') FROM pg_class
WHERE relkind = 'r' AND relname ~ '^am_credit_(wallet|key|budget_spent|budget_held)(_p[0-9]+)*$' ORDER BY 1
"""
TABLES = ("am_credit_budget_held", "am_credit_budget_spent", "am_credit_key", "am_credit_wallet")

_PAGES = """
SELECT sum(pg_relation_size(oid)) / 8192 FROM pg_class
WHERE relkind = 'r' AND relname ~ '^am_credit_wallet(_p[0-9]+)*$'
"""


@on_postgres
def test_room_is_kept_in_each_partition_until_it_is_rolled_back(wallets: CreditWallet, db_url: str) -> None:
    with PlainSql(db_url) as host:
        assert host.run(_TABLES) == [(table, "fillfactor=45") for table in TABLES]
        assert database_at(db_url).rollback(306) == [ROOM]
        assert host.run(_TABLES) == [(table, None) for table in TABLES]
    assert wallets.verify() == []


@on_postgres
def test_charges_of_all_wallets_at_once_do_not_make_their_table_grow(wallets: CreditWallet, db_url: str) -> None:
    wallet_ids = [wallets.create().wallet_id for _ in range(60)]

    def charge_all(name: str) -> None:
        for outcome in wallets.charge_many((wallet_id, 1, name) for wallet_id in wallet_ids):
            assert not isinstance(outcome, Exception)

    for wallet_id in wallet_ids:
        wallets.topup(wallet_id, 100, idempotency_key="start")
    charge_all("first")
    with PlainSql(db_url) as host:
        [(before,)] = host.run(_PAGES)
        for number in range(30):
            charge_all(f"{number}")
        [(after,)] = host.run(_PAGES)
    assert after <= 2 * before
