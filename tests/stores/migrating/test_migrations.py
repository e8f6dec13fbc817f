"""Migrations: what is applied, in which order, by one process at a time, and undone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from databases import MIGRATIONS, SEED, Databases, SqliteFiles, on_every_database, on_postgres
from migrated import NOW, append, applied_names, dump, folder_of, host_runs, script, tables_of
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.database_urls import is_postgres
from credit_wallet.errors import DatabaseLocked, MigrationError
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.postgres import schema

pytestmark = on_every_database


MANIFESTS = ("jpcite_boot_manifest.txt", "autonomath_boot_manifest.txt")

RAIL = "284_credit_rail.sql"

SQLITE_COLUMNS = "SELECT name FROM pragma_table_info(?)"

POSTGRES_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = ? ORDER BY ordinal_position"


def without_chance(lines: list[str]) -> list[str]:
    """Times, and the name that a ledger gives itself, are not the same twice."""
    return [re.sub(r"\d{4}-\d\d-\d\dT[^']*Z|'[0-9a-f]{16}'", "", line) for line in lines]


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
    one_migrator = schema._ONE_MIGRATOR
    monkeypatch.setattr(schema, "_ONE_MIGRATOR", one_migrator.replace("60s", "50ms"))
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
