"""Lanes for reading: the resources of each kind of query, so that none takes what another needs.

A lane has its own threads, its own queue with an end, and on the database its own connection or its own share of the
connections. A wallet has a share of a lane. Queries beyond a limit are refused at once, with ``ShareExceeded`` or
``ServiceBusy``: no queue is endless, and every wait has a deadline.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from msgspec import Struct

from credit_wallet.domain.retry_after import SOON_SECONDS
from credit_wallet.errors import RailBusy, ServiceBusy, ShareExceeded
from credit_wallet.runtime import forks
from credit_wallet.runtime.deadlines import (
    FIGURES_SECONDS,
    LOOK_UP_SECONDS,
    QUESTION_SECONDS,
    STRIPE_ROUTE_SECONDS,
    Crew,
    CrewBusy,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")


class Lane(Struct, frozen=True):
    """The resources of one kind of query.

    ``threads`` carry queries out while ``waiting`` more wait, ``share`` of all those for one wallet; each is answered
    within ``seconds``. A ``quick`` query takes microseconds where the database is in this process, and is answered in
    the event loop there. A lane that ``rests`` pauses after each query for as long as it took: it uses half of a core
    at most, and releases the interpreter.
    """

    name: str
    threads: int
    waiting: int
    share: int
    seconds: float
    quick: bool = False
    rests: bool = False


AUTHENTICATION = Lane("authentication", 2, 256, 256, LOOK_UP_SECONDS, quick=True)
"""Who is calling: one row by its unique index."""

MONEY = Lane("money", 1, 1_024, 1_024, LOOK_UP_SECONDS, quick=True)
"""Lookups before a movement: one row by its id."""

OWNERS = Lane("owners", 3, 256, 32, QUESTION_SECONDS)
"""Views and settings of one wallet, each bounded in size."""

REPORTS = Lane("reports", 1, 256, 2, QUESTION_SECONDS, rests=True)
"""Steps of reports and of long searches. One thread: they take turns, step by step. ``share`` is in reports."""

OPERATORS = Lane("operators", 1, 64, 64, QUESTION_SECONDS)
"""An operator's views and settings, including lists of wallets."""

FIGURES = Lane("figures", 1, 64, 64, FIGURES_SECONDS)
"""Sums over all wallets, for monitoring."""

PAYMENTS = Lane("payments", 4, 64, 4, STRIPE_ROUTE_SECONDS)
"""Calls that ask the payment provider, which may hang."""

DELIVERIES = Lane("deliveries", 2, 256, 256, STRIPE_ROUTE_SECONDS)
"""Webhooks of the payment provider, apart from what owners wait for."""

PROBES = Lane("probes", 1, 16, 16, LOOK_UP_SECONDS)
"""Whether the service would take a charge: asked of the rail, not of the readers."""

LANES = (AUTHENTICATION, MONEY, OWNERS, REPORTS, OPERATORS, FIGURES, PAYMENTS, DELIVERIES, PROBES)

MAX_REPORTS = 64
"""Reports that are under way at once; the memory of each is bounded."""

LONGEST_REST_SECONDS = 0.02

riding: ContextVar[str] = ContextVar("riding", default="")
"""The name of the current query's lane; empty for library callers and background jobs."""


@contextmanager
def on(lane: Lane) -> Iterator[None]:
    """Queries within the block use ``lane``."""
    before = riding.set(lane.name)
    try:
        yield
    finally:
        riding.reset(before)


class ReadingLanes:
    """The threads of all lanes, started as they are needed, and each wallet's use of them."""

    def __init__(self, *, in_process: bool = False) -> None:
        """``in_process`` means that the database is, so that reading a row takes microseconds."""
        self._in_process = in_process
        self._lock = threading.Lock()
        self._begin_anew()
        forks.guard(self, ReadingLanes._begin_anew)

    def _begin_anew(self) -> None:
        """At the beginning, and in a child process, which has none of its parent's threads."""
        self._lock = threading.Lock()
        self._crews = {lane: Crew(f"credit-wallet-{lane.name}", lane.threads, lane.waiting) for lane in LANES}
        self._used: Counter[tuple[Lane, int]] = Counter()
        self._reports = 0
        self._is_closed = False

    async def ask(self, lane: Lane, question: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query on ``lane``, from a coroutine.

        A quick lane's queries settle nothing that is due. Where the database is in this process they run in the event
        loop itself: only it uses the lane's connection, and nobody waits for it. Raises ``ServiceBusy`` and what
        ``question`` raises.
        """
        if lane.quick and self._in_process:
            with on(lane):
                return question(*args, **kwargs)
        return await self.ask_for(0, lane, question, *args, **kwargs)

    async def ask_for(
        self, wallet_id: int, lane: Lane, question: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a wallet's query on a thread of ``lane``, within the wallet's share.

        ``wallet_id`` 0 stands for nobody in particular, -7 for operators who look at wallet 7. Raises
        ``ShareExceeded``, ``ServiceBusy`` and what ``question`` raises.
        """
        from asyncio import timeout, wrap_future

        future = self._submit(lane, wallet_id, partial(question, *args, **kwargs))
        limit = timeout(lane.seconds)
        try:
            async with limit:
                return await wrap_future(future)
        except TimeoutError:
            if not limit.expired():
                raise
            raise ServiceBusy(
                f"there was no answer within {lane.seconds:g} seconds; try again",
                retry_after_seconds=SOON_SECONDS,
            ) from None

    @contextmanager
    def report(self, wallet_id: int) -> Iterator[None]:
        """While a report of a wallet is under way. Raises ``ShareExceeded`` and ``ServiceBusy``."""
        with self._lock:
            if self._reports >= MAX_REPORTS:
                raise _busy()
            self._take(REPORTS, wallet_id)
            self._reports += 1
        try:
            yield
        finally:
            with self._lock:
                self._reports -= 1
            self._give(REPORTS, wallet_id)

    def close(self) -> None:
        """Accept no more queries; the threads end after those that are queued."""
        self._is_closed = True
        for crew in self._crews.values():
            crew.close()

    def _submit(self, lane: Lane, wallet_id: int, question: Callable[[], T]) -> Future[T]:
        counted = wallet_id and lane is not REPORTS  # there a report counts, not its steps
        if counted:
            with self._lock:
                self._take(lane, wallet_id)
        try:
            future = self._crews[lane].submit(_carry_out, lane, question)
        except CrewBusy as busy:
            if counted:
                self._give(lane, wallet_id)
            raise (_closed() if self._is_closed else _busy()) from busy
        if counted:
            future.add_done_callback(lambda _: self._give(lane, wallet_id))
        return future

    def _take(self, lane: Lane, wallet_id: int) -> None:
        if self._used[lane, wallet_id] >= lane.share:
            raise ShareExceeded(
                f"{lane.share} requests of this kind are in progress for this wallet; try again when one has finished",
                retry_after_seconds=SOON_SECONDS,
            )
        self._used[lane, wallet_id] += 1

    def _give(self, lane: Lane, wallet_id: int) -> None:
        with self._lock:
            self._used[lane, wallet_id] -= 1
            if not self._used[lane, wallet_id]:
                del self._used[lane, wallet_id]


def _carry_out(lane: Lane, question: Callable[[], T]) -> T:
    started = monotonic()
    try:
        with on(lane):
            return question()
    finally:
        if lane.rests:
            sleep(min(monotonic() - started, LONGEST_REST_SECONDS))


def _busy() -> ServiceBusy:
    return ServiceBusy("too many requests of this kind are waiting; try again", retry_after_seconds=SOON_SECONDS)


def _closed() -> RailBusy:
    return RailBusy("the ledger is closing or closed; open it and try again")
