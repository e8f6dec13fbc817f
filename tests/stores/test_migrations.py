"""The migration runner: in order, once, all or nothing, and never at the cost of what a host already has."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from databases import MIGRATIONS, SEED, Databases, SqliteFiles, on_every_database, on_postgres, on_sqlite
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.config import is_postgres, sqlite_path
from credit_wallet.errors import DatabaseLocked, MigrationError
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.postgres import schema as postgres_schema

pytestmark = on_every_database

NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)
MANIFESTS = ("jpcite_boot_manifest.txt", "autonomath_boot_manifest.txt")
RAIL = "284_credit_rail.sql"

SQLITE_SCHEMA = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
POSTGRES_SCHEMA = """
SELECT concat_ws(' ', 'relation', relname, relkind, pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid))
FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attcollation, attnotnull,
                 pg_get_expr(adbin, adrelid), rank() OVER (PARTITION BY attrelid ORDER BY attnum))
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conname !~ '_not_null'
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT concat_ws(' ', viewname, definition) FROM pg_views WHERE schemaname = 'public'
ORDER BY 1
"""
SQLITE_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1"
POSTGRES_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1
"""
SQLITE_COLUMNS = "SELECT name FROM pragma_table_info(?)"
POSTGRES_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = ? ORDER BY ordinal_position"

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


@pytest.fixture
def fresh_url(databases: Databases) -> Iterator[str]:
    """A database with nothing in it."""
    with databases.nothing() as url:
        yield url


@pytest.fixture
def copied_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the runner reads from, free to be changed."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    monkeypatch.setattr(migrations, "_read", lambda name: (folder / name).read_text(encoding="utf-8"))
    return folder


def folder_of(url: str) -> str:
    """Where the files of a database's dialect are below the folder of the migrations."""
    return "postgres" if is_postgres(url) else ""


def append(folder: Path, url: str, name: str, line: str) -> None:
    """Add a line to a migration of the database's dialect."""
    with (folder / folder_of(url) / name).open("a", encoding="utf-8") as file:
        file.write(line)


def script(url: str, name: str) -> str:
    return (MIGRATIONS / folder_of(url) / name).read_text(encoding="utf-8")


def host_runs(url: str, *statements: str) -> None:
    """What a host does by itself."""
    with PlainSql(url) as host:
        for each in statements:
            host.run(each)


def tables_of(host: PlainSql, url: str) -> list[str]:
    return [name for (name,) in host.run(POSTGRES_TABLES if is_postgres(url) else SQLITE_TABLES)]


def dump(url: str) -> list[str]:
    """Schema and rows."""
    with PlainSql(url) as host:
        schema = host.run(POSTGRES_SCHEMA if is_postgres(url) else SQLITE_SCHEMA)
        rows = [(name, row) for name in tables_of(host, url) for row in host.run(f"SELECT * FROM {name} ORDER BY 1")]
    return [str(line) for line in (*schema, *rows)]


def without_chance(lines: list[str]) -> list[str]:
    """Times, and the name that a ledger gives itself, are not the same twice."""
    return [re.sub(r"\d{4}-\d\d-\d\dT[^']*Z|'[0-9a-f]{16}'", "", line) for line in lines]


def applied_names(url: str) -> list[str]:
    with PlainSql(url) as host:
        place = "ctid" if is_postgres(url) else "rowid"
        return [name for (name,) in host.run(f"SELECT name FROM credit_wallet_migration ORDER BY {place}")]


# The manifests


def test_both_manifests_have_the_same_bytes() -> None:
    jpcite, autonomath = ((MIGRATIONS / name).read_bytes() for name in MANIFESTS)
    assert jpcite == autonomath


@pytest.mark.parametrize("folder", ["", "postgres"])
def test_the_manifest_lists_every_migration_in_order_and_each_can_be_undone(folder: str) -> None:
    undo = {file.name for file in (MIGRATIONS / folder).glob("*_rollback.sql")}
    files = sorted(file.name for file in (MIGRATIONS / folder).glob("[0-9]*.sql") if file.name not in undo)
    assert migrations.manifest() == files
    assert {name.replace(".sql", "_rollback.sql") for name in files} == undo


@on_postgres
def test_the_tables_and_columns_are_those_of_sqlite(db_url: str, tmp_path: Path) -> None:
    with SqliteFiles(tmp_path).ledger() as file_url:
        database_at(file_url).upgrade(NOW)
        with PlainSql(file_url) as here, PlainSql(db_url) as there:
            tables = tables_of(here, file_url)
            assert tables_of(there, db_url) == tables
            for name in tables:
                assert there.run(POSTGRES_COLUMNS, name) == here.run(SQLITE_COLUMNS, name), name


# Applying


def test_a_fresh_database_gets_the_manifest_in_order(fresh_url: str, databases: Databases) -> None:
    database = database_at(fresh_url)
    assert database.pending_migrations() == migrations.manifest()
    assert database.upgrade(NOW, databases.partitions).applied == migrations.manifest()
    assert applied_names(fresh_url) == migrations.manifest()
    assert database.pending_migrations() == []


def test_a_second_run_changes_nothing(db_url: str) -> None:
    CreditWallet.open(db_url).close()
    before = dump(db_url)
    assert database_at(db_url).upgrade(NOW).applied == []
    assert dump(db_url) == before


def test_281_can_be_run_by_hand_after_everything(db_url: str) -> None:
    CreditWallet.open(db_url).close()
    before = dump(db_url)
    host_runs(db_url, script(db_url, SEED))
    assert dump(db_url) == before


def test_a_file_that_changed_after_it_was_applied_is_refused(db_url: str, copied_migrations: Path) -> None:
    CreditWallet.open(db_url).close()
    before = dump(db_url)
    append(copied_migrations, db_url, "283_credit_wallet_state.sql", "-- one more line\n")
    with pytest.raises(MigrationError, match=r"283_credit_wallet_state\.sql has changed") as refusal:
        database_at(db_url).upgrade(NOW)
    assert refusal.value.details == {"migration": "283_credit_wallet_state.sql"}
    assert dump(db_url) == before


def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(
    fresh_url: str, databases: Databases, copied_migrations: Path
) -> None:
    append(copied_migrations, fresh_url, RAIL, "INSERT INTO no_such_table VALUES (1);\n")
    with pytest.raises(MigrationError, match=r"284_credit_rail\.sql does not fit this database"):
        database_at(fresh_url).upgrade(NOW, databases.partitions)
    manifest = migrations.manifest()
    assert applied_names(fresh_url) == manifest[: manifest.index(RAIL)]
    assert not any("am_credit_outbox" in line for line in dump(fresh_url))

    (copied_migrations / folder_of(fresh_url) / RAIL).write_text(script(fresh_url, RAIL), encoding="utf-8")
    assert database_at(fresh_url).upgrade(NOW).applied == manifest[manifest.index(RAIL) :]


def start_at_once(program: str, url: str, processes: int) -> list[str]:
    """What ``program`` prints in each of several processes that begin with it at the same time."""
    begin = "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\n"
    command = [sys.executable, "-c", "from datetime import UTC, datetime\n" + program.replace("BEGIN", begin), url]
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
    return [output for output, _ in answers]


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_start_at_once_apply_each_migration_once(fresh_url: str, processes: int) -> None:
    migrate = """
from credit_wallet.stores.databases import database_at
BEGIN
print(*database_at(sys.argv[1]).upgrade(datetime.now(UTC)).applied)
"""
    answers = start_at_once(migrate, fresh_url, processes)
    assert sorted(name for output in answers for name in output.split()) == migrations.manifest()
    assert applied_names(fresh_url) == migrations.manifest()


def test_services_that_start_at_once_share_the_ledger_that_one_of_them_makes(fresh_url: str) -> None:
    serve = """
from credit_wallet import CreditWallet
BEGIN
with CreditWallet.open(sys.argv[1]) as wallets:
    wallet_id = wallets.create().wallet_id
    print(wallets.topup(wallet_id, 1, idempotency_key="topup").balance_yen)
"""
    assert start_at_once(serve, fresh_url, 4) == ["1\n"] * 4
    assert applied_names(fresh_url) == migrations.manifest()
    with CreditWallet.open(fresh_url) as wallets:
        assert [view.balance_yen for view in wallets.list()] == [1] * 4
        assert wallets.verify() == []


def test_a_database_in_which_another_migrator_is_at_work_is_named(
    fresh_url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("impatient")
    one_migrator = postgres_schema._ONE_MIGRATOR
    monkeypatch.setattr(postgres_schema, "_ONE_MIGRATOR", one_migrator.replace("60s", "50ms"))
    with PlainSql(fresh_url) as host:
        host.run("CREATE TABLE of_the_host (id INTEGER)")
        with host.transaction():
            if is_postgres(fresh_url):
                host.run(one_migrator)
            with pytest.raises(DatabaseLocked, match=re.escape(fresh_url.removeprefix("sqlite:///"))):
                database_at(fresh_url).upgrade(NOW)
    assert database_at(fresh_url).upgrade(NOW).applied == migrations.manifest()


# Undoing


def test_undoing_281_undoes_everything_and_nothing_of_the_host(fresh_url: str, databases: Databases) -> None:
    host_runs(fresh_url, "CREATE TABLE of_the_host (id INTEGER PRIMARY KEY)", "INSERT INTO of_the_host VALUES (7)")
    before = dump(fresh_url)
    database = database_at(fresh_url)
    database.upgrade(NOW, databases.partitions)
    with CreditWallet.open(fresh_url) as wallets:
        wallet = wallets.create(monthly_budget_yen=10)
        wallets.topup(wallet.wallet_id, 10, idempotency_key="topup")
        wallets.charge(wallet.wallet_id, 5, idempotency_key="charge")
        wallets.hold(wallet.wallet_id, 2, idempotency_key="hold")
        wallets.keys.create(wallet.wallet_id)
        wallets.maintenance.seal()
    assert database.rollback(281) == migrations.manifest()[::-1]
    assert [line for line in dump(fresh_url) if "sqlite_sequence" not in line] == before
    assert database.upgrade(NOW).applied == migrations.manifest()


@pytest.mark.parametrize("number", [281, 282, 283, 284])
def test_a_migration_undone_leaves_the_schema_before_it_and_can_be_applied_again(
    fresh_url: str, databases: Databases, number: int
) -> None:
    database = database_at(fresh_url)
    database.upgrade(NOW, databases.partitions)
    after = dump(fresh_url)
    undone = database.rollback(number)
    assert undone == [name for name in migrations.manifest() if int(name[:3]) >= number][::-1]
    assert database.pending_migrations() == undone[::-1]
    assert database.upgrade(NOW, databases.partitions if number == 281 else 0).applied == undone[::-1]
    assert without_chance(dump(fresh_url)) == without_chance(after)


@pytest.mark.parametrize("number", [281, 999])
def test_what_is_not_applied_cannot_be_undone(fresh_url: str, number: int) -> None:
    host_runs(fresh_url, "CREATE TABLE of_the_host (id INTEGER)")
    with pytest.raises(MigrationError, match=f"migration {number} is not applied here"):
        database_at(fresh_url).rollback(number)


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
