"""A ledger in a PostgreSQL database, as ``postgresql://user@host/database`` names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from copy import copy
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from credit_wallet.database_urls import without_password
from credit_wallet.domain.views import Finding, Upgrade
from credit_wallet.errors import DatabaseUnavailable, MigrationError, NoLedger, RailBusy
from credit_wallet.runtime import forks
from credit_wallet.runtime.deadlines import POSTGRES_OPEN_SECONDS, Deadline
from credit_wallet.stores import Progress, Shared, migrations
from credit_wallet.stores.jobs.backfill import backfill_all
from credit_wallet.stores.jobs.books import make_books
from credit_wallet.stores.jobs.naming import name_all
from credit_wallet.stores.postgres import findings
from credit_wallet.stores.postgres.connection import (
    PostgresConnection,
    Raw,
    configure,
    connect,
    is_lost,
    look_at,
    named,
    naming_database_errors,
    transaction,
    with_defaults,
)
from credit_wallet.stores.postgres.identity import KnownLedger
from credit_wallet.stores.postgres.ledger import LedgerConnection
from credit_wallet.stores.postgres.logs import keep_quiet_about
from credit_wallet.stores.postgres.schema import PostgresSchema
from credit_wallet.stores.postgres.store import PostgresStore
from credit_wallet.stores.postgres.waits import PostgresWaits

POOL = "credit-wallet-readers"

READERS = 18
"""Maximum connections for reading of a node, opened as needed: one for each thread of the reading lanes, and three for
background jobs.
"""

BESIDE = 2
"""Connections of a node besides its lanes and readers: for the background jobs and the readiness check."""

RECONNECT_SECONDS = 1.0
"""The pause between attempts to connect for reading; the pool's own pauses would grow to minutes in an outage."""


WAIT_STEP_SECONDS = 1.0
"""How long to wait for a connection for reading before checking whether the server can be reached."""

CLOSE_SECONDS = 2.0
"""How long closing waits for reading connections that are being opened."""


class PostgresDatabase:
    """One database for any number of nodes."""

    lanes = 2

    def __init__(self, url: str, waits: PostgresWaits | None = None) -> None:
        """``waits`` default to those of the environment. Raises ``InvalidRequest`` when one of them is malformed."""
        with_defaults(url)
        self.url = url
        self._known = KnownLedger(url, waits or PostgresWaits.of_environment())
        self._upgrading = Lock()
        self._up_to_date = False

    def open_store(self, now: datetime) -> PostgresStore:
        """A store for a lane; the first one migrates the database. Raises ``DatabaseError``."""
        with self._upgrading:
            if not self._up_to_date:
                with closing(connect(self.url)) as raw:
                    self._upgrade(raw, now)
                    self._require_whole(raw)
                self._up_to_date = True
        return PostgresStore(self._known)

    def _require_whole(self, raw: Raw) -> None:
        if raw.execute(_BEING_COPIED).fetchall() == [(True,)]:
            raise MigrationError(
                f"a copy into {without_password(self.url)} was not finished; run the same credit-wallet copy again"
            )

    def open_source(self) -> PostgresSource:
        """A pool of connections for reading. Raises ``DatabaseError``."""
        return PostgresSource(self._known)

    def require_ledger(self) -> None:
        """Raise ``NoLedger`` when the database has no ledger's tables."""
        with closing(connect(self.url)) as raw, naming_database_errors(self.url):
            if raw.execute(_LEDGER).fetchall() != [(True,)]:
                raise NoLedger(
                    f"no ledger found: {without_password(self.url)} has no wallet tables; check the database URL, or "
                    "create a ledger with credit-wallet migrate"
                )

    def pending_migrations(self) -> list[str]:
        """Names of the pending migrations."""
        with closing(connect(self.url)) as raw:
            return migrations.pending(PostgresSchema(raw, self.url))

    def upgrade(self, now: datetime, partitions: int = 0) -> Upgrade:
        """Apply what is pending and backfill what plain SQL wrote. Raises ``MigrationError`` and ``DatabaseError``.

        A database without a ledger gets tables of ``partitions`` partitions each, 0 for plain ones.
        """
        with closing(connect(self.url)) as raw:
            return self._upgrade(raw, now, partitions)

    def _upgrade(self, raw: Raw, now: datetime, partitions: int = 0) -> Upgrade:
        schema = PostgresSchema(raw, self.url, partitions)
        if partitions and migrations.pending(schema) != migrations.manifest():
            raise MigrationError("the tables are there already; partitions can only be chosen for new ones")
        applied = migrations.migrate(schema)
        with naming_database_errors(self.url):
            if raw.execute(_BEING_COPIED).fetchall() == [(False,)]:  # else the copy brings them
                make_books(PostgresConnection(raw), lambda _: transaction(raw))
                name_all(PostgresConnection(raw), lambda _: transaction(raw))
            return Upgrade(applied, *backfill_all(PostgresConnection(raw), lambda _: transaction(raw), now))

    def write_file(self, target: Path, progress: Progress) -> None:
        """Write the ledger as it is now into the new SQLite file ``target``, while others use it.

        Raises ``MigrationError`` while migrations are pending, ``BackupRefused`` and ``DatabaseError``.
        """
        from credit_wallet.stores.jobs.dumping import dump_ledger  # which needs this module

        with closing(connect(self.url)) as raw, naming_database_errors(self.url):
            migrations.require_current(PostgresSchema(raw, self.url))
            self._require_whole(raw)
            raw.execute(_BEGIN_SNAPSHOT)
            raw.execute(_WAIT_FOR_OTHERS)
            dump_ledger(raw, self.url, target, progress)

    def rollback(self, number: int) -> list[str]:
        """Undo a migration and every later one; their names, latest first. Raises ``MigrationError``."""
        with closing(connect(self.url)) as raw:
            return migrations.rollback(PostgresSchema(raw, self.url), number)

    def network_disk(self) -> None:
        """None: the server's files are not checked."""

    def findings(self) -> Iterator[Finding]:
        """The server's version, whether commits are possible and durable, and whether it has room for a node."""
        with closing(connect(self.url)) as raw, naming_database_errors(self.url):
            found = list(findings.findings(raw, self.lanes + READERS + BESIDE))
        yield from found


_LEDGER = "SELECT to_regclass('am_credit_wallet') IS NOT NULL"
_BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WAIT_FOR_OTHERS = "SET LOCAL idle_in_transaction_session_timeout = 0"
_BEING_COPIED = "SELECT to_regclass('credit_wallet_copy') IS NOT NULL"


class PostgresSource:
    """Connections for reading, as many as are in use at once, up to ``READERS``."""

    dialect = "postgres"
    in_process = False
    serves_many = True

    def __init__(self, known: KnownLedger) -> None:
        self._known = known
        self._url = known.url
        keep_quiet_about(POOL)
        self._pool = _Readers(
            with_defaults(known.url),
            connection_class=LedgerConnection,
            min_size=0,
            max_size=READERS,
            kwargs={"autocommit": True},
            configure=partial(configure, known=known),
            reconnect_timeout=RECONNECT_SECONDS,
            reconnect_failed=_begin_anew,
            open=True,
            name=POOL,
        )
        forks.guard(self, PostgresSource._leave_behind)

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement with ``:name`` parameters, again if the connection is lost. Raises ``DatabaseError``."""
        ends = Deadline(self._known.waits.read_patience_seconds)
        while True:
            try:
                with self._pool.connection(timeout=min(WAIT_STEP_SECONDS, max(0.1, ends.remaining()))) as raw:
                    return self._rows(raw, statement, parameters)
            except PoolTimeout as error:
                if (moved := self._known.moved) is not None:
                    raise copy(moved) from error
                if ends.passed:
                    self._known.outage.begins(error)
                    raise self._unavailable() from error
            except PoolClosed as error:
                raise RailBusy(f"{without_password(self._url)} has been closed; open it and try again") from error
            except psycopg.Error as error:
                if not is_lost(raw, error):
                    raise named(error, self._url) from error
                self._known.outage.begins(error)
                if raw.overdue:
                    self._pool.drain()  # the others lead to the same server
                if ends.passed:
                    raise self._unavailable() from error

    def _rows(self, raw: Raw, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if not raw.pooled:
            return PostgresConnection(raw).execute(statement, parameters).fetchall()
        with raw.pipeline():
            begun = raw.begin()
            answer = PostgresConnection(raw).execute(statement, parameters)
            look_at(raw, begun, self._known)
            rows = answer.fetchall()
            raw.execute("COMMIT")
        return rows

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        """A snapshot of the database, on a separate connection. Raises ``DatabaseError``."""
        with closing(connect(self._url, known=self._known)) as raw, naming_database_errors(self._url):
            raw.execute(_BEGIN_SNAPSHOT)
            yield PostgresSnapshot(raw)

    @contextmanager
    def shared(self) -> Iterator[Shared]:
        """A snapshot that other processes can read as well. Raises ``DatabaseError``."""
        with closing(connect(self._url, known=self._known)) as raw, naming_database_errors(self._url):
            raw.execute(_BEGIN_SNAPSHOT)
            raw.execute(_WAIT_FOR_OTHERS)
            [(name,)] = raw.execute("SELECT pg_export_snapshot()").fetchall()
            yield Shared(PostgresSnapshot(raw), PostgresMoment(self._url, name), POSTGRES_OPEN_SECONDS, lambda: None)

    def close(self) -> None:
        self._pool.close()

    def _leave_behind(self) -> None:
        """In a child process: it lacks the pool's threads, and discarding the pool must not wait for them."""
        with suppress(AttributeError):
            self._pool._closed = True
        forks.leave(self, "_pool")

    def _unavailable(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(f"{without_password(self._url)} cannot be reached; nothing moved, try again")


class PostgresMoment(NamedTuple):
    """The snapshot that a transaction of the database has exported under ``name``."""

    url: str
    name: str

    @contextmanager
    def opened(self) -> Iterator[PostgresSnapshot]:
        """A transaction with the same snapshot. Raises ``DatabaseError``."""
        with closing(connect(self.url)) as raw, naming_database_errors(self.url):
            raw.execute(_BEGIN_SNAPSHOT)
            raw.execute(f"SET TRANSACTION SNAPSHOT '{self.name}'")
            raw.execute(_WAIT_FOR_OTHERS)
            yield PostgresSnapshot(raw)


class _Readers(ConnectionPool[Raw]):
    """A pool that closes soon, whatever its threads wait for."""

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        super().close(timeout)


class PostgresSnapshot:
    """One read-only transaction, which does not see later commits."""

    dialect = "postgres"
    in_process = False
    serves_many = False

    def __init__(self, raw: Raw) -> None:
        self._connection = PostgresConnection(raw)

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement with ``:name`` parameters."""
        rows: list[tuple[Any, ...]] = self._connection.execute(statement, parameters).fetchall()
        return rows

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        """It is one."""
        yield self

    def close(self) -> None:
        """Nothing: whoever opened the connection closes it."""


def _begin_anew(pool: ConnectionPool[Raw]) -> None:
    """Make a pool that has given up its last connection open another, which it does when its minimum size grows."""
    if not pool.get_stats()["pool_size"]:
        pool.resize(0, READERS)
        pool.resize(1, READERS)
