"""The options of a gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import TypeAlias

from msgspec import Struct

from credit_wallet.domain.money import MICROS
from credit_wallet.gate.facts import FactsOf
from credit_wallet.gate.prices import Item
from credit_wallet.gate.requests import GatedRequest
from credit_wallet.rules.usage import Amount

Cost: TypeAlias = Amount | Item | None
CostOf: TypeAlias = Amount | Item | Callable[[GatedRequest], Cost | Awaitable[Cost]]
"""Yen or an item of the price book, or a function of the request, which may be a coroutine function; None and 0 are
free."""

Units: TypeAlias = int | Decimal | Fraction


def server_failed(status: int) -> bool:
    """Whether an answer of this status is a failure of the application: 5xx."""
    return status >= 500


class X402(Struct, frozen=True, kw_only=True):
    """Payments per call with x402, version 2 ("exact"), for callers without a wallet. Needs the ``x402`` extra.

    ``pay_to`` is the address that is paid, ``network`` a CAIP-2 name (``eip155:8453``), ``asset`` the token's address,
    ``extra`` what its signature needs (for USDC on Base ``{"name": "USD Coin", "version": "2"}``). ``units_per_yen`` is
    how many of the token's smallest units a yen is worth, or a function from yen (an ``int``, or a ``Fraction`` below
    the yen) to units. What is not a whole number of units is rounded up.

    ``facilitator_headers`` is called before each call of the facilitator: ``{"verify": {…}, "settle": {…}}``.
    """

    pay_to: str
    network: str
    asset: str
    units_per_yen: Units | Callable[[int | Fraction], Units]
    facilitator_url: str
    facilitator_headers: Callable[[], dict[str, dict[str, str]]] | None = None
    facilitator_seconds: float = 20.0
    max_timeout_seconds: int = 60
    extra: Mapping[str, str] = {}

    def units(self, amount_micros: int) -> int:
        """``amount_micros`` in the token's smallest units, rounded up. Raises ``ValueError`` for a rate in floats."""
        yen = amount_micros // MICROS if amount_micros % MICROS == 0 else Fraction(amount_micros, MICROS)
        if callable(self.units_per_yen):
            units = self.units_per_yen(yen)
        elif isinstance(self.units_per_yen, int | Decimal | Fraction):
            units = yen * Fraction(self.units_per_yen)
        else:
            units = self.units_per_yen
        if isinstance(units, bool) or not isinstance(units, int | Decimal | Fraction) or not units > 0:
            raise ValueError(f"a price must be an exact number of units of the asset, above 0, not {units!r}")
        return ceil(units)


class GateOptions(Struct, frozen=True, kw_only=True):
    """``credit_wallet.middleware.CreditGate`` says what each means."""

    topup_url: str | None
    note: Callable[[GatedRequest], str] | None
    facts: FactsOf | None
    name: str
    request_id_header: str | None
    max_keyed_body_bytes: int
    refund_if: Callable[[int], bool]
    refund_cut_answers: bool
