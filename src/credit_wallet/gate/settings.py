"""What a gate is told by the application that it stands before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from credit_wallet.gate.requests import GatedRequest

Yen: TypeAlias = int | None
YenOf: TypeAlias = int | Callable[[GatedRequest], Yen | Awaitable[Yen]]
"""Whole yen, or a function of the request, which may be a coroutine function; None and 0 are free."""


def server_failed(status: int) -> bool:
    """Whether an answer of this status is a failure of the application's own: 5xx."""
    return status >= 500


class GateSettings(Struct, frozen=True, kw_only=True):
    """``credit_wallet.middleware.CreditGate`` says what each means."""

    topup_url: str | None
    note: Callable[[GatedRequest], str] | None
    request_id_header: str | None
    max_keyed_body_bytes: int
    refund_if: Callable[[int], bool]
    refund_cut_answers: bool
