"""Another state under a ledger's name is noticed: while it is open, when it closes, when it is opened."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from databases import Databases, SqliteFiles, on_postgres
from taken_files import START_YEN, Ledger, Place, assert_nobody_is_acknowledged, funded, restore_while_it_runs

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseMoved, MigrationError
from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at
from credit_wallet.stores.jobs import copying
from credit_wallet.stores.sqlite.ledger import LedgerConnection


def copy_into(place: Place, other: Path) -> None:
    """``cp other w.db``: the same file with other bytes. By another process, for this one would lose its locks."""
    subprocess.run(["cp", other, place.path], check=True)


# Another state in the same file


def spend(ledger: Ledger, times: int) -> None:
    for batch in range(times):
        ledger.wallets.charge_many((ledger.wallet_id, 1, f"spend-{batch}-{number}") for number in range(100))


def test_an_older_state_copied_into_the_file_is_noticed(place: Place, ledger: Ledger) -> None:
    backup = place.backup()
    spend(ledger, 9)
    place.written_back()
    assert ledger.wallets.balance(ledger.wallet_id) == 99
    copy_into(place, backup)
    assert_nobody_is_acknowledged(ledger)
    ledger.wallets.close()
    assert place.path.read_bytes() == backup.read_bytes()  # nothing was written back into it


@pytest.mark.parametrize("content", [b"", b"no database\n" * 1_000], ids=["nothing", "no-database"])
def test_what_is_no_database_any_more_is_noticed(place: Place, ledger: Ledger, content: bytes) -> None:
    place.written_back()
    ledger.wallets.maintenance.check_ready()
    other = place.beside / "other"
    other.write_bytes(content)
    copy_into(place, other)
    assert_nobody_is_acknowledged(ledger)


@pytest.mark.parametrize("content", [b"", bytes(100_000)], ids=["emptied", "zeros"])
def test_a_log_that_is_overwritten_is_noticed(place: Place, ledger: Ledger, content: bytes) -> None:
    log = Path(f"{place.path}-wal")
    other = place.beside / "other"
    other.write_bytes(content)
    log.write_bytes(content)
    assert_nobody_is_acknowledged(ledger)
    before = place.path.read_bytes()
    ledger.wallets.close()
    assert place.path.read_bytes() == before  # nothing of it was written back


def test_other_processes_that_write_check_and_compact_are_no_alarm(place: Place, ledger: Ledger) -> None:
    """VACUUM makes the database smaller, and a checkpoint writes to it; both are right."""
    program = """
import apsw, sys
host = apsw.Connection(sys.argv[1])
for statement in sys.argv[2:]:
    host.execute(statement).fetchall()
"""

    def run(*statements: str) -> None:
        subprocess.run([sys.executable, "-c", program, place.path, *statements], check=True)

    grow = "CREATE TABLE hosts_own (text); INSERT INTO hosts_own VALUES (zeroblob(1000000))"
    checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)"
    for statements in (
        (grow, checkpoint),
        ("DROP TABLE hosts_own", checkpoint),
        ("VACUUM", checkpoint),
        (grow, checkpoint, "DROP TABLE hosts_own", checkpoint, "VACUUM", checkpoint),
    ):
        run(*statements)
        ledger.wallets.maintenance.check_ready()
        assert ledger.wallets.balance(ledger.wallet_id) == START_YEN - 1
    spend(ledger, 1)
    run(checkpoint)
    assert ledger.wallets.verify() == []


# Closing and opening


def test_closing_leaves_what_stands_under_the_names_alone(place: Place, ledger: Ledger) -> None:
    """SQLite deletes the log by its name when it closes: here that is the log of another ledger, in use."""
    restore_while_it_runs(place)
    with CreditWallet.open(place.url) as restored:
        restored.charge(ledger.wallet_id, 5, idempotency_key="restored")
        ledger.wallets.close()
        assert restored.balance(ledger.wallet_id) == START_YEN - 6
        assert restored.charge(ledger.wallet_id, 1, idempotency_key="restored too").balance_yen == START_YEN - 7
    with CreditWallet.open(place.url) as restored:
        assert restored.balance(ledger.wallet_id) == START_YEN - 7
        assert restored.verify() == []
    with CreditWallet.open(f"sqlite:///{place.beside / 'old' / 'w.db'}") as old:
        assert old.balance(ledger.wallet_id) == START_YEN - 1
        assert old.verify() == []


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_a_log_without_its_database_is_not_thrown_away(place: Place, left: str) -> None:
    """SQLite takes a missing or empty database for a new one and deletes the log, with the newest movements in it."""
    program = """
import os, signal, sys
from credit_wallet import CreditWallet
wallets = CreditWallet.open(sys.argv[1])
wallet_id = wallets.create().wallet_id
wallets.topup(wallet_id, 10, idempotency_key="start")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, place.url], check=False)
    kept = place.path.rename(place.beside / "kept")
    if left == "an empty file":
        place.path.touch()
    with pytest.raises(DatabaseMoved, match="put the database back beside its log"):
        CreditWallet.open(place.url)
    kept.replace(place.path)
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(1) == 10


def test_a_file_replaced_while_it_is_opened_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    CreditWallet.open(place.url).close()
    backup = place.backup()
    take_note = LedgerConnection.take_note_of_files

    def replace_first(connection: LedgerConnection, path: Path) -> None:
        backup.replace(path)
        monkeypatch.undo()
        take_note(connection, path)

    monkeypatch.setattr(LedgerConnection, "take_note_of_files", replace_first)
    with pytest.raises(DatabaseMoved, match="while it was being opened"):
        CreditWallet.open(place.url)


# Copying


@on_postgres
def test_a_copy_of_a_ledger_that_is_taken_away_is_not_opened_up(
    place: Place, databases: Databases, tmp_path: Path
) -> None:
    assert not isinstance(databases, SqliteFiles)
    with CreditWallet.open(place.url) as wallets:
        funded(wallets)
    with databases.nothing() as target:

        def take(what: str, done: int, _total: int) -> None:
            if what == "comparing am_credit_wallet" and done:
                place.path.rename(tmp_path / "taken")

        with pytest.raises(DatabaseMoved):
            copying.copy_ledger(sqlite_database_at(place.url), postgres_database_at(target), datetime.now(UTC), take)
        with pytest.raises(MigrationError, match="copy"):
            CreditWallet.open(target)
