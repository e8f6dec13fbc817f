"""How long each wait for an outside party may last, and the tools that end one in time.

Nothing waits for Stripe, a receiver, a name server, PostgreSQL or a client that does not read without one of these
clocks. Calls that may hang and cannot be stopped run on a ``Crew``: its threads are daemons, so that a hung one delays
neither its neighbours nor the end of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from math import inf
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import WeakSet

from credit_wallet.runtime import forks
from credit_wallet.telemetry import Logger

if TYPE_CHECKING:
    from concurrent.futures import Future

STOP_SECONDS = 20.0
"""The service ends within this time after it is asked to, whatever hangs."""

# The stop, step by step; together less than STOP_SECONDS

DRAIN_SECONDS = 5.0
"""How long to wait for responses that are under way."""

CANCEL_SECONDS = 1.0
"""How long abandoning the rest of them may take."""

JOBS_END_SECONDS = 3.0
"""How long background jobs may continue their current step; they begin no other."""

CLOSE_SECONDS = 5.0
"""How long the rails may take to finish the waiting commands and close the database."""

LINGER_SECONDS = 3.0
"""How long to wait for threads that Python would wait for indefinitely."""

SAY_SECONDS = 0.5
"""How long logging what hangs may take, when nobody reads the log."""

LAST_RESORT_SECONDS = 2.0
"""The process exits this long before ``STOP_SECONDS`` are over, whatever still runs."""

# Stripe

STRIPE_CONNECT_SECONDS = 5.0
"""How long a connection to Stripe may take."""

STRIPE_READ_SECONDS = 15.0
"""How long Stripe may pause in the middle of a response."""

STRIPE_ANSWER_SECONDS = 20.0
"""How long a response may take as a whole, however steadily it arrives."""

STRIPE_CALL_SECONDS = 30.0
"""After which a call is not tried again, nor goes on; there are up to three attempts."""

STRIPE_ROUTE_SECONDS = 40.0
"""How long a caller of the service waits for a call to Stripe; some routes make two."""

STRIPE_SILENT_CALLS = 2
"""After that many calls in a row without an answer a background job leaves the rest for its next time."""

WATCH_SECONDS = 0.25
"""How late a ``Watch`` may act."""

# PostgreSQL

POSTGRES_ATTEMPT_SECONDS = 12.0
"""How long one attempt at a batch, including its commit, may take: above what Patroni needs to drop a dead standby."""

POSTGRES_PATIENCE_SECONDS = 30.0
"""How long after it was lost a database may come back before callers get an error: above Patroni's failover, ttl 20."""

POSTGRES_READ_PATIENCE_SECONDS = 15.0
"""The same for reads, unless the configured patience is shorter."""

POSTGRES_CONNECT_SECONDS = 15.0
"""How long connecting may take in all: names, every host that the URL names, encryption, passwords, settings."""

POSTGRES_OPEN_SECONDS = 2 * POSTGRES_CONNECT_SECONDS
"""How long another process may take to open a snapshot: to import the driver, and to connect."""

POSTGRES_READY_SECONDS = 2.0
"""How long a readiness check may take."""

POSTGRES_LOOK_SECONDS = 5.0
"""How long a statement is waited for between checks that its server still answers."""

POSTGRES_ANSWER_SECONDS = 2.0
"""How soon a server that does not hang answers a new connection."""

POSTGRES_LONGEST_SECONDS = 900.0
"""How long one statement may take of a server that answers, such as one of ``verify`` that reads the whole ledger."""

# Notices

NOTICE_SECONDS = 15.0
"""For all of an attempt to deliver a notice, however slowly the receiver answers."""

NOTICE_CONNECT_SECONDS = 5.0
"""For the connection to a receiver."""

NOTICE_PATIENCE_SECONDS = 1.5
"""After which an attempt is cut off while others wait for its place; a target that failed is given all of its time."""

LOOKUP_SECONDS = 5.0
"""For the addresses of a receiver's name."""

NOTICES_NOTED_SECONDS = 3.0
"""For recording the results of deliveries when the service stops."""

# Reading

LOOK_UP_SECONDS = 5.0
"""For lookups before anything else can be done: who is calling, whose hold or entry it is."""

BALANCE_SECONDS = 1.0
"""For the balance in a response header, which matters less than the response."""

QUESTION_SECONDS = 20.0
"""For a view of one wallet, including settling what is due on it."""

REPORT_SECONDS = 600.0
"""For a report from its first step to its last; each step is a query."""

FIGURES_SECONDS = 60.0
"""For sums over all wallets."""

CLIENT_SECONDS = 20.0
"""A client that does not read a piece of a long response within this time has given it up."""

UNREAD_SECONDS = 30.0
"""The connection of a client that reads nothing for this time is closed."""

_log = Logger("credit_wallet.deadlines")

P = ParamSpec("P")
T = TypeVar("T")


class Deadline:
    """A moment by the monotonic clock, which cannot be set."""

    __slots__ = ("_at", "_clock")

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def remaining(self) -> float:
        """Seconds that are left, 0 when it has passed."""
        return max(0.0, self._at - self._clock())

    @property
    def passed(self) -> bool:
        return self._clock() >= self._at


class CrewBusy(Exception):
    """The queue of a crew is full."""


class Crew:
    """Up to ``size`` threads that run calls in order; ``waiting`` more may queue.

    Threads are started when needed, and are daemons: a hung one does not keep the process from ending.
    """

    def __init__(self, name: str, size: int, waiting: int) -> None:
        self._name = name
        self._size = size
        self._limit = size + waiting
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._open = 0
        self._closed = False

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call ``function``; the future gets what it returns or raises. Raises ``CrewBusy``."""
        from concurrent.futures import Future

        future: Future[T] = Future()
        with self._lock:
            if self._closed or self._open >= self._limit:
                raise CrewBusy(f"{self._name}: {self._open} calls are under way or waiting")
            self._open += 1
            if self._open > self._threads and self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._calls.put(partial(self._carry_out, future, partial(function, *args, **kwargs)))
        return future

    async def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``submit`` from a coroutine, and wait. Raises ``CrewBusy`` and what ``function`` raises."""
        from asyncio import wrap_future

        return await wrap_future(self.submit(function, *args, **kwargs))

    def call(self, seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``submit`` and wait up to ``seconds``; the call goes on when they are over.

        Raises ``TimeoutError``, ``CrewBusy`` and what ``function`` raises.
        """
        future = self.submit(function, *args, **kwargs)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise

    def waiting(self) -> int:
        """Calls that are under way or queued."""
        return self._open

    def close(self) -> None:
        """Accept no more calls; the threads end after those that are queued. Returns at once."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # else what it holds lives until the next one

    def _carry_out(self, future: Future[T], function: Callable[[], T]) -> None:
        try:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
        finally:
            with self._lock:
                self._open -= 1


class Watch:
    """Ends a wait that its own thread is stuck in: ``act`` is called from another one when it lasts too long.

    For one wait at a time: ``start`` before it, ``stop`` after it. Both cost less than a microsecond.
    """

    __slots__ = ("__weakref__", "_act", "_lock", "_until")

    def __init__(self, act: Callable[[], object]) -> None:
        """``act`` must not block; what it raises is logged."""
        self._act = act
        self._lock = threading.Lock()
        self._until = inf
        _watchman.take_on(self)

    def start(self, seconds: float) -> None:
        """Call ``act`` unless ``stop`` is called within ``seconds``."""
        self._until = monotonic() + seconds

    def stop(self) -> None:
        """The wait is over: ``act`` is not called any more, nor is it running."""
        with self._lock:
            self._until = inf

    def look(self, now: float) -> None:
        """Act when it is time; called by the watching thread."""
        if self._until > now:
            return
        with self._lock:
            if self._until > now:
                return
            self._until = inf
            try:
                self._act()
            except Exception:
                _log.exception("watch_failed")


class _Watchman:
    """The thread that looks at every ``Watch``, in each process one, while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: WeakSet[Watch] = WeakSet()
        self._thread: threading.Thread | None = None
        forks.guard(self, _Watchman._begin_anew)

    def _begin_anew(self) -> None:
        """In a child process, which has none of its parent's threads; what is open there belongs to the parent."""
        self._lock = threading.Lock()
        self._watches = WeakSet()
        self._thread = None

    def take_on(self, watch: Watch) -> None:
        with self._lock:
            self._watches.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="credit-wallet-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(WATCH_SECONDS)
            with self._lock:
                watches = list(self._watches)
                if not watches:
                    self._thread = None
                    return
            while watches:
                watches.pop().look(monotonic())


_watchman = _Watchman()
