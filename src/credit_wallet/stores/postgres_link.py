"""A connection that comes back: what was lost on the way is found out and done again, never twice.

When a connection ends before COMMIT was sent, nothing was committed, and the work is done again on a new connection.
When it ends after that, nobody here can know. A batch is then carried out again as it is: its transaction first waits
for the rows that the lost one may still have locked, and then finds by the idempotency keys what that one has done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import uniform
from time import monotonic, sleep
from typing import TypeVar

import psycopg
import structlog
from msgspec import DecodeError

from credit_wallet.config import without_password
from credit_wallet.errors import DatabaseUnavailable
from credit_wallet.stores.postgres_connection import Raw, connect, is_lost, named, roll_back, unreadable

PATIENCE_SECONDS = 15.0
"""How long after it was lost a database may come back before callers are told; from then on each call tries once."""

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0

_CONFLICTS = ("40001", "40P01")
"""Serialization failure and deadlock: PostgreSQL has chosen this transaction to be tried again."""

_BLOCKED = (*_CONFLICTS, "55P03")
"""Those, and waiting too long for a lock, which may be that of the lost transaction."""

_log = structlog.get_logger("credit_wallet.stores")

T = TypeVar("T")


class Link:
    """One connection at a time to the database at ``url``, opened anew when it has ended."""

    def __init__(self, url: str, settings: str) -> None:
        """Connect. The statement ``settings`` is run on every new connection. Raises ``DatabaseUnavailable``."""
        self.url = url
        self._settings = settings
        self._raw = connect(url, settings)
        self._lost_at: float | None = None
        self._committing = False

    def close(self) -> None:
        self._raw.close()

    def committing(self) -> None:
        """Must be called by the work right before it sends COMMIT."""
        self._committing = True

    def carry_out(self, work: Callable[[Raw], T], *, repeatable: bool) -> T:
        """Call ``work`` with the connection, a transaction of its own, until it is committed or refused.

        ``repeatable`` says that doing it again finds out what an earlier try has done; other work whose COMMIT may have
        got through is not done again. Raises ``DatabaseUnavailable`` when the database does not come back in time or
        that cannot be found out, another ``DatabaseError`` when the transaction was refused.
        """
        unsure = False
        for pause in _pauses():
            self._committing = False
            try:
                done = self._once(work)
            except DatabaseUnavailable as error:
                self._require_patience(error, unsure=unsure)
            except psycopg.Error as error:
                lost = self._has_lost(error)
                unsure = unsure or (lost and self._committing)
                if unsure and not repeatable:
                    raise self._unavailable(unsure=True) from error
                if lost or (unsure and error.sqlstate in _BLOCKED):
                    self._require_patience(error, unsure=unsure)
                elif error.sqlstate not in _CONFLICTS or pause >= LONGEST_PAUSE_SECONDS:
                    self._lost_at = None
                    raise named(error, self.url) from error
            else:
                self._lost_at = None
                return done
            sleep(uniform(0.5, 1.0) * pause)  # noqa: S311
        raise AssertionError("there is always another pause")

    def _once(self, work: Callable[[Raw], T]) -> T:
        raw = self._connection()
        try:
            return work(raw)
        except psycopg.Error:
            raise
        except (DecodeError, UnicodeDecodeError) as error:
            roll_back(raw)
            raise unreadable(error, self.url) from error
        except BaseException:
            roll_back(raw)
            raise

    def _connection(self) -> Raw:
        if self._raw.closed:
            self._raw = connect(self.url, self._settings)
        return self._raw

    def _has_lost(self, error: psycopg.Error) -> bool:
        """Whether the connection has ended; if not, it is ready for another transaction."""
        raw = self._raw
        lost = is_lost(raw, error)
        if not lost:
            roll_back(raw)
            lost = raw.closed
        if lost:
            raw.close()
            _log.warning("database_connection_lost", database=without_password(self.url), error=str(error))
        return lost

    def _require_patience(self, error: Exception, *, unsure: bool) -> None:
        """Raise when the database has been away for too long."""
        now = monotonic()
        if self._lost_at is None:
            self._lost_at = now
        if now - self._lost_at >= PATIENCE_SECONDS:
            if isinstance(error, DatabaseUnavailable) and not unsure:
                raise error  # it says why
            raise self._unavailable(unsure=unsure) from error

    def _unavailable(self, *, unsure: bool) -> DatabaseUnavailable:
        known = "whether this was carried out is not known" if unsure else "nothing moved"
        return DatabaseUnavailable(
            f"{without_password(self.url)} cannot be reached; {known}, try again with the same idempotency key"
        )


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
