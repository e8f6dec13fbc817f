"""Agent Credit Wallet: prepaid wallets that AI agents pay API calls from, exact, durable and fast.

>>> from credit_wallet import CreditWallet
>>> with CreditWallet.open("sqlite:///wallet.db") as wallets:
...     wallet = wallets.create(monthly_budget_yen=10_000)
...     wallets.topup(wallet.wallet_id, 10_000, idempotency_key="first").balance_yen
...     wallets.charge(wallet.wallet_id, 3, idempotency_key="req-1").balance_yen
10000
9997
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from credit_wallet.domain.outcomes import Outcome
    from credit_wallet.errors import WalletError
    from credit_wallet.ledger.wallet import CreditWallet

__all__ = ["VERSION", "CreditWallet", "Outcome", "WalletError"]

VERSION = "0.1.0"

_HOMES = {
    "CreditWallet": "credit_wallet.ledger.wallet",
    "Outcome": "credit_wallet.domain.outcomes",
    "WalletError": "credit_wallet.errors",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the alert job runs on the standard library alone."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
