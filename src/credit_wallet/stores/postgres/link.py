"""A connection that recovers: lost work is detected and repeated, but never done twice.

When a connection ends before COMMIT was sent, nothing was committed, and the work is done again on a new connection.
When it ends after that, the result is unknown here. The same batch is then carried out again: its transaction first
waits for the rows that the lost one may still have locked, and then finds by the idempotency keys what that one did.
Results found that way may not have reached the synchronous standbys; nobody gets an answer before they have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from time import monotonic, sleep
from typing import Any, TypeVar

import psycopg
from msgspec import DecodeError
from psycopg import Cursor

from credit_wallet.database_urls import without_password
from credit_wallet.domain.backoff import Backoff
from credit_wallet.errors import DatabaseUnavailable
from credit_wallet.stores.postgres.connection import (
    REACH_STANDBYS,
    Raw,
    begin,
    confirm,
    connect,
    end_what_is_left,
    is_lost,
    look_at,
    named,
    roll_back,
    unreadable,
)
from credit_wallet.stores.postgres.identity import KnownLedger
from credit_wallet.telemetry import Logger

BACKOFF = Backoff(first_seconds=0.02, longest_seconds=1.0, spread=0.5)

_CONFLICTS = ("40001", "40P01")
"""Serialization failure and deadlock: PostgreSQL has chosen this transaction to be retried."""

_CANCELLED = "57014"
"""Cancelled by an administrator or a timeout: at a COMMIT, perhaps after it took effect."""

_BLOCKED = (*_CONFLICTS, "55P03", _CANCELLED)
"""Those, and lock timeouts, since the lock may be that of the lost transaction."""

_log = Logger("credit_wallet.stores")

T = TypeVar("T")


class Link:
    """One connection at a time to a ledger, reopened when it ends."""

    def __init__(self, known: KnownLedger, plans: Mapping[str, str]) -> None:
        """Connect; ``plans`` are settings of how statements are planned. Raises ``DatabaseUnavailable``."""
        self.url = known.url
        self.known = known
        self._plans = plans
        self._raw = connect(self.url, plans, known)
        self._lost_at: float | None = None
        self._committing = False
        self._unsure = False
        self._left: tuple[int, str] | None = None
        """The server's session of a connection that was ended here, which the server may not have noticed."""

    def close(self) -> None:
        self._raw.close()

    def begin(self, raw: Raw) -> None:
        """Begin a transaction outside a pipeline."""
        begin(raw, self.known)

    def look_at(self, raw: Raw, begun: Cursor[Any]) -> None:
        """Check the results of ``raw.begin`` in a pipeline, before anything is written."""
        look_at(raw, begun, self.known)

    def commit(self, raw: Raw) -> None:
        """Commit; a retry that only finds the result of an earlier try waits for the standbys as well."""
        self._committing = True
        raw.listen()
        with raw.within(self.known.waits.attempt_seconds):
            if self._unsure:
                raw.execute(REACH_STANDBYS)
            raw.execute("COMMIT")

    def carry_out(self, work: Callable[[Raw], T], *, repeatable: bool, seconds: float | None = None) -> T:
        """Call ``work`` with the connection, a transaction of its own, until it is committed or refused.

        Each try may take ``seconds``, or as long as its server answers. ``repeatable`` means that repeating it detects
        what an earlier try did; other work whose COMMIT may have succeeded is not repeated. Raises
        ``DatabaseUnavailable`` when the database does not come back in time or that cannot be found out,
        ``DatabaseMoved`` when what comes back is another ledger, another ``DatabaseError`` when it was refused.
        """
        self._unsure = False
        for pause in BACKOFF.pauses():
            self._committing = False
            try:
                done = self._once(work, seconds)
            except DatabaseUnavailable as error:
                self.known.outage.begins(error)
                self._require_patience(error)
            except psycopg.Error as error:
                lost = self._has_lost(error)
                self._unsure = self._unsure or (self._committing and (lost or error.sqlstate == _CANCELLED))
                if self._unsure and not repeatable:
                    raise self._unavailable() from error
                if lost or (self._unsure and error.sqlstate in _BLOCKED):
                    self._require_patience(error)
                elif error.sqlstate not in _CONFLICTS or pause >= BACKOFF.longest_seconds:
                    self._lost_at = None
                    raise named(error, self.url) from error
            else:
                self._lost_at = None
                return done
            sleep(BACKOFF.spread_out(pause))
        raise AssertionError("there is always another pause")

    def _once(self, work: Callable[[Raw], T], seconds: float | None) -> T:
        raw = self._connection()
        try:
            with raw.within(seconds) if seconds is not None else nullcontext():
                done = work(raw)
                if self._committing and raw.warnings:
                    self._reach_standbys(raw)
                return done
        except psycopg.Error:
            raise
        except (DecodeError, UnicodeDecodeError) as error:
            roll_back(raw)
            raise unreadable(error, self.url) from error
        except BaseException:
            roll_back(raw)
            raise

    def _reach_standbys(self, raw: Raw) -> None:
        """It is committed here, but perhaps nowhere else; it must be durable before anybody gets an answer."""
        _log.warning("commit_not_confirmed", database=without_password(self.url), warnings=raw.warnings)
        with raw.within(self.known.waits.attempt_seconds):
            confirm(raw)

    def _connection(self) -> Raw:
        if self._raw.closed:
            self._raw = connect(self.url, self._plans, self.known)
            self._end_what_is_left()
        return self._raw

    def _end_what_is_left(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            with self._raw.within(self.known.waits.attempt_seconds):
                end_what_is_left(self._raw, left)

    def _has_lost(self, error: psycopg.Error) -> bool:
        """Whether the connection has ended; if not, it is ready for another transaction."""
        raw = self._raw
        lost = is_lost(raw, error)
        if not lost:
            roll_back(raw)
            lost = raw.closed
        if lost:
            raw.close()
            if raw.overdue:
                self._left = raw.session
            self.known.outage.begins(error)
        return lost

    def _require_patience(self, error: Exception) -> None:
        """Raise when the database has been away for too long."""
        now = monotonic()
        if self._lost_at is None:
            self._lost_at = now
        if now - self._lost_at >= self.known.waits.patience_seconds:
            if isinstance(error, DatabaseUnavailable) and not self._unsure:
                raise error  # it says why
            raise self._unavailable() from error

    def _unavailable(self) -> DatabaseUnavailable:
        known = "whether this was carried out is not known" if self._unsure else "nothing moved"
        return DatabaseUnavailable(
            f"{without_password(self.url)} cannot be reached, or its standbys do not confirm what is written; {known}, "
            "try again with the same idempotency key"
        )
