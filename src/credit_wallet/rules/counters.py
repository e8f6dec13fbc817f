"""Counters of budgets, opened for an instant: the one place that says which window something counts in.

An instant is one that an entry is written with, so in whole milliseconds: whoever reads the ledger later finds the
windows in which its charges were counted.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta

from credit_wallet.domain.budgets import Budget
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.windows import Span, second_after, window_at
from credit_wallet.rules.state import Counter


def opened(budget: Budget, value: str, now: datetime, span: Span | None = None) -> Counter:
    """A counter of ``budget`` for one value in the window that ``now`` (aware) falls in, with nothing counted yet.

    ``span`` is that window, if the caller knows it.
    """
    limit_micros = budget.limit_micros if budget.raised_until is None else budget.limit_at(format_instant(now))
    if budget.rolls is not None:
        return Counter(budget, value, "", "", limit_micros)
    span = span or window_at(budget.window, now, budget.time_zone, budget.week_start)
    return Counter(budget, value, span.start, span.end, limit_micros)


def covers(counter: Counter, at: str) -> bool:
    """Whether the window of a counter that does not roll is the one of an instant, as entries write it."""
    return counter.window_start <= at and (not counter.resets_at or at < counter.resets_at)


class Steps:
    """What was spent of a rolling window, by the second that it counts in; moves with time, either way.

    Spending at a second counts until ``seconds`` later, that instant excluded. What has left the window is kept for as
    long again, for a clock that steps back.
    """

    __slots__ = ("_at", "_left", "_length", "_spent", "spent_micros")

    def __init__(self, seconds: int) -> None:
        self._length = timedelta(seconds=seconds)
        self._at: list[datetime] = []
        self._spent: list[int] = []
        self._left = 0
        """How many steps have left the window: those before this number."""
        self.spent_micros = 0
        """What is in the window."""

    def move_to(self, now: datetime) -> None:
        """Make it the window that ends at ``now``."""
        start = now - self._length
        while self._left < len(self._at) and self._at[self._left] <= start:
            self.spent_micros -= self._spent[self._left]
            self._left += 1
        while self._left and self._at[self._left - 1] > start:
            self._left -= 1
            self.spent_micros += self._spent[self._left]

    def add(self, now: datetime, micros: int) -> None:
        """Count spending at ``now``, where it was moved to."""
        second = second_after(now)
        self.spent_micros += micros
        if self._at and self._at[-1] == second:
            self._spent[-1] += micros
            return
        place = bisect_right(self._at, second)
        self._at.insert(place, second)
        self._spent.insert(place, micros)
        self._forget(second - 2 * self._length)

    def is_over(self, until: datetime) -> bool:
        """Whether all of it had left the window by ``until``."""
        return not self._at or self._at[-1] <= until - self._length

    def _forget(self, until: datetime) -> None:
        """In long strides, so that it costs next to nothing."""
        if self._left > 1024 and self._at[self._left // 2] <= until:
            forgotten = bisect_right(self._at, until, hi=self._left)
            del self._at[:forgotten], self._spent[:forgotten]
            self._left -= forgotten
