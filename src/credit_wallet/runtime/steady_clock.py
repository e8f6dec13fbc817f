"""The ledger's clock: the wall clock, as long as it agrees with how much time has passed.

Time destroys: credit lapses, holds expire, idempotency keys are deleted. A wall clock that is set a year ahead for a
second must not cause that, nor may one that is put back postpone what is due. So a jump of the wall clock is trusted
only after the new time has held for ``SETTLES_SECONDS``; until then time continues from where it was. When it keeps
jumping, as on a virtual machine that is paused again and again, the smallest jump is trusted.

At its start a process believes the wall clock, for the service may have been down for long; a jump that explains the
newest entry better is believed at once: ahead to it when it is dated after now, and, within an hour of the start, back
to it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeAlias

from credit_wallet.domain.cycle import format_instant
from credit_wallet.runtime import forks
from credit_wallet.telemetry import Logger

TOLERANCE_SECONDS = 60.0
"""How far the wall clock may jump and still be trusted at once: more than time servers correct at a time."""

SETTLES_SECONDS = 3600.0
"""How long a newly set time must hold until it is trusted."""

CAUGHT_UP = timedelta(days=35)
"""How far past the newest entry a clock may jump and still be trusted at once, when it was behind it at the start."""

_log = Logger("credit_wallet.clock")


Seconds: TypeAlias = Callable[[], float]

_GOES_ON_ASLEEP = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}.get(sys.platform, "")
"""The name of a clock that goes on while the machine sleeps, where ``time.monotonic`` does not."""

elapsed_seconds: Seconds = (
    partial(time.clock_gettime, getattr(time, _GOES_ON_ASLEEP)) if hasattr(time, _GOES_ON_ASLEEP) else time.monotonic
)
"""A clock that cannot be set."""

_at = datetime.fromtimestamp


class _Doubt(NamedTuple):
    """A newly set time that is not trusted yet: its offset, the smallest offset, and since when it has been off."""

    offset: float
    since: float


class SteadyClock:
    """Call it for the time; aware. Thread-safe."""

    def __init__(self, wall: Seconds = time.time, elapsed: Seconds = elapsed_seconds) -> None:
        """``wall`` gives Unix seconds."""
        self._wall = wall
        self._elapsed = elapsed
        self._started = elapsed()
        self._offset = wall() - self._started
        self._doubt: _Doubt | None = None
        self._newest: datetime | None = None
        self._advances: list[tuple[float, float]] = []
        """When jumps ahead were believed, by the clock that nobody sets, and by how many seconds."""
        self._lock = threading.Lock()
        forks.guard(self, SteadyClock._begin_anew)

    def __repr__(self) -> str:
        return "SteadyClock()"

    def _begin_anew(self) -> None:
        """In a child process, whose parent may have held the lock."""
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        wall = self._wall()
        offset = wall - self._elapsed()
        if -TOLERANCE_SECONDS <= offset - self._offset <= TOLERANCE_SECONDS and self._doubt is None:
            self._offset = offset
            return _at(wall, UTC)
        return _at(self._judged(wall), UTC)

    def compare(self, newest: datetime | None) -> None:
        """Record when the newest entry of a ledger was written."""
        self._newest = newest

    def ago(self, age: timedelta) -> datetime:
        """The latest instant that is at least ``age`` ago; a jump ahead does not make anything older."""
        now, elapsed = self(), self._elapsed()
        with self._lock:
            advanced = sum(seconds for at, seconds in self._advances if elapsed - at <= age.total_seconds())
        return now - age - timedelta(seconds=advanced)

    def latest(self) -> datetime:
        """The later of the trusted time and the wall clock, for anything that must not be done too late."""
        return max(self(), _at(self._wall(), UTC))

    def ahead_seconds(self) -> float:
        """Seconds that the wall clock is ahead of the trusted time, negative when it is behind; 0 when they agree."""
        self()
        return 0.0 if self._doubt is None else self._wall() - self._elapsed() - self._offset

    def problem(self) -> str | None:
        """How the clocks disagree, for people; None when they agree."""
        ahead_seconds = self.ahead_seconds()
        if ahead_seconds:
            direction = "ahead" if ahead_seconds > 0 else "back"
            return (
                f"the clock was set {direction} by {abs(ahead_seconds):,.0f} s while the service ran; believed once it "
                f"has held for {SETTLES_SECONDS / 60:.0f} minutes, or after a restart"
            )
        newest = self._newest
        if newest is not None and newest > self() + timedelta(seconds=TOLERANCE_SECONDS):
            return f"the newest entry is dated {format_instant(newest)}, after now; set the clock (NTP)"
        return None

    def _judged(self, wall: float) -> float:
        """The time in Unix seconds, when the wall clock does not say what it should, or did not until now."""
        with self._lock:
            elapsed = self._elapsed()
            offset = wall - elapsed
            ahead_seconds = offset - self._offset
            doubt = self._doubt
            if abs(ahead_seconds) <= TOLERANCE_SECONDS:
                self._doubt, self._offset = None, offset
                if doubt is not None:
                    _log.warning("clock_agrees_again")
                return wall
            if doubt is None or (doubt.offset > self._offset) is not (ahead_seconds > 0):
                doubt = self._doubted(offset, elapsed)
            elif abs(ahead_seconds) < abs(doubt.offset - self._offset):
                doubt = self._doubt = _Doubt(offset, doubt.since)
            if self._catches_up(wall, elapsed):
                return self._believed(offset, elapsed)
            if elapsed - doubt.since < SETTLES_SECONDS:
                return elapsed + self._offset
            if abs(offset - doubt.offset) <= TOLERANCE_SECONDS:
                return self._believed(offset, elapsed)
            believed = self._believed(doubt.offset, elapsed)
            self._doubted(offset, elapsed)
            return believed

    def _doubted(self, offset: float, elapsed: float) -> _Doubt:
        ahead_seconds = round(offset - self._offset)
        _log.warning("clock_jumped", ahead_seconds=ahead_seconds, believed_in_seconds=SETTLES_SECONDS)
        self._doubt = _Doubt(offset, elapsed)
        return self._doubt

    def _believed(self, offset: float, elapsed: float) -> float:
        ahead_seconds = offset - self._offset
        if ahead_seconds > 0:
            self._advances.append((elapsed, ahead_seconds))
        self._doubt, self._offset = None, offset
        _log.warning("clock_believed", ahead_seconds=round(ahead_seconds))
        return elapsed + offset

    def _catches_up(self, wall: float, elapsed: float) -> bool:
        """Whether the clock was behind the ledger, or far ahead of it at the start, and now is not."""
        if self._newest is None:
            return False
        newest, believed = self._newest.timestamp(), elapsed + self._offset
        first, last = newest - TOLERANCE_SECONDS, newest + CAUGHT_UP.total_seconds()
        was_wrong = newest > believed + TOLERANCE_SECONDS or (
            believed > last and elapsed - self._started < SETTLES_SECONDS
        )
        return was_wrong and first <= wall <= last


utc_now = SteadyClock()
"""The clock of this process, which wallets use by default."""
