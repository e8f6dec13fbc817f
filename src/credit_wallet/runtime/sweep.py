"""The same limit of time for very many waits of an event loop, with one timer for all of them.

A timer for each request costs more than what most requests are waited for.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

T = TypeVar("T")


class Sweep(Generic[T]):
    """Calls ``act``, in the event loop, with everything that was added ``seconds`` ago and not discarded since."""

    def __init__(self, loop: AbstractEventLoop, seconds: float, act: Callable[[T], object]) -> None:
        self.loop, self.seconds = loop, seconds
        self._act = act
        self._until: dict[T, float] = {}  # the one that ends first comes first
        self._lock = threading.Lock()
        self._is_armed = False

    def add(self, what: T) -> None:
        """Begin to wait, in any thread."""
        with self._lock:
            self._until[what] = monotonic() + self.seconds
            if self._is_armed:
                return
            self._is_armed = True
        self.loop.call_soon_threadsafe(self._look)

    def discard(self, what: T) -> bool:
        """Whether ``what`` was still waited for, which it is no longer. In the event loop."""
        return self._until.pop(what, None) is not None

    def _look(self) -> None:
        overdue: list[T] = []
        with self._lock:
            now = monotonic()
            for what, until in self._until.items():
                if until > now:
                    self.loop.call_later(until - now, self._look)
                    break
                overdue.append(what)
            else:
                self._is_armed = False
            for what in overdue:
                del self._until[what]
        for what in overdue:
            self._act(what)


class _Here(threading.local):
    """The sweep of this thread's event loop."""

    sweep: Sweep[Within] | None = None


_here = _Here()


class Within:
    """A block of a task that takes ``seconds`` at most, else it is cancelled and raises ``TimeoutError``.

    As ``asyncio.timeout``, for waits that are many and all have the same limit.
    """

    __slots__ = ("_cancelling", "_sweep", "_task")

    def __init__(self, seconds: float) -> None:
        loop, sweep = asyncio.get_running_loop(), _here.sweep
        if sweep is None or sweep.loop is not loop or sweep.seconds != seconds:
            sweep = _here.sweep = Sweep(loop, seconds, Within._expire)
        self._sweep = sweep

    def __enter__(self) -> Self:
        self._task = cast("Task[Any]", asyncio.current_task())
        self._cancelling = self._task.cancelling()
        self._sweep.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_in_time = self._sweep.discard(self)
        if not is_in_time and self._task.uncancel() <= self._cancelling and kind is CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._task.cancel()
