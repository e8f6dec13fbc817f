"""Receiving a request's body: bounded in bytes and in seconds, each alone and all together."""

from __future__ import annotations

from collections.abc import Awaitable, MutableMapping
from typing import Any

from credit_wallet.domain.retry_after import SOON_SECONDS
from credit_wallet.errors import InvalidJson, ServiceBusy
from credit_wallet.runtime.sweep import Within
from credit_wallet.wire.asgi import Receive
from credit_wallet.wire.problems import BodyTooLarge

BODY_SECONDS = 10.0
"""How long a caller may take to send a body."""


SHORT_BODY_BYTES = 16_384
"""A body up to this size is always accepted: every movement, and what Stripe usually sends."""


class Room:
    """Memory for the part of bodies beyond ``SHORT_BODY_BYTES`` while they are received, shared by many callers.

    Without this bound, a thousand callers who each begin a long body could fill the memory a thousand times over.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left_bytes = max_bytes

    def take(self, more_bytes: int) -> None:
        """Raises ``ServiceBusy`` when there is no room left."""
        if more_bytes > self._left_bytes:
            raise ServiceBusy("too many long bodies are being received; try again", retry_after_seconds=SOON_SECONDS)
        self._left_bytes -= more_bytes

    def give(self, taken_bytes: int) -> None:
        """Give back what was taken."""
        self._left_bytes += taken_bytes


OPERATORS_ROOM, CALLERS_ROOM, STRANGERS_ROOM = Room(32 << 20), Room(32 << 20), Room(16 << 20)
"""Separate, so that long bodies of strangers or callers never keep out those of operators."""


class _Body:
    """A body as it arrives."""

    __slots__ = ("_declared", "_max_bytes", "_room", "_taken_bytes", "content")

    def __init__(self, max_bytes: int, room: Room | None, declared: bytes | None) -> None:
        self.content: bytes = b""
        self._max_bytes, self._room, self._declared = max_bytes, room, declared
        self._taken_bytes = 0

    def ends_with(self, message: MutableMapping[str, Any]) -> bool:
        """Add a part of it; whether that is the last one."""
        if message["type"] == "http.disconnect":
            raise InvalidJson("the connection ended before the body was complete; send it again")
        self.content += message.get("body", b"")
        length = len(self.content)
        if length > self._max_bytes:
            raise BodyTooLarge(
                f"the body is larger than {self._max_bytes} bytes, the limit of this endpoint; send less at once"
            )
        if self._room is not None and (more_bytes := length - SHORT_BODY_BYTES - self._taken_bytes) > 0:
            self._room.take(more_bytes)
            self._taken_bytes += more_bytes
        return not message.get("more_body") or b"%d" % length == self._declared

    def give_room(self) -> None:
        """Give back what it has taken of the room."""
        if self._room is not None:
            self._room.give(self._taken_bytes)


async def read_body(
    receive: Receive, max_bytes: int, room: Room | None = None, *, declared: bytes | None = None
) -> bytes:
    """The whole body, up to ``max_bytes``, within ``BODY_SECONDS`` and as far as there is ``room``.

    Once as many bytes have come as ``declared``, the request's one ``Content-Length``, nobody is asked for more: there
    is none (RFC 9112, section 6.3). Raises ``BodyTooLarge``, ``InvalidJson`` and ``ServiceBusy``.
    """
    body = _Body(max_bytes, room, declared)
    message = receive()
    try:
        if _has_come(message):  # no clock for what is not waited for
            if body.ends_with(await message):
                return body.content
            message = receive()
        with Within(BODY_SECONDS):
            while not body.ends_with(await message):
                message = receive()
            return body.content
    except TimeoutError:
        raise InvalidJson(f"the body did not arrive within {BODY_SECONDS:g} seconds; send it again") from None
    finally:
        body.give_room()


def _has_come(message: Awaitable[object]) -> bool:
    """Whether what a server gives to be awaited is a future with a result, as that of the hand-over is."""
    done = getattr(message, "done", None)
    return done is not None and done()
