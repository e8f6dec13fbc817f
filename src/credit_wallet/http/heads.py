"""``HEAD`` wherever there is a ``GET``: the same status and headers, and no body (RFC 9110, section 9.3.2)."""

from __future__ import annotations

from typing import Any

from litestar import Litestar


class WithHead(Litestar):
    """An application that answers ``HEAD`` as ``GET``, and keeps the body back."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI's entry."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await super().__call__(scope, receive, send)
            return

        async def send_without_body(message: Any) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        as_get: Any = {**scope, "method": "GET"}
        await super().__call__(as_get, receive, send_without_body)
