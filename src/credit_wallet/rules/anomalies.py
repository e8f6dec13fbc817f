"""Spending anomalies: an hour that cost a wallet far more than usual."""

from __future__ import annotations

from datetime import timedelta

WINDOW = timedelta(days=7)
"""The hours before it that an hour is compared with."""

MIN_HOURS = 24
"""How many of these need spending; with fewer, there is no usual hour."""

MIN_YEN = 1_000
"""Minimum spending of the hour itself; anything less is ignored."""

TIMES = 5
"""An anomaly costs more than this many usual hours."""


def usual_yen(hours: int, spent_yen: int) -> int | None:
    """The cost of a usual hour for a wallet that spent ``spent_yen`` in ``hours`` of the window; None for too few
    hours.
    """
    return spent_yen // hours if hours >= MIN_HOURS else None


def is_anomaly(spent_yen: int, usual_yen: int | None) -> bool:
    """Whether an hour that cost ``spent_yen`` is an anomaly."""
    return usual_yen is not None and spent_yen >= MIN_YEN and spent_yen > usual_yen * TIMES
