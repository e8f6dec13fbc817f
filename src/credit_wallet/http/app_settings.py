"""What the service is told from outside."""

from __future__ import annotations

from msgspec import Struct


class ServiceSettings(Struct, frozen=True):
    """``topup_url`` is where a 402 sends people to pay."""

    operator_key: str
    topup_url: str
