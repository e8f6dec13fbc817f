"""Refusals to spend, and what they say of budgets."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from credit_wallet.errors.base import WalletError


class RefusingBudget(NamedTuple):
    """The budget that refused a movement, as it stood then. Amounts are of its ``unit``: yen, or calls.

    ``value`` is the one of its values that ran out, for a budget of each value. ``left`` is what neither spending nor
    open holds have taken; ``resets_at`` is None when it never starts anew.
    """

    budget_id: str
    label: str | None
    value: str | None
    unit: str
    window: str
    limit: Decimal
    spent: Decimal
    held: Decimal
    left: Decimal
    resets_at: str | None


_AMOUNTS_OF_A_BUDGET = ("limit", "spent", "held", "left")


class SpendingRefused(WalletError):
    """The wallet, one of its budgets or an agent key's cap does not allow this movement now.

    The base of ``InsufficientFunds``, ``BudgetExhausted``, ``KeyCapExhausted`` and ``CallLimitReached``, which all say
    what would pass instead, and when.
    """

    @property
    def budget(self) -> RefusingBudget | None:
        """The budget that said no; None when it was the balance."""
        told: Any = self.details.get("budget")
        if not isinstance(told, Mapping):
            return None
        shown: dict[str, Any] = {name: told.get(name) for name in RefusingBudget._fields}
        return RefusingBudget(**shown | {name: Decimal(str(told[name])) for name in _AMOUNTS_OF_A_BUDGET})

    @property
    def max_amount(self) -> Decimal:
        """The largest amount that would pass now; 0 when none would."""
        return Decimal(str(self.details.get("max_amount", 0)))

    @property
    def max_amount_yen(self) -> int:
        """The same in whole yen, rounded down."""
        return int(self.max_amount)

    @property
    def retry_at(self) -> str | None:
        """When the same movement would pass if nothing else is spent; None when waiting does not help."""
        instant = self.details.get("retry_at")
        return None if instant is None else str(instant)


class InsufficientFunds(SpendingRefused):
    """The wallet holds less than the movement needs; ``details`` has ``balance``, ``missing`` and their whole yen."""

    code = "insufficient_funds"

    @property
    def balance_yen(self) -> int:
        """What could be spent, in whole yen (rounded down)."""
        return int(str(self.details["balance_yen"]))

    @property
    def balance(self) -> Decimal:
        """What could be spent."""
        return Decimal(str(self.details["balance"]))

    @property
    def missing_yen(self) -> int:
        """What a top-up must bring at least, in whole yen (rounded up)."""
        return int(str(self.details["missing_yen"]))

    @property
    def missing(self) -> Decimal:
        """What the movement lacks."""
        return Decimal(str(self.details["missing"]))

    @property
    def topup_url(self) -> str | None:
        """Where a person pays, when the refusal came over HTTP."""
        url = self.details.get("topup_url")
        return None if url is None else str(url)


class BudgetExhausted(SpendingRefused):
    """A budget of the wallet is a cap and this movement would pass it; ``budget`` says which."""

    code = "budget_exhausted"


class CallLimitReached(SpendingRefused):
    """A limit on calls allows no more of them now; ``budget`` says which, ``retry_at`` when it does again."""

    code = "call_limit_reached"


class KeyCapExhausted(SpendingRefused):
    """The agent key's monthly cap would be passed."""

    code = "key_cap_exhausted"


class WalletDisabled(WalletError):
    """The wallet is disabled: it takes credit but spends nothing."""

    code = "wallet_disabled"


class WalletClosed(WalletDisabled):
    """The wallet is closed, or is being closed; ``merged_into`` is where its credit went, if anywhere."""

    code = "wallet_closed"

    @property
    def merged_into(self) -> int | None:
        """The wallet that its credit went to."""
        merged_into = self.details.get("merged_into")
        return None if merged_into is None else int(str(merged_into))


class ClosingBlocked(WalletError):
    """Something has to happen before a wallet can be closed; ``details`` has ``blocked_by`` and what it is."""

    code = "closing_blocked"


class ErasureBlocked(WalletError):
    """A wallet's personal data cannot be erased; ``details`` has ``blocked_by``."""

    code = "erasure_blocked"


class ItemNotPriced(WalletError):
    """The price book has no price of the item for the wallet now; ``details`` has ``item`` and the ``items`` it has."""

    code = "item_not_priced"


class BudgetNotFound(WalletError):
    """There is no such budget, or it was deleted."""

    code = "budget_not_found"


class TooManyBudgets(WalletError):
    """The wallet has as many budgets as are allowed; ``max`` says how many."""

    code = "too_many_budgets"
