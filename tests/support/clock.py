"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import datetime, timedelta


class Clock:
    """Call it for the time; aware."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, **by: float) -> None:
        """Move on by ``timedelta(**by)``."""
        self._now += timedelta(**by)

    def set(self, moment: datetime) -> None:
        """Jump to ``moment``, back or forth."""
        self._now = moment
