"""A proxy before PostgreSQL that cuts a connection at a named moment of a transaction.

It reads the messages of PostgreSQL's protocol (version 3) in both directions. A statement counts when it is executed,
not when it is prepared (Parse, Bind), and what a prepared one says is remembered from its preparation. Where a moment
needs the server to have done something, the proxy asks for the answer itself (Flush) and holds back what the client
sends meanwhile; so it comes to the same moment whether the client uses a pipeline or not. Several statements in one
message of the simple protocol count as the first of them; statements outside BEGIN and COMMIT, and functions that
write, are not recognised.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

PATIENCE_SECONDS = 30
"""How long a caller waits for the proxy."""


class Moment(StrEnum):
    """When to cut. What came before it has been forwarded; where it says *has*, the server has done that."""

    BEFORE_BEGIN = "before_begin"
    """BEGIN is not forwarded."""
    AFTER_BEGIN = "after_begin"
    """The server has begun the transaction; its answer and what follows are not forwarded."""
    BEFORE_WRITES = "before_writes"
    """The first statement of the transaction that writes is not forwarded."""
    AFTER_WRITES = "after_writes"
    """The server has carried out all statements of a transaction that writes; COMMIT is not forwarded."""
    BEFORE_COMMIT = "before_commit"
    """COMMIT is not forwarded; the server may still be busy with what came before it."""
    HALF_COMMIT = "half_commit"
    """Half of the message that commits is forwarded."""
    AFTER_COMMIT = "after_commit"
    """The server has committed; its answer to that is not forwarded."""
    DURING_ANSWER = "during_answer"
    """The server has committed; half of its answer to that is forwarded."""


class _Action(Enum):
    """What a statement does to the transaction."""

    BEGIN = auto()
    WRITE = auto()
    COMMIT = auto()
    OTHER = auto()


_AT_COMMIT = (Moment.BEFORE_COMMIT, Moment.HALF_COMMIT, Moment.AFTER_COMMIT, Moment.DURING_ANSWER)
_DONE = {
    Moment.AFTER_BEGIN: (b"BEGIN\0", b"START TRANSACTION\0"),
    Moment.AFTER_COMMIT: (b"COMMIT\0",),
    Moment.DURING_ANSWER: (b"COMMIT\0",),
}
"""What the server answers when it has done so; a failed transaction's COMMIT is answered otherwise."""

_BLANK = r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_ACTIONS = (
    (_Action.BEGIN, re.compile(rf"{_BLANK}(?:BEGIN|START\s+TRANSACTION)\b", re.I | re.S)),
    (_Action.COMMIT, re.compile(rf"{_BLANK}(?:COMMIT|END)\b", re.I | re.S)),
    (_Action.WRITE, re.compile(rf"{_BLANK}(?:INSERT|UPDATE|DELETE|MERGE|COPY)\b", re.I | re.S)),
    (
        _Action.WRITE,
        re.compile(
            rf"{_BLANK}WITH\b.*\b(?:INSERT\s+INTO|DELETE\s+FROM|MERGE\s+INTO|(?<!FOR )(?<!KEY )UPDATE)\b", re.I | re.S
        ),
    ),
)

_HEADER = struct.Struct("!ci")
_FIRST_HEADER = struct.Struct("!ii")
_ENCRYPTION_REQUESTS = (80877103, 80877104)
_FLUSH = _HEADER.pack(b"H", 4)
"""Makes the server say what it has done so far, and has no answer of its own."""


@dataclass(eq=False)
class _Order:
    """One call of ``arm``."""

    moment: Moment
    left: int
    stall: bool
    fired: int = 0


@dataclass(eq=False)
class _Step:
    """A message that the server will answer."""

    ends_batch: bool
    """The answer is ReadyForQuery; an error skips what comes before that."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class _Trigger:
    """What is armed; the test's threads and the proxy's meet here."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._order: _Order | None = None

    def arm(self, order: _Order) -> None:
        with self._changed:
            self._order = order

    def claim(self, moments: tuple[Moment, ...]) -> _Order | None:
        """What is armed, if for one of ``moments``; that is one time less then."""
        with self._changed:
            order = self._order
            if order is None or order.left == 0 or order.moment not in moments:
                return None
            order.left -= 1
            return order

    def give_back(self, order: _Order) -> None:
        """What was claimed has not come to its moment."""
        with self._changed:
            order.left += 1

    def has_fired(self, order: _Order) -> None:
        """What was claimed has come to its moment."""
        with self._changed:
            order.fired += 1
            self._changed.notify_all()

    @property
    def fired(self) -> int:
        with self._changed:
            return self._order.fired if self._order else 0

    def wait_until_fired(self, times: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.fired >= times, PATIENCE_SECONDS)


class _CutError(Exception):
    """The connection ends here."""


class _End:
    """The client's or the server's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer
        writer.transport.set_write_buffer_limits(high=0)

    async def message(self) -> bytes:
        """The next message, whole."""
        header = await self.reader.readexactly(_HEADER.size)
        _, length = _HEADER.unpack(header)
        return header + await self.reader.readexactly(length - 4)

    async def send(self, message: bytes) -> None:
        """Send it and wait until the system has taken it."""
        self._writer.write(message)
        await self._writer.drain()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    def reset(self) -> None:
        """End the connection hard (RST)."""
        with suppress(OSError):  # it has ended already
            self._writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        self._writer.transport.abort()


class FaultyProxy:
    """Listens on a loopback port for clients of the server at ``target_port``. May be called from any thread."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        """Where new connections go; may be changed."""
        self._trigger = _Trigger()
        self._refusing = False
        self._links: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty proxy", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def url(self, server_url: str) -> str:
        """The same database through the proxy."""
        parts = urlsplit(server_url)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}").geturl()

    def arm(self, moment: Moment, *, times: int = 1, stall: bool = False) -> None:
        """Cut at the next ``times`` such moments of any connections; replaces what was armed before.

        ``stall`` forwards nothing more in either direction instead, and both sides stay connected until ``cut_all``.
        """
        self._trigger.arm(_Order(moment, times, stall))

    @property
    def fired(self) -> int:
        """How many times it has cut or stalled since ``arm``."""
        return self._trigger.fired

    def wait_until_fired(self, times: int = 1) -> None:
        """Return when ``fired`` has come to ``times``."""
        if not self._trigger.wait_until_fired(times):
            raise TimeoutError(f"the moment came {self.fired} times, not {times}")

    def refuse(self, refusing: bool) -> None:
        """Whether new connections are cut at once; those that are open stay."""
        self._refusing = refusing

    def cut_all(self) -> None:
        """Cut all connections that are open, now."""
        self._call(self._cut_all())

    def close(self) -> None:
        """Cut all connections and stop listening."""
        self._call(self._stop_listening())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        task.add_done_callback(self._links.discard)
        client = _End(reader, writer)
        try:
            if self._refusing:
                raise ConnectionRefusedError
            server = _End(*await asyncio.open_connection("127.0.0.1", self.target_port))
            await _Link(self._trigger, client, server).run()
        except (OSError, asyncio.CancelledError):
            client.reset()

    async def _cut_all(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _stop_listening(self) -> None:
        self._server.close()
        await self._cut_all()


class _Link:
    """A client's connection through the proxy."""

    def __init__(self, trigger: _Trigger, client: _End, server: _End) -> None:
        self._trigger = trigger
        self._client = client
        self._server = server
        self._statements: dict[bytes, _Action] = {}
        self._portals: dict[bytes, _Action] = {}
        self._steps: deque[_Step] = deque()
        self._wrote = False
        self._failed = False
        """Whether the server skips what comes, up to the next Sync, since a statement of the batch has failed."""
        self._order: _Order | None = None
        self._decisive: _Step | None = None
        self._stalled = False

    async def run(self) -> None:
        """Forward until one side hangs up or the connection is cut."""
        orderly = False
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._forward_requests())
                directions.create_task(self._forward_answers())
        except* EOFError:
            orderly = True
        except* (OSError, _CutError):
            pass
        finally:
            self._let_go()
            for end in (self._client, self._server):
                if orderly:
                    end.close()
                else:
                    end.reset()

    async def _forward_requests(self) -> None:
        await self._forward_startup()
        while True:
            await self._request(await self._next(self._client))

    async def _forward_startup(self) -> None:
        """The first message has no type. Encryption is declined."""
        while True:
            header = await self._client.reader.readexactly(_FIRST_HEADER.size)
            length, code = _FIRST_HEADER.unpack(header)
            if code not in _ENCRYPTION_REQUESTS:
                return await self._server.send(header + await self._client.reader.readexactly(length - len(header)))
            await self._client.send(b"N")

    async def _forward_answers(self) -> None:
        while True:
            message = await self._next(self._server)
            await self._answer(message)
            await self._client.send(message)

    async def _next(self, end: _End) -> bytes:
        message = await end.message()
        if self._stalled:
            await _for_ever()
        return message

    async def _request(self, message: bytes) -> None:
        strings = message[_HEADER.size :].split(b"\0", 2)
        match message[:1]:
            case b"P":  # Parse: statement, text
                self._statements[strings[0]] = _action(strings[1])
            case b"B":  # Bind: portal, statement
                self._portals[strings[0]] = self._statements.get(strings[1], _Action.OTHER)
            case b"E":  # Execute: portal
                return await self._execute(message, self._portals.get(strings[0], _Action.OTHER), _Step(False))
            case b"Q":  # Query: text
                return await self._execute(message, _action(strings[0]), _Step(True))
            case b"S" | b"F":  # Sync, FunctionCall
                self._steps.append(_Step(True))
        return await self._server.send(message)

    async def _execute(self, message: bytes, action: _Action, step: _Step) -> None:
        """Forward a message that executes a statement, unless its moment has come."""
        if self._failed:
            self._steps.append(step)
            return await self._server.send(message)
        self._order = self._trigger.claim(self._moments(action))
        if self._order is None:
            self._steps.append(step)
            return await self._server.send(message)
        match self._order.moment:
            case Moment.BEFORE_BEGIN | Moment.BEFORE_WRITES | Moment.BEFORE_COMMIT:
                await self._fire(self._order)
            case Moment.HALF_COMMIT:
                await self._server.send(message[: len(message) // 2])
                await self._fire(self._order)
            case Moment.AFTER_WRITES:
                await self._server.send(_FLUSH)
                if self._steps:
                    await self._steps[-1].answered.wait()
                if self._wrote:
                    await self._fire(self._order)
                self._steps.append(step)
                await self._server.send(message)
            case _:
                self._decisive = step
                self._steps.append(step)
                await self._server.send(message if step.ends_batch else message + _FLUSH)
                await step.answered.wait()
        return self._let_go()

    def _moments(self, action: _Action) -> tuple[Moment, ...]:
        """Which moments have come with a statement."""
        match action:
            case _Action.BEGIN:
                self._wrote = False
                return (Moment.BEFORE_BEGIN, Moment.AFTER_BEGIN)
            case _Action.WRITE if not self._wrote:
                self._wrote = True
                return (Moment.BEFORE_WRITES,)
            case _Action.COMMIT:
                return (*_AT_COMMIT, Moment.AFTER_WRITES) if self._wrote else _AT_COMMIT
        return ()

    async def _answer(self, message: bytes) -> None:
        """Find out which steps have been answered, and whether one has decided that the moment has come."""
        match message[:1]:
            case b"C" | b"I" | b"s" if self._steps:  # CommandComplete, EmptyQueryResponse, PortalSuspended
                step = self._steps[0]
                if self._order and step is self._decisive and message[_HEADER.size :] in _DONE[self._order.moment]:
                    if self._order.moment is Moment.DURING_ANSWER:
                        await self._client.send(message[: len(message) // 2])
                    await self._fire(self._order)
                if not step.ends_batch:
                    self._steps.popleft().answered.set()
            case b"E":  # ErrorResponse
                self._wrote, self._failed = False, True
                while self._steps and not self._steps[0].ends_batch:
                    self._steps.popleft().answered.set()
            case b"Z":  # ReadyForQuery
                self._failed = False
                while self._steps:
                    step = self._steps.popleft()
                    step.answered.set()
                    if step.ends_batch:
                        break

    async def _fire(self, order: _Order) -> NoReturn:
        self._order = None
        self._stalled = order.stall
        self._trigger.has_fired(order)
        if order.stall:
            await _for_ever()
        raise _CutError

    def _let_go(self) -> None:
        """Give the order back when it has not come to its moment."""
        if self._order is not None:
            self._trigger.give_back(self._order)
            self._order = None


async def _for_ever() -> NoReturn:
    """Wait to be cancelled."""
    await asyncio.Event().wait()
    raise AssertionError


def _action(text: bytes) -> _Action:
    """What a statement does."""
    words = text.decode(errors="replace")
    return next((action for action, pattern in _ACTIONS if pattern.search(words)), _Action.OTHER)
