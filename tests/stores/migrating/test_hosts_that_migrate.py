"""Hosts of migration 281 whose ledger is migrated: their rows stay, and the ledger cannot be rewritten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import apsw
import psycopg
import pytest
from databases import SEED, Databases, on_every_database, on_postgres, on_sqlite
from migrated import NOW, applied_names, dump, host_runs, script
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.database_urls import sqlite_path
from credit_wallet.errors import MigrationError
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at

pytestmark = on_every_database


SEED_ROWS = """
SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, note FROM am_credit_transaction_log ORDER BY txn_id
"""

HOSTS_OWN_281 = """
CREATE TABLE am_credit_wallet (wallet_id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_token_hash TEXT NOT NULL UNIQUE, balance_yen INTEGER NOT NULL DEFAULT 0,
  auto_topup_threshold INTEGER NOT NULL DEFAULT 0, auto_topup_amount INTEGER NOT NULL DEFAULT 0,
  monthly_budget_yen INTEGER NOT NULL DEFAULT 0, enabled INTEGER NOT NULL DEFAULT 1,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  CHECK (length(owner_token_hash) = 64), CHECK (balance_yen >= 0), CHECK (auto_topup_threshold >= 0),
  CHECK (auto_topup_amount >= 0), CHECK (monthly_budget_yen >= 0), CHECK (enabled IN (0,1)));
CREATE TABLE am_credit_transaction_log (
  txn_id INTEGER PRIMARY KEY AUTOINCREMENT, wallet_id INTEGER NOT NULL, amount_yen INTEGER NOT NULL,
  txn_type TEXT NOT NULL, occurred_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), note TEXT,
  CHECK (txn_type IN ('topup','charge','refund')),
  CHECK ((txn_type='topup' AND amount_yen>0) OR (txn_type='refund' AND amount_yen>0)
      OR (txn_type='charge' AND amount_yen<0)),
  FOREIGN KEY (wallet_id) REFERENCES am_credit_wallet(wallet_id));
CREATE INDEX idx_am_credit_txn_wallet_time ON am_credit_transaction_log(wallet_id, occurred_at DESC);
CREATE INDEX idx_am_credit_txn_type ON am_credit_transaction_log(txn_type, occurred_at);
CREATE TABLE am_credit_spending_alert (alert_id INTEGER PRIMARY KEY AUTOINCREMENT, wallet_id INTEGER NOT NULL,
  threshold_pct INTEGER NOT NULL, billing_cycle TEXT NOT NULL,
  fired_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), spent_yen INTEGER NOT NULL,
  budget_yen INTEGER NOT NULL, CHECK (threshold_pct IN (50,80,100)), CHECK (length(billing_cycle)=7),
  CHECK (spent_yen >= 0), CHECK (budget_yen >= 0), UNIQUE (wallet_id, threshold_pct, billing_cycle),
  FOREIGN KEY (wallet_id) REFERENCES am_credit_wallet(wallet_id));
CREATE INDEX idx_am_credit_alert_wallet ON am_credit_spending_alert(wallet_id, billing_cycle);
CREATE VIEW v_credit_wallet_topup_due AS SELECT wallet_id, owner_token_hash, balance_yen, auto_topup_threshold,
  auto_topup_amount FROM am_credit_wallet WHERE enabled=1 AND auto_topup_threshold>0 AND auto_topup_amount>0
  AND balance_yen<auto_topup_threshold;
"""

ROWS_OF_A_HOST = f"""
INSERT INTO am_credit_wallet (owner_token_hash, balance_yen) VALUES ('{"a" * 64}', 70), ('{"b" * 64}', 500);
INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, occurred_at, note) VALUES
  (1, 100, 'topup', '2026-04-01T00:00:00.000Z', '初回'), (1, -40, 'charge', '2026-04-02 10:00:00', NULL),
  (2, 500, 'topup', '2026-05-01T00:00:00Z', ''), (1, 10, 'refund', '2026-05-02T00:00:00.000Z', 'it''s');
"""

INDEX_OF_A_HOST = (
    "CREATE INDEX idx_am_credit_txn_wallet_time ON am_credit_transaction_log (wallet_id, occurred_at DESC)"
)

REFUSED_BY_A_RULE = (apsw.ConstraintError, psycopg.IntegrityError)


# Hosts


def host_database(url: str, *scripts: str) -> None:
    """What a host does with its own SQLite, while nobody else has the file open."""
    with closing(sqlite3.connect(sqlite_path(url))) as connection:
        for statements in scripts:
            connection.executescript(statements)


@on_sqlite
def test_a_hosts_own_281_migrates_with_its_rows_and_indexes_untouched(fresh_url: str) -> None:
    host_database(fresh_url, HOSTS_OWN_281, ROWS_OF_A_HOST)
    with PlainSql(fresh_url) as host:
        rows = host.run(SEED_ROWS)
        indexes = host.run("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")
    assert database_at(fresh_url).upgrade(NOW).applied == migrations.manifest()
    with PlainSql(fresh_url) as host:
        assert host.run(SEED_ROWS) == rows
        assert set(indexes) <= set(host.run("SELECT name, sql FROM sqlite_schema"))
        assert host.run("PRAGMA integrity_check") == [("ok",)]
        assert host.run("PRAGMA foreign_key_check") == []
    assert_a_ledger_of_the_host(fresh_url, rows)


@on_postgres
def test_a_hosts_rows_and_indexes_stay_as_they_are(seed_url: str) -> None:
    host_runs(seed_url, ROWS_OF_A_HOST, INDEX_OF_A_HOST)
    with PlainSql(seed_url) as host:
        rows = host.run(SEED_ROWS)
        indexes = [line for line in dump(seed_url) if "INDEX" in line]
    assert database_at(seed_url).upgrade(NOW).applied == migrations.manifest()
    assert set(indexes) <= set(dump(seed_url))
    assert_a_ledger_of_the_host(seed_url, rows)


def assert_a_ledger_of_the_host(url: str, rows: list[tuple[Any, ...]]) -> None:
    """The wallet works on what a host wrote, and changes nothing of it."""
    with CreditWallet.open(url) as wallets:
        assert wallets.verify() == []
        assert [wallets.balance(1), wallets.balance(2)] == [70, 500]
        assert wallets.charge(1, 30, idempotency_key="after").balance_yen == 40
        assert wallets.verify() == []
    with PlainSql(url) as host:
        assert host.run(SEED_ROWS)[:-1] == rows


@on_sqlite
@pytest.mark.parametrize(
    "columns",
    [
        "txn_id INTEGER PRIMARY KEY AUTOINCREMENT, wallet_id INTEGER NOT NULL, amount_yen INTEGER NOT NULL, "
        "txn_type TEXT NOT NULL, occurred_at TEXT NOT NULL, note TEXT, tenant TEXT",
        "txn_id INTEGER PRIMARY KEY AUTOINCREMENT, wallet_id INTEGER NOT NULL, txn_type TEXT NOT NULL, "
        "amount_yen INTEGER NOT NULL, occurred_at TEXT NOT NULL, note TEXT",
    ],
    ids=["one column more", "another order"],
)
def test_a_ledger_that_is_not_281s_is_refused_and_left_alone(fresh_url: str, columns: str) -> None:
    host_database(fresh_url, f"CREATE TABLE am_credit_transaction_log ({columns});")
    assert_the_ledger_is_refused(fresh_url)


@pytest.mark.databases("postgres")
@pytest.mark.parametrize(
    "columns",
    [
        "txn_id BIGSERIAL PRIMARY KEY, wallet_id BIGINT NOT NULL, amount_yen BIGINT NOT NULL, "
        "txn_type TEXT NOT NULL CHECK (txn_type <> 'gift'), occurred_at TEXT NOT NULL, note TEXT",
        "txn_id BIGSERIAL PRIMARY KEY, wallet_id BIGINT NOT NULL, amount_yen BIGINT NOT NULL, txn_type TEXT NOT NULL, "
        "occurred_at TEXT NOT NULL, CONSTRAINT am_credit_transaction_log_types CHECK (amount_yen <> 0), "
        "CONSTRAINT am_credit_transaction_log_signs CHECK (amount_yen <> 0)",
    ],
    ids=["other constraints", "no notes"],
)
def test_a_table_that_is_not_281s_is_refused_and_left_alone(fresh_url: str, columns: str) -> None:
    host_runs(fresh_url, f"CREATE TABLE am_credit_transaction_log ({columns})")
    assert_the_ledger_is_refused(fresh_url)


def assert_the_ledger_is_refused(url: str) -> None:
    host_runs(
        url,
        "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, occurred_at) "
        "VALUES (1, 5, 'topup', '2026-05-01')",
        script(url, SEED),
    )
    before = [line for line in dump(url) if "am_credit_transaction_log" in line]
    with pytest.raises(MigrationError, match=r"282_credit_ledger_chain\.sql does not fit this database"):
        CreditWallet.open(url)
    assert [line for line in dump(url) if "am_credit_transaction_log" in line] == before
    assert applied_names(url) == [SEED]


# What 282 makes of the ledger


@pytest.mark.parametrize(
    ("txn_type", "amount_yen", "taken"),
    [
        ("topup", 1, True),
        ("topup", -1, False),
        ("refund", 1, True),
        ("refund", -1, False),
        ("charge", -1, True),
        ("charge", 1, False),
        ("expire", -1, True),
        ("expire", 1, False),
        ("reversal", -1, True),
        ("reversal", 1, False),
        ("topup", 0, False),
        ("charge", 0, False),
        ("expire", 0, False),
        ("gift", 1, False),
        ("gift", -1, False),
    ],
)
def test_the_ledger_takes_five_types_each_with_its_sign(
    db_url: str, txn_type: str, amount_yen: int, taken: bool
) -> None:
    CreditWallet.open(db_url).close()
    with PlainSql(db_url) as host:
        wallet_id = host.wallet()
        if taken:
            host.entry(wallet_id, txn_type, amount_yen)
        else:
            with pytest.raises(REFUSED_BY_A_RULE, match=r"(?i)check"):
                host.entry(wallet_id, txn_type, amount_yen)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM am_credit_transaction_log",
        "DELETE FROM am_credit_transaction_log WHERE txn_id = 1",
        "UPDATE am_credit_transaction_log SET amount_yen = amount_yen + 1 WHERE txn_id = 1",
        "UPDATE am_credit_transaction_log SET wallet_id = 2 WHERE txn_id = 1",
        "UPDATE am_credit_transaction_log SET occurred_at = '2020-01-01' WHERE txn_id = 1",
        "UPDATE am_credit_transaction_log SET note = 'changed' WHERE txn_id = 1",
        "UPDATE am_credit_transaction_log SET txn_id = 99 WHERE txn_id = 1",
        "UPDATE am_credit_transaction_log SET prev_txn_id = NULL WHERE txn_id = 1",
        "UPDATE am_credit_transaction_log SET lots = '[]', ledger_balance_yen = 0 WHERE txn_id = 1",
        "UPDATE am_credit_transaction_log SET note = 'changed' WHERE prev_txn_id IS NULL",
        "UPDATE am_credit_transaction_log SET amount_yen = 1 WHERE prev_txn_id IS NULL",
        "DELETE FROM am_credit_transaction_log WHERE prev_txn_id IS NULL",
    ],
)
def test_the_ledger_cannot_be_rewritten_by_anyone(db_url: str, statement: str) -> None:
    assert_append_only(db_url, statement)


@on_postgres
@pytest.mark.parametrize("options", ["", " RESTART IDENTITY CASCADE"])
def test_the_ledger_cannot_be_emptied_by_anyone(db_url: str, databases: Databases, options: str) -> None:
    assert_append_only(db_url, f"TRUNCATE am_credit_transaction_log{options}")
    for partition in range(databases.partitions):
        assert_append_only(db_url, f"TRUNCATE am_credit_transaction_log_p{partition}{options}")


def assert_append_only(url: str, statement: str) -> None:
    """The statement is refused on a ledger that has an entry of the wallet and one of plain SQL."""
    with CreditWallet.open(url) as wallets:
        wallets.topup(wallets.create().wallet_id, 10, idempotency_key="topup")
        wallets.create()
    with PlainSql(url) as host:
        host.entry(1, "topup", 5)
        before = host.run("SELECT * FROM am_credit_transaction_log ORDER BY 1")
        with pytest.raises(REFUSED_BY_A_RULE, match="the ledger is append-only: write a refund or a reversal"):
            host.run(statement)
        assert host.run("SELECT * FROM am_credit_transaction_log ORDER BY 1") == before


def test_open_holds_and_debts_forbid_a_rollback_that_would_lose_them(db_url: str) -> None:
    with CreditWallet.open(db_url) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 1_000, idempotency_key="topup")
        hold = wallets.hold(wallet_id, 300, idempotency_key="hold")
    for number in (283, 282):
        with pytest.raises(MigrationError, match="open holds or debts"):
            database_at(db_url).rollback(number)
    with CreditWallet.open(db_url) as wallets:
        assert hold.hold_id is not None
        wallets.release(hold.hold_id)
    assert database_at(db_url).rollback(283) == migrations.manifest()[:1:-1]
