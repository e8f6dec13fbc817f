"""A proxy in front of the fake that breaks what passes: the calls of a service, and the webhooks for it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from fake_stripe.fake import FakeStripe
from fake_stripe.faults import CallOrder, Delivered, Fault, Fired, HeldWebhook, WebhookFault, WebhookOrder
from fake_stripe.loop_thread import LoopThread
from fake_stripe.webhooks import signature

_AT_RANDOM = (Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.DUPLICATE)

T = TypeVar("T")
Json = dict[str, Any]

PATIENCE_SECONDS = 30
ANSWER_SECONDS = 25
FORGED = "whsec_forged"
_WEBHOOK_PATH = "/webhook"
_ONE_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class StripeFaults:
    """Listens on a loopback port for the service that calls ``fake``. Any thread may call it.

    A fault happens to the next ``times`` calls with this ``method`` whose path matches ``path``, a regular expression;
    the fault that was ordered first has precedence. Everything else passes unchanged.
    """

    def __init__(self, fake: FakeStripe) -> None:
        self._fake = fake
        self._lock = threading.Condition()
        self._orders: list[CallOrder] = []
        self._random: tuple[Random, float] | None = None
        self._fired: list[Fired] = []
        self._webhook_orders: list[WebhookOrder] = []
        self._delivered: list[Delivered] = []
        self._held: list[HeldWebhook] = []
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
        """The call never reaches Stripe: the connection is closed, or with ``stall`` stays silent."""
        self._order(CallOrder(Fault.CUT_BEFORE, method, re.compile(path), times, stall=stall))

    def timeout_after_processing(
        self, *, method: str | None = "POST", path: str = "", times: int = 1, stall: bool = False
    ) -> None:
        """Stripe carries out the call, and its answer never arrives: the connection is closed, or stays silent."""
        self._order(CallOrder(Fault.CUT_AFTER, method, re.compile(path), times, stall=stall))

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
        """The answer is an error, before or after Stripe has carried out the call."""
        fault = Fault.ERROR_AFTER if after_processing else Fault.ERROR_BEFORE
        self._order(CallOrder(fault, method, re.compile(path), times, status=status, retry_after=retry_after))

    def change_answers(
        self, change: Callable[[Json], None], *, method: str | None = None, path: str = "", status: int | None = None
    ) -> None:
        """From now on ``change`` edits each JSON answer, which also gets this status, if there is one."""
        self._order(CallOrder(Fault.CHANGE, method, re.compile(path), 1_000_000, status=status or 0, change=change))

    def delay(self, seconds: float, *, method: str | None = "POST", path: str = "", times: int = 1) -> None:
        """The answer is late."""
        self._order(CallOrder(Fault.DELAY, method, re.compile(path), times, seconds=seconds))

    def duplicate(self, *, method: str | None = "POST", path: str = "", times: int = 1) -> None:
        """Stripe receives the call twice at once."""
        self._order(CallOrder(Fault.DUPLICATE, method, re.compile(path), times))

    def at_random(self, random: Random, chance: float = 0.3) -> None:
        """From now on, each POST has this chance of a fault (any but a delay), drawn from ``random``."""
        with self._lock:
            self._random = (random, chance)

    def clear(self) -> None:
        """Forget all faults of calls and webhooks that have not happened, and release the held webhooks."""
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
        """Return when this many faults have happened."""
        self._wait(lambda: len(self._fired) >= times, f"{times} faults")

    def webhooks_to(self, url: str, secret: str, types: Sequence[str] = ("*",)) -> None:
        """Have the fake deliver its webhooks through this proxy to the service at ``url``, signed with ``secret``."""
        self._target, self._secret = url, secret
        self._fake.send_webhooks_to(self._webhook_url, secret, types=types)

    def drop_webhooks(self, times: int = 1, types: Sequence[str] = ()) -> None:
        """The next deliveries (of these types) fail; Stripe knows and delivers them again."""
        self._order_webhook(WebhookOrder(WebhookFault.DROP, tuple(types), times))

    def lose_webhooks(self, times: int = 1, types: Sequence[str] = ()) -> None:
        """The next events (of these types) never arrive, and Stripe believes that they did."""
        self._order_webhook(WebhookOrder(WebhookFault.LOSE, tuple(types), times))

    def duplicate_webhooks(self, times: int = 1, types: Sequence[str] = ()) -> None:
        """The next deliveries (of these types) arrive twice at once."""
        self._order_webhook(WebhookOrder(WebhookFault.DUPLICATE, tuple(types), times))

    def delay_webhooks(self, seconds: float, times: int = 1, types: Sequence[str] = ()) -> None:
        """The next deliveries (of these types) arrive late."""
        self._order_webhook(WebhookOrder(WebhookFault.DELAY, tuple(types), times, seconds))

    def hold_webhooks(self) -> None:
        """Pass nothing on until ``release_webhooks``."""
        with self._lock:
            self._holding = True

    def wait_held(self, count: int = 1) -> list[str]:
        """Wait until ``count`` events are held; returns their ids in the order of their arrival."""
        self._wait(lambda: len(self._held) >= count, f"{count} held webhooks")
        with self._lock:
            return [held.event["id"] for held in self._held]

    def release_webhooks(self, order: Sequence[str] | Random | None = None) -> None:
        """Pass on the held webhooks one after the other: as they arrived, by event id, or as ``order`` shuffles them.

        Returns when the service has answered each of them.
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
        """Send the service an event that is not from Stripe. Returns the status of its answer."""
        return self._run(self._send(event, secret, int(time.time())))

    def replay(self, event_id: str, age_seconds: int = 600) -> int:
        """Send the service an event that Stripe signed some time ago. Returns the status of its answer."""
        [event] = [each for each in self._fake.events() if each["id"] == event_id]
        return self._run(self._send(event, self._secret, int(time.time()) - age_seconds))

    @property
    def delivered(self) -> list[Delivered]:
        """The webhooks that were passed on, in the order of the service's answers."""
        with self._lock:
            return list(self._delivered)

    def wait_delivered(self, count: int) -> None:
        """Return when this many webhooks have been passed on."""
        self._wait(lambda: len(self._delivered) >= count, f"{count} deliveries")

    @property
    def _webhook_url(self) -> str:
        return f"{self.url}{_WEBHOOK_PATH}"

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(coroutine, PATIENCE_SECONDS)

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        with self._lock:
            if not self._lock.wait_for(happened, PATIENCE_SECONDS):
                raise TimeoutError(f"no {what} within {PATIENCE_SECONDS} seconds")

    def _order(self, order: CallOrder) -> None:
        with self._lock:
            self._orders.append(order)

    def _order_webhook(self, order: WebhookOrder) -> None:
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

    def _claim(self, request: web.Request) -> CallOrder | None:
        """The fault that happens to a call, if any."""
        with self._lock:
            order = next((order for order in self._orders if order.fits(request)), None)
            if order is not None:
                order.left -= 1
            elif self._random is not None and request.method == "POST":
                random, chance = self._random
                if random.random() < chance:
                    order = CallOrder(random.choice(_AT_RANDOM), None, re.compile(""), 0, random.choice((500, 503)))
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
            case Fault.CHANGE:
                answer = await self._changed(request, body, order)
            case Fault.DELAY:
                answer = await self._forward(request, body)
                await asyncio.sleep(order.seconds)
            case Fault.DUPLICATE:
                answer, _ = await asyncio.gather(self._forward(request, body), self._forward(request, body))
        self._has_fired(order, request)
        return answer

    async def _changed(self, request: web.Request, body: bytes, order: CallOrder) -> web.Response:
        answer = await self._forward(request, body)
        said = json.loads(answer.body or b"{}")  # type: ignore[arg-type]
        if order.change is not None:
            order.change(said)
        return web.json_response(said, status=order.status or answer.status)

    async def _cut(self, request: web.Request, order: CallOrder) -> web.Response:
        if order.stall:
            self._has_fired(order, request)
            await asyncio.Event().wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _has_fired(self, order: CallOrder, request: web.Request) -> None:
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

    def _claim_webhook(self, event_type: str) -> WebhookOrder | None:
        with self._lock:
            for order in self._webhook_orders:
                if order.left > 0 and (not order.types or event_type in order.types):
                    order.left -= 1
                    return order
            return None

    def _hold(self, event: Json) -> HeldWebhook | None:
        with self._lock:
            if not self._holding:
                return None
            held = HeldWebhook(event)
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


async def _release(waiting: Sequence[HeldWebhook]) -> None:
    for held in waiting:
        held.released.set()
        await held.passed.wait()


def _error(order: CallOrder) -> web.Response:
    error = {"type": "api_error", "message": "An unknown error occurred."}
    headers = {"Retry-After": order.retry_after} if order.retry_after is not None else {}
    return web.json_response({"error": error}, status=order.status, headers=headers)
