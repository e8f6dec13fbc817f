"""Price files of tests, and what a charge by item costs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from credit_wallet import CreditWallet

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
"""When the tests of prices begin, but for those that have another clock: close to the end of a billing cycle."""

SEARCH = '[[price]]\nitem = "search"\nunit_price_yen = "{}"\n'

TIERED = """
[[price]]
item = "tokens"
tiers = [{up_to = 1000, unit_price_yen = "0"}, {up_to = 2000, unit_price_yen = "0.2"}, {unit_price_yen = "0.1"}]
"""


def cost(wallets: CreditWallet, wallet_id: int, key: str, item: str = "search", quantity: int | str = 1) -> Decimal:
    """Charge by item; the amount."""
    return wallets.charge(wallet_id, item=item, quantity=quantity, idempotency_key=key).amount
