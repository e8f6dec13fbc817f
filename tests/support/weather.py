"""A service that fails on the way: what is lost, cut or answered by a proxy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from credit_wallet.wire.asgi import AsgiApp, Receive, Scope, Send

Fault = Callable[[AsgiApp, Scope, Receive, Send], Any]


class Weather:
    """An application in front of another that lets the next requests meet the faults it is told, in order."""

    def __init__(self, behind: AsgiApp) -> None:
        self._behind = behind
        self.faults: list[Fault] = []
        self.keys: list[bytes | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _no_lifespan(receive, send)
            return
        self.keys.append(dict(scope["headers"]).get(b"idempotency-key"))
        if self.faults:
            await self.faults.pop(0)(self._behind, scope, receive, send)
        else:
            await self._behind(scope, receive, send)


async def _no_lifespan(receive: Receive, send: Send) -> None:
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


def answering(status: int, body: bytes = b"{}", **headers: str) -> Fault:
    """An answer that does not come from the service."""

    async def answer(behind: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    return answer


async def lost_answer(behind: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The service does what was asked, and the connection breaks in the middle of its answer."""

    async def swallow(message: Any) -> None:
        if message["type"] == "http.response.start":
            await send({**message, "headers": [(b"content-length", b"999")]})

    await behind(scope, receive, swallow)
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def bad_gateway(behind: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The service does what was asked, and a proxy before it answers 504."""

    async def swallow(message: Any) -> None:
        pass

    await behind(scope, receive, swallow)
    await answering(504, b"<html>gateway</html>")(behind, scope, receive, send)
