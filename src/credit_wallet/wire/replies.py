"""What calls answer, as the types of their JSON."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, structs

from credit_wallet.domain.outcomes import (
    Alert,
    AutoTopupState,
    KeyView,
    LotView,
    Outcome,
    TopupView,
    Transaction,
    WalletView,
)
from credit_wallet.notices.targets import TargetView


class MovementReply(Struct, frozen=True):
    """A movement that was carried out, durable by now. ``replayed`` marks the answer to a key used before."""

    txn_id: int | None
    wallet_id: int
    amount_yen: int
    balance_yen: int
    replayed: bool
    alerts: tuple[Alert, ...]
    hold_id: int | None = None
    expires_at: str | None = None

    @classmethod
    def of(cls, outcome: Outcome) -> MovementReply:
        """The reply that an outcome is answered with."""
        return cls(
            outcome.txn_id,
            outcome.wallet_id,
            outcome.amount_yen,
            outcome.balance_yen,
            outcome.replayed,
            outcome.alerts,
            outcome.hold_id,
            outcome.expires_at,
        )


class PurchaseReply(MovementReply, frozen=True, kw_only=True):
    """What a request has bought. ``purchase_key`` names it from now on; a ``free`` one was served before.

    ``warn_pct`` is 80 or 100 when that share of the buyer's monthly budget is spent, else 0.
    """

    free: bool
    purchase_key: str
    warn_pct: int = 0

    @classmethod
    def of_purchase(cls, outcome: Outcome, purchase_key: str) -> PurchaseReply:
        """The reply that the outcome of a purchase is answered with."""
        movement = structs.asdict(MovementReply.of(outcome))
        return cls(**movement, free=outcome.free, purchase_key=purchase_key, warn_pct=outcome.warn_pct)


class BatchReply(Struct, frozen=True):
    """One item per charge, in order: a movement, or a problem document."""

    outcomes: list[dict[str, Any]]


class WalletReply(WalletView, frozen=True):
    """A wallet as the one who asks may spend from it, ``key`` being the agent key that asks (None for the owner).

    ``spendable_yen`` is the largest charge that balance, budget and the key's cap would let through now; ``topup_url``
    is where people pay; ``lots`` are the open ones in the order of spending, and their sum is the balance.
    """

    recent_transactions: list[Transaction]
    auto_topup: AutoTopupState
    notification_targets: list[TargetView]
    spendable_yen: int
    key: KeyView | None
    topup_url: str
    lots: list[LotView]


class TopupPage(Struct, frozen=True):
    """Top-ups, newest first."""

    topups: list[TopupView]


class TransactionPage(Struct, frozen=True):
    """Ledger entries, newest first; ``next_cursor`` leads to the page after, None on the last one."""

    transactions: list[Transaction]
    next_cursor: str | None


Role = Literal["owner", "agent", "seller", "operator"]


class Identity(Struct, frozen=True):
    """Who a token is. ``ends_at`` is when it ends, None when nothing is said of an end."""

    role: Role
    wallet_id: int | None = None
    key_id: int | None = None
    seller_id: int | None = None
    ends_at: str | None = None


class Health(Struct, frozen=True):
    """Alive, or ready."""

    status: str
