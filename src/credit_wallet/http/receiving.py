"""Receiving a request's body: bounded in bytes and in seconds."""

from __future__ import annotations

import asyncio

from credit_wallet.http.problems import BodyTooLarge, InvalidJson
from credit_wallet.http.replies import Receive

BODY_SECONDS = 10.0
"""How long a caller may take to send a body."""


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """The whole body, up to ``max_bytes`` and within ``BODY_SECONDS``. Raises ``BodyTooLarge``, ``InvalidJson``."""
    body: bytes = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise InvalidJson("the connection ended before the body did")
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    raise BodyTooLarge(f"the body may have {max_bytes} bytes at most")
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise InvalidJson(f"the body did not arrive within {BODY_SECONDS:g} seconds") from None
