"""Readiness: whether a charge would be accepted now. Checked quickly, apart from the rail, on a separate connection."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock
from time import monotonic

import psycopg

from credit_wallet.database_urls import without_password
from credit_wallet.errors import DatabaseReadOnly, DatabaseUnavailable
from credit_wallet.runtime import deadlines
from credit_wallet.runtime.deadlines import Deadline
from credit_wallet.stores import migrations
from credit_wallet.stores.postgres import connection
from credit_wallet.stores.postgres.connection import (
    NO_PLANS,
    REACH_STANDBYS,
    Raw,
    begin_to_connect,
    close_unwanted,
    connected,
    end_what_is_left,
    is_lost,
    look_at,
    named,
    roll_back,
)
from credit_wallet.stores.postgres.identity import KnownLedger
from credit_wallet.stores.postgres.schema import PostgresSchema

PROVEN_SECONDS = 5.0
"""How long the result of a disk space check is reused."""

PROBE_ROWS = 50
"""More than a movement writes."""

_IS_READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on'"
_SMALL_MEMORY = "SELECT set_config('work_mem', '64kB', true), set_config('temp_tablespaces', '', true)"
_COUNT_ON_DISK = "SELECT count(*) FROM generate_series(1, 20000)"
"""Takes half a megabyte on the database's disk meanwhile, and leaves no row to clean up."""

_WAIT_SHORTLY = "SELECT set_config('lock_timeout', %s, true)"
_WRITE_NOTHING = "UPDATE am_credit_wallet SET wallet_id = wallet_id WHERE wallet_id = 0"

_PROBE = """
INSERT INTO am_credit_counted (counted, last_txn_id)
SELECT 'probe ' || number || repeat('?', 200), 0 FROM generate_series(1, %s) AS number
"""


class Readiness:
    """Thread-safe; the connection is opened at the first check."""

    def __init__(self, known: KnownLedger) -> None:
        self._known = known
        self._lock = Lock()
        self._opening: Future[Raw] | None = None
        self._left: tuple[int, str] | None = None
        self._proven_until = 0.0

    def check(self) -> None:
        """Write as a charge would, and roll it back; then wait as a commit does, for synchronous standbys too.

        Takes ``deadlines.POSTGRES_READY_SECONDS`` at most. Raises ``DatabaseError`` and ``MigrationError``.
        """
        ends = Deadline(deadlines.POSTGRES_READY_SECONDS)
        if not self._lock.acquire(timeout=ends.remaining()):
            raise self._unavailable()
        try:
            self._check(ends)
        except BaseException:
            self._proven_until = 0.0
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection, after a check that is under way."""
        with self._lock:
            if self._opening is not None:
                self._opening.add_done_callback(close_unwanted)

    def _check(self, ends: Deadline) -> None:
        while True:
            raw = self._connection(ends)
            try:
                with raw.within(ends.remaining()):
                    if self._left is not None:
                        end_what_is_left(raw, self._left)
                        self._left = None
                    return self._write(raw)
            except psycopg.Error as error:
                if not is_lost(raw, error):
                    roll_back(raw)
                    raise named(error, self._known.url) from error
                raw.close()
                self._left = raw.session if raw.overdue else None
                self._known.outage.begins(error)
                if ends.passed:
                    raise self._unavailable() from error
            except BaseException:
                roll_back(raw)
                raise

    def _connection(self, ends: Deadline) -> Raw:
        """A connection that takes longer than one check is used by a later one."""
        if self._opening is None:
            self._opening = begin_to_connect(self._known.url, NO_PLANS, self._known, deadlines.POSTGRES_CONNECT_SECONDS)
        try:
            raw = connected(self._opening, self._known.url, ends.remaining())
        except TimeoutError as error:
            raise self._unavailable() from error
        except BaseException:
            self._opening = None
            raise
        if raw.closed:
            self._opening = None
            return self._connection(ends)
        return raw

    def _write(self, raw: Raw) -> None:
        with raw.pipeline():
            begun = raw.begin()
            read_only = raw.execute(_IS_READ_ONLY)
            look_at(raw, begun, self._known)
            if read_only.fetchall() == [(True,)]:
                raise DatabaseReadOnly("the database takes no writes; give write access, or wait for a new leader")
        migrations.require_current(PostgresSchema(raw, self._known.url))
        raw.listen()
        proves = monotonic() >= self._proven_until
        locks_ms = 1_000 * min(connection.LOCK_SECONDS, deadlines.POSTGRES_READY_SECONDS / 2)
        with raw.pipeline():
            raw.execute(_WAIT_SHORTLY, [f"{locks_ms:.0f}ms"])
            raw.execute(_WRITE_NOTHING)
            if proves:
                raw.execute(_SMALL_MEMORY)
                raw.execute(_COUNT_ON_DISK)
            raw.execute("SAVEPOINT probe")
            raw.execute(_PROBE, [PROBE_ROWS if proves else 1])
            raw.execute("ROLLBACK TO SAVEPOINT probe")
            raw.execute(REACH_STANDBYS)
            raw.execute("COMMIT")
        if raw.warnings:
            raise self._unavailable()
        if proves:
            self._proven_until = monotonic() + PROVEN_SECONDS

    def _unavailable(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f"{without_password(self._known.url)} did not take a write within {deadlines.POSTGRES_READY_SECONDS:g} "
            "seconds, its standbys included; nothing moved, try again"
        )
