"""What cheating buyers ask for, what the handler does with it, and one attempt of it; see ``cheaters``."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from credit_wallet.gate import purchases
from credit_wallet.middleware import charge_for
from credit_wallet.wire.asgi import Scope, Send

if TYPE_CHECKING:
    from cheaters_workers import Worker

PRICES_YEN = {"/search": 100, "/small": 7}
LEASE_SECONDS = purchases.LEASE_SECONDS
HOLD_SECONDS = 600
FREE_RETRIES = 2

PATIENCE_SECONDS = 20.0

ATTEMPT = "cheaters.attempt"
"""Where a request's scope has its attempt."""


class Broken(Exception):
    """What a handler fails with."""


class Plan(Struct, frozen=True):
    """What the handler does with a request: a start, a message for each chunk (of so many bytes), then it returns.

    ``breaks_at`` is the number of the message in whose place it fails, ``captures_at`` the one before which it says
    what the call came to. An answer without chunks is a 204.
    """

    status: int = 200
    chunks: tuple[int, ...] = (3, 3)
    announced: bool = False
    ends_apart: bool = False
    heeds_leaving: bool = False
    breaks_at: int | None = None
    captures_yen: int | None = None
    captures_at: int = 0

    def messages(self) -> list[dict[str, Any]]:
        """What is sent, if all goes well."""
        status = self.status if self.chunks or self.status != 200 else 204
        headers = [(b"content-length", b"%d" % sum(self.chunks))] if self.announced and self.chunks else []
        bodies: list[dict[str, Any]] = [
            {"type": "http.response.body", "body": b"x" * size, "more_body": True} for size in self.chunks
        ]
        if self.ends_apart or not bodies:
            bodies.append({"type": "http.response.body", "body": b""})
        bodies[-1]["more_body"] = False
        return [{"type": "http.response.start", "status": status, "headers": headers}, *bodies]


class Request(Struct, frozen=True):
    """What a caller asks for. Equal requests with a key are one request; without a key each ``number`` is one.

    ``payer`` is the place of who pays among the buyers.
    """

    payer: int
    key: str | None = None
    path: str = "/search"
    body: bytes = b""
    number: int = 0
    proxied: bool = False
    """Whether it comes through a proxy that gives every request the same ``X-Request-Id``."""

    @property
    def label(self) -> str:
        """Its note in the ledger."""
        return f"{self.payer} {self.key or self.number} {self.path} {self.body.decode()}"

    @property
    def price_yen(self) -> int:
        return PRICES_YEN[self.path]


class Buyer(Struct):
    """A wallet's owner or one of its agents, with every token that it ever had."""

    wallet_id: int
    key_id: int | None
    tokens: list[str]


class Attempt:
    """One try of a request at one worker, and the caller who makes it."""

    def __init__(
        self, worker: Worker, request: Request, plan: Plan, token: str, *, leaves_after: int | None, slow: bool
    ) -> None:
        self.worker, self.request, self.plan = worker, request, plan
        self.task: asyncio.Task[None] | None = None
        self.sending = False
        """Whether a message is with the server, and the gate does not know yet that it is out."""
        self._token = token
        self._leaves_after = leaves_after
        """The caller leaves with that byte of the body; 0: with the answer's start."""
        self._slow = slow
        self.done = False
        self.status: int | None = None
        self.ran = 0
        self.got = 0
        self.whole = False
        self.broke = False
        self.sent_unseen = False
        """Whether bytes went out after the caller had left and before the server said so."""
        self.lost = False
        """Whether its worker was killed before it could hand on that it had served."""
        self.overran = False
        self.captured_yen: int | None = None
        self.told = False
        self.noted_down = False
        """Whether the ledger knows that it has served. What it hands over later changes nothing about that."""
        self.handed_on = False
        """Whether it has ended, and all that came of it is written."""
        self._permits = 0
        self._resting = False
        self._go = asyncio.Event()
        self._gone = asyncio.Event()
        self._listening = False
        self._unread = True

    @property
    def at_rest(self) -> bool:
        """Whether it goes on only when the test says so."""
        return self.done or (self._resting and not self._permits)

    @property
    def served(self) -> Literal["yes", "no", "perhaps"]:
        if not self.ran or self.plan.status >= 500:
            return "no"
        if not self.got and not self.whole:
            return "perhaps" if self.sent_unseen else "no"
        return "perhaps" if self.lost or (self.broke and not self.whole) else "yes"

    def due_yen(self, held: bool) -> tuple[int, int]:
        """What must be paid at least for an answer of this attempt, and may be at most."""
        price, captured = self.request.price_yen, self.captured_yen
        if not held or captured is None:
            return price, price
        return min(price, captured), max(price, captured)

    async def run(self, gate: Any) -> None:
        """Send the request."""
        headers = [(b"authorization", f"Bearer {self._token}".encode()), (b"x-label", self.request.label.encode())]
        if self.request.key is not None:
            headers.append((b"idempotency-key", self.request.key.encode()))
        if self.request.proxied:
            headers.append((b"x-request-id", b"proxy"))
        scope = {"type": "http", "method": "POST", "path": self.request.path, "query_string": b"", "headers": headers}
        try:
            with suppress(Exception, asyncio.CancelledError):  # what a server logs
                await gate({**scope, "client": ("192.0.2.1", 50_000), ATTEMPT: self}, self._receive, self._send)
        finally:
            self.done = True
            self.worker.changed.set()

    def go_on(self, steps: int) -> None:
        """Let handler and server take so many more steps."""
        self._permits += steps
        self._go.set()

    def written(self) -> None:
        """Its worker has nothing left to write."""
        self.handed_on = self.handed_on or self.done
        self.noted_down = self.noted_down or (not self.sending and (self.got > 0 or self.whole))

    def leave(self) -> None:
        """The caller hangs up, and the server says so to whoever listens."""
        self._gone.set()
        if self._listening:
            self.worker.until(lambda: self.told or self.done, PATIENCE_SECONDS)

    async def answer(self, scope: Scope, send: Send) -> None:
        """The handler."""
        self.ran += 1
        messages = self.plan.messages()
        for number, message in enumerate(messages):
            await self._rest()
            if self.plan.heeds_leaving and self.told:
                return
            self._do_books(scope, number)
            await send(message)
        await self._rest()
        self._do_books(scope, len(messages))

    def _do_books(self, scope: Scope, number: int) -> None:
        late = number == len(self.plan.messages())
        if self.plan.breaks_at == number:
            self.broke = True
            raise Broken
        if self.plan.captures_yen is not None and self.plan.captures_at == number:
            with suppress(*((RuntimeError, ValueError) if late else ())):
                charge_for(scope).capture(self.plan.captures_yen)
                self.captured_yen = self.plan.captures_yen

    async def _rest(self) -> None:
        while not self._permits:
            self._resting = True
            self.worker.changed.set()
            self._go.clear()
            await self._go.wait()
        self._resting = False
        self._permits -= 1

    async def _hang_up(self) -> None:
        """In the middle of an answer; the server has time to say so before the answer goes on."""
        self._gone.set()
        await turns(5)

    async def _receive(self) -> dict[str, Any]:
        if self._unread:
            self._unread = False
            return {"type": "http.request", "body": self.request.body, "more_body": False}
        self._listening = True
        await self._gone.wait()
        self.told = True
        self.worker.changed.set()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sending = True
        try:
            await self._take(message)
        finally:
            self.sending = False

    async def _take(self, message: Any) -> None:
        body = message.get("body", b"")
        ours = body.startswith(b"x")
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if self._gone.is_set():
            whole = self.ran > 0 and (last or message.get("status") == 204)
            self.sent_unseen = self.sent_unseen or (not self.told and (ours or whole))
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.whole = self.status == 204
            if self._leaves_after == 0:
                await self._hang_up()
        self.got += len(body) if ours else 0
        self.whole = self.whole or (last and self.got > 0)
        if ours and self._leaves_after is not None and self.got >= self._leaves_after:
            await self._hang_up()
        if self._slow and self.ran:
            await self._rest()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
