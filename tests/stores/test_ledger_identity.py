"""A ledger whose files are taken away while it is open: nothing is acknowledged until they are back.

Ways to take them: the database removed, moved away with its log, or replaced by a backup, by a copy of itself, by
another ledger; the log or its index removed, and made anew by another process; the folder renamed; a symbolic link to
the file or to the folder retargeted; another disk mounted over the folder; a file mounted by itself and removed behind
the mount; another state copied into the file. Found before a transaction, after its commit, by whoever only reads, by
background jobs, by the proof, by a copy, by the alert job, when closing, and when opening. And a disk that is full.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import httpx
import pytest
from databases import Databases, SqliteFiles, on_postgres
from service import OPERATOR_KEY, Service, credentials

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseMoved, MigrationError
from credit_wallet.rules.decide import decide
from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at
from credit_wallet.stores.jobs import alert_job as job
from credit_wallet.stores.jobs import copying
from credit_wallet.stores.sqlite import store as sqlite
from credit_wallet.stores.sqlite.ledger import LedgerConnection
from credit_wallet.worker import Worker

FILES = ("", "-wal", "-shm")
START_YEN = 1_000


class Place:
    """A ledger's files: ``ledger/w.db``, its log and its index, and room beside them."""

    def __init__(self, folder: Path) -> None:
        self.beside = folder
        self.folder = folder / "ledger"
        self.folder.mkdir()
        self.path = self.folder / "w.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def file(self, suffix: str = "") -> Path:
        return Path(f"{self.path}{suffix}")

    def backup(self) -> Path:
        """Another file with the ledger as it is now."""
        copy = self.beside / "backup.db"
        with (
            closing(apsw.Connection(str(self.path))) as here,
            closing(apsw.Connection(str(copy))) as there,
            there.backup("main", here, "main") as backup,
        ):
            backup.step()
        return copy

    def written_back(self) -> None:
        """Have the log written into the database, as it is from time to time."""
        with closing(apsw.Connection(str(self.path))) as other:
            other.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def put(kept: Path, name: Path) -> None:
    kept.replace(name)


def remove(*suffixes: str) -> Callable[[Place], Callable[[], None]]:
    """Remove files; a second link to each brings the very same ones back."""

    def take(place: Place) -> Callable[[], None]:
        for suffix in suffixes:
            os.link(place.file(suffix), place.beside / f"kept{suffix}")
            place.file(suffix).unlink()

        def put_back() -> None:
            for suffix in suffixes:
                (place.beside / f"kept{suffix}").replace(place.file(suffix))

        return put_back

    return take


def restore_while_it_runs(place: Place) -> Callable[[], None]:
    backup, old = place.backup(), place.beside / "old"
    old.mkdir()
    for suffix in FILES:
        place.file(suffix).rename(old / f"w.db{suffix}")
    shutil.copy(backup, place.path)

    def put_back() -> None:
        for suffix in FILES:
            (old / f"w.db{suffix}").replace(place.file(suffix))

    return put_back


def move_a_backup_over_it(place: Place) -> Callable[[], None]:
    kept = place.beside / "kept"
    os.link(place.path, kept)
    place.backup().replace(place.path)
    return lambda: put(kept, place.path)


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


def copy_into(place: Place, other: Path) -> None:
    """``cp other w.db``: the same file with other bytes. By another process, for this one would lose its locks."""
    subprocess.run(["cp", other, place.path], check=True)


FOUR = {
    "removed": remove(""),
    "restored-while-it-runs": restore_while_it_runs,
    "backup-moved-over-it": move_a_backup_over_it,
    "log-removed": remove("-wal"),
}
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


class Ledger(NamedTuple):
    wallets: CreditWallet
    wallet_id: int


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    """An open ledger with a wallet that has spent ¥1."""
    with CreditWallet.open(place.url) as wallets:
        yield Ledger(wallets, funded(wallets))


def funded(wallets: CreditWallet) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, START_YEN, idempotency_key="start")
    wallets.charge(wallet_id, 1, idempotency_key="first")
    return wallet_id


def everything(ledger: Ledger) -> dict[str, Callable[[], object]]:
    wallets, wallet_id = ledger
    return {
        "charge": lambda: wallets.charge(wallet_id, 1, idempotency_key="taken"),
        "acharge": lambda: asyncio.run(in_a_coroutine(wallets, wallet_id)),
        "charge_many": lambda: wallets.charge_many([(wallet_id, 1, "taken")]),
        "hold": lambda: wallets.hold(wallet_id, 1, idempotency_key="taken hold"),
        "replay": lambda: wallets.charge(wallet_id, 1, idempotency_key="first"),
        "create": wallets.create,
        "create_key": lambda: wallets.keys.create(wallet_id),
        "balance": lambda: wallets.balance(wallet_id),
        "history": lambda: wallets.history(wallet_id),
        "totals": wallets.maintenance.totals,
        "verify": wallets.verify,
        "ready": wallets.maintenance.check_ready,
        "seal": wallets.maintenance.seal,
        "alerts": wallets.alerts.run,
        "expire": wallets.maintenance.expire_due,
        "prune": wallets.maintenance.prune_idempotency_keys,
    }


async def in_a_coroutine(wallets: CreditWallet, wallet_id: int) -> object:
    return await wallets.acharge(wallet_id, 1, idempotency_key="taken")


def assert_nobody_is_acknowledged(ledger: Ledger) -> None:
    for ask in everything(ledger).values():
        with pytest.raises(DatabaseMoved, match="nothing is acknowledged") as refused:
            ask()
        assert refused.value.code == "database_moved"


def assert_works_again(ledger: Ledger) -> None:
    """Nothing that was refused has happened, and what was acknowledged is there."""
    wallets, wallet_id = ledger
    wallets.maintenance.check_ready()
    assert wallets.balance(wallet_id) == START_YEN - 1
    assert wallets.charge(wallet_id, 1, idempotency_key="first").replayed
    taken = wallets.charge(wallet_id, 1, idempotency_key="taken")
    assert (taken.replayed, taken.balance_yen) == (False, START_YEN - 2)
    assert wallets.verify() == []


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


# The service


class Session:
    """A service on a ledger, with an owner's token."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.acknowledged = 0
        created = httpx.post(f"{service.url}/operator/wallets", headers=self.operator("wallet"), json={}).json()
        self.wallet_id, self.token = created["wallet_id"], created["owner_token"]
        topup = {"wallet_id": self.wallet_id, "amount_yen": START_YEN}
        httpx.post(f"{service.url}/operator/topup", headers=self.operator("topup"), json=topup).raise_for_status()

    @staticmethod
    def operator(key: str) -> dict[str, str]:
        return credentials(OPERATOR_KEY, key)

    def charge(self, key: str) -> httpx.Response:
        answer = httpx.post(
            f"{self.service.url}/credit/charge", headers=credentials(self.token, key), json={"amount_yen": 1}
        )
        self.acknowledged += answer.status_code == 200
        return answer

    def get(self, path: str, token: str | None = None) -> httpx.Response:
        return httpx.get(f"{self.service.url}{path}", headers=credentials(token))

    def refusals(self) -> Iterator[httpx.Response]:
        """What every door answers."""
        yield self.charge("refused")
        yield self.get("/readyz")
        yield self.get("/credit/wallet", self.token)
        yield self.get("/credit/transactions", self.token)
        yield self.get(f"/operator/wallets/{self.wallet_id}", OPERATOR_KEY)
        yield httpx.post(f"{self.service.url}/operator/wallets", headers=self.operator("another"), json={})

    def assert_refuses(self, *codes: str) -> None:
        for answer in self.refusals():
            assert (answer.status_code, answer.json()["code"] in codes) == (503, True), answer.text
            assert int(answer.headers["retry-after"]) >= 1


@contextmanager
def session(url: str, adjust: str = "") -> Iterator[Session]:
    with Service(url, adjust=adjust) as service:
        opened = Session(service)
        for number in range(20):
            opened.charge(f"charge-{number}").raise_for_status()
        yield opened


@pytest.mark.parametrize("take", FOUR.values(), ids=FOUR)
def test_the_service_answers_503_until_the_same_files_are_back(
    place: Place, take: Callable[[Place], Callable[[], None]]
) -> None:
    with session(place.url) as served:
        put_back = take(place)
        served.assert_refuses("database_moved")
        assert served.get("/healthz").status_code == 200
        assert served.acknowledged == 20
        put_back()
        assert served.get("/readyz").status_code == 200
        assert served.charge("again").json()["balance_yen"] == START_YEN - 21
        assert served.service.stop() == 0
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(served.wallet_id) == START_YEN - served.acknowledged
        assert wallets.verify() == []


def test_what_was_acknowledged_before_the_log_was_removed_survives_a_kill(place: Place) -> None:
    """The first who notices has what the log holds written into the database, which is still there."""
    with session(place.url) as served:
        place.file("-wal").unlink()
        served.assert_refuses("database_moved")
        served.service.kill()
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(served.wallet_id) == START_YEN - 20
        assert wallets.verify() == []


def test_a_service_stopped_after_a_restore_leaves_the_restored_ledger_alone(place: Place) -> None:
    with session(place.url) as served:
        restore_while_it_runs(place)
        restored = place.path.read_bytes()
        served.assert_refuses("database_moved")
        assert served.service.stop() == 0
    assert place.path.read_bytes() == restored
    assert [file.name for file in place.folder.iterdir()] == ["w.db"]
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(served.wallet_id) == START_YEN - 20
        assert wallets.verify() == []


# A full disk


def test_a_service_on_a_full_disk_is_not_ready_until_there_is_room(place: Place) -> None:
    """RLIMIT_FSIZE is the disk here: no file of the process may grow beyond it."""
    with session(place.url) as served:
        process = served.service._process.pid
        hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process, resource.RLIMIT_FSIZE, (place.file("-wal").stat().st_size + 50_000, hard))
        number = 0
        while (refused := served.charge(f"until-full-{number}")).status_code == 200:
            number += 1
        assert (refused.status_code, refused.json()["code"]) == (503, "database_error")
        assert "nothing is acknowledged" in refused.json()["detail"]
        for _ in range(3):
            assert served.get("/readyz").status_code == 503
        assert served.get("/credit/wallet", served.token).json()["balance_yen"] == START_YEN - served.acknowledged
        resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
        assert served.get("/readyz").status_code == 200
        assert not served.charge(f"until-full-{number}").json()["replayed"]
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(served.wallet_id) == START_YEN - served.acknowledged
        assert wallets.verify() == []


def test_a_disk_that_fills_up_is_noticed_before_a_charge_is_refused(place: Place) -> None:
    with session(place.url, "from credit_wallet.stores import sqlite; sqlite.PROVEN_SECONDS = 0.0") as served:
        process = served.service._process.pid
        hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process, resource.RLIMIT_FSIZE, (4_096, hard))
        answer = served.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_error")
        resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
        assert served.get("/readyz").status_code == 200


def test_readiness_writes_once_in_a_while_and_leaves_nothing(
    place: Place, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallets, wallet_id = ledger
    times = iter((0.0, 0.0, 1.0, 5.1, 5.1))
    monkeypatch.setattr(sqlite, "monotonic", lambda: 100.0 + next(times))
    proofs: list[object] = []
    prove_room = LedgerConnection.prove_room

    def prove(connection: LedgerConnection) -> None:
        proofs.append(connection)
        prove_room(connection)

    monkeypatch.setattr(LedgerConnection, "prove_room", prove)
    with closing(apsw.Connection(str(place.path))) as other:
        state = other.pragma("data_version"), other.execute("SELECT * FROM am_credit_counted").fetchall()
        for written in (1, 1, 2):
            wallets.maintenance.check_ready()
            assert len(proofs) == written
        assert state == (other.pragma("data_version"), other.execute("SELECT * FROM am_credit_counted").fetchall())
    assert wallets.balance(wallet_id) == START_YEN - 1
    assert wallets.verify() == []


def test_a_new_file_is_not_taken_for_an_earlier_one_with_its_inode(place: Place) -> None:
    """A file system gives the inode of a removed file to the next one."""
    inodes = []
    for _ in range(5):
        with CreditWallet.open(place.url) as wallets:
            wallet_id = funded(wallets)
            wallets.charge_many((wallet_id, 1, f"charge-{number}") for number in range(200))
            place.written_back()
            wallets.maintenance.check_ready()
        inodes.append(place.path.stat().st_ino)
        place.path.unlink()
    assert len(inodes) == 5
