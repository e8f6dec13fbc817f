"""What many tests need: a database, a clock, and wallets on both."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clock import Clock
from databases import Databases, PostgresDatabases, SqliteFiles, chosen
from hypothesis import settings
from width import WIDE, examples

from credit_wallet import CreditWallet
from credit_wallet.runtime import deadlines
from credit_wallet.stores.postgres import connection as postgres_connection
from credit_wallet.stores.sqlite import connection as sqlite_connection

pytest_plugins = ("postgres", "shell")

MEMORY = Path("/dev/shm")  # noqa: S108  a file system, under which pytest makes folders of its own
ROOM_BYTES = 4 << 30

if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM_BYTES:
    # Waiting for a disk took most of the suite's time, and no test cuts the power: what is killed loses nothing here.
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# Hundreds of tests start another Python, which would compile the whole source each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test speaks TLS with the world, and to read its certificate authorities takes each HTTP client 20 ms.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("support") / "nobody.pem")

settings.register_profile("any machine", deadline=None, max_examples=examples(100))
settings.load_profile("any machine")
deadlines.BALANCE_SECONDS = 30.0  # no answer leaves its balance out because the machine is busy


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: the garbage collector need not go through its million objects again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000)  # a twentieth of the time of a test was spent on looking
        gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked ``databases("sqlite", …)`` run on each kind that the mark names; without a mark, on SQLite."""
    mark = metafunc.definition.get_closest_marker("databases")
    if mark is not None and "databases" in metafunc.fixturenames:
        metafunc.parametrize("databases", mark.args, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not WIDE:
        items[:], left = chosen(items)
        config.hook.pytest_deselected(items=left)


@pytest.fixture(scope="session")
def postgres_databases(postgres_server_url: str) -> Iterator[PostgresDatabases]:
    opened = PostgresDatabases(postgres_server_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def partitioned_databases(postgres_server_url: str) -> Iterator[PostgresDatabases]:
    opened = PostgresDatabases(postgres_server_url, partitions=3)
    yield opened
    opened.close()


@pytest.fixture
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Databases:
    """Where the test gets its databases."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        return SqliteFiles(tmp_path)
    found: Databases = request.getfixturevalue(f"{kind}_databases")
    return found


@pytest.fixture
def db_url(databases: Databases) -> Iterator[str]:
    """A database that is an empty ledger once the wallet has opened it."""
    with databases.ledger() as url:
        yield url


@pytest.fixture
def seed_url(databases: Databases) -> Iterator[str]:
    """A host's database, with migration 281 alone."""
    with databases.seed() as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    """Noon of 15 May 2026."""
    return Clock(datetime(2026, 5, 15, 12, tzinfo=UTC))


@pytest.fixture
def wallets(db_url: str, clock: Clock) -> Iterator[CreditWallet]:
    """An open, empty ledger whose time is ``clock``."""
    with CreditWallet.open(db_url, clock=clock) as opened:
        yield opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wallets opened from now on give up at once on what somebody else has locked."""
    monkeypatch.setattr(sqlite_connection, "BUSY_TIMEOUT_MS", 50)
    monkeypatch.setattr(postgres_connection, "LOCK_SECONDS", 0.05)
