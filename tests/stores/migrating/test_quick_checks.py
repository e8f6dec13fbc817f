"""Migration 303: rows of the hot path are checked without building a table for each; the checks accept the same."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import apsw
import pytest
from databases import Databases, on_sqlite
from migrated import NOW, append, dump, host_runs, script
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import MigrationError
from credit_wallet.stores.databases import database_at

pytestmark = on_sqlite

QUICK = "303_credit_checks.sql"

ENTRY = "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (1, {}, '{}')"
HOLD = """
INSERT INTO am_credit_hold (wallet_id, amount_yen, status, lots, created_at, expires_at)
VALUES (1, 5, '{}', '[]', '2026-11-01T00:00:00.000Z', '2026-11-02T00:00:00.000Z')
"""
PURCHASE = """
INSERT INTO am_credit_purchase
       (purchase_key, wallet_id, actor, fingerprint, attempt, status, amount_yen, lease_until, changed_on)
VALUES ('{0}', 1, 'operator', '', 'a', '{0}', 5, '2026-11-02T00:00:00.000Z', '2026-11-01')
"""
HOT = [ENTRY.format(-5, "charge"), HOLD.format("open"), PURCHASE.format("running")]

STATEMENTS = [
    *(
        ENTRY.format(yen, kind)
        for kind in ("topup", "charge", "refund", "expire", "reversal", "gift", "")
        for yen in (-5, 5)
    ),
    *(HOLD.format(status) for status in ("open", "captured", "released", "expired", "Open", "")),
    *(PURCHASE.format(status) for status in ("running", "served", "undone", "stopped", "")),
]

OF_A_HOST = (
    "ALTER TABLE am_credit_transaction_log ADD COLUMN tenant TEXT DEFAULT 'a' CHECK (tenant IN ('a', 'b', 'c'))",
    "CREATE INDEX of_the_host ON am_credit_transaction_log (tenant, occurred_at)",
    "CREATE TRIGGER of_the_host AFTER INSERT ON am_credit_hold BEGIN SELECT 1; END",
)


_asked = count()


@pytest.fixture
def url_before(fresh_url: str) -> str:
    """A ledger with wallet 1 and an entry, before the migration."""
    with CreditWallet.open(fresh_url) as wallets:
        wallets.topup(wallets.create().wallet_id, 10, idempotency_key="topup")
    assert database_at(fresh_url).rollback(303)[-1] == QUICK
    return fresh_url


def tables_built(host: PlainSql, statement: str) -> int:
    """How many tables SQLite builds while it carries out ``statement``."""
    host.run("SELECT count(*) FROM am_credit_wallet")  # as any statement, it notices when the schema has changed
    plan = host.run(f"EXPLAIN {statement} -- {next(_asked)}")  # an EXPLAIN that is run again does not
    return [row[1] for row in plan].count("OpenEphemeral")


def accepted(host: PlainSql, statement: str) -> bool:
    try:
        host.run(statement)
    except apsw.ConstraintError:
        return False
    return True


def test_a_row_of_the_hot_path_is_checked_without_a_table(url_before: str) -> None:
    with PlainSql(url_before) as host:
        assert [tables_built(host, statement) for statement in HOT] == [1, 1, 1]
        database_at(url_before).upgrade(NOW)
        assert [tables_built(host, statement) for statement in HOT] == [0, 0, 0], "a connection that was open knows it"


def test_the_checks_accept_what_they_accepted(url_before: str, databases: Databases) -> None:
    with databases.nothing() as url_after, PlainSql(url_before) as before, PlainSql(url_after) as after:
        CreditWallet.open(url_after).close()
        before.wallet()
        after.wallet()
        answers = [(accepted(before, statement), accepted(after, statement)) for statement in STATEMENTS]
        assert [old for old, _ in answers] == [new for _, new in answers]
        assert {old for old, _ in answers} == {True, False}


def test_what_a_host_added_stays_and_the_file_is_sound(url_before: str) -> None:
    host_runs(url_before, *OF_A_HOST)
    before = dump(url_before)
    database_at(url_before).upgrade(NOW)
    with PlainSql(url_before) as host:
        assert [host.run(f"PRAGMA {check}") for check in ("integrity_check", "foreign_key_check")] == [[("ok",)], []]
        assert tables_built(host, HOT[0]) == 1, "the host's own list"
        assert not accepted(host, ENTRY.format(-5, "gift"))
        assert not accepted(host, "UPDATE am_credit_transaction_log SET tenant = 'd'")
    assert database_at(url_before).rollback(303)[-1] == QUICK
    assert dump(url_before) == before
    with CreditWallet.open(url_before) as wallets:
        assert wallets.verify() == []
        wallets.charge(1, 3, idempotency_key="charge")
        assert wallets.verify() == []


def test_a_check_that_a_host_has_changed_stays_as_it_is(url_before: str) -> None:
    host_runs(
        url_before,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(sql, '''undone'')', '''undone'', ''lost'')') "
        "WHERE name = 'am_credit_purchase'",
    )
    database_at(url_before).upgrade(NOW)
    with PlainSql(url_before) as host:
        assert [tables_built(host, statement) for statement in HOT] == [0, 0, 1]
        assert accepted(host, PURCHASE.format("lost"))


def test_a_crash_in_the_middle_leaves_every_connection_with_the_old_checks(
    url_before: str, copied_migrations: Path
) -> None:
    before = dump(url_before)
    append(copied_migrations, url_before, QUICK, "INSERT INTO no_such_table VALUES (1);\n")
    with PlainSql(url_before) as host:
        assert tables_built(host, HOT[0]) == 1
        with pytest.raises(MigrationError, match=f"{QUICK} does not fit this database"):
            database_at(url_before).upgrade(NOW)
        assert dump(url_before) == before
        assert tables_built(host, HOT[0]) == 1
        (copied_migrations / QUICK).write_text(script(url_before, QUICK), encoding="utf-8")
        assert database_at(url_before).upgrade(NOW).applied[0] == QUICK
        assert tables_built(host, HOT[0]) == 0
