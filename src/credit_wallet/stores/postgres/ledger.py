"""A connection to a ledger in PostgreSQL: no wait on it lasts for ever, and what the server warns of is heard.

A server that hangs (stopped, a stuck disk, a network that swallows packets) ends no connection, and its kernel goes on
acknowledging. So every wait has somebody who looks after it from another thread, and shuts the socket down when it
lasts too long; whoever waits then finds the connection lost.
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
"""A pooler's connections bring defaults of their own."""

LOOKERS = 4
"""Threads that look whether servers answer, in each process."""


class LedgerConnection(psycopg.Connection[Row]):
    """A connection whose waits end: ``within`` bounds what is inside; all else lasts while the server answers."""

    def __init__(self, pgconn: pq.abc.PGconn, row_factory: RowFactory[Any] = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self._descriptor = os.dup(pgconn.socket)
        """Of the same socket, and nobody else's to close: another thread may shut it down at any time."""
        self._let_go = finalize(self, os.close, self._descriptor)
        self._let_go.atexit = False
        this = ref(self)
        self._watch: Watch | _Unwatched = Watch(lambda: _look_after(this))
        self._limited = False
        self._waits = 0
        """Waits so far, which is the number of the last one."""
        self._waiting_until: float | None = None
        self._looked_at = self._hung = 0
        """The wait during which it was looked whether the server answers, and the one during which it did not."""
        self.overdue = False
        """Whether it was ended because a wait had lasted too long."""
        self.conninfo = ""
        """How it was connected."""
        self.pooled = False
        """Whether each transaction may be on another session, behind a pooler in transaction mode."""
        self.own_settings = "SELECT"
        """The statement that makes a transaction mean what the wallet means."""
        self.session: tuple[int, str] | None = None
        """Process id and start of the server's end of it, behind a pooler that of this transaction; None if unknown."""
        self.warnings: list[str] = []
        """What the server has warned of since ``listen``, but for what a function of the host's says."""
        self.add_notice_handler(self._hear)
        forks.guard(self, LedgerConnection._cut_off)

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        raw = super().connect(conninfo, **kwargs)
        raw.conninfo = conninfo
        return raw

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """As the driver's, with somebody looking after it. Every wait for a statement's answer comes through here."""
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
        """What is inside may take ``seconds`` in all; then the connection is ended, whatever the server does."""
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
        """Begin a transaction that means what the wallet means; ``require_fit`` looks at what it answers."""
        if self.pooled:
            self.session = None
        self.execute(BEGIN)
        return self.execute(self.own_settings)

    def listen(self) -> None:
        """Forget what was warned of."""
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
        """End it under whoever waits; called by another thread, while this one cannot close it."""
        self.overdue = True
        with suppress(OSError):
            end = socket.socket(fileno=self._descriptor)
            try:
                end.shutdown(socket.SHUT_RDWR)
            finally:
                end.detach()

    def _cut_off(self) -> None:
        """In a child process: let go of the parent's connection without a word to the server.

        Its descriptors lead nowhere from now on, so that nothing that is done to it here can reach the server, and the
        server notices the parent's end.
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
    """A wait has lasted too long: end it, or have it looked whether its server still answers.

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
    """Take note of it when the server lets nobody in during the wait numbered ``wait``."""
    if not _answers(raw):
        raw._hung = wait


def _answers(raw: LedgerConnection) -> bool:
    """Whether the server at the other end lets somebody in, or says why not."""
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
    """Looks after nothing: in a child process."""

    def start(self, seconds: float) -> None: ...

    def stop(self) -> None: ...


class CrewOfProcess:
    """A crew that is made anew in each child process, which has none of its parent's threads."""

    def __init__(self, name: str, size: int) -> None:
        self._made_of = (name, size, size)
        self._begin_anew()
        forks.guard(self, CrewOfProcess._begin_anew)

    def _begin_anew(self) -> None:
        self.crew = Crew(*self._made_of)


_lookers = CrewOfProcess("credit-wallet-look", LOOKERS)
