"""The seller's processes and their ledger, for ``cheaters``: event loops that run only while a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from time import sleep
from typing import Any, Literal, TypeAlias

import httpx
import pytest
from cheaters_attempts import ATTEMPT, FREE_RETRIES, HOLD_SECONDS, PATIENCE_SECONDS, PRICES_YEN, Attempt, turns
from clock import Clock
from databases import Databases
from served import Served
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient, Retries
from credit_wallet.domain.backoff import Backoff
from credit_wallet.middleware import CreditGate, GatedRequest
from credit_wallet.wire.asgi import Receive, Scope, Send

Where: TypeAlias = Literal["embedded", "remote"]

IDLE_SECONDS = 0.0005

_PAUSES = {
    "credit_wallet.ledger.rail.POSTED_SECONDS": 0.001,
    "credit_wallet.gate.billing.BACKOFF": Backoff(0.002, 0.01),
    "credit_wallet.gate.billing.WAIT_SECONDS": 1.0,
    "credit_wallet.gate.compensations.BACKOFF": Backoff(0.002, 0.2),
}
"""What waits for a moment waits for a shorter one."""

_QUICK = Retries(attempts=2, first_pause_seconds=0.0, total_seconds=1.0)


class _Transport(httpx.AsyncBaseTransport):
    """Counts the calls that are under way, and does not get through when a test says so."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.under_way = 0
        self.failures_left = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.failures_left:
            self.failures_left -= 1
            raise httpx.ConnectError("the service is not there")
        self.under_way += 1
        try:
            return await self._inner.handle_async_request(request)
        finally:
            self.under_way -= 1

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    await scope[ATTEMPT].answer(scope, send)


def _price(request: GatedRequest) -> int:
    return PRICES_YEN[request.path]


def _label(request: GatedRequest) -> str:
    return request.headers["x-label"]


class Worker:
    """A process of the seller's: a gate, its wallets, and an event loop that stands still between two steps."""

    def __init__(self, ledger: Ledger, where: Where, held: bool, options: dict[str, Any]) -> None:
        self.changed = asyncio.Event()
        self.attempts: list[Attempt] = []
        self._loop = asyncio.new_event_loop()
        self._ledger = ledger
        self.transport = _Transport()
        self.wallets: CreditWallet | AsyncWalletClient = (
            ledger.take_wallets()
            if where == "embedded"
            else AsyncWalletClient(ledger.service_url(), ledger.seller_token, retries=_QUICK, transport=self.transport)
        )
        price = {"hold": _price, "hold_seconds": HOLD_SECONDS} if held else {"price_yen": _price}
        self._gate = CreditGate(
            _application, self.wallets, note=_label, free_retries=FREE_RETRIES, **{**price, **options}
        )

    def begin(self, attempt: Attempt) -> None:
        """Hand a request over; nothing happens to it before the loop runs."""
        self.attempts.append(attempt)
        attempt.task = self._loop.create_task(attempt.run(self._gate))

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Run until a condition holds, or so long; whether it holds."""
        held: bool = self.run(self._until(condition, seconds))
        return held

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run this process until ``work`` is done."""
        return self._loop.run_until_complete(work)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def give_turns(self, count: int) -> None:
        """Let the loop go round so many times."""
        self.run(turns(count))

    def hand_on(self) -> None:
        """Let what this process has begun to write be written, at the second or third try if need be.

        Without that (the service is not there for too long) nothing counts as handed on.
        """
        self.run(self._hand_on())

    async def _hand_on(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await self._is_quiet():
                    await asyncio.sleep(IDLE_SECONDS)
                for attempt in self.attempts:  # before anybody else has a turn
                    attempt.written()

    async def _is_quiet(self) -> bool:
        for _ in range(3):
            await turns(10)
            if self.transport.under_way or self.queued or self.owed:
                return False
        return True

    @property
    def owed(self) -> int:
        """Movements that the gate has still to carry out."""
        return len(self._gate._billing.compensations._pending)

    @property
    def queued(self) -> int:
        """Commands that this process has handed to its ledger and that are not carried out yet."""
        return self.wallets.maintenance.waiting() if isinstance(self.wallets, CreditWallet) else 0

    def cancel(self, attempt: Attempt) -> None:
        """The server gives a request up."""
        assert attempt.task is not None
        attempt.task.cancel()
        self.until(lambda: attempt.done, PATIENCE_SECONDS)

    def die(self) -> None:
        """The loop never runs again. The rail is a thread, and dies after what it was given."""
        if not isinstance(self.wallets, CreditWallet):
            return
        while self.queued:
            sleep(IDLE_SECONDS)
        if not self.owed:
            for attempt in self.attempts:
                attempt.written()

    def close(self) -> None:
        """Finish what gates finish when an application ends."""
        self.run(self._gate.aclose())
        self.hand_on()

    def remove(self) -> None:
        """Clear away what is left; what still wanted to move money cannot."""
        if isinstance(self.wallets, CreditWallet):
            self.wallets.close()
        self.run(_ended(asyncio.all_tasks(self._loop)))
        if isinstance(self.wallets, AsyncWalletClient):
            self.run(self.wallets.aclose())
        self._loop.close()


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    while tasks:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}


class Ledger:
    """A ledger that many examples use, each with wallets of its own. ``books`` looks on; the service serves it."""

    def __init__(self, databases: Databases, clock: Clock) -> None:
        self._open = ExitStack()
        patch = self._open.enter_context(pytest.MonkeyPatch.context())
        for name, shorter in _PAUSES.items():
            patch.setattr(name, shorter)
        self.clock = clock
        self.url = self._open.enter_context(databases.ledger())
        self.books = self._open.enter_context(CreditWallet.open(self.url, clock=clock))
        self.seller_token = self.books.sellers.create().token
        self._service = new_app(self.books)
        self.api = self._open.enter_context(Api(self._service))
        self._service_url: str | None = None
        self._idle: list[CreditWallet] = []

    def take_wallets(self) -> CreditWallet:
        """An open ledger for one process."""
        return self._idle.pop() if self._idle else CreditWallet.open(self.url, clock=self.clock)

    def give_back(self, wallets: CreditWallet) -> None:
        """For the next process."""
        self._idle.append(wallets)

    def service_url(self) -> str:
        """Where the service is, on a socket."""
        if self._service_url is None:
            self._service_url = self._open.enter_context(Served(self._service)).url
        return self._service_url

    def close(self) -> None:
        for wallets in self._idle:
            wallets.close()
        self._open.close()
