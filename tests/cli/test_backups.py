"""``credit-wallet backup`` and ``restore``: a file that is whole or not there, of one moment, and put back safely."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import dedent

import apsw
import pytest
from shell import Shell

from credit_wallet import CreditWallet
from credit_wallet.cli import console
from credit_wallet.database_urls import sqlite_path
from credit_wallet.errors import DatabaseCorrupt
from credit_wallet.stores.jobs import restore as restoring
from credit_wallet.stores.sqlite import connection, pages


@pytest.fixture
def ledger(funded: Shell) -> Path:
    """A ledger with a wallet that has ¥1,000, and a seal."""
    with CreditWallet.open(funded.url) as wallets:
        wallets.maintenance.seal()
    return sqlite_path(funded.url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the backup is to be, in a folder of its own."""
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "copy.db"


def balance(path: Path) -> int:
    with CreditWallet.open(f"sqlite:///{path}", create=False) as wallets:
        assert wallets.verify() == []
        return int(wallets.balance(1))


def test_a_backup_is_of_one_moment_whatever_is_charged_meanwhile(
    funded: Shell, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = 0
    with CreditWallet.open(funded.url) as wallets:
        wallets.maintenance.seal()

        @contextmanager
        def charging() -> Iterator[object]:
            def step(_doing: str, _done: int, _of: int) -> None:
                nonlocal charged
                charged += 1
                wallets.charge(1, 1, idempotency_key=f"meanwhile {charged}")

            yield step

        with monkeypatch.context() as patched:
            patched.setattr(console, "progress", charging)
            patched.setattr(pages, "STEP_PAGES", 10)
            made = funded.json("backup", file)
        assert charged > 5
        assert wallets.balance(1) == 1_000 - charged
        assert made["verified"] is True
        assert made["bytes"] == file.stat().st_size
        seal = wallets.seals.latest()
        assert seal is not None
        assert (made["seal"]["seal_id"], made["seal"]["sha256"]) == (seal.seal_id, seal.sha256)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [*file.parent.iterdir()] == [file]
    assert balance(file) == 1_000
    assert str(seal) in funded("backup", file, "--overwrite")
    assert balance(file) == 1_000 - charged


def test_a_backup_is_restored_elsewhere_and_in_place(funded: Shell, ledger: Path, file: Path, tmp_path: Path) -> None:
    seal = funded("backup", file).splitlines()[-1]
    funded("charge", 1, 400, "--key", "after the backup")
    answer = funded.run("--db", f"sqlite:///{tmp_path}/new/wallet.db", "restore", file, "--anchor", seal)
    assert (answer.code, answer.err) == (0, "")
    assert seal in answer.out
    assert balance(tmp_path / "new" / "wallet.db") == 1_000

    assert funded.refused("restore", file)[0] == "backup_refused"
    assert balance(ledger) == 600
    ledger.chmod(0o640)
    replaced = Path(funded.json("restore", file, "--replace", "--anchor", seal)["replaced"])
    assert (balance(ledger), balance(replaced)) == (1_000, 600)
    assert ledger.stat().st_mode & 0o777 == 0o640
    assert not [*tmp_path.glob(".*")]
    assert [*file.parent.iterdir()] == [file]


HAVE_OPEN = dedent("""
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1])
    connection.execute("SELECT count(*) FROM am_credit_wallet").fetchall()
    print("open", flush=True)
    sys.stdin.read()
""")


def test_a_ledger_that_is_open_is_not_replaced(
    funded: Shell, ledger: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_MS", 50)
    funded("backup", file)
    with CreditWallet.open(funded.url) as wallets:
        code, message = funded.refused("restore", file, "--replace")
        assert code == "database_locked"
        assert "stop the service" in message
        assert wallets.charge(1, 100, idempotency_key="goes on").balance_yen == 900
    assert balance(ledger) == 900


def test_a_damaged_ledger_that_another_process_has_open_is_not_replaced(
    funded: Shell, ledger: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(path: Path) -> None:
        raise DatabaseCorrupt(f"{path} is damaged")

    funded("backup", file)
    monkeypatch.setattr(restoring, "connect_alone", damaged)
    service = subprocess.Popen(
        [sys.executable, "-c", HAVE_OPEN, str(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with service:
        assert service.stdout is not None
        assert service.stdin is not None
        assert service.stdout.readline() == b"open\n"
        assert funded.refused("restore", file, "--replace")[0] == "database_locked"
        service.stdin.close()
    assert "replaced" in funded.json("restore", file, "--replace")


def test_nothing_is_written_over_or_through_a_name(funded: Shell, ledger: Path, file: Path) -> None:
    elsewhere = file.with_name("precious")
    elsewhere.write_text("precious")
    file.symlink_to(elsewhere)
    log = Path(f"{ledger}-wal")
    through = file.with_name("through")
    through.symlink_to(ledger)
    busy = file.with_name("busy.db")
    Path(f"{busy}-wal").touch()
    dangling = file.with_name("dangling.db")
    dangling.symlink_to(file.with_name("nothing"))
    assert funded.refused("backup", file)[0] == "backup_refused"
    assert funded.refused("backup", dangling)[0] == "backup_refused"
    for own in (ledger, log, through, busy, file.parent, file.parent / "no folder" / "copy.db"):
        assert funded.refused("backup", own, "--overwrite")[0] == "backup_refused", own
    funded("backup", file, "--overwrite")
    assert (file.is_symlink(), elsewhere.read_text()) == (False, "precious")
    assert funded.refused("restore", ledger, "--replace")[0] == "backup_refused"
    assert funded.refused("restore", file.parent, "--replace")[0] == "backup_refused"
    assert balance(ledger) == 1_000


def test_a_pipe_or_device_is_neither_replaced_nor_read(funded: Shell, file: Path) -> None:
    """As root, ``backup /dev/null --overwrite`` would take the device away from everybody."""
    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    funded("backup", file)
    for arguments in (("backup", pipe), ("backup", pipe, "--overwrite"), ("restore", pipe, "--replace")):
        assert funded.refused(*arguments)[0] == "backup_refused", arguments
    there = funded.run("--db", f"sqlite:///{pipe}", "restore", file, "--replace")
    assert (there.code, there.err.partition(":")[0]) == (1, "backup_refused")
    assert pipe.is_fifo()


def test_a_full_disk_leaves_no_file(funded: Shell, ledger: Path, file: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ledger.stat().st_size // 2, hard))
    try:
        code, _ = funded.refused("backup", file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code in {"database_full", "database_error"}
    assert not [*file.parent.iterdir()]


BACK_UP_AND_DIE = dedent("""
    import os, signal, sys
    from credit_wallet.cli import app
    from credit_wallet.stores.jobs import backup
    backup.sealed_and_sound = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    app.main()
""")


def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(funded: Shell, file: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", BACK_UP_AND_DIE, "--db", funded.url, "backup", str(file)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    [left] = file.parent.iterdir()
    assert (left.is_dir(), left.suffix, left.stat().st_mode & 0o777) == (True, ".partial", 0o700)
    funded("backup", file)
    assert balance(file) == 1_000


def _overwrite(path: Path, at: int, text: bytes) -> None:
    with path.open("r+b") as database:
        database.seek(at)
        database.write(text)


def _forge(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as forger:
        forger.execute("UPDATE am_credit_wallet SET balance_yen = 9000")


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_forge, "backup_refused"),
        (lambda path: os.truncate(path, path.stat().st_size - 4096), "database_corrupt"),
        (lambda path: _overwrite(path, 4096 * 5, b"\xff" * 4096), "database_corrupt"),
        (lambda path: path.write_text("no database"), "database_corrupt"),
    ],
)
def test_what_does_not_verify_is_neither_made_nor_restored(
    funded: Shell, ledger: Path, file: Path, damage: object, code: str
) -> None:
    assert callable(damage)
    funded("backup", file)
    damage(file)
    assert funded.refused("restore", file, "--replace")[0] == code
    assert balance(ledger) == 1_000
    damage(ledger)
    assert funded.refused("backup", file, "--overwrite")[0] in {code, "database_corrupt", "no_ledger"}
    assert len([*file.parent.iterdir()]) == 1


def test_a_backup_without_the_seal_that_was_kept_is_not_restored(funded: Shell, ledger: Path, file: Path) -> None:
    funded("backup", file)
    forged = f"seal 1 sha256 {'0' * 64}"
    code, message = funded.refused("restore", file, "--replace", "--anchor", forged)
    assert (code, "seal 1" in message) == ("backup_refused", True)
    assert not [*ledger.parent.glob("*.replaced-*")]


def test_a_damaged_ledger_is_replaced_and_kept(funded: Shell, ledger: Path, file: Path) -> None:
    funded("backup", file)
    ledger.write_text("damaged")
    replaced = Path(funded.json("restore", file, "--replace")["replaced"])
    assert (balance(ledger), replaced.read_text()) == (1_000, "damaged")


def test_a_log_whose_database_is_gone_is_kept(funded: Shell, ledger: Path, file: Path) -> None:
    funded("backup", file)
    ledger.rename(Path(f"{ledger}-wal"))
    assert funded.refused("restore", file)[0] == "backup_refused"
    replaced = funded.json("restore", file, "--replace")["replaced"]
    assert (balance(ledger), balance(Path(f"{replaced}-wal"))) == (1_000, 1_000)


def test_a_broken_ledger_is_backed_up_when_that_is_wanted(funded: Shell, ledger: Path, file: Path) -> None:
    _forge(ledger)
    assert funded.refused("backup", file)[0] == "backup_refused"
    assert funded.json("backup", file, "--no-verify")["verified"] is False
    assert funded.refused("restore", file, "--replace")[0] == "backup_refused"


def test_a_ledger_of_an_earlier_release_is_backed_up_as_it_is(funded: Shell, file: Path) -> None:
    """Before an upgrade: the backup is what the earlier release can open again."""
    undone = funded.json("rollback", 305, "--yes")["rolled_back"]
    assert funded.json("backup", file)["verified"] is True
    assert funded.json("migrate", "--dry-run")["pending"] == undone[::-1]
    funded("restore", file, "--replace")
    assert funded.json("migrate", "--dry-run")["pending"] == undone[::-1]


def test_a_ledger_of_a_later_release_is_refused(funded: Shell, file: Path) -> None:
    funded("backup", file)
    with closing(apsw.Connection(str(file))) as later:
        later.execute("INSERT INTO credit_wallet_migration (name, sha256) VALUES ('999_later.sql', 'x')")
    code, message = funded.refused("restore", file, "--replace")
    assert (code, "999_later.sql" in message) == ("migration_error", True)
