"""Receiving a request's body: bounded in bytes and in seconds, alone and together with all others."""

from __future__ import annotations

import asyncio

from credit_wallet.domain.retry_after import SOON_SECONDS
from credit_wallet.errors import InvalidJson, ServiceBusy
from credit_wallet.wire.asgi import Receive
from credit_wallet.wire.problems import BodyTooLarge

BODY_SECONDS = 10.0
"""How long a caller may take to send a body."""


SHORT_BODY_BYTES = 16_384
"""What there is room for whoever sends it: every movement, and what Stripe usually delivers."""


class Room:
    """Memory for what bodies have beyond ``SHORT_BODY_BYTES`` while they come in, of many callers together.

    Without it a thousand callers who begin a long body and do not end it would have a thousand times the longest one.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left_bytes = max_bytes

    def take(self, more_bytes: int) -> None:
        """Raises ``ServiceBusy`` when there is no room left."""
        if more_bytes > self._left_bytes:
            raise ServiceBusy("too many long bodies are on their way; send it again", retry_after_seconds=SOON_SECONDS)
        self._left_bytes -= more_bytes

    def give(self, taken_bytes: int) -> None:
        """Give back what was taken."""
        self._left_bytes += taken_bytes


OPERATORS_ROOM, CALLERS_ROOM, STRANGERS_ROOM = Room(32 << 20), Room(32 << 20), Room(16 << 20)
"""Apart, so that nobody's long bodies keep out those of who has more to say."""


async def read_body(receive: Receive, max_bytes: int, room: Room | None = None) -> bytes:
    """The whole body, up to ``max_bytes``, within ``BODY_SECONDS`` and as far as there is ``room``.

    Raises ``BodyTooLarge``, ``InvalidJson`` and ``ServiceBusy``.
    """
    body: bytes = b""
    taken_bytes = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise InvalidJson("the connection ended before the body did")
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    raise BodyTooLarge(f"the body may have {max_bytes} bytes at most")
                if room is not None and (more_bytes := len(body) - SHORT_BODY_BYTES - taken_bytes) > 0:
                    room.take(more_bytes)
                    taken_bytes += more_bytes
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise InvalidJson(f"the body did not arrive within {BODY_SECONDS:g} seconds") from None
    finally:
        if room is not None:
            room.give(taken_bytes)
