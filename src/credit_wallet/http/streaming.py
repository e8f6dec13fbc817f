"""Long answers, sent piece by piece to a client that takes them: one that does not is given up.

A piece is made when the one before has been taken, so that an answer of any length needs the memory of a few pieces.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import ExitStack
from typing import Any

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Send

from credit_wallet.runtime import deadlines
from credit_wallet.telemetry import Logger

_log = Logger("credit_wallet.http")


class Streamed(Response[Any]):
    """The answer that consists of ``pieces``; ``held`` is released when it has ended, in whatever way."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], media_type: str, held: ExitStack) -> None:
        super().__init__(content=None, media_type=media_type)
        self._pieces = pieces
        self._held = held

    def to_asgi_response(
        self,
        app: Any,  # noqa: ARG002 - the framework's
        request: Request[Any, Any, Any],  # noqa: ARG002 - the framework's
        *,
        encoded_headers: Iterable[tuple[bytes, bytes]] | None = None,
        headers: dict[str, str] | None = None,
        **_: Any,
    ) -> ASGIResponse:
        """As the framework wants it."""
        return _Streaming(
            self._pieces,
            self._held,
            encoded_headers=encoded_headers,
            headers={**(headers or {}), **self.headers},
            media_type=self.media_type,
        )


class _Streaming(ASGIStreamingResponse):
    __slots__ = ("_held", "_pieces")

    def __init__(self, pieces: AsyncGenerator[bytes, None], held: ExitStack, **rest: Any) -> None:
        super().__init__(iterator=pieces, **rest)
        self._pieces = pieces
        self._held = held

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._held.close()

    async def _stream(self, send: Send) -> None:
        async for piece in self._pieces:
            await _taken(send, {"type": "http.response.body", "body": piece, "more_body": True})
        await _taken(send, {"type": "http.response.body", "body": b"", "more_body": False})


class _GivenUp(Exception):
    """The client has not taken a piece in time: the connection ends before the answer does."""


async def _taken(send: Send, message: Any) -> None:
    limit = asyncio.timeout(deadlines.CLIENT_SECONDS)
    try:
        async with limit:
            await send(message)
    except TimeoutError:
        if not limit.expired():
            raise
        _log.warning("client_given_up", seconds=deadlines.CLIENT_SECONDS)
        raise _GivenUp from None
