"""Keeping purchases alive while their handlers run: one timer for all of them."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Renewable(Protocol):
    """What says, from time to time, that it is still at work."""

    due: float
    """When it has to say so next, in the event loop's time."""

    def renew(self) -> None:
        """Say so, and set the next time."""


class Renewals:
    """What is alive in one event loop."""

    def __init__(self) -> None:
        self._alive: set[Renewable] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, renewable: Renewable, loop: asyncio.AbstractEventLoop) -> None:
        """Have it say that it is at work from its ``due`` on, until it is dropped."""
        self._alive.add(renewable)
        if self._timer is None or renewable.due < self._timer.when() or self._timer.cancelled():
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
