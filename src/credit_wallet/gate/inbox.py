"""What a caller sends, on its way to the application: its body's digest is known, and its leaving is noticed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import MutableMapping
from hashlib import sha256
from typing import Any

from credit_wallet.wire.asgi import Receive
from credit_wallet.wire.problems import BodyTooLarge
from credit_wallet.wire.receiving import read_body


class Inbox:
    """Stands for the server's ``receive``. ``left`` is set when the caller has disconnected, as far as is known."""

    __slots__ = (
        "_arrived",
        "_bytes",
        "_complete",
        "_digest",
        "_receiving",
        "_room",
        "_server_receive",
        "_waiting",
        "_watch",
        "left",
    )

    def __init__(self, receive: Receive) -> None:
        self.left = False
        self._server_receive = receive
        self._waiting: deque[MutableMapping[str, Any]] = deque()
        self._digest = sha256()
        self._bytes = 0
        self._complete = False
        self._watch: asyncio.Task[None] | None = None
        self._receiving = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        """The next message for the application."""
        if self._watch is None and not self._waiting:
            async with self._receiving:  # an application may listen in one task while the gate reads in another
                if not self._waiting:
                    message = await self._server_receive()
                    self._note(message)
                    return message
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        if self._waiting[0]["type"] == "http.disconnect":
            return self._waiting[0]
        self._room.set()
        return self._waiting.popleft()

    async def body_digest(self, max_bytes: int) -> bytes:
        """SHA-256 of the whole body; what the application has not read yet waits for it. Raises ``BodyTooLarge``."""
        if not self._complete:
            await read_body(self._rest_of_body, max(0, max_bytes - self._bytes))
        if self._bytes > max_bytes:
            raise BodyTooLarge(f"with an idempotency key the body may have at most {max_bytes} bytes")
        return self._digest.digest()

    def watch(self) -> None:
        """From now on notice when the caller leaves, even while the application does not listen."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._listen())

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()

    async def _listen(self) -> None:
        """Takes in one message ahead of the application, so that a large body stays with the server."""
        while not self.left:
            async with self._receiving:
                if not self.left:
                    await self._take()
            if not self._complete:
                self._room.clear()
                await self._room.wait()

    async def _rest_of_body(self) -> MutableMapping[str, Any]:
        """What comes next of the body; it waits for the application. What the application took itself is not given."""
        async with self._receiving:
            if self._complete:
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.disconnect"} if self.left else await self._take()

    async def _take(self) -> MutableMapping[str, Any]:
        message = await self._server_receive()
        self._note(message)
        self._waiting.append(message)
        self._arrived.set()
        return message

    def _note(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.disconnect":
            self.left = True
        elif not self._complete:
            body = message.get("body", b"")
            self._digest.update(body)
            self._bytes += len(body)
            self._complete = not message.get("more_body", False)
