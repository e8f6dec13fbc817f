"""The migration runner: in order, once, all or nothing, and never at the cost of what a host already has."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseError, MigrationError
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.sqlite_connection import connect
from credit_wallet.stores.sqlite_schema import SqliteSchema

MIGRATIONS = Path(__file__).resolve().parents[1] / "scripts" / "migrations"
MANIFESTS = ("jpcite_boot_manifest.txt", "autonomath_boot_manifest.txt")

FAMILIES = """
SELECT type, name FROM sqlite_master
WHERE name LIKE 'am_credit%' OR name LIKE 'v_credit%' OR name LIKE 'idx_am_credit%' OR name LIKE 'credit_wallet%'
"""
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

Ledger = tuple[apsw.Connection, Path]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wallet.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """A fresh database and its path, with nothing applied."""
    connection = connect(path)
    yield connection, path
    connection.close()


@pytest.fixture
def copied_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the runner reads from, free to be changed."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    monkeypatch.setattr(migrations, "_read", lambda name: (folder / name).read_text(encoding="utf-8"))
    return folder


def host_database(path: Path, *scripts: str) -> None:
    """What a host does with its own SQLite, while nobody else has the file open."""
    with closing(sqlite3.connect(path)) as connection:
        for statements in scripts:
            connection.executescript(statements)


def script(name: str) -> str:
    return (MIGRATIONS / name).read_text(encoding="utf-8")


def dump(path: Path) -> list[str]:
    """Schema and rows; through apsw, for two SQLite libraries in one process do not see each other's locks."""
    with closing(apsw.Connection(str(path))) as connection:
        schema = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
        tables = [name for kind, name, _ in schema if kind == "table"]
        rows = [(name, row) for name in tables for row in connection.execute(f"SELECT * FROM {name} ORDER BY 1")]
    return [str(line) for line in (*schema, *rows)]


def applied_names(path: Path) -> list[str]:
    with closing(apsw.Connection(str(path))) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM credit_wallet_migration ORDER BY rowid")]


# The manifests


def test_both_manifests_have_the_same_bytes() -> None:
    jpcite, autonomath = ((MIGRATIONS / name).read_bytes() for name in MANIFESTS)
    assert jpcite == autonomath


def test_the_manifest_lists_every_migration_in_order_and_each_can_be_undone() -> None:
    undo = {file.name for file in MIGRATIONS.glob("*_rollback.sql")}
    files = sorted(file.name for file in MIGRATIONS.glob("[0-9]*.sql") if file.name not in undo)
    assert migrations.manifest() == files
    assert {name.replace(".sql", "_rollback.sql") for name in files} == undo


# Applying


def test_a_fresh_database_gets_the_manifest_in_order(ledger: Ledger) -> None:
    connection, path = ledger
    assert migrations.pending(SqliteSchema(connection, path)) == migrations.manifest()
    assert migrations.migrate(SqliteSchema(connection, path)) == migrations.manifest()
    assert applied_names(path) == migrations.manifest()
    assert migrations.pending(SqliteSchema(connection, path)) == []


def test_a_second_run_changes_nothing(ledger: Ledger) -> None:
    connection, path = ledger
    migrations.migrate(SqliteSchema(connection, path))
    before = dump(path)
    assert migrations.migrate(SqliteSchema(connection, path)) == []
    assert dump(path) == before


def test_281_can_be_run_by_hand_after_everything(ledger: Ledger) -> None:
    connection, path = ledger
    migrations.migrate(SqliteSchema(connection, path))
    connection.close()
    before = dump(path)
    host_database(path, script("281_credit_wallet.sql"))
    assert dump(path) == before


def test_a_file_that_changed_after_it_was_applied_is_refused(ledger: Ledger, copied_migrations: Path) -> None:
    connection, path = ledger
    migrations.migrate(SqliteSchema(connection, path))
    before = dump(path)
    with (copied_migrations / "283_credit_wallet_state.sql").open("a", encoding="utf-8") as file:
        file.write("-- one more line\n")
    with pytest.raises(MigrationError, match=r"283_credit_wallet_state\.sql has changed") as refusal:
        migrations.migrate(SqliteSchema(connection, path))
    assert refusal.value.details == {"migration": "283_credit_wallet_state.sql"}
    assert dump(path) == before


def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(ledger: Ledger, copied_migrations: Path) -> None:
    connection, path = ledger
    with (copied_migrations / "284_credit_rail.sql").open("a", encoding="utf-8") as file:
        file.write("INSERT INTO no_such_table VALUES (1);\n")
    with pytest.raises(MigrationError, match=r"284_credit_rail\.sql does not fit this database"):
        migrations.migrate(SqliteSchema(connection, path))
    assert applied_names(path) == migrations.manifest()[:-1]
    assert not any("am_credit_outbox" in line for line in dump(path))

    shutil.copy(MIGRATIONS / "284_credit_rail.sql", copied_migrations)
    assert migrations.migrate(SqliteSchema(connection, path)) == ["284_credit_rail.sql"]


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_start_at_once_apply_each_migration_once(path: Path, processes: int) -> None:
    migrate = """
import sys
from pathlib import Path
from credit_wallet.stores import migrations
from credit_wallet.stores.sqlite_connection import connect
from credit_wallet.stores.sqlite_schema import SqliteSchema
path = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
connection = connect(path)
print(*migrations.migrate(SqliteSchema(connection, path)))
"""
    command = [sys.executable, "-c", migrate, str(path)]
    pipe = subprocess.PIPE
    runners = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(processes)]
    for runner in runners:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "ready\n"
    for runner in runners:
        assert runner.stdin is not None
        runner.stdin.write("go\n")
        runner.stdin.flush()
    answers = [runner.communicate(timeout=60) for runner in runners]
    assert [(runner.returncode, errors) for runner, (_, errors) in zip(runners, answers, strict=True)] == [
        (0, "")
    ] * processes
    assert sorted(name for output, _ in answers for name in output.split()) == migrations.manifest()
    assert applied_names(path) == migrations.manifest()


def test_a_database_that_another_process_keeps_locked_is_named(path: Path) -> None:
    with closing(connect(path)) as connection, closing(connect(path)) as other:
        connection.set_busy_timeout(0)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match=re.escape(str(path))) as refusal:
            migrations.migrate(SqliteSchema(connection, path))
        assert refusal.value.code == "database_locked"


# Undoing


def test_undoing_281_undoes_everything_and_nothing_of_the_host(path: Path) -> None:
    host_database(path, "CREATE TABLE of_the_host (id INTEGER PRIMARY KEY); INSERT INTO of_the_host VALUES (7);")
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallet = wallets.create(monthly_budget_yen=10)
        wallets.topup(wallet.wallet_id, 10, idempotency_key="topup")
        wallets.charge(wallet.wallet_id, 5, idempotency_key="charge")
        wallets.hold(wallet.wallet_id, 2, idempotency_key="hold")
        wallets.create_key(wallet.wallet_id)
        wallets.seal()
    with closing(connect(path)) as connection:
        assert migrations.rollback(SqliteSchema(connection, path), 281) == migrations.manifest()[::-1]
        assert connection.execute(FAMILIES).fetchall() == []
        assert connection.execute("SELECT id FROM of_the_host").get == 7
        assert migrations.migrate(SqliteSchema(connection, path)) == migrations.manifest()


@pytest.mark.parametrize("number", [282, 283, 284])
def test_a_migration_undone_leaves_the_schema_before_it_and_can_be_applied_again(ledger: Ledger, number: int) -> None:
    connection, path = ledger
    migrations.migrate(SqliteSchema(connection, path))
    after = dump(path)
    undone = migrations.rollback(SqliteSchema(connection, path), number)
    assert undone == [name for name in migrations.manifest() if int(name[:3]) >= number][::-1]
    assert migrations.migrate(SqliteSchema(connection, path)) == undone[::-1]
    assert [re.sub(r"\d{4}-\d\d-\d\dT[^']*Z", "", line) for line in dump(path)] == [
        re.sub(r"\d{4}-\d\d-\d\dT[^']*Z", "", line) for line in after
    ]


@pytest.mark.parametrize("number", [281, 999])
def test_what_is_not_applied_cannot_be_undone(ledger: Ledger, number: int) -> None:
    connection, path = ledger
    with pytest.raises(MigrationError, match=f"migration {number} is not applied here"):
        migrations.rollback(SqliteSchema(connection, path), number)


# Hosts


def test_a_hosts_own_281_migrates_with_its_rows_and_indexes_untouched(path: Path) -> None:
    host_database(path, HOSTS_OWN_281, ROWS_OF_A_HOST)
    with closing(sqlite3.connect(path)) as host:
        rows = host.execute(SEED_ROWS).fetchall()
        indexes = host.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL").fetchall()
    with closing(connect(path)) as connection:
        assert migrations.migrate(SqliteSchema(connection, path)) == migrations.manifest()
        assert connection.execute(SEED_ROWS).fetchall() == rows
        assert set(indexes) <= set(connection.execute("SELECT name, sql FROM sqlite_schema"))
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        assert wallets.verify() == []
        assert [wallets.balance(1), wallets.balance(2)] == [70, 500]
        assert wallets.charge(1, 30, idempotency_key="after").balance_yen == 40
        assert wallets.verify() == []
    with closing(connect(path)) as connection:
        assert connection.execute(SEED_ROWS).fetchall()[:-1] == rows


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
def test_a_ledger_that_is_not_281s_is_refused_and_left_alone(path: Path, columns: str) -> None:
    host_database(
        path,
        f"CREATE TABLE am_credit_transaction_log ({columns});"
        "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, occurred_at) "
        "VALUES (1, 5, 'topup', '2026-05-01');",
        script("281_credit_wallet.sql"),
    )
    ledger_before = [line for line in dump(path) if "am_credit_transaction_log" in line]
    with pytest.raises(MigrationError, match=r"282_credit_ledger_chain\.sql does not fit this database"):
        CreditWallet.open(f"sqlite:///{path}")
    assert [line for line in dump(path) if "am_credit_transaction_log" in line] == ledger_before
    assert applied_names(path) == ["281_credit_wallet.sql"]


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
    ledger: Ledger, txn_type: str, amount_yen: int, taken: bool
) -> None:
    connection, path = ledger
    migrations.migrate(SqliteSchema(connection, path))
    connection.close()
    with closing(sqlite3.connect(path)) as host:
        host.executescript(f"INSERT INTO am_credit_wallet (owner_token_hash) VALUES ('{'a' * 64}');")
        insert = "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (1, ?, ?)"
        if taken:
            host.execute(insert, (amount_yen, txn_type))
        else:
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                host.execute(insert, (amount_yen, txn_type))


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
def test_the_ledger_cannot_be_rewritten_by_anyone(path: Path, statement: str) -> None:
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallet = wallets.create()
        wallets.create()
        wallets.topup(wallet.wallet_id, 10, idempotency_key="topup")
    with closing(sqlite3.connect(path, isolation_level=None)) as host:
        host.execute("INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (1, 5, 'topup')")
        before = host.execute("SELECT * FROM am_credit_transaction_log").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="the ledger is append-only: write a refund or a reversal"):
            host.execute(statement)
        assert host.execute("SELECT * FROM am_credit_transaction_log").fetchall() == before


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
    assert database_at(db_url).rollback(283) == ["284_credit_rail.sql", "283_credit_wallet_state.sql"]
