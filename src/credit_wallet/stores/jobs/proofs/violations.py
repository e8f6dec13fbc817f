"""Violations, the findings of a proof."""

from __future__ import annotations

from msgspec import Struct


class Violation(Struct, frozen=True):
    """A broken invariant. ``wallet_id`` is None for anything that spans wallets, such as a seal."""

    check: str
    wallet_id: int | None
    message: str
