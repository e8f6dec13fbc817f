"""An application behind a gate on a loopback socket, and what the tests need to see of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from served import PATIENCE_SECONDS, Served
from service import OPERATOR_KEY, TOPUP_URL, credentials, new_app

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient, Retries
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import CreditGate
from credit_wallet.wire.asgi import AsgiApp, Receive, Scope, Send

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

QUICK = Retries(attempts=2, first_pause_seconds=0.0, total_seconds=1.0)


async def answer(send: Send, status: int = 200, body: bytes = b"done", **headers: str) -> None:
    """A whole answer."""
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


class Application:
    """An ASGI application of one handler, which counts how often it ran."""

    def __init__(self, handler: Handler | None = None) -> None:
        self.handler = handler or self._answer
        self.ran = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan here")
        self.ran += 1
        await self.handler(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await answer(send)


class Stage:
    """Stands before the gate and says what the server told it, and when the gate was through with a request."""

    def __init__(self, gate: AsgiApp) -> None:
        self._gate = gate
        self._finished = threading.Semaphore(0)
        self._caller_left = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def hear() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._caller_left.set()
            return message

        try:
            await self._gate(scope, receive if scope["type"] == "lifespan" else hear, send)
        finally:
            if scope["type"] == "http":
                self._finished.release()

    def left(self, within_seconds: float) -> bool:
        """Whether the server has told the gate by then that a caller left."""
        return self._caller_left.wait(within_seconds)

    def wait(self, requests: int = 1) -> None:
        """Until the gate is through with so many more requests."""
        for _ in range(requests):
            assert self._finished.acquire(timeout=PATIENCE_SECONDS)


class Front:
    """A caller of a gated application, with the wallet that it pays from."""

    def __init__(self, url: str, stage: Stage, wallets: CreditWallet, wallet: CreatedWallet) -> None:
        self.url, self.stage, self.wallets, self.wallet = url, stage, wallets, wallet

    def call(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        token: str | None = "",
        key: str | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """The answer to one request on a connection of its own; without a ``token`` the owner's."""
        sent = credentials(self.wallet.owner_token if token == "" else token, key) | (headers or {})
        with httpx.Client(timeout=PATIENCE_SECONDS) as client:
            return client.request(method, self.url + path, headers=sent, content=content)

    @property
    def balance_yen(self) -> int:
        """What is left in the wallet."""
        return int(self.wallets.balance(self.wallet.wallet_id))

    def entries(self) -> list[tuple[str, int, str | None]]:
        """Charges and refunds, oldest first."""
        entries = reversed(self.wallets.history(self.wallet.wallet_id, limit=1_000))
        return [(each.txn_type, each.amount_yen, each.note) for each in entries if each.txn_type != "topup"]


@contextmanager
def gated(
    application: Any, wallets: CreditWallet, wallet: CreatedWallet, where: str = "embedded", **options: Any
) -> Iterator[Front]:
    """``application`` behind a gate whose wallets are in this process, or behind the service."""
    options = {"topup_url": TOPUP_URL, **options}
    if where == "embedded":
        stage = Stage(CreditGate(application, wallets, **options))
        with Served(stage) as served:
            yield Front(served.url, stage, wallets, wallet)
        return
    with Served(new_app(wallets)) as service:
        operator = AsyncWalletClient(service.url, OPERATOR_KEY, retries=QUICK)
        stage = Stage(CreditGate(application, operator, **options))
        with Served(stage) as served:
            yield Front(served.url, stage, wallets, wallet)


def start(gate: Any) -> list[Any]:
    """What a gate answers to the start of a server."""
    sent: list[Any] = []
    messages = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]

    async def receive() -> Any:
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(gate({"type": "lifespan"}, receive, send))
    return sent
