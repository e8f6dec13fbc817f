"""What code that runs within a request can find of it: its exchange, and the purchase that pays for it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from credit_wallet.gate.exchange import Exchange
    from credit_wallet.gate.purchases import Purchase

current: ContextVar[Exchange] = ContextVar("credit_wallet_exchange")
"""The exchange that the running code is part of."""

bought: ContextVar[Purchase | None] = ContextVar("credit_wallet_purchase")
"""The purchase that pays for the running code."""

PURCHASE_KEY = "credit_wallet.purchase"
"""Where a request's scope has its purchase."""

EXCHANGE_KEY = "credit_wallet.exchange"
"""Where a request's scope has its exchange, for code outside of the request's context."""


def entered() -> None:
    """Says, from within a handler, that it has begun."""
    exchange = current.get(None)
    if exchange is not None:
        exchange.entered = True
