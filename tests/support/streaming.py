"""Callers of a gated application that take its answer piece by piece."""

from __future__ import annotations

import asyncio
import socket
import threading
from urllib.parse import urlsplit

from gated import Front
from served import PATIENCE_SECONDS

START = {"type": "http.response.start", "status": 200, "headers": []}


def chunk(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Caller:
    """A request on a socket, whose end the test decides."""

    def __init__(self, front: Front, method: str = "GET", head: str = "", body: bytes = b"") -> None:
        at = urlsplit(front.url)
        self._socket = socket.create_connection((str(at.hostname), int(at.port or 0)), timeout=PATIENCE_SECONDS)
        lines = f"{method} / HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {front.wallet.owner_token}\r\n{head}\r\n"
        self._socket.sendall(lines.encode() + body)

    def read_until(self, text: bytes) -> bytes:
        """What comes, up to and with ``text``."""
        got = b""
        while text not in got:
            part = self._socket.recv(65_536)
            assert part, got
            got += part
        return got

    def leave(self) -> None:
        """Hang up."""
        self._socket.close()


class Signal:
    """Lets the test tell the handler to go on, and the handler tell the test that it has begun."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    async def meet(self) -> None:
        """For the handler."""
        self.begun.set()
        await asyncio.to_thread(self.go.wait, PATIENCE_SECONDS)

    def wait(self) -> None:
        """For the test: until the handler has begun."""
        assert self.begun.wait(PATIENCE_SECONDS)
