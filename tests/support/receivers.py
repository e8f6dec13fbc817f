"""Receivers of notices: HTTP servers that stand in for a webhook endpoint, Slack and Telegram, and a mail server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from msgspec import json
from service import free_port


class Received(NamedTuple):
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.decode(self.body)


class Answer(NamedTuple):
    """What a receiver answers with; ``before`` is called first, and may take its time."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"ok"
    before: Callable[[], object] = lambda: None
    dies: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Receiver:
    """An HTTP server on a port of its own that keeps what it is sent and answers as it is told."""

    def __init__(self, *, keeps_connections: bool = False) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self._protocol = "HTTP/1.1" if keeps_connections else "HTTP/1.0"
        self.answers: list[Answer] = []
        """For the next requests; afterwards ``usual``."""
        self.usual = Answer()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it; its port refuses connections then."""
        self._server.shutdown()
        self._server.server_close()

    def names(self) -> list[str]:
        """The ids of the webhooks that came, in order."""
        return [each.headers["webhook-id"] for each in self.received]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = receiver._protocol

            def setup(self) -> None:
                receiver.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, headers, body))
                answer = receiver.answers.pop(0) if receiver.answers else receiver.usual
                answer.before()
                if answer.dies:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in (*answer.headers, ("content-length", str(len(answer.body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver while the block runs."""
    running = Receiver()
    try:
        yield running
    finally:
        running.close()


class Mailbox:
    """A mail server that keeps what it is sent."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def close(self) -> None:
        """End it."""
        self._controller.stop()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Called by the server with every message."""
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"
