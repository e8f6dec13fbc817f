"""How long to wait before a retry: the arithmetic that all retries share."""

from __future__ import annotations

from collections.abc import Iterator
from random import uniform

from msgspec import Struct


class Backoff(Struct, frozen=True):
    """Pauses that double from ``first_seconds`` up to ``longest_seconds``.

    ``spread`` is the share of each pause, from 0 to 1, that ``spread_out`` shortens at random, so that callers who
    failed together do not retry together.
    """

    first_seconds: float
    longest_seconds: float
    spread: float = 0.0

    def pauses(self) -> Iterator[float]:
        """An endless series of pauses, before they are spread out."""
        pause = self.first_seconds
        while True:
            yield pause
            pause = min(2 * pause, self.longest_seconds)

    def pause_seconds(self, attempt: int) -> float:
        """The pause after attempt number ``attempt``, from 1, before it is spread out."""
        return min(self.first_seconds * float(2 ** (attempt - 1)), self.longest_seconds)

    def spread_out(self, pause: float) -> float:
        """A pause, shorter by a random part of its ``spread``."""
        return pause * uniform(1 - self.spread, 1)  # noqa: S311 - spreads load, guards nothing


def no_sooner_than_asked(usual_seconds: float, asked_seconds: float | None, longest_seconds: float) -> float:
    """The usual pause, or the one that ``Retry-After`` asks for if it is longer, of which ``longest_seconds`` count."""
    return max(usual_seconds, min(asked_seconds or 0.0, longest_seconds))
