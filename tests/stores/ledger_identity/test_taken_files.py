"""A ledger whose files are taken away acknowledges nothing until the same files are back."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from taken_files import (
    FILES,
    FOUR,
    START_YEN,
    Ledger,
    Place,
    assert_nobody_is_acknowledged,
    funded,
    put,
    remove,
    restore_while_it_runs,
)

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseMoved
from credit_wallet.rules.decide import decide
from credit_wallet.stores.jobs import alert_job as job
from credit_wallet.stores.sqlite import store as sqlite
from credit_wallet.worker import Worker


def replace_it_with_its_copy(place: Place) -> Callable[[], None]:
    kept = place.beside / "kept"
    place.path.rename(kept)
    subprocess.run(["cp", "-p", kept, place.path], check=True)
    return lambda: put(kept, place.path)


def have_the_log_made_anew(place: Place) -> Callable[[], None]:
    """Another process that finds no log begins one of its own."""
    kept = place.beside / "kept-wal"
    place.file("-wal").rename(kept)
    program = "import apsw, sys; apsw.Connection(sys.argv[1]).execute('SELECT count(*) FROM sqlite_schema').fetchall()"
    subprocess.run([sys.executable, "-c", program, place.path], check=False, capture_output=True)
    place.file("-wal").touch()  # whether or not it came to that
    return lambda: put(kept, place.file("-wal"))


def rename_the_folder(place: Place) -> Callable[[], None]:
    elsewhere = place.beside / "elsewhere"
    place.folder.rename(elsewhere)
    return lambda: put(elsewhere, place.folder)


SIBLINGS = {
    "all-removed": remove(*FILES),
    "index-removed": remove("-shm"),
    "log-and-index-removed": remove("-wal", "-shm"),
    "replaced-by-its-copy": replace_it_with_its_copy,
    "log-made-anew": have_the_log_made_anew,
    "folder-renamed": rename_the_folder,
}

TAKEN = FOUR | SIBLINGS

every_way = pytest.mark.parametrize("take", TAKEN.values(), ids=TAKEN)


def assert_works_again(ledger: Ledger) -> None:
    """Nothing that was refused has happened, and what was acknowledged is there."""
    wallets, wallet_id = ledger
    wallets.maintenance.check_ready()
    assert wallets.balance(wallet_id) == START_YEN - 1
    assert wallets.charge(wallet_id, 1, idempotency_key="first").replayed
    taken = wallets.charge(wallet_id, 1, idempotency_key="taken")
    assert (taken.replayed, taken.balance_yen) == (False, START_YEN - 2)
    assert wallets.verify() == []


# Taken away


@every_way
def test_nothing_is_acknowledged_until_the_same_files_are_back(
    place: Place, ledger: Ledger, take: Callable[[Place], Callable[[], None]]
) -> None:
    put_back = take(place)
    assert_nobody_is_acknowledged(ledger)
    put_back()
    assert_works_again(ledger)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_symbolic_link_that_comes_to_point_elsewhere_is_noticed(place: Place, what: str) -> None:
    other = place.beside / "other"
    other.mkdir()
    link = place.beside / "link"
    named, elsewhere = (place.path, other / "w.db") if what == "file" else (place.folder, other)
    link.symlink_to(named)
    opened = link if what == "file" else link / "w.db"
    with CreditWallet.open(f"sqlite:///{opened}") as wallets:
        ledger = Ledger(wallets, funded(wallets))
        shutil.copy(place.backup(), other / "w.db")
        link.unlink()
        link.symlink_to(elsewhere)
        assert_nobody_is_acknowledged(ledger)
        link.unlink()
        link.symlink_to(named)
        assert_works_again(ledger)


UNDER_A_MOUNT = """
import subprocess, sys
from pathlib import Path
from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseMoved

what, folder, beside = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
path = folder / "w.db"

def run(*command):
    subprocess.run([*map(str, command)], check=True)

if what == "file":  # a mount of one file, as containers have, with its folder beside it
    path.touch()
    (beside / "w.db").touch()
    run("mount", "--bind", beside / "w.db", path)
with CreditWallet.open(f"sqlite:///{path}") as wallets:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="start")
    if what == "folder":
        run("mount", "--bind", beside, folder)
    else:
        (beside / "w.db").unlink()
    jobs = wallets.maintenance
    for ask in (lambda: wallets.charge(wallet_id, 1, idempotency_key="a"), jobs.check_ready, jobs.totals):
        try:
            print(ask())
        except DatabaseMoved:
            print("moved")
    if what == "folder":
        run("umount", folder)
        print(wallets.charge(wallet_id, 1, idempotency_key="a").balance_yen)
"""


@pytest.mark.parametrize(("what", "said"), [("folder", ["moved"] * 3 + ["9"]), ("file", ["moved"] * 3)])
def test_a_mount_is_noticed(tmp_path: Path, what: str, said: list[str]) -> None:
    """Another disk over the folder; a file that is gone behind a mount of it, which still shows its inode."""
    alone = shutil.which("unshare")
    if alone is None or subprocess.run([alone, "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount")
    folder, beside = tmp_path / "ledger", tmp_path / "beside"
    folder.mkdir()
    beside.mkdir()
    done = subprocess.run(
        [alone, "-m", sys.executable, "-c", UNDER_A_MOUNT, what, folder, beside],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.split()) == (0, said), done.stderr


def test_a_path_in_the_working_directory_is_one_place(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    with CreditWallet.open("sqlite:///w.db") as wallets:
        wallet_id = funded(wallets)
        monkeypatch.chdir(place.beside)
        assert wallets.balance(wallet_id) == START_YEN - 1


# In the middle of a transaction


def test_a_commit_into_a_file_without_a_name_is_not_acknowledged(
    place: Place, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there when the file comes back, and the same key finds it."""
    put_back: list[Callable[[], None]] = []

    def decide_and_take(*args: Any) -> Any:
        put_back.append(remove("")(place))
        return decide(*args)

    monkeypatch.setattr(sqlite, "decide", decide_and_take)
    with pytest.raises(DatabaseMoved, match="same idempotency key is safe"):
        ledger.wallets.charge(ledger.wallet_id, 1, idempotency_key="under way")
    monkeypatch.undo()
    put_back[0]()
    assert ledger.wallets.charge(ledger.wallet_id, 1, idempotency_key="under way").replayed
    assert ledger.wallets.balance(ledger.wallet_id) == START_YEN - 2
    assert ledger.wallets.verify() == []


def test_every_caller_of_the_batch_is_told(place: Place, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:

    def decide_and_take(*args: Any) -> Any:
        monkeypatch.undo()
        place.path.unlink()
        return decide(*args)

    async def crowd() -> list[object]:
        charges = [
            ledger.wallets.acharge(ledger.wallet_id, 1, idempotency_key=f"charge-{number}") for number in range(50)
        ]
        return list(await asyncio.gather(*charges, return_exceptions=True))

    monkeypatch.setattr(sqlite, "decide", decide_and_take)
    assert {type(answer) for answer in asyncio.run(crowd())} == {DatabaseMoved}


def test_a_background_job_fails_and_goes_on_when_the_files_are_back(place: Place, ledger: Ledger) -> None:
    worker = Worker(ledger.wallets)
    put_back = restore_while_it_runs(place)
    worker.run_due(0.0)  # each job is logged as failed
    put_back()
    worker.run_due(100_000.0)
    assert ledger.wallets.maintenance.seal() == 0  # everything has been sealed by the worker
    assert ledger.wallets.verify() == []


def test_the_alert_job_says_when_its_database_was_taken_away(
    place: Place, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.wallets.close()
    run = job.run_alert_job

    def run_and_take(*args: Any, **kwargs: Any) -> Any:
        place.path.rename(place.beside / "taken")
        return run(*args, **kwargs)

    monkeypatch.setattr(job, "run_alert_job", run_and_take)
    with pytest.raises(RuntimeError, match="moved, removed or replaced"):
        job.run_on_file(place.path, datetime.now(UTC))
