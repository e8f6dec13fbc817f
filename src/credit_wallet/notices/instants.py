"""Instants as people read them."""

from __future__ import annotations

from credit_wallet.domain.cycle import local_time
from credit_wallet.notices.inert import inert


def shown_instant(instant: str, time_zone: str) -> str:
    """An instant to the minute by the clocks of ``time_zone``, with its name."""
    clock = local_time(instant, time_zone)[:16].replace("T", " ")
    return inert(f"{clock} ({time_zone})")
