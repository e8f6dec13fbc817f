"""Shares of a monthly budget: when an alert fires and when an answer warns (seed contract, "The alert job").

Whole percents, rounded down. Imports only the standard library, so that the alert job can run without dependencies.
"""

from __future__ import annotations

from collections.abc import Iterable

ALERT_THRESHOLDS_PCT = (50, 80, 100)
"""Default shares at which an alert fires, ascending."""

WARN_PCTS = (80, 100)
"""Shares from which a response carries a warning (``X-Wallet-Warn``)."""


MAX_THRESHOLD_PCT = 1_000
MAX_OWN_THRESHOLDS = 10
"""Of a wallet's own thresholds, beside ``ALERT_THRESHOLDS_PCT``."""


def thresholds_pct(own: Iterable[int]) -> tuple[int, ...]:
    """A wallet's thresholds, the default ones and its own, ascending."""
    return tuple(sorted({*ALERT_THRESHOLDS_PCT, *own}))


def spent_pct(spent_yen: int, budget_yen: int) -> int:
    """The share of ``budget_yen`` (1 or more) that ``spent_yen`` is."""
    return spent_yen * 100 // budget_yen


def reached_pct(thresholds: Iterable[int], share_pct: int) -> int:
    """The highest of ``thresholds`` that a share has reached, 0 for none."""
    return max((pct for pct in thresholds if share_pct >= pct), default=0)


def warn_pct(share_pct: int) -> int:
    """The highest of ``WARN_PCTS`` that a share has reached, 0 for none."""
    return reached_pct(WARN_PCTS, share_pct)
