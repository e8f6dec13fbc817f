"""An application behind the server that ``credit-wallet serve`` runs, in this process; spoken to over a socket."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx
from service import free_port

from credit_wallet.http.hand_over import spawner
from credit_wallet.http.serve import _server
from credit_wallet.wire.asgi import AsgiApp

PATIENCE_SECONDS = 30
OF_THE_SERVER = ("server", "date")
"""Headers that the server adds."""


class OverSocket:
    """Calls ``app`` over one connection that is kept."""

    def __init__(self, app: AsgiApp) -> None:
        self._port = free_port()
        self._server = _server(app, "127.0.0.1", self._port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve)
        self._connection: socket.socket | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()
        self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def call(self, method: str, path: str, *, content: bytes, headers: Mapping[str, str | bytes]) -> httpx.Response:
        """The answer to one request, whose headers and body are sent as they are given."""
        fields = {"Host": "wallet.test", "Content-Length": f"{len(content)}", **headers}
        lines = [f"{method} {path} HTTP/1.1".encode()]
        lines += [name.encode() + b": " + (v if isinstance(v, bytes) else v.encode()) for name, v in fields.items()]
        connection = self._connected()
        connection.sendall(b"\r\n".join([*lines, b"", b""]) + content)
        received = b""
        while (answer := _whole(received)) is None:
            chunk = connection.recv(65_536)
            assert chunk, received
            received += chunk
        if answer.headers.get("connection") == "close":
            self._hang_up()
        for name in OF_THE_SERVER:
            answer.headers.pop(name, None)
        return answer

    def _connected(self) -> socket.socket:
        while self._connection is None:
            with suppress(ConnectionRefusedError):
                self._connection = socket.create_connection(("127.0.0.1", self._port), PATIENCE_SECONDS)
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.serve(spawner()))
        self._loop.close()


def _whole(received: bytes) -> httpx.Response | None:
    """The answer, if all of it has come."""
    head, end, body = received.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    length = next((int(value) for name, value in headers if name.lower() == b"content-length"), None)
    if not end or length is None or len(body) < length:
        return None
    return httpx.Response(int(status.split()[1]), headers=headers, content=body[:length])
