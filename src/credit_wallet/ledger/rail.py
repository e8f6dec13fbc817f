"""The rail: group commit.

Callers submit commands and wait; one thread takes the waiting commands, in order, and has the store carry them out as
one durable batch. An outcome is returned only after its commit. While a batch is being written the next one gathers, so
that many callers share one flush to disk and a single caller waits for nobody.

Each thread waits on its own lock. Asyncio callers are woken once per batch and event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from datetime import datetime
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from credit_wallet.domain.commands import Command
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import DatabaseCorrupt, DatabaseError, DatabaseRefused, RailBusy, WalletError
from credit_wallet.runtime import forks
from credit_wallet.stores import Store
from credit_wallet.telemetry import Logger

if TYPE_CHECKING:
    import asyncio

MAX_BATCH = 1_024
"""Maximum commands in one durable batch."""

GATHER_SECONDS = 0.000_5
GATHER_STEPS = 4
"""The commit delay: how long, and how often, the rail waits for the callers of its last batch (docs/decisions/0011)."""

POSTED_SECONDS = 0.05
"""How long a posted command waits to join a batch before it becomes a separate one."""

MAX_WAITING = 65_536
"""Commands that may wait; beyond that ``rail_busy`` is better than a queue that grows."""

_log = Logger("credit_wallet.ledger")

Outcomes: TypeAlias = list[Outcome | WalletError]
Observer: TypeAlias = Callable[[Sequence[Command], Outcomes, float], None]
"""Called with a batch's commands, their outcomes, and the seconds from taking the batch to its commit."""

T = TypeVar("T")


class _Ticket:
    """Commands of one caller and their outcomes; completed once, by the rail's thread."""

    __slots__ = ("commands", "error", "outcomes")

    def __init__(self, commands: Sequence[Command]) -> None:
        self.commands = commands
        self.outcomes: Outcomes = []
        self.error: BaseException | None = None

    def result(self) -> Outcomes:
        if self.error is not None:
            raise self.error
        return self.outcomes


class _ThreadTicket(_Ticket):
    """Wakes a waiting thread: the lock is taken when made and released when the batch is durable."""

    __slots__ = ("lock",)

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__(commands)
        self.lock = threading.Lock()
        self.lock.acquire()


class _LoopTicket(_Ticket):
    """Resolves a future of an event loop."""

    __slots__ = ("future", "loop")

    def __init__(self, commands: Sequence[Command], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(commands)
        self.loop = loop
        self.future: asyncio.Future[Outcomes] = loop.create_future()


class _Posted(_Ticket):
    """Nobody waits for it: ``failed`` is called, on the rail's thread, with the error."""

    __slots__ = ("failed",)

    def __init__(self, command: Command, failed: Callable[[Exception], None]) -> None:
        super().__init__([command])
        self.failed = failed


class _Job(_ThreadTicket):
    """Other work on the store's thread, between two batches."""

    __slots__ = ("value", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(())
        self.work = work
        self.value: Any = None


class Rail:
    """One store, one thread, one queue."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        clock: Callable[[], datetime],
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        observe: Observer | None = None,
    ) -> None:
        """Start the thread and open the store on it. Raises what ``open_store`` raises.

        ``observe`` is called with every durable batch, on the rail's thread.
        """
        self._observe = observe
        self.max_batch = max_batch
        self._clock = clock
        self._max_waiting = max_waiting
        self._queue: SimpleQueue[_Ticket | None] = SimpleQueue()
        self._waiting = 0
        self._posted: list[_Ticket] = []
        """Posted commands that wait to join a batch."""
        self._siblings = 1
        self._closed = False
        self._left_behind = False
        self._looked_at = -inf
        self._guard = threading.Lock()
        self._store: Store
        forks.guard(self, Rail._leave_behind)
        opening = _Job(open_store)
        self._thread = threading.Thread(target=self._run, args=(opening,), name="credit-wallet-rail", daemon=True)
        self._thread.start()
        opening.lock.acquire()
        opening.result()

    def submit(self, commands: Sequence[Command]) -> Outcomes:
        """Carry out ``commands``, at most ``max_batch``, and wait until they are durable.

        Raises ``RailBusy`` when too many commands are waiting or the rail is closed, and ``DatabaseError``.
        """
        ticket = _ThreadTicket(commands)
        self._enqueue(ticket)
        ticket.lock.acquire()
        return ticket.result()

    async def asubmit(self, commands: Sequence[Command]) -> Outcomes:
        """Like ``submit``, for asyncio callers. Cancelling the wait does not recall the commands."""
        from asyncio import get_running_loop  # here: a caller that has a loop has imported it

        ticket = _LoopTicket(commands, get_running_loop())
        self._enqueue(ticket)
        return await ticket.future

    def post(self, command: Command, failed: Callable[[Exception], None]) -> None:
        """Carry out ``command`` with the next batch, or soon after, without waiting for it.

        Posted commands are carried out before those submitted later. ``failed`` is called on the rail's thread when it
        could not be, or was refused. Raises ``RailBusy``.
        """
        self._enqueue(_Posted(command, failed))

    def call(self, work: Callable[[Store], T]) -> T:
        """Call ``work(store)`` on the rail's thread, between two batches, and return what it returns."""
        job = _Job(lambda: work(self._store))
        self._enqueue(job)
        job.lock.acquire()
        job.result()
        value: T = job.value
        return value

    def check_writable(self) -> None:
        """Raises ``DatabaseError`` when the store would not take a write, ``MigrationError`` when it is outdated."""
        if self._store.checks_apart and not self._closed:
            self._store.check_writable()
        else:
            self.call(lambda store: store.check_writable())

    def last_look(self) -> tuple[float, int | None]:
        """When a batch last looked whether others had written to the database, by the monotonic clock, and how often
        they had by then; None when the store cannot tell.
        """
        looked_at = self._looked_at  # read first: what is counted after it only makes the count larger
        return looked_at, self._store.writes_by_others

    def waiting(self) -> int:
        """Commands that are queued or being carried out."""
        return self._waiting

    def close(self) -> None:
        """Refuse new commands, finish the waiting ones, and close the store."""
        if self._left_behind:
            return
        with self._guard:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _leave_behind(self) -> None:
        """In a child process: there is no thread, and the lock may be held by one that was not copied."""
        self._left_behind = self._closed = True
        self._guard = threading.Lock()

    def _enqueue(self, ticket: _Ticket) -> None:
        with self._guard:
            if self._closed:
                if self._left_behind:
                    forks.refuse()
                raise RailBusy("the ledger is closing; open it and try again with the same idempotency key")
            if self._waiting + len(ticket.commands) > self._max_waiting:
                raise RailBusy(
                    f"{self._waiting} commands are waiting; slow down and try again with the same idempotency key",
                    waiting=self._waiting,
                )
            self._waiting += len(ticket.commands)
            self._queue.put(ticket)

    def _run(self, opening: _Job) -> None:
        _do(opening)
        if opening.error is None:
            self._store = opening.value
        opening.lock.release()
        if opening.error is not None:
            return
        carried: _Ticket | None = None
        while (first := carried or self._next()) is not None:
            batch, carried, closing = self._gather(first)
            self._carry_out(batch)
            if closing:
                break
        if self._posted:
            self._carry_out(self._posted)
        self._store.close()

    def _next(self) -> _Ticket | None:
        """The next ticket that somebody waits for, or the posted ones when nobody has come in time; None to close."""
        ends: float | None = None
        while True:
            try:
                ticket = self._queue.get(timeout=None if ends is None else max(0.0, ends - monotonic()))
            except Empty:
                return self._posted.pop(0)
            if not isinstance(ticket, _Posted):
                return ticket
            self._posted.append(ticket)
            ends = ends or monotonic() + POSTED_SECONDS
            if len(self._posted) >= self.max_batch // 2:
                return self._posted.pop(0)

    def _gather(self, first: _Ticket) -> tuple[list[_Ticket], _Ticket | None, bool]:
        """``first`` and the tickets behind it that fit; the ticket that did not fit; whether the rail is closing."""
        if type(first) is _Job:
            return [first], None, False
        self._await_siblings()
        batch, self._posted = [*self._posted, first], []
        size = len(batch) - 1 + len(first.commands)
        if size > self.max_batch and len(batch) > 1:
            return batch[:-1], first, False
        carried: _Ticket | None
        while True:
            try:
                ticket = self._queue.get_nowait()
            except Empty:
                carried, closing = None, False
                break
            if ticket is None:
                carried, closing = None, True
                break
            size += len(ticket.commands)
            if size > self.max_batch or type(ticket) is _Job:
                carried, closing = ticket, False
                break
            batch.append(ticket)
        self._siblings = sum(type(ticket) is not _Posted for ticket in batch)
        return batch, carried, closing

    def _await_siblings(self) -> None:
        """Give the siblings of the last batch a moment to come back, so that they share a flush again.

        Only while more of them arrive, for two milliseconds at most, and never after a batch with a single caller.
        """
        waiting = self._queue.qsize()
        for _ in range(GATHER_STEPS):
            if waiting + 1 >= self._siblings:
                return
            sleep(GATHER_SECONDS)
            before, waiting = waiting, self._queue.qsize()
            if waiting == before:
                return

    def _carry_out(self, batch: list[_Ticket]) -> None:
        if type(batch[0]) is _Job:
            _do(batch[0])
        else:
            self._execute(batch)
        with self._guard:
            self._waiting -= sum(len(ticket.commands) for ticket in batch)
        _wake(batch)

    def _execute(self, batch: list[_Ticket]) -> None:
        commands = [command for ticket in batch for command in ticket.commands]
        started = monotonic()
        try:
            outcomes = self._store.execute(commands, self._clock)
        except Exception as error:
            self._fail(batch, error)
            return
        self._looked_at = started
        if self._observe is not None:
            self._show(self._observe, commands, outcomes, monotonic() - started)
        done = 0
        for ticket in batch:
            ticket.outcomes = outcomes[done : done + len(ticket.commands)]
            done += len(ticket.commands)

    @staticmethod
    def _show(observe: Observer, commands: Sequence[Command], outcomes: Outcomes, seconds: float) -> None:
        """Call the observer with a batch; its errors do not affect callers."""
        try:
            observe(commands, outcomes, seconds)
        except Exception:
            _log.exception("observer_failed")

    def _fail(self, batch: list[_Ticket], error: Exception) -> None:
        """Refuse everybody when the database is unavailable; else find the caller whose commands it is about."""
        if len(batch) == 1:
            batch[0].error = error
            return
        concerns_all = _concerns_all(error)
        for ticket in batch:
            if concerns_all:
                ticket.error = copy(error)
            else:
                self._execute([ticket])


def _concerns_all(error: Exception) -> bool:
    """Whether the database is unavailable for everybody; else it fails the caller that hits it and nobody else."""
    return isinstance(error, DatabaseError) and not isinstance(error, DatabaseCorrupt | DatabaseRefused)


def _do(job: _Job) -> None:
    try:
        job.value = job.work()
    except BaseException as error:
        job.error = error


def _wake(batch: list[_Ticket]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_LoopTicket]] = {}
    for ticket in batch:
        if isinstance(ticket, _LoopTicket):
            by_loop.setdefault(ticket.loop, []).append(ticket)
        elif isinstance(ticket, _ThreadTicket):
            ticket.lock.release()
        elif isinstance(ticket, _Posted):
            _report(ticket)
    for loop, tickets in by_loop.items():
        with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, tickets)


def _report(ticket: _Posted) -> None:
    """Report to the poster of a command that it was not carried out."""
    problem = ticket.error or next((each for each in ticket.outcomes if isinstance(each, WalletError)), None)
    if isinstance(problem, Exception):
        with suppress(RuntimeError):  # the loop that would try again has been closed
            ticket.failed(problem)


def _resolve(tickets: list[_LoopTicket]) -> None:
    for ticket in tickets:
        if ticket.future.done():  # cancelled
            continue
        if ticket.error is not None:
            ticket.future.set_exception(ticket.error)
        else:
            ticket.future.set_result(ticket.outcomes)
