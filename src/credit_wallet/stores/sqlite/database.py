"""A ledger in one SQLite file, as ``sqlite:///path`` names it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from credit_wallet.domain.views import Finding, Upgrade
from credit_wallet.errors import DatabaseMoved, InvalidRequest, MigrationError, NoLedger
from credit_wallet.runtime import forks
from credit_wallet.stores import Progress, Shared, migrations
from credit_wallet.stores.sqlite.connection import (
    connect,
    connect_alone,
    connect_for_reading,
    connect_to_hold_writers,
    make_folder,
    naming_database_errors,
    rests_between,
)
from credit_wallet.stores.sqlite.file_modes import open_to_others
from credit_wallet.stores.sqlite.ledger import LedgerConnection
from credit_wallet.stores.sqlite.mounts import network_disk
from credit_wallet.stores.sqlite.pages import copy_of_live_ledger
from credit_wallet.stores.sqlite.schema import SqliteSchema
from credit_wallet.stores.sqlite.store import SqliteStore, bring_up_to_date

MIN_FREE_BYTES = 1 << 30

HOLD_WRITERS_SECONDS = 3.0
"""How long writers may be held up: they give up after ``BUSY_TIMEOUT_MS``."""

_LEDGER = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'am_credit_wallet'"
_BEGIN_TO_READ = "SELECT 1 FROM am_credit_wallet LIMIT 1"
_WHAT_TO_DO = "check the database URL, or create a ledger with credit-wallet migrate"


class SqliteDatabase:
    """One file: one writer, so one lane."""

    lanes = 1

    def __init__(self, path: Path) -> None:
        self.path = path

    def open_store(self, now: datetime) -> SqliteStore:
        """The writer; it creates the file and its folder if they do not exist. Raises ``DatabaseError``."""
        make_folder(self.path)
        return SqliteStore(self.path, now)

    def open_source(self) -> SqliteSource:
        """A connection for reading. Raises ``DatabaseError``."""
        source = SqliteSource(connect_for_reading(self.path), self.path)
        source.rest_between_questions()
        return source

    def open_alone(self, now: datetime) -> LedgerConnection:
        """An exclusive connection, the schema up to date. Raises ``DatabaseError``."""
        self.require_ledger()
        self.upgrade(now)
        return connect_alone(self.path)

    def require_ledger(self) -> None:
        """Raise ``NoLedger`` when the file does not exist, is empty, or has other tables than a ledger's."""
        if not self.path.exists():
            raise NoLedger(f"no ledger found: {self.path} does not exist; {_WHAT_TO_DO}")
        with closing(connect_for_reading(self.path)) as connection, naming_database_errors(self.path):
            if connection.execute(_LEDGER).fetchall() == []:
                raise NoLedger(f"no ledger found: {self.path} has no wallet tables; {_WHAT_TO_DO}")

    def pending_migrations(self) -> list[str]:
        """Names of the pending migrations. Creates no file."""
        if not self.path.exists():
            return migrations.manifest()
        with closing(connect_for_reading(self.path)) as connection:
            return migrations.pending(SqliteSchema(connection, self.path))

    def upgrade(self, now: datetime, partitions: int = 0) -> Upgrade:
        """Apply what is pending and backfill what plain SQL wrote. Raises ``MigrationError`` and ``DatabaseError``.

        SQLite has no ``partitions``.
        """
        if partitions:
            raise InvalidRequest("only PostgreSQL's tables can have partitions", field="partitions")
        make_folder(self.path)
        with closing(connect(self.path)) as connection:
            return bring_up_to_date(connection, self.path, now)

    def write_file(self, target: Path, progress: Progress) -> None:
        """Write the ledger as it is now into the new file ``target``, while others use it. Raises ``DatabaseError``."""
        copy_of_live_ledger(self.path, target, progress)

    def rollback(self, number: int) -> list[str]:
        """Undo a migration and every later one; their names, latest first. Raises ``MigrationError``."""
        if not self.path.exists():
            raise MigrationError(f"there is no database {self.path}; nothing to undo")
        with closing(connect_for_reading(self.path)) as connection:
            migrations.rollback_plan(SqliteSchema(connection, self.path), number)  # else the file is left as it is
        with closing(connect(self.path)) as connection:
            return migrations.rollback(SqliteSchema(connection, self.path), number)

    def findings(self) -> Iterator[Finding]:
        """SQLite's version, the free space on its disk, and whether it is a network disk."""
        from shutil import disk_usage

        yield Finding("sqlite", True, f"SQLite {apsw.sqlite_lib_version()}")
        folder = next(folder for folder in self.path.absolute().parents if folder.exists())
        free = disk_usage(folder).free
        detail = f"{free >> 20:,} MiB free in {folder}"
        enough = free >= MIN_FREE_BYTES
        yield Finding("disk", enough, detail if enough else f"{detail}; free some")
        if danger := self.network_disk():
            yield Finding("network_disk", False, danger)
        if readable := open_to_others(self.path):
            yield Finding("file_modes", False, readable)

    def network_disk(self) -> str | None:
        """The problem with the disk if it is a network disk."""
        return network_disk(self.path)


class SqliteSource:
    """A separate connection, which threads share one at a time."""

    dialect = ""
    in_process = True
    serves_many = False

    def __init__(self, connection: LedgerConnection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    def rest_between_questions(self) -> None:
        """Let the process be forked between two queries: nobody else uses the connection."""
        rests_between(self._connection, self._lock)
        forks.guard(self, SqliteSource._leave_behind)

    def _leave_behind(self) -> None:
        """In a child process."""
        forks.leave(self, "_connection")
        self._lock = threading.Lock()

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement with ``:name`` parameters. Raises ``DatabaseError``."""
        with self._lock, naming_database_errors(self._path):
            return self._connection.rows(statement, parameters)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[SqliteSource]:
        """A snapshot of the ledger, on a separate connection: other queries can run meanwhile. Raises
        ``DatabaseError``.
        """
        with closing(connect_for_reading(self._path)) as connection, naming_database_errors(self._path):
            connection.execute("BEGIN")
            yield SqliteSource(connection, self._path)

    @contextmanager
    def shared(self) -> Iterator[Shared]:
        """A snapshot that other processes can read as well. SQLite names no snapshot, so nobody writes until all have
        opened the same.
        """
        with closing(connect_to_hold_writers(self._path)) as writer, self.snapshot() as source:
            source.rows(_BEGIN_TO_READ, {})
            moment = SqliteMoment(self._path.absolute(), writer.identity)
            yield Shared(source, moment, HOLD_WRITERS_SECONDS, writer.close)


class SqliteMoment(NamedTuple):
    """What the file at ``path`` has now; ``identity`` is its device and inode."""

    path: Path
    identity: tuple[int, int] | None

    @contextmanager
    def opened(self) -> Iterator[SqliteSource]:
        """A snapshot of it. Raises ``DatabaseMoved`` when the file is another one, and ``DatabaseError``."""
        with closing(connect_for_reading(self.path)) as connection, naming_database_errors(self.path):
            if connection.identity != self.identity:
                raise DatabaseMoved(f"{self.path} was replaced while it was being opened; try again")
            connection.execute("BEGIN")
            source = SqliteSource(connection, self.path)
            source.rows(_BEGIN_TO_READ, {})
            yield source
