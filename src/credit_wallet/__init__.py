"""Agent Credit Wallet: prepaid wallets that AI agents pay for API calls from; exact, durable and fast.

>>> from credit_wallet import CreditWallet
>>> with CreditWallet.open("sqlite:///wallet.db") as wallets:
...     wallet = wallets.create(monthly_budget_yen=10_000)
...     wallets.topup(wallet.wallet_id, 10_000, idempotency_key="first").balance_yen
...     wallets.charge(wallet.wallet_id, 3, idempotency_key="req-1").balance_yen
10000
9997
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from credit_wallet.version import __version__

if TYPE_CHECKING:
    from credit_wallet.client import AsyncWalletClient, WalletClient
    from credit_wallet.domain.outcomes import Alert, Captured, Charged, Held, Outcome, Refunded, Released, ToppedUp
    from credit_wallet.errors import (
        BudgetExhausted,
        CallLimitReached,
        DatabaseError,
        HoldClosed,
        HoldNotFound,
        IdempotencyConflict,
        InsufficientFunds,
        InvalidAmount,
        InvalidRequest,
        ItemNotPriced,
        KeyCapExhausted,
        MissingExtra,
        NoLedger,
        RailBusy,
        RefundExceedsCharge,
        RefusingBudget,
        SpendingRefused,
        Unauthorized,
        WalletClosed,
        WalletDisabled,
        WalletError,
        WalletNotFound,
    )
    from credit_wallet.ledger.wallet import CreditWallet
    from credit_wallet.middleware import CreditGate, charge_for, priced

__all__ = [
    "Alert",
    "AsyncWalletClient",
    "BudgetExhausted",
    "CallLimitReached",
    "Captured",
    "Charged",
    "CreditGate",
    "CreditWallet",
    "DatabaseError",
    "Held",
    "HoldClosed",
    "HoldNotFound",
    "IdempotencyConflict",
    "InsufficientFunds",
    "InvalidAmount",
    "InvalidRequest",
    "ItemNotPriced",
    "KeyCapExhausted",
    "MissingExtra",
    "NoLedger",
    "Outcome",
    "RailBusy",
    "RefundExceedsCharge",
    "Refunded",
    "RefusingBudget",
    "Released",
    "SpendingRefused",
    "ToppedUp",
    "Unauthorized",
    "WalletClient",
    "WalletClosed",
    "WalletDisabled",
    "WalletError",
    "WalletNotFound",
    "__version__",
    "charge_for",
    "priced",
]

_OUTCOMES = ("Alert", "Captured", "Charged", "Held", "Outcome", "Refunded", "Released", "ToppedUp")

_HOMES = {
    "AsyncWalletClient": "credit_wallet.client",
    "CreditGate": "credit_wallet.middleware",
    "CreditWallet": "credit_wallet.ledger.wallet",
    "WalletClient": "credit_wallet.client",
    "charge_for": "credit_wallet.middleware",
    "priced": "credit_wallet.middleware",
    **dict.fromkeys(_OUTCOMES, "credit_wallet.domain.outcomes"),
}
"""Where a public name lives, unless it is an error."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the alert job runs on the standard library alone.

    Raises ``MissingExtra`` when a package that the name needs is not installed.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES.get(name, "credit_wallet.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
