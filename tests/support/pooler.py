"""A pooler in transaction mode before PostgreSQL: each transaction is on the next of a few sessions.

It does what PgBouncer 1.21 does with ``pool_mode = transaction`` and ``max_prepared_statements``: statements that a
client has prepared are prepared again on whatever session it is given. ``prepares=False`` is an older one, that knows
nothing of them. Servers are asked in without a password.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

_HEADER = struct.Struct("!ci")
_PROTOCOL = struct.pack("!i", 196_608)
_ENCRYPTION_REQUESTS = (80_877_103, 80_877_104)
_PASSED_ON = (b"R", b"S")
"""Of a session's greeting: that it is let in, and its parameters. The rest is the pooler's own."""


def _message(kind: bytes, body: bytes) -> bytes:
    return _HEADER.pack(kind, len(body) + 4) + body


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind, length = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    return kind, await reader.readexactly(length - 4)


class _Session:
    """A connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting: list[bytes] = []

    @classmethod
    async def open(cls, port: int, parameters: dict[bytes, bytes]) -> _Session:
        session = cls(*await asyncio.open_connection("127.0.0.1", port))
        said = b"".join(name + b"\0" + value + b"\0" for name, value in parameters.items()) + b"\0"
        session.writer.write(struct.pack("!i", len(said) + 8) + _PROTOCOL + said)
        while True:
            kind, body = await _read(session.reader)
            if kind == b"E":
                raise ConnectionError(body)
            if kind == b"Z":
                return session
            if kind in _PASSED_ON:
                session.greeting.append(_message(kind, body))


class Pooler:
    """Listens on a loopback port for clients of the server at ``target_port``. May be called from any thread."""

    def __init__(self, target_port: int, *, sessions: int = 3, prepares: bool = True) -> None:
        self.target_port = target_port
        """Where new sessions go; may be changed."""
        self.prepares = prepares
        self._sessions = sessions
        self._idle: deque[_Session] = deque()
        self._names = count()
        self._keys = count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pooler", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._clients: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, server_url: str) -> str:
        """The same database through the pooler."""
        parts = urlsplit(server_url)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}").geturl()

    def reconnect(self) -> None:
        """As when its settings name another server: idle sessions end, clients stay."""
        self._call(self._drop_idle())

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _drop_idle(self) -> None:
        while self._idle:
            self._idle.popleft().writer.close()

    async def _stop(self) -> None:
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._drop_idle()

    async def take(self, parameters: dict[bytes, bytes]) -> _Session:
        """The session that has been idle for the longest, so that it changes with each transaction."""
        if len(self._idle) >= self._sessions:
            return self._idle.popleft()
        return await _Session.open(self.target_port, parameters)

    def give_back(self, session: _Session) -> None:
        self._idle.append(session)

    def new_name(self) -> bytes:
        return b"pooled_%d" % next(self._names)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        with suppress(OSError, EOFError, asyncio.CancelledError):
            await _Client(self, reader, writer, next(self._keys)).run()
        writer.close()


class _Client:
    """A client's connection to the pooler."""

    def __init__(self, pooler: Pooler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: int) -> None:
        self._pooler = pooler
        self._reader = reader
        self._writer = writer
        self._key = key
        self._session: _Session | None = None
        self._texts: dict[bytes, bytes] = {}
        self._prepared: dict[tuple[bytes, _Session], bytes] = {}
        self._parses: deque[bool | None] = deque()
        """Whether the client asked for a statement to be prepared, for each that was; None for a Sync."""

    async def run(self) -> None:
        parameters = await self._startup()
        first = await self._pooler.take(parameters)
        key = struct.pack("!ii", 1_000_000 + self._key, 0)
        self._writer.write(b"".join([*first.greeting, _message(b"K", key), _message(b"Z", b"I")]))
        self._pooler.give_back(first)
        answering: asyncio.Task[None] | None = None
        try:
            while True:
                kind, body = await _read(self._reader)
                if kind == b"X":
                    return
                if self._session is None:
                    if answering is not None:
                        await answering
                    self._session = await self._pooler.take(parameters)
                    answering = asyncio.create_task(self._answer(self._session))
                    answering.add_done_callback(self._hang_up_unless_answered)
                self._session.writer.write(self._translated(self._session, kind, body))
        finally:
            if answering is not None:
                answering.cancel()
            if self._session is not None:
                self._session.writer.close()

    def _hang_up_unless_answered(self, answering: asyncio.Task[None]) -> None:
        if not answering.cancelled() and answering.exception() is not None:
            self._writer.close()

    async def _startup(self) -> dict[bytes, bytes]:
        while True:
            length, code = struct.unpack("!ii", await self._reader.readexactly(8))
            if code not in _ENCRYPTION_REQUESTS:
                break
            self._writer.write(b"N")
        said = (await self._reader.readexactly(length - 8)).split(b"\0")
        given = dict(zip(said[::2], said[1::2], strict=False))
        return {name: given[name] for name in (b"user", b"database", b"client_encoding") if name in given}

    def _translated(self, session: _Session, kind: bytes, body: bytes) -> bytes:
        if kind == b"S":
            self._parses.append(None)
        if not self._pooler.prepares:
            if kind == b"P":
                self._parses.append(True)
            return _message(kind, body)
        match kind:
            case b"P":
                name, rest = body.split(b"\0", 1)
                if name:
                    self._texts[name] = rest
                    name = self._prepared[name, session] = self._pooler.new_name()
                self._parses.append(True)
                return _message(kind, name + b"\0" + rest)
            case b"B":
                portal, name, rest = body.split(b"\0", 2)
                before, name = self._on(session, name)
                return before + _message(kind, portal + b"\0" + name + b"\0" + rest)
            case b"D" | b"C" if body[:1] == b"S":
                before, name = self._on(session, body[1:-1])
                return before + _message(kind, b"S" + name + b"\0")
        return _message(kind, body)

    def _on(self, session: _Session, name: bytes) -> tuple[bytes, bytes]:
        """What must be sent before, and the name that a statement has on a session."""
        if not name:
            return b"", name
        if (name, session) in self._prepared:
            return b"", self._prepared[name, session]
        own = self._prepared[name, session] = self._pooler.new_name()
        self._parses.append(False)
        return _message(b"P", own + b"\0" + self._texts[name]), own

    async def _answer(self, session: _Session) -> None:
        """Pass on what the session answers, until its transaction has ended."""
        while True:
            kind, body = await _read(session.reader)
            if kind == b"1" and self._parses.popleft() is False:
                continue
            self._writer.write(_message(kind, body))
            if kind == b"Z":
                while self._parses and self._parses.popleft() is not None:
                    pass
                if body == b"I" and not self._parses:
                    self._session = None
                    self._pooler.give_back(session)
                    return
