"""A proxy around the fake of Stripe that breaks what passes: a service's calls, and the webhooks that it gets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from credit_wallet.payments.fake.loop_thread import LoopThread
from credit_wallet.payments.fake.webhooks import signature
from credit_wallet.payments.fake_stripe import FakeStripe

T = TypeVar("T")
Json = dict[str, Any]

PATIENCE_SECONDS = 30
ANSWER_SECONDS = 25
FORGED = "whsec_forged"
_WEBHOOK_PATH = "/webhook"
_ONE_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class Fault(Enum):
    """What may go wrong with a call."""

    CUT_BEFORE = auto()
    """Stripe never hears of the call; the connection is closed, or stalls."""
    CUT_AFTER = auto()
    """Stripe has carried the call out; its answer never comes."""
    ERROR_BEFORE = auto()
    """Stripe never hears of the call; the answer is an error."""
    ERROR_AFTER = auto()
    """Stripe has carried the call out; the answer is an error."""
    DELAY = auto()
    """The answer comes late."""
    DUPLICATE = auto()
    """Stripe gets the call twice at once; the first answer is passed on."""
    OTHER = auto()
    """Stripe has carried the call out; its answer says something else."""


_AT_RANDOM = (Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.DUPLICATE)


@dataclass(eq=False)
class _Order:
    """A fault that waits for its calls."""

    fault: Fault
    method: str | None
    path: re.Pattern[str]
    left: int
    status: int = 500
    seconds: float = 0
    stall: bool = False
    retry_after: str | None = None
    change: Callable[[Json], None] | None = None

    def fits(self, request: web.Request) -> bool:
        return self.left > 0 and self.method in (None, request.method) and self.path.search(request.path) is not None


@dataclass(frozen=True)
class Fired:
    """A fault has happened to a call."""

    fault: Fault
    method: str
    path: str


@dataclass(frozen=True)
class Delivered:
    """A webhook was passed on; ``status`` is the service's answer, 0 when there was none."""

    event_id: str
    event_type: str
    status: int


class WebhookFault(Enum):
    """What may go wrong with a webhook."""

    DROP = auto()
    """It is not passed on, and Stripe hears so: it will deliver again."""
    LOSE = auto()
    """It is not passed on, and Stripe believes that it was."""
    DUPLICATE = auto()
    """It is passed on twice at once."""
    DELAY = auto()
    """It is passed on late."""


@dataclass(eq=False)
class _WebhookOrder:
    fault: WebhookFault
    types: tuple[str, ...]
    left: int
    seconds: float = 0


@dataclass(eq=False)
class _Held:
    """A webhook that waits to be passed on."""

    event: Json
    released: asyncio.Event = field(default_factory=asyncio.Event)
    passed: asyncio.Event = field(default_factory=asyncio.Event)


class StripeFaults:
    """Listens on a loopback port for the service that calls ``fake``. May be called from any thread.

    A fault happens to the next ``times`` calls whose method is ``method`` and whose path ``path`` (a pattern) finds;
    the fault that was ordered first has precedence. What no fault happens to passes unchanged.
    """

    def __init__(self, fake: FakeStripe) -> None:
        self._fake = fake
        self._lock = threading.Condition()
        self._orders: list[_Order] = []
        self._random: tuple[Random, float] | None = None
        self._fired: list[Fired] = []
        self._webhook_orders: list[_WebhookOrder] = []
        self._delivered: list[Delivered] = []
        self._held: list[_Held] = []
        self._holding = False
        self._target = ""
        self._secret = ""
        self._thread = LoopThread("Stripe faults")
        self.url: str = self._run(self._start())
        """Where the service finds Stripe's API."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cut all connections and stop listening."""
        self._fake.stop_webhooks_to(self._webhook_url)
        self._run(self._stop())
        self._thread.close()

    def timeout_before_processing(
        self, *, method: str | None = "POST", path: str = "", times: int = 1, stall: bool = False
    ) -> None:
        """The call never comes to Stripe: the connection is closed, or with ``stall`` says nothing more."""
        self._order(_Order(Fault.CUT_BEFORE, method, re.compile(path), times, stall=stall))

    def timeout_after_processing(
        self, *, method: str | None = "POST", path: str = "", times: int = 1, stall: bool = False
    ) -> None:
        """Stripe carries the call out and the answer never comes: closed, or with ``stall`` nothing more."""
        self._order(_Order(Fault.CUT_AFTER, method, re.compile(path), times, stall=stall))

    def error(
        self,
        status: int = 500,
        *,
        after_processing: bool = False,
        method: str | None = "POST",
        path: str = "",
        times: int = 1,
        retry_after: str | None = None,
    ) -> None:
        """The answer is an error, whether Stripe has carried the call out or has not heard of it."""
        fault = Fault.ERROR_AFTER if after_processing else Fault.ERROR_BEFORE
        self._order(_Order(fault, method, re.compile(path), times, status=status, retry_after=retry_after))

    def say_otherwise(
        self, change: Callable[[Json], None], *, method: str | None = None, path: str = "", status: int | None = None
    ) -> None:
        """From now on answers that are JSON pass through ``change`` first, and have this status, when given."""
        self._order(_Order(Fault.OTHER, method, re.compile(path), 1_000_000, status=status or 0, change=change))

    def delay(self, seconds: float, *, method: str | None = "POST", path: str = "", times: int = 1) -> None:
        """The answer comes late."""
        self._order(_Order(Fault.DELAY, method, re.compile(path), times, seconds=seconds))

    def duplicate(self, *, method: str | None = "POST", path: str = "", times: int = 1) -> None:
        """Stripe gets the call twice at once."""
        self._order(_Order(Fault.DUPLICATE, method, re.compile(path), times))

    def at_random(self, random: Random, chance: float = 0.3) -> None:
        """From now on, any fault but a delay happens to any POST with this chance, as ``random`` draws it."""
        with self._lock:
            self._random = (random, chance)

    def clear(self) -> None:
        """No fault waits any more, of calls and of webhooks; those that are held are passed on."""
        with self._lock:
            self._orders.clear()
            self._webhook_orders.clear()
            self._random = None
        self.release_webhooks()

    @property
    def fired(self) -> list[Fired]:
        """What has happened, oldest first."""
        with self._lock:
            return list(self._fired)

    def wait_fired(self, times: int = 1) -> None:
        """Return when that many faults have happened."""
        self._wait(lambda: len(self._fired) >= times, f"{times} faults")

    def webhooks_to(self, url: str, secret: str, types: Sequence[str] = ("*",)) -> None:
        """Let the fake deliver its webhooks through here to the service at ``url``, signed with ``secret``."""
        self._target, self._secret = url, secret
        self._fake.send_webhooks_to(self._webhook_url, secret, types=types)

    def drop_webhooks(self, times: int = 1, types: Sequence[str] = ()) -> None:
        """The next deliveries (of these types) fail; Stripe knows and delivers them again."""
        self._order_webhook(_WebhookOrder(WebhookFault.DROP, tuple(types), times))

    def lose_webhooks(self, times: int = 1, types: Sequence[str] = ()) -> None:
        """The next events (of these types) never come, and Stripe believes that they did."""
        self._order_webhook(_WebhookOrder(WebhookFault.LOSE, tuple(types), times))

    def duplicate_webhooks(self, times: int = 1, types: Sequence[str] = ()) -> None:
        """The next deliveries (of these types) come twice at once."""
        self._order_webhook(_WebhookOrder(WebhookFault.DUPLICATE, tuple(types), times))

    def delay_webhooks(self, seconds: float, times: int = 1, types: Sequence[str] = ()) -> None:
        """The next deliveries (of these types) come late."""
        self._order_webhook(_WebhookOrder(WebhookFault.DELAY, tuple(types), times, seconds))

    def hold_webhooks(self) -> None:
        """Pass nothing on until ``release_webhooks``."""
        with self._lock:
            self._holding = True

    def wait_held(self, count: int = 1) -> list[str]:
        """Return the ids of the events that are held, in the order in which they came, once there are that many."""
        self._wait(lambda: len(self._held) >= count, f"{count} held webhooks")
        with self._lock:
            return [held.event["id"] for held in self._held]

    def release_webhooks(self, order: Sequence[str] | Random | None = None) -> None:
        """Pass on what is held, one after the other: as it came, by event id, or as ``order`` shuffles it.

        Returns when the service has answered all of them.
        """
        with self._lock:
            self._holding = False
            waiting, self._held = self._held, []
        if isinstance(order, Random):
            order.shuffle(waiting)
        elif order is not None:
            waiting.sort(key=lambda held: order.index(held.event["id"]))
        self._run(_release(waiting))

    def forge(self, event: Json, secret: str = FORGED) -> int:
        """Send the service an event that is not from Stripe; its answer's status."""
        return self._run(self._send(event, secret, int(time.time())))

    def replay(self, event_id: str, age_seconds: int = 600) -> int:
        """Send the service what Stripe rightly signed some time ago; its answer's status."""
        [event] = [each for each in self._fake.events() if each["id"] == event_id]
        return self._run(self._send(event, self._secret, int(time.time()) - age_seconds))

    @property
    def delivered(self) -> list[Delivered]:
        """What was passed on, in the order of the service's answers."""
        with self._lock:
            return list(self._delivered)

    def wait_delivered(self, count: int) -> None:
        """Return when that many deliveries have been passed on."""
        self._wait(lambda: len(self._delivered) >= count, f"{count} deliveries")

    @property
    def _webhook_url(self) -> str:
        return f"{self.url}{_WEBHOOK_PATH}"

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(coroutine, PATIENCE_SECONDS)

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        with self._lock:
            if not self._lock.wait_for(happened, PATIENCE_SECONDS):
                raise TimeoutError(f"waited for {what} in vain")

    def _order(self, order: _Order) -> None:
        with self._lock:
            self._orders.append(order)

    def _order_webhook(self, order: _WebhookOrder) -> None:
        with self._lock:
            self._webhook_orders.append(order)

    async def _start(self) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        app = web.Application()
        app.router.add_post(_WEBHOOK_PATH, self._webhook)
        app.router.add_route("*", "/{path:.*}", self._call)
        self._client = ClientSession(timeout=ClientTimeout(total=ANSWER_SECONDS), auto_decompress=False)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._client.close()

    def _claim(self, request: web.Request) -> _Order | None:
        """The fault that is to happen to a call."""
        with self._lock:
            order = next((order for order in self._orders if order.fits(request)), None)
            if order is not None:
                order.left -= 1
            elif self._random is not None and request.method == "POST":
                random, chance = self._random
                if random.random() < chance:
                    order = _Order(random.choice(_AT_RANDOM), None, re.compile(""), 0, random.choice((500, 503)))
            return order

    async def _call(self, request: web.Request) -> web.StreamResponse:
        order = self._claim(request)
        body = await request.read()
        if order is None:
            return await self._forward(request, body)
        match order.fault:
            case Fault.CUT_BEFORE:
                answer = await self._cut(request, order)
            case Fault.CUT_AFTER:
                await self._forward(request, body)
                answer = await self._cut(request, order)
            case Fault.ERROR_BEFORE:
                answer = _error(order)
            case Fault.ERROR_AFTER:
                await self._forward(request, body)
                answer = _error(order)
            case Fault.OTHER:
                answer = await self._otherwise(request, body, order)
            case Fault.DELAY:
                answer = await self._forward(request, body)
                await asyncio.sleep(order.seconds)
            case Fault.DUPLICATE:
                answer, _ = await asyncio.gather(self._forward(request, body), self._forward(request, body))
        self._has_fired(order, request)
        return answer

    async def _otherwise(self, request: web.Request, body: bytes, order: _Order) -> web.Response:
        answer = await self._forward(request, body)
        said = json.loads(answer.body or b"{}")  # type: ignore[arg-type]
        if order.change is not None:
            order.change(said)
        return web.json_response(said, status=order.status or answer.status)

    async def _cut(self, request: web.Request, order: _Order) -> web.Response:
        if order.stall:
            self._has_fired(order, request)
            await asyncio.Event().wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _has_fired(self, order: _Order, request: web.Request) -> None:
        with self._lock:
            self._fired.append(Fired(order.fault, request.method, request.path))
            self._lock.notify_all()

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _ONE_HOP}
        url = f"{self._fake.url}{request.path_qs}"
        async with self._client.request(
            request.method, url, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _ONE_HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        event: Json = json.loads(body)
        headers = {name: request.headers[name] for name in ("Content-Type", "Stripe-Signature")}
        order = self._claim_webhook(event["type"])
        match order and order.fault:
            case WebhookFault.DROP:
                return web.Response(status=502)
            case WebhookFault.LOSE:
                return web.Response()
            case WebhookFault.DELAY:
                await asyncio.sleep(order.seconds if order else 0)
        held = self._hold(event)
        if held is not None:
            await held.released.wait()
        try:
            copies = 2 if order is not None and order.fault is WebhookFault.DUPLICATE else 1
            statuses = await asyncio.gather(*(self._pass_on(event, body, headers) for _ in range(copies)))
        finally:
            if held is not None:
                held.passed.set()
        return web.Response(status=statuses[0] or 502)

    def _claim_webhook(self, event_type: str) -> _WebhookOrder | None:
        with self._lock:
            for order in self._webhook_orders:
                if order.left > 0 and (not order.types or event_type in order.types):
                    order.left -= 1
                    return order
            return None

    def _hold(self, event: Json) -> _Held | None:
        with self._lock:
            if not self._holding:
                return None
            held = _Held(event)
            self._held.append(held)
            self._lock.notify_all()
            return held

    async def _send(self, event: Json, secret: str, timestamp: int) -> int:
        body = json.dumps(event).encode()
        headers = {"Content-Type": "application/json", "Stripe-Signature": signature(body, [secret], timestamp)}
        return await self._pass_on(event, body, headers)

    async def _pass_on(self, event: Json, body: bytes, headers: dict[str, str]) -> int:
        status = 0
        with suppress(ClientError, TimeoutError):
            async with self._client.post(self._target, data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        with self._lock:
            self._delivered.append(Delivered(event["id"], event["type"], status))
            self._lock.notify_all()
        return status


async def _release(waiting: Sequence[_Held]) -> None:
    for held in waiting:
        held.released.set()
        await held.passed.wait()


def _error(order: _Order) -> web.Response:
    error = {"type": "api_error", "message": "An unknown error occurred."}
    headers = {"Retry-After": order.retry_after} if order.retry_after is not None else {}
    return web.json_response({"error": error}, status=order.status, headers=headers)
