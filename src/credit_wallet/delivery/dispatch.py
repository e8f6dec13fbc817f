"""Delivering: targets that have something due are leased, sent to side by side, and the results are noted.

No target waits for another one to answer. There is a bounded number of places, of which webhooks that failed last time
have a share of their own: however many receivers accept and say nothing, they do not hold the places of those that
answer. A webhook whose place is wanted is cut off after ``NOTICE_PATIENCE_SECONDS``; it counts as failed, and its next
attempt, among those that failed, has all of its time.

Everything here is one event loop. The ledger is asked on a thread, so that a database that hangs keeps no receiver's
answer from being taken, and nobody from ending this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from credit_wallet.delivery.bounds import FAILED_WEBHOOKS_AT_ONCE, MAILS_AT_ONCE, MESSAGES_AT_ONCE, WEBHOOKS_AT_ONCE
from credit_wallet.delivery.outbound import Outbound
from credit_wallet.delivery.rounds import Round
from credit_wallet.runtime.deadlines import NOTICE_PATIENCE_SECONDS, NOTICES_NOTED_SECONDS, Crew
from credit_wallet.stores.jobs.notice_queue import TARGETS_A_STEP, Places, Settled, Taken
from credit_wallet.telemetry import Logger

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""Between two looks for what is due."""

STOP_LOOK_SECONDS = 0.1

_ANY_NUMBER = 1_000_000

_log = Logger("credit_wallet.alerts")


class Queue(Protocol):
    """What the ledger does for who delivers; each call may wait for the database."""

    def are_due(self) -> bool:
        """Whether there is something to fan out or to send."""

    def lease(self, places: list[Places]) -> Taken:
        """Lease what is due for places that are free."""

    def settle(self, settled: list[Settled]) -> int:
        """Note the results of turns; how many deliveries arrived."""

    def now(self) -> datetime:
        """What the ledger's clock says."""


class _Stopped(Exception):
    """It is time to end."""


class _Lane:
    """Places for targets of one kind, and who has them since when."""

    def __init__(self, places: Places, patience_seconds: float | None = None) -> None:
        self._places = places
        self._patience_seconds = patience_seconds
        self.rounds: dict[asyncio.Task[None], tuple[Round, float]] = {}
        self.crowded = False

    def free(self) -> Places:
        return self._places._replace(free=self._places.free - len(self.rounds))

    def cut_off(self, now: float) -> None:
        """End the rounds that have lasted too long while others wait for their places."""
        if self._patience_seconds is None or not self.crowded:
            return
        for task, (round_, began) in self.rounds.items():
            if now - began >= self._patience_seconds and not task.done():
                round_.cut_off(f"no answer within {self._patience_seconds} seconds while others waited")
                task.cancel()


def _lanes() -> list[_Lane]:
    return [
        _Lane(Places("webhook", 0, 0, WEBHOOKS_AT_ONCE), NOTICE_PATIENCE_SECONDS),
        _Lane(Places("webhook", 1, _ANY_NUMBER, FAILED_WEBHOOKS_AT_ONCE)),
        _Lane(Places("mail", 0, _ANY_NUMBER, MAILS_AT_ONCE)),
        _Lane(Places("service", 0, _ANY_NUMBER, MESSAGES_AT_ONCE)),
    ]


class Dispatch:
    """The deliveries of one ledger that this process has under way."""

    def __init__(
        self,
        queue: Queue,
        open_outbound: Callable[[], AbstractAsyncContextManager[Outbound]],
        stopping: Callable[[], bool],
    ) -> None:
        """``open_outbound`` is called when there is something to send for the first time."""
        self._queue = queue
        self._open_outbound = open_outbound
        self._stopping = stopping
        self._outbound: Outbound | None = None
        self._ledger = Crew("credit-wallet-notices", 1, 1)
        self._lanes = _lanes()
        self._finished: list[Round] = []
        self._wake = asyncio.Event()
        self._arrived = 0

    async def until_quiet(self) -> int:
        """Deliver until nothing is due and everything has been tried; return how many deliveries arrived."""
        async with self._opened() as opened:
            while await self._step(opened) or self._is_busy():
                pass
        return self._arrived

    async def until_stopped(self) -> None:
        """Deliver what falls due until it is time to stop. A ledger that fails is asked again."""
        async with self._opened() as opened:
            while True:
                try:
                    if await self._step(opened) or self._is_busy():
                        continue
                except _Stopped:
                    raise
                except Exception:
                    _log.exception("notices_not_delivered")
                await self._pause()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as opened:
            try:
                with suppress(_Stopped):
                    yield opened
            finally:
                await self._end()

    async def _step(self, opened: AsyncExitStack) -> bool:
        """Note what has finished, lease what is due, and wait for more of either; whether anything was leased."""
        if self._stopping():
            raise _Stopped
        await self._note_finished()
        more = await self._lease_due(opened)
        for lane in self._lanes:
            lane.cut_off(monotonic())
        if not more and self._is_busy():
            await self._pause()
        return more

    async def _note_finished(self) -> None:
        while self._finished:
            step = self._finished[:TARGETS_A_STEP]
            self._arrived += await self._ask(self._queue.settle, [round_.settled() for round_ in step])
            del self._finished[: len(step)]

    async def _lease_due(self, opened: AsyncExitStack) -> bool:
        if not await self._ask(self._queue.are_due):
            for lane in self._lanes:
                lane.crowded = False
            return False
        leased = await self._ask(self._queue.lease, [lane.free() for lane in self._lanes])
        for lane, turns, lane.crowded in zip(self._lanes, leased.turns, leased.crowded, strict=True):
            for turn in turns:
                if self._outbound is None:
                    self._outbound = await opened.enter_async_context(self._open_outbound())
                self._begin(lane, Round(turn, self._outbound, self._queue.now))
        return leased.more

    def _begin(self, lane: _Lane, round_: Round) -> None:
        def finish(task: asyncio.Task[None]) -> None:
            del lane.rounds[task]
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("notice_round_failed", target_id=round_.turn.target.target_id, exc_info=error)
            self._finished.append(round_)
            self._wake.set()

        task = asyncio.create_task(round_.carry_out())
        lane.rounds[task] = (round_, monotonic())
        task.add_done_callback(finish)

    def _is_busy(self) -> bool:
        return bool(self._finished) or any(lane.rounds for lane in self._lanes)

    async def _pause(self) -> None:
        """Wait until a round has finished, or it is time to look again."""
        until = monotonic() + LOOK_SECONDS
        while not self._wake.is_set() and monotonic() < until:
            if self._stopping():
                raise _Stopped
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), STOP_LOOK_SECONDS)
        self._wake.clear()

    async def _ask(self, function: Callable[..., T], *args: Any) -> T:
        """Have the ledger asked, and give up on the answer when it is time to stop."""
        asked = asyncio.ensure_future(self._ledger.ask(function, *args))
        while not (await asyncio.wait((asked,), timeout=STOP_LOOK_SECONDS))[0]:
            if self._stopping():
                asked.cancel()
                raise _Stopped
        return asked.result()

    async def _end(self) -> None:
        """Give back what is under way, as far as the ledger answers soon; other leases expire."""
        tasks = [task for lane in self._lanes for task in lane.rounds]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_LOOK_SECONDS)
        settled = [round_.settled() for round_ in self._finished]
        if settled:
            noting = self._ledger.ask(self._queue.settle, settled)
            try:
                self._arrived += await asyncio.wait_for(noting, NOTICES_NOTED_SECONDS)
            except Exception as error:
                _log.warning("notices_not_noted", targets=len(settled), error=f"{type(error).__name__}: {error}")
        self._ledger.close()
