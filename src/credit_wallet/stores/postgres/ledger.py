"""A connection to a ledger in PostgreSQL: no wait on it is endless, and the server's warnings are collected.

A server that hangs (stopped, a stuck disk, a network that drops packets) does not close its connections, and its kernel
keeps acknowledging packets. So another thread watches every wait, and shuts the socket down when it lasts too long; the
waiting thread then finds the connection lost.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, Self, TypeAlias, TypeVar
from weakref import finalize, ref

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.rows import RowFactory, tuple_row

from credit_wallet.runtime import deadlines, forks
from credit_wallet.runtime.deadlines import Crew, CrewBusy, Watch

Row: TypeAlias = "tuple[Any, ...]"
RV = TypeVar("RV")

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED NOT DEFERRABLE"
"""A pooler's connections have other defaults."""

LOOKERS = 4
"""Threads in each process that check whether servers answer."""


class LedgerConnection(psycopg.Connection[Row]):
    """A connection whose waits end: ``within`` bounds a block; otherwise a wait lasts while the server answers."""

    def __init__(self, pgconn: pq.abc.PGconn, row_factory: RowFactory[Any] = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self._descriptor = os.dup(pgconn.socket)
        """A duplicate of the socket that only this object closes: another thread may shut it down at any time."""
        self._let_go = finalize(self, os.close, self._descriptor)
        self._let_go.atexit = False
        this = ref(self)
        self._watch: Watch | _Unwatched = Watch(lambda: _look_after(this))
        self._limited = False
        self._waits = 0
        """The number of waits so far, which identifies the last one."""
        self._waiting_until: float | None = None
        self._looked_at = self._hung = 0
        """The wait during which the server was checked, and the one during which it did not answer."""
        self.overdue = False
        """Whether it was ended because a wait had lasted too long."""
        self.conninfo = ""
        """How it was connected."""
        self.pooled = False
        """Whether each transaction may be on another session, behind a pooler in transaction mode."""
        self.own_settings = "SELECT"
        """The statement that gives a transaction the wallet's settings."""
        self.session: tuple[int, str] | None = None
        """Process id and start time of the server's session, behind a pooler that of this transaction; None if unknown.
        """
        self.warnings: list[str] = []
        """The server's warnings since ``listen``, except those of a host's functions."""
        self.add_notice_handler(self._hear)
        forks.guard(self, LedgerConnection._cut_off)

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        raw = super().connect(conninfo, **kwargs)
        raw.conninfo = conninfo
        return raw

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """The driver's wait, watched. Every wait for a statement's result comes through here."""
        if self._limited:
            return super().wait(gen, *args, **kwargs)
        self._waits += 1
        self._waiting_until = monotonic() + deadlines.POSTGRES_LONGEST_SECONDS
        self._watch.start(deadlines.POSTGRES_LOOK_SECONDS)
        try:
            return super().wait(gen, *args, **kwargs)
        finally:
            self._waiting_until = None
            self._watch.stop()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """The block may take ``seconds`` in all; then the connection is ended, whatever the server does."""
        if self._limited:
            yield
            return
        self._limited = True
        self._watch.start(seconds)
        try:
            yield
        finally:
            self._watch.stop()
            self._limited = False

    def begin(self) -> psycopg.Cursor[Row]:
        """Begin a transaction with the wallet's settings; ``require_fit`` checks the results."""
        if self.pooled:
            self.session = None
        self.execute(BEGIN)
        return self.execute(self.own_settings)

    def listen(self) -> None:
        """Clear the warnings."""
        if self.warnings:
            self.warnings = []

    def close(self) -> None:
        """Close it, without a wait."""
        self._watch.stop()
        super().close()
        if self.closed:
            self._let_go()

    def _hear(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING" and not diagnostic.context:
            self.warnings.append(diagnostic.message_primary or "")

    def _cut(self) -> None:
        """End it while a thread waits on it; called by another thread, while this one cannot close it."""
        self.overdue = True
        with suppress(OSError):
            end = socket.socket(fileno=self._descriptor)
            try:
                end.shutdown(socket.SHUT_RDWR)
            finally:
                end.detach()

    def _cut_off(self) -> None:
        """In a child process: drop the parent's connection without contacting the server. Its descriptors lead nowhere
        from now on, so nothing done to it here can reach the server, and the server notices when the parent ends.
        """
        self._watch = _Unwatched()
        with suppress(psycopg.Error, OSError):
            nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            try:
                for descriptor in (self.pgconn.socket, self._descriptor):
                    os.dup2(nowhere, descriptor, inheritable=False)
            finally:
                os.close(nowhere)


def _look_after(this: ref[LedgerConnection]) -> None:
    """A wait has lasted too long: end it, or check whether its server still answers.

    Called by the thread of the watches, while the connection can neither be closed nor begin another wait.
    """
    raw = this()
    if raw is None:
        return
    wait, until = raw._waits, raw._waiting_until
    if raw._limited or (until is not None and (raw._hung == wait or monotonic() >= until)):
        raw._cut()
    elif until is not None and raw._looked_at != wait:
        raw._looked_at = wait
        with suppress(CrewBusy):
            _lookers.crew.submit(_look, raw, wait)
        raw._watch.start(deadlines.POSTGRES_ANSWER_SECONDS + deadlines.WATCH_SECONDS)
    elif until is not None:
        raw._looked_at = 0
        raw._watch.start(deadlines.POSTGRES_LOOK_SECONDS)


def _look(raw: LedgerConnection, wait: int) -> None:
    """Record that the server accepts no connection during the wait numbered ``wait``."""
    if not _answers(raw):
        raw._hung = wait


def _answers(raw: LedgerConnection) -> bool:
    """Whether the server at the other end accepts a connection, or says why not."""
    try:
        server = {name: value for name in ("host", "hostaddr") if (value := getattr(raw.info, name))}
        psycopg.connect(
            make_conninfo(
                raw.conninfo,
                **server,
                port=raw.info.port,
                target_session_attrs="any",
                connect_timeout=round(deadlines.POSTGRES_ANSWER_SECONDS),  # the driver takes less than 2 for 2
            )
        ).close()
    except psycopg.Error as error:
        return "FATAL" in str(error)  # the driver knows no code of these
    return True


class _Unwatched:
    """Watches nothing: in a child process."""

    def start(self, seconds: float) -> None: ...

    def stop(self) -> None: ...


class CrewOfProcess:
    """A crew that is replaced in each child process, which has none of its parent's threads."""

    def __init__(self, name: str, size: int) -> None:
        self._made_of = (name, size, size)
        self._begin_anew()
        forks.guard(self, CrewOfProcess._begin_anew)

    def _begin_anew(self) -> None:
        self.crew = Crew(*self._made_of)


_lookers = CrewOfProcess("credit-wallet-look", LOOKERS)
