"""How the server hands requests to the event loop: movement calls with their body, in one step.

Granian hands a request over when its headers are there, and an application that asks for the body takes another way to
Granian's threads and back. The body of a movement call is short and comes with the headers: here it is asked for before
the loop hears of the request. Everything else is handed over at once, and soon also a request that keeps its body back:
whoever sends a bad token hears so before the body is complete.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, MutableMapping
from inspect import signature
from typing import Any, TypeAlias

from granian._granian import ASGIWorker, CallbackScheduler
from granian.server.embed import AsyncWorker, Server

from credit_wallet.http.fast import call_of
from credit_wallet.runtime.sweep import Sweep
from credit_wallet.wire.asgi import AsgiApp

EARLY_SECONDS = 0.1
"""How long the loop does not hear of a request whose body has not begun to arrive."""

_Message: TypeAlias = Awaitable[MutableMapping[str, Any]]

_KNOWN = (
    *("worker_id", "shutdown_event", "callback", "sock", "loop", "runtime_threads", "runtime_blocking_threads"),
    *("blocking_threads", "blocking_threads_idle_timeout", "backpressure", "task_impl", "http_mode", "http1_settings"),
    *("http2_settings", "websockets", "static_path", "log_access_fmt", "ssl_ctx", "scope_opts"),
)
"""What the Granian that is known here starts its worker with."""

_worker: Any = ASGIWorker  # Granian's types of these are not those that they have
_scheduler: Any = CallbackScheduler
_with_loop: Any = AsyncWorker.wrap_target


def spawner() -> Any:
    """What ``Server.serve`` is to start its worker with.

    None for a Granian that starts workers otherwise than the one that is known here: its own way does the same, slower.
    """
    is_known = tuple(signature(Server._spawn_asgi_worker).parameters) == _KNOWN
    return _with_loop(_serve) if is_known else None


class HandOver:
    """Hands the requests of a worker to ``app`` on ``loop``."""

    def __init__(self, loop: AbstractEventLoop, app: AsgiApp) -> None:
        self._loop = loop
        self._app = app
        self._waiting: Sweep[_Request] = Sweep(loop, EARLY_SECONDS, self._start)

    def take(self, watcher: Any) -> None:
        """Take a request, in the one thread of Granian's that calls Python. It must not raise: nobody would notice."""
        request = _Request(self, watcher)
        try:
            if call_of(watcher.scope) is None:
                self._loop.call_soon_threadsafe(self._start, request)
            else:
                request.begin_body()
                self._waiting.add(request)  # before the body can be there: this thread completes it
        except RuntimeError:  # the loop has been closed: nobody waits any more
            return

    def has_body(self, request: _Request) -> None:
        """The first part of a body has arrived, or the connection has ended."""
        if self._waiting.discard(request):
            self._start(request)

    def _start(self, request: _Request) -> None:
        request.watcher.taskref(self._loop.create_task(self._answer(request.watcher, request.receive)))

    async def _answer(self, watcher: Any, receive: Callable[[], _Message]) -> None:
        scope = watcher.scope
        scope["root_path"], scope["state"] = "", {}
        try:
            await self._app(scope, receive, watcher.proto.send)
        except BaseException as error:  # also to say that it was cancelled
            watcher.err(error)
            return
        watcher.done()


class _Request:
    """A request on its way to the loop, and what the application receives of it."""

    __slots__ = ("_first", "_hand_over", "watcher")

    def __init__(self, hand_over: HandOver, watcher: Any) -> None:
        self._hand_over = hand_over
        self._first: _Message | None = None
        self.watcher = watcher

    def begin_body(self) -> None:
        """Ask for the first part of the body. In Granian's thread, which is also the one that it is completed in."""
        first = self.watcher.proto.receive()
        first.add_done_callback(self._has_body)
        self._first = first

    def receive(self) -> _Message:
        """ASGI's ``receive``."""
        first, self._first = self._first, None
        message: _Message = self.watcher.proto.receive() if first is None else first
        return message

    def _has_body(self, _: object) -> None:
        self._hand_over.has_body(self)


async def _serve(
    worker_id: int, stopping: Any, app: AsgiApp, sock: Any, loop: AbstractEventLoop, *settings: Any
) -> None:
    """Serve ``app`` until ``stopping``, as Granian does without a lifespan, with the hand-over of this module."""
    *threads, _task_impl, http, http1, http2, websockets, static_path, _log, tls, _scope = settings
    stopped = loop.create_future()
    stopping.add_cb(lambda: loop.call_soon_threadsafe(stopped.set_result, None))
    worker = _worker(worker_id, sock, None, *threads, http, http1, http2, websockets, static_path, *tls, (None, None))
    scheduler = _scheduler(loop, app, None, None, None)
    scheduler._schedule_fn = HandOver(loop, app).take
    worker.serve_async(scheduler, loop, stopping)
    await stopped
