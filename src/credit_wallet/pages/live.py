"""Server-sent events: open pages hear that something of their wallet has changed, and fetch themselves again.

An event says nothing but that. However many watch a wallet, one look a second is shared by all of them, and nothing is
looked at when nobody watches. A stream ends with its session, after ``LONGEST_SECONDS``, when the service stops, and
when its session opens too many others; the page then asks for another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from time import monotonic
from typing import Any

from credit_wallet.errors import ServiceBusy, Unauthorized, WalletError
from credit_wallet.ledger.reading_lanes import OPERATORS, OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.runtime import deadlines
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import GOES_ON, AsgiApp, RawHeaders, Receive, Scope, Send

LOOK_SECONDS = 1.0
"""How often what is watched is looked at."""

HEARTBEAT_SECONDS = 15.0
"""How often a quiet stream says that it is there, and its session is looked up."""

LONGEST_SECONDS = 600.0
MAX_STREAMS = 256
"""A quarter of the connections that the service may have open: whoever calls the API finds one."""

MAX_STREAMS_PER_WALLET = 64
MAX_STREAMS_PER_SESSION = 6
"""As many connections as a browser has to one host; of a session and of a wallet the oldest one gives way."""

HEADERS: RawHeaders = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
]

StillOpen = Callable[[], Awaitable[object]]
"""Looks a session up; raises ``Unauthorized`` when it has ended."""

_log = Logger("credit_wallet.pages")


class Live:
    """The streams of a process. For one event loop; ``end`` may be called from any thread."""

    def __init__(self, wallets: CreditWallet) -> None:
        self._wallets = wallets
        self._streams: dict[int | None, list[_Stream]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_ended = False

    async def mark(self, wallet_id: int | None) -> str:
        """What changes when something of a wallet does, or of any with None."""
        lane = OPERATORS if wallet_id is None else OWNERS
        changes = await self._wallets.reading_lanes.ask_for(wallet_id or 0, lane, self._wallets.changes, wallet_id)
        return sha256(changes.encode()).hexdigest()[:16]

    def stream(self, wallet_id: int | None, session_id: int, since: str, still_open: StillOpen) -> AsgiApp:
        """An answer that goes on, of whoever has seen the wallet as it was at the mark ``since``.

        Raises ``ServiceBusy`` when there are as many as a process may have, each of another wallet.
        """
        if self._has_ended or (len(self._open()) >= MAX_STREAMS and len(self._most()) < 2):
            raise ServiceBusy(
                "too many pages are watched; this one is right, and does not change", retry_after_seconds=60
            )
        return _Stream(self, wallet_id, session_id, since, still_open)

    def end(self) -> None:
        """End every stream, and let none begin: the service stops."""
        self._has_ended = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_all)

    def _stop_all(self) -> None:
        for streams in self._streams.values():
            for stream in streams:
                stream.stop()

    def add(self, stream: _Stream) -> None:
        """Take a stream in, and look at what it watches."""
        self._loop = asyncio.get_running_loop()
        of_session = [each for each in self._open() if each.session_id == stream.session_id]
        _make_room(of_session, MAX_STREAMS_PER_SESSION)
        _make_room(self._streams.get(stream.wallet_id, []), MAX_STREAMS_PER_WALLET)
        if len(self._open()) >= MAX_STREAMS:  # nobody keeps others out by watching much
            self._most()[0].stop()
        self._streams.setdefault(stream.wallet_id, []).append(stream)
        if self._looking is None:
            self._looking = self._loop.create_task(self._look())

    def _open(self) -> list[_Stream]:
        """Those that go on, the oldest of each wallet first."""
        return [each for streams in self._streams.values() for each in streams if not each.is_over]

    def _most(self) -> list[_Stream]:
        """Those of the wallet that has most, the oldest first."""
        return max(([each for each in streams if not each.is_over] for streams in self._streams.values()), key=len)

    def remove(self, stream: _Stream) -> None:
        """Forget a stream that has ended."""
        streams = self._streams[stream.wallet_id]
        streams.remove(stream)
        if not streams:
            del self._streams[stream.wallet_id]

    async def _look(self) -> None:
        """Look at everything that is watched once a second, while anything is."""
        try:
            while self._streams:
                began = monotonic()
                for wallet_id in list(self._streams):
                    await self._look_at(wallet_id)
                await asyncio.sleep(max(LOOK_SECONDS - (monotonic() - began), LOOK_SECONDS / 10))
        finally:
            self._looking = None

    async def _look_at(self, wallet_id: int | None) -> None:
        try:
            mark = await self.mark(wallet_id)
        except WalletError as error:  # busy, or the database is away: the next look is in a second
            _log.debug("look_failed", error=str(error))
            return
        for stream in self._streams.get(wallet_id, []):
            stream.tell(mark)


def _make_room(streams: list[_Stream], limit: int) -> None:
    """Have the oldest give way, so that one more makes ``limit``."""
    going_on = [each for each in streams if not each.is_over]
    for each in going_on[: max(0, len(going_on) + 1 - limit)]:
        each.stop()


class _Stream:
    """One answer: it says when the mark is another than the one that it said last."""

    def __init__(self, live: Live, wallet_id: int | None, session_id: int, since: str, still_open: StillOpen) -> None:
        self.wallet_id = wallet_id
        self.session_id = session_id
        self._live = live
        self._said = since
        self._mark = since
        self._still_open = still_open
        self._stirred = asyncio.Event()
        self.is_over = False

    def tell(self, mark: str) -> None:
        """The wallet's mark is ``mark`` now."""
        self._mark = mark
        if mark != self._said:
            self._stirred.set()

    def stop(self, *_: object) -> None:
        """Say good-bye soon."""
        self.is_over = True
        self._stirred.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        scope["state"][GOES_ON] = True
        gone = asyncio.get_running_loop().create_task(_until_gone(receive))
        gone.add_done_callback(self.stop)
        self._live.add(self)
        try:
            await _sent(send, {"type": "http.response.start", "status": 200, "headers": HEADERS})
            await self._say(send, "retry: 10000\n\n")
            await self._go_on(send)
            await _sent(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            _log.info("watcher_given_up")
        finally:
            gone.cancel()
            self._live.remove(self)

    async def _go_on(self, send: Send) -> None:
        until = monotonic() + LONGEST_SECONDS
        while not self.is_over and monotonic() < until:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._stirred.wait()
            except TimeoutError:
                if not await self._is_open():
                    return
                await self._say(send, ": here\n\n")
            self._stirred.clear()
            if not self.is_over and self._mark != self._said:
                self._said = self._mark
                await self._say(send, f"event: change\ndata: {self._mark}\n\n")

    async def _is_open(self) -> bool:
        try:
            await self._still_open()
        except Unauthorized:
            return False
        except WalletError:  # nobody can say now
            return True
        return True

    async def _say(self, send: Send, text: str) -> None:
        await _sent(send, {"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _sent(send: Send, message: Any) -> None:
    """Send it, to a client that takes it in time."""
    async with asyncio.timeout(deadlines.CLIENT_SECONDS):
        await send(message)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
