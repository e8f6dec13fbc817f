"""What a caller sets of a budget or an agent key, once it is checked: what the stores' jobs are given."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType, structs

from credit_wallet.domain.budgets import Mode, Scope, Unit
from credit_wallet.domain.metadata import Metadata


class NewBudget(Struct, frozen=True):
    """A budget to make. Amounts are in micros of its unit; without a ``time_zone`` it has the wallet's."""

    wallet_id: int
    label: str | None
    unit: Unit
    limit_micros: int
    window: str
    scope: Scope
    mode: Mode
    shares_pct: tuple[int, ...]
    time_zone: str | None
    week_start: str
    raised_micros: int | None = None
    raised_until: str | None = None


class BudgetSettings(Struct, frozen=True):
    """Changes to a budget; what is unset stays. A raise has both its fields, or None in both to end it."""

    label: str | UnsetType | None = UNSET
    limit_micros: int | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    shares_pct: tuple[int, ...] | UnsetType = UNSET
    raised_micros: int | UnsetType | None = UNSET
    raised_until: str | UnsetType | None = UNSET


class NewKey(Struct, frozen=True):
    """An agent key to make. A ``monthly_cap_yen`` of 0 means none."""

    label: str | None = None
    monthly_cap_yen: int = 0
    group: str | None = None
    reference: str | None = None
    metadata: Metadata = ()
    scopes: str | None = None
    """As they are stored; None for those that a key has by default."""

    def described(self) -> dict[str, Any]:
        """As the log of acts keeps it."""
        said = {**structs.asdict(self), "metadata": dict(self.metadata)}
        if self.scopes is None:
            del said["scopes"]
        return said


class KeySettings(Struct, frozen=True):
    """Changes to an agent key; what is unset stays. A cap of 0, a group of None and a reference of None are none."""

    label: str | UnsetType | None = UNSET
    monthly_cap_yen: int | UnsetType = UNSET
    group: str | UnsetType | None = UNSET
    reference: str | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET
