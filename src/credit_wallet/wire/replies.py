"""What calls answer, as the types of their JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, structs

from credit_wallet.domain.budget_views import BudgetView
from credit_wallet.domain.money import MICROS, Exact, WholeYen, decimal_of, micros_of
from credit_wallet.domain.outcomes import Alert, Outcome
from credit_wallet.domain.permissions import Role, Scope
from credit_wallet.domain.prices import PriceChange, PriceRevision, PriceTier, PriceView
from credit_wallet.domain.views import AutoTopupState, KeyView, LotView, TopupCase, TopupView, Transaction, WalletView
from credit_wallet.notices.targets import TargetView


class MovementReply(Struct, frozen=True):
    """A movement of money, durable by now.

    Written out as it is sent, amounts in whole yen and exactly: no reply is made more often.
    """

    txn_id: int | None
    wallet_id: int
    amount_yen: int
    amount: Decimal
    balance_yen: int
    balance: Decimal
    replayed: bool
    alerts: tuple[Alert, ...]
    hold_id: int | None = None
    expires_at: str | None = None
    price_version: int | None = None

    @property
    def amount_micros(self) -> int:
        """The amount as the library has it."""
        return micros_of(self.amount)

    @property
    def balance_micros(self) -> int:
        """The balance as the library has it."""
        return micros_of(self.balance)

    @classmethod
    def of(cls, outcome: Outcome) -> MovementReply:
        """The reply that an outcome is answered with."""
        amount_micros, balance_micros = outcome.amount_micros, outcome.balance_micros
        return cls(
            outcome.txn_id,
            outcome.wallet_id,
            amount_micros // MICROS,
            decimal_of(amount_micros),
            balance_micros // MICROS,
            decimal_of(balance_micros),
            outcome.replayed,
            outcome.alerts,
            outcome.hold_id,
            outcome.expires_at,
            outcome.price_version,
        )


class PurchaseReply(MovementReply, frozen=True, kw_only=True):
    """What a request has bought."""

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


class WalletReply(WalletView, frozen=True, kw_only=True):
    """A wallet as the caller sees it, and how much the caller can spend now."""

    recent_transactions: list[Transaction]
    auto_topup: AutoTopupState
    notification_targets: list[TargetView]
    spendable_micros: int
    key: KeyView | None
    topup_url: str
    lots: list[LotView]
    next_expiring: LotView | None = None
    budgets: list[BudgetView]

    spendable_yen, spendable = WholeYen(), Exact()


class PriceReply(Struct, frozen=True):
    """What an item costs: a unit price in yen for ``per`` units, or tiers within a billing cycle."""

    item: str
    unit_price: Decimal | None
    per: int
    tiers: tuple[PriceTier, ...]
    valid_from: str | None
    version: int

    @classmethod
    def of(cls, price: PriceView) -> PriceReply:
        """A price as those see it who pay it: not whether it is their own or their group's."""
        return cls(price.item, price.unit_price, price.per, price.tiers, price.valid_from, price.version)


class PricesReply(Struct, frozen=True):
    """The prices that count now, and those that will."""

    prices: list[PriceReply]
    announced: list[PriceReply]


class PriceBookReply(Struct, frozen=True):
    """Every price of the newest version: of everybody, groups and wallets, past, present and to come."""

    version: int
    prices: list[PriceView]


class PriceFileReply(Struct, frozen=True):
    """The version that counts now, and what a price file changes of the one before, or would change."""

    version: int
    changes: list[PriceChange]
    dry_run: bool


class PriceRevisionPage(Struct, frozen=True):
    """Versions of the price book, newest first, each with what it changed."""

    revisions: list[PriceRevision]
    next_cursor: int | None


class TopupPage(Struct, frozen=True):
    """Top-ups, newest first."""

    topups: list[TopupView]
    next_cursor: str | None = None


class TopupCasePage(Struct, frozen=True):
    """Top-ups of all wallets, newest first, each with what to do about it."""

    topups: list[TopupCase]
    next_cursor: str | None


class Resent(Struct, frozen=True):
    """How many deliveries are sent again."""

    resent: int


class TransactionPage(Struct, frozen=True):
    """One page of ledger entries, newest first, and when the last entry was made that was looked at, if more follow."""

    transactions: list[Transaction]
    next_cursor: str | None
    searched_to: str | None = None


CallerRole = Literal["owner", "agent", "seller", "operator"]


class Identity(Struct, frozen=True):
    """What kind of token the caller has, and what it belongs to."""

    role: CallerRole
    wallet_id: int | None = None
    key_id: int | None = None
    seller_id: int | None = None
    ends_at: str | None = None
    scopes: tuple[Scope, ...] | None = None
    operator_id: int | None = None
    operator_name: str | None = None
    operator_role: Role | None = None


class Health(Struct, frozen=True):
    """Whether the service is alive, or ready."""

    status: str
