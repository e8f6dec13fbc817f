"""A ledger in a PostgreSQL database, as ``postgresql://user@host/database`` names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from credit_wallet import forks
from credit_wallet.config import without_password
from credit_wallet.errors import DatabaseUnavailable, MigrationError, NoLedger, RailBusy
from credit_wallet.outcomes import Finding, Upgrade
from credit_wallet.stores import migrations, postgres_link
from credit_wallet.stores.adoption import adopt_all
from credit_wallet.stores.books import make_books
from credit_wallet.stores.postgres import PostgresStore
from credit_wallet.stores.postgres_connection import (
    PostgresConnection,
    Raw,
    configure,
    connect,
    is_lost,
    named,
    naming_database_errors,
    transaction,
    with_defaults,
)
from credit_wallet.stores.postgres_schema import PostgresSchema

READERS = 18
"""Connections for reading that a node opens at most, as it needs them: one for each thread of the lanes of reading, and
three for background jobs."""

RECONNECT_SECONDS = 1.0
"""How soon it is tried again to connect for reading; the pool's own pauses would grow with the outage, to minutes."""


class PostgresDatabase:
    """One database for any number of nodes."""

    lanes = 2

    def __init__(self, url: str) -> None:
        """Raises ``InvalidRequest`` when the URL is malformed."""
        with_defaults(url)
        self.url = url
        self._upgrading = Lock()
        self._up_to_date = False

    def open_store(self, now: datetime) -> PostgresStore:
        """A store for a lane; the first one brings the database up to date. Raises ``DatabaseError``."""
        with self._upgrading:
            if not self._up_to_date:
                self.upgrade(now)
                self._require_whole()
                self._up_to_date = True
        return PostgresStore(self.url)

    def _require_whole(self) -> None:
        with closing(connect(self.url)) as raw:
            if raw.execute(_BEING_COPIED).fetchall() == [(True,)]:
                raise MigrationError(
                    f"a copy into {without_password(self.url)} was not finished; run the same credit-wallet copy again"
                )

    def open_source(self) -> PostgresSource:
        """A pool of connections for reading. Raises ``DatabaseError``."""
        return PostgresSource(self.url)

    def require_ledger(self) -> None:
        """Raise ``NoLedger`` when the database has no ledger's tables."""
        with closing(connect(self.url)) as raw, naming_database_errors(self.url):
            if raw.execute(_LEDGER).fetchall() != [(True,)]:
                raise NoLedger(
                    f"no ledger there: {without_password(self.url)} has no wallets; check the database's address, "
                    "or make a ledger with credit-wallet migrate"
                )

    def pending_migrations(self) -> list[str]:
        """Names of the migrations still to be applied."""
        with closing(connect(self.url)) as raw:
            return migrations.pending(PostgresSchema(raw, self.url))

    def upgrade(self, now: datetime, partitions: int = 0) -> Upgrade:
        """Apply what is pending and adopt what plain SQL wrote. Raises ``MigrationError`` and ``DatabaseError``.

        A database without a ledger gets tables of ``partitions`` partitions each, 0 for plain ones.
        """
        with closing(connect(self.url)) as raw:
            schema = PostgresSchema(raw, self.url, partitions)
            if partitions and migrations.pending(schema) != migrations.manifest():
                raise MigrationError("the tables are there already; partitions can only be chosen for new ones")
            applied = migrations.migrate(schema)
            with naming_database_errors(self.url):
                if raw.execute(_BEING_COPIED).fetchall() == [(False,)]:  # else the copy brings them
                    make_books(PostgresConnection(raw), lambda _: transaction(raw))
                return Upgrade(applied, *adopt_all(PostgresConnection(raw), lambda _: transaction(raw), now))

    def rollback(self, number: int) -> list[str]:
        """Undo a migration and every later one; their names, latest first. Raises ``MigrationError``."""
        with closing(connect(self.url)) as raw:
            return migrations.rollback(PostgresSchema(raw, self.url), number)

    def network_disk(self) -> None:
        """The server's files are its own affair."""

    def findings(self) -> Iterator[Finding]:
        """The server's version, and whether its commits are durable and how many connections it has left."""
        with closing(connect(self.url)) as raw, naming_database_errors(self.url):
            version, schema, fsync, commits, most, used = raw.execute(_SERVER).fetchall()[0]
        yield Finding("postgresql", True, f"PostgreSQL {version}, UTF-8, schema {schema}, synchronous_commit={commits}")
        yield Finding(
            "durability",
            fsync == "on",
            f"fsync={fsync}" + ("" if fsync == "on" else "; set fsync=on: money is lost else"),
        )
        free = int(most) - int(used)
        enough = free > self.lanes + READERS
        yield Finding("connections", enough, f"{used} of {most} in use" + ("" if enough else "; raise max_connections"))


_LEDGER = "SELECT to_regclass('am_credit_wallet') IS NOT NULL"
_BEING_COPIED = "SELECT to_regclass('credit_wallet_copy') IS NOT NULL"
_SERVER = """
SELECT current_setting('server_version'), current_schema(), current_setting('fsync'),
       current_setting('synchronous_commit'), current_setting('max_connections'),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
"""


class PostgresSource:
    """Connections for reading, as many as are asked at once up to ``READERS``."""

    dialect = "postgres"
    in_process = False
    serves_many = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: ConnectionPool[Raw] = ConnectionPool(
            with_defaults(url),
            min_size=1,
            max_size=READERS,
            kwargs={"autocommit": True},
            configure=configure,
            reconnect_timeout=RECONNECT_SECONDS,
            reconnect_failed=_begin_anew,
            open=True,
            name="credit-wallet-readers",
        )
        forks.guard(self, PostgresSource._leave_behind)

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement with ``:name`` parameters; again when the connection is lost. Raises ``DatabaseError``."""
        give_up_at = monotonic() + postgres_link.PATIENCE_SECONDS
        while True:
            try:
                with self._pool.connection(timeout=max(0.1, give_up_at - monotonic())) as raw:
                    return PostgresConnection(raw).execute(statement, parameters).fetchall()
            except PoolTimeout as error:
                raise self._unavailable() from error
            except PoolClosed as error:
                raise RailBusy(f"{without_password(self._url)} has been closed; open it and try again") from error
            except psycopg.Error as error:
                if not is_lost(raw, error):
                    raise named(error, self._url) from error
                if monotonic() > give_up_at:
                    raise self._unavailable() from error

    def close(self) -> None:
        self._pool.close()

    def _leave_behind(self) -> None:
        """In a child process: the pool's threads are not here, and it must not wait for them when it is thrown away."""
        with suppress(AttributeError):
            self._pool._closed = True
        forks.leave(self, "_pool")

    def _unavailable(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(f"{without_password(self._url)} cannot be reached; nothing moved, try again")


def _begin_anew(pool: ConnectionPool[Raw]) -> None:
    """Have a pool that has given up its last connection make another: it does so when its least size grows."""
    if not pool.get_stats()["pool_size"]:
        pool.resize(0, READERS)
        pool.resize(1, READERS)
