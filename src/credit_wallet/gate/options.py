"""The options of a gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from credit_wallet.gate.requests import GatedRequest

Yen: TypeAlias = int | None
YenOf: TypeAlias = int | Callable[[GatedRequest], Yen | Awaitable[Yen]]
"""Whole yen, or a function of the request, which may be a coroutine function; None and 0 are free."""


def server_failed(status: int) -> bool:
    """Whether an answer of this status is a failure of the application: 5xx."""
    return status >= 500


class X402(Struct, frozen=True, kw_only=True):
    """Payments per call with x402, version 2 ("exact"), for callers without a wallet. Needs the ``x402`` extra.

    ``pay_to`` is the address that is paid, ``network`` a CAIP-2 name (``eip155:8453``), ``asset`` the token's address,
    ``extra`` what its signature needs (for USDC on Base ``{"name": "USD Coin", "version": "2"}``). ``units_per_yen`` is
    how many of the token's smallest units a yen is worth, or a function from whole yen to whole units.

    ``facilitator_headers`` is called before each call of the facilitator: ``{"verify": {…}, "settle": {…}}``.
    """

    pay_to: str
    network: str
    asset: str
    units_per_yen: int | Callable[[int], int]
    facilitator_url: str
    facilitator_headers: Callable[[], dict[str, dict[str, str]]] | None = None
    facilitator_seconds: float = 20.0
    max_timeout_seconds: int = 60
    extra: Mapping[str, str] = {}

    def units(self, amount_yen: int) -> int:
        """``amount_yen`` in the token's smallest units."""
        units = self.units_per_yen(amount_yen) if callable(self.units_per_yen) else amount_yen * self.units_per_yen
        if type(units) is not int or units < 1:
            raise ValueError(f"a price must be whole units of the asset, at least 1, not {units!r}")
        return units


class GateOptions(Struct, frozen=True, kw_only=True):
    """``credit_wallet.middleware.CreditGate`` says what each means."""

    topup_url: str | None
    note: Callable[[GatedRequest], str] | None
    name: str
    request_id_header: str | None
    max_keyed_body_bytes: int
    refund_if: Callable[[int], bool]
    refund_cut_answers: bool
