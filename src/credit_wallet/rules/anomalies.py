"""Spending anomalies: an hour that cost a wallet far more than usual."""

from __future__ import annotations

from datetime import timedelta

from credit_wallet.domain.money import MICROS

WINDOW = timedelta(days=7)
"""The hours before it that an hour is compared with."""

MIN_HOURS = 24
"""How many of these need spending; with fewer, there is no usual hour."""

MIN_YEN = 1_000
"""Minimum spending of the hour itself; anything less is ignored."""

TIMES = 5
"""An anomaly costs more than this many usual hours."""


def usual_micros(hours: int, spent_micros: int) -> int | None:
    """The cost of a usual hour for a wallet that spent ``spent_micros`` in ``hours`` of the window, rounded down to the
    micro; None for too few hours.
    """
    return spent_micros // hours if hours >= MIN_HOURS else None


def is_anomaly(spent_micros: int, usual_micros: int | None) -> bool:
    """Whether an hour that cost ``spent_micros`` is an anomaly."""
    return usual_micros is not None and spent_micros >= MIN_YEN * MICROS and spent_micros > usual_micros * TIMES
