"""Keeping purchases alive while their handlers run: one timer for all of them."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Renewable(Protocol):
    """What has a lease that must be renewed from time to time."""

    due: float
    """When to renew it next, in the event loop's time."""

    def renew(self) -> None:
        """Renew the lease, and set the next time."""


class Renewals:
    """What is alive in one event loop."""

    def __init__(self) -> None:
        self._alive: set[Renewable] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def add(self, renewable: Renewable, loop: asyncio.AbstractEventLoop) -> None:
        """Renew it from its ``due`` on, until it is dropped."""
        if self._loop is not loop:  # another one, such as the next test's: nothing of the last one runs any more
            self._loop, self._timer = loop, None
            self._alive.clear()
        self._alive.add(renewable)
        if self._timer is None or renewable.due < self._timer.when():
            self._set_timer(renewable.due, loop)

    def drop(self, renewable: Renewable) -> None:
        """It is over."""
        self._alive.discard(renewable)

    def _set_timer(self, due: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._renew, loop)

    def _renew(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for renewable in tuple(self._alive):
            if renewable.due <= now:
                renewable.renew()
        if self._alive:
            self._set_timer(min(each.due for each in self._alive), loop)
