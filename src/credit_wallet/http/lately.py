"""What cumulative figures have done lately: the difference to what they were a minute ago."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

WINDOW_SECONDS = 60.0
EVERY_SECONDS = 1.0
"""How often the figures are kept, as long as something happens."""


class Lately:
    """Figures that only grow, as a function reads them; ``tick`` is called whenever something has happened."""

    def __init__(self, figures: Callable[[], Sequence[float]], clock: Callable[[], float] = monotonic) -> None:
        self._figures, self._clock = figures, clock
        self._next_at = self._began = clock()
        self._kept: deque[tuple[float, Sequence[float]]] = deque(maxlen=int(2 * WINDOW_SECONDS / EVERY_SECONDS))

    def tick(self) -> None:
        """Keep the figures as they are before what is happening now, once in a while."""
        now = self._clock()
        if now >= self._next_at:
            self._next_at = now + EVERY_SECONDS
            self._kept.append((now, self._figures()))

    def change(self) -> tuple[float, list[float]]:
        """Over how many seconds, a minute at most, and by how much the figures have grown in them, to a second.

        The first figures that were kept in that time are those of its beginning: before them, nothing had happened.
        """
        now, figures = self._clock(), self._figures()
        before = next((kept for at, kept in list(self._kept) if at >= now - WINDOW_SECONDS), figures)
        seconds = min(max(now - self._began, EVERY_SECONDS), WINDOW_SECONDS)
        return seconds, [after - earlier for after, earlier in zip(figures, before, strict=True)]


def percentile(bounds: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """The value below which a share of observations is, estimated within its bucket; None without any.

    Of ``counts`` the last is of those above all bounds, for which the last bound stands.
    """
    total = sum(counts)
    if total <= 0:
        return None
    rank, below = share * total, 0.0
    for low, high, count in zip((0.0, *bounds), bounds, counts, strict=False):
        if count and below + count >= rank:
            return low + (high - low) * (rank - below) / count
        below += count
    return bounds[-1]
