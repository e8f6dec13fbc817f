"""Spending out of the ordinary: an hour that cost a wallet far more than its usual one."""

from __future__ import annotations

from datetime import timedelta

WINDOW = timedelta(days=7)
"""The hours before that an hour is compared with."""

MIN_HOURS = 24
"""With spending, among these: with fewer there is no usual hour."""

MIN_YEN = 1_000
"""Of the hour itself; whoever spends less is not looked at."""

TIMES = 5
"""How many usual hours an hour must cost more than."""


def usual_yen(hours: int, spent_yen: int) -> int | None:
    """What a usual hour costs a wallet that spent ``spent_yen`` in ``hours`` of the window; None for too few hours."""
    return spent_yen // hours if hours >= MIN_HOURS else None


def is_anomaly(spent_yen: int, usual_yen: int | None) -> bool:
    """Whether an hour that cost ``spent_yen`` is out of the ordinary."""
    return usual_yen is not None and spent_yen >= MIN_YEN and spent_yen > usual_yen * TIMES
