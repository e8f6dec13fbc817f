"""The views of a wallet and what belongs to it, as owners and operators see them. All are frozen.

A field ``amount_micros`` is exact, in micros of yen; beside it ``amount_yen`` are its whole yen, and ``amount`` is the
exact ``Decimal``. Whole yen are rounded down, those of a debt up.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import ClassVar, Literal

from msgspec import Struct

from credit_wallet.domain.documents import ExactOfYen
from credit_wallet.domain.money import Exact, WholeYen, WholeYenUp, decimal_of, whole_yen
from credit_wallet.domain.outcomes import BudgetMode, EntryType, HoldStatus, LotKind
from credit_wallet.domain.permissions import ORDINARY_SCOPES, Scope, ordered
from credit_wallet.domain.topups import Clawback, Offer, Origin


class CreatedWallet(Struct, frozen=True):
    """A new wallet, or a new owner token of one."""

    created: ClassVar[bool] = True

    wallet_id: int
    owner_token: str


class ReferencedWallet(Struct, frozen=True):
    """The wallet of a reference: a new one, or the one that had it, whose ``owner_token`` is not shown again."""

    wallet_id: int
    owner_token: str | None
    created: bool


class HandedOverWallet(Struct, frozen=True):
    """A wallet that was attached to a customer, and its new owner token, shown this once, if it was handed over."""

    wallet_id: int
    reference: str | None
    owner_token: str | None


class CreatedKey(Struct, frozen=True):
    """A new agent key, or a new token of one."""

    key_id: int
    wallet_id: int
    token: str


class Transaction(Struct, frozen=True):
    """One ledger entry. ``ledger_balance`` is balance and open holds together, right after it.

    ``amount_yen`` is how the entry changed the whole yen of that balance, so that they add up to it; ``amount`` is the
    exact amount. What it was for: ``quantity`` of ``item`` at the price of ``price_version``, with facts that the
    seller and the agent set.
    """

    txn_id: int
    wallet_id: int
    amount_yen: int
    amount_micros: int
    txn_type: EntryType
    occurred_at: str
    note: str | None
    ledger_balance_micros: int | None
    key_id: int | None
    related_txn_id: int | None
    hold_id: int | None
    item: str | None = None
    quantity_micros: int | None = None
    price_version: int | None = None
    facts: dict[str, str] = {}
    agent_facts: dict[str, str] = {}
    cause: str | None = None
    """Why credit came in or went out (``causes.Cause``); None of other entries, and of those that name none."""
    reason: str | None = None
    """The code of an adjustment's reason (``corrections.CorrectionReason``); its note says what happened."""
    request_id: str | None = None
    """The id that the caller gave its request."""
    reference: str | None = None
    """The host's id of what the entry is about."""
    metadata: dict[str, str] = {}
    idempotency_key: str | None = None
    """Of the request, on entries with a request id, a reference or metadata."""

    amount = Exact()
    quantity = Exact()

    @property
    def ledger_balance_yen(self) -> int | None:
        """Whole yen of the ledger balance, rounded down; None for an entry of plain SQL that is not backfilled yet."""
        return None if self.ledger_balance_micros is None else whole_yen(self.ledger_balance_micros)

    @property
    def ledger_balance(self) -> Decimal | None:
        """The exact ledger balance."""
        return None if self.ledger_balance_micros is None else decimal_of(self.ledger_balance_micros)


class TransactionView(Transaction, frozen=True, kw_only=True):
    """One ledger entry, and how much of it was refunded or reversed."""

    refunded_micros: int

    refunded_yen = WholeYen()
    refunded = Exact()


class WalletView(Struct, frozen=True):
    """A wallet as its owner sees it, with its spending in the current cycle."""

    wallet_id: int
    label: str | None
    balance_micros: int
    held_micros: int
    debt_micros: int
    auto_topup_threshold: int
    auto_topup_amount: int
    monthly_budget_yen: int
    budget_mode: BudgetMode
    time_zone: str
    current_cycle: str
    current_cycle_spent_micros: int
    enabled: bool
    created_at: str
    low_balance_yen: int
    alert_thresholds_pct: tuple[int, ...]
    price_group: str | None
    """The group whose prices count for the wallet."""
    auto_topup_daily_yen: int
    auto_topup_monthly_yen: int
    """The owner's own limits on automatic top-ups a day and a month, by the wallet's clocks; 0 for none."""
    frozen: bool = False
    """Whether nothing may be spent of it: not ``enabled``."""
    frozen_at: str | None = None
    """Since when, and for operators why; None when plain SQL has switched it off."""
    frozen_reason: str | None = None
    frozen_note: str | None = None
    closing_at: str | None = None
    """When closing it began."""
    closed_at: str | None = None
    """When it was closed, for good."""
    merged_into: int | None = None
    """The wallet that its credit goes to, or went to."""
    reference: str | None = None
    """The host's id of the customer."""
    metadata: dict[str, str] = {}
    token_prefix: str | None = None
    """The beginning of the owner token; None for a token from before 308."""

    balance_yen = WholeYen()
    balance = Exact()
    held_yen = WholeYen()
    held = Exact()
    debt_yen = WholeYenUp()
    debt = Exact()
    current_cycle_spent_yen = WholeYen()
    current_cycle_spent = Exact()


class KeyView(Struct, frozen=True):
    """An agent key as its owner sees it."""

    key_id: int
    wallet_id: int
    label: str | None
    monthly_cap_yen: int
    current_cycle_spent_micros: int
    held_micros: int
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    group: str | None = None
    """The group that budgets count it in, and those above."""
    scopes: tuple[Scope, ...] = ordered(ORDINARY_SCOPES)
    """What it may do: ``spend``, ``read``, ``manage``."""
    reference: str | None = None
    """The host's or the owner's id of it, unique in the wallet."""
    metadata: dict[str, str] = {}
    token_prefix: str | None = None

    current_cycle_spent_yen = WholeYen()
    current_cycle_spent = Exact()
    held_yen = WholeYen()
    held = Exact()


class HoldView(Struct, frozen=True):
    """A hold and its state."""

    hold_id: int
    wallet_id: int
    key_id: int | None
    amount_micros: int
    captured_micros: int
    status: HoldStatus
    created_at: str
    expires_at: str

    amount_yen = WholeYen()
    amount = Exact()
    captured_yen = WholeYen()
    captured = Exact()


class LotView(Struct, frozen=True):
    """Credit that came in together, and what is left of it. ``days_left`` are whole days until it expires."""

    lot_id: int
    kind: LotKind
    remaining_micros: int
    expires_at: str | None
    days_left: int | None = None

    remaining_yen = WholeYen()
    remaining = Exact()


class ExpiredLotView(Struct, frozen=True):
    """A lot that has expired, and what was left of it then."""

    lot_id: int
    kind: LotKind
    expired_micros: int
    expires_at: str

    expired_yen = WholeYen()
    expired = Exact()


def next_expiring(lots: Iterable[LotView]) -> LotView | None:
    """The lot that expires soonest, if any does; of several, the one that is spent first."""
    ending = [lot for lot in lots if lot.expires_at is not None]
    return min(ending, key=lambda lot: lot.expires_at or "", default=None)


class TopupView(Struct, frozen=True):
    """A top-up as its owner sees it."""

    topup_id: str
    wallet_id: int
    amount_yen: int
    origin: Origin
    flow: str
    status: str
    payment_intent: str | None
    checkout_session: str | None
    received_yen: int
    credited_yen: int
    reversed_yen: int
    credit_txn_id: int | None
    reason: str | None
    action_url: str | None
    created_at: str
    updated_at: str
    offer: Offer | None
    """How the payment was asked for; None for every method that there is."""

    clawbacks: tuple[Clawback, ...]
    """Clawbacks: refunds, disputes and pay-backs that returned money to the payer, or are announced to."""

    amount, received, credited, reversed = ExactOfYen(), ExactOfYen(), ExactOfYen(), ExactOfYen()

    @property
    def place(self) -> str:
        """Where it stands in a list: the next page begins after it."""
        return f"{self.created_at}~{self.topup_id}"


class TopupCase(TopupView, frozen=True, kw_only=True):
    """A top-up as an operator sees it who helps with it: ``next_step`` is what to do, if anything."""

    next_step: str | None


class TopupStepView(Struct, frozen=True):
    """A line of a top-up's history. ``clawed_back_yen`` is what the provider had taken back by then."""

    status: str
    received_yen: int
    clawed_back_yen: int
    reason: str | None
    occurred_at: str


class PayerView(Struct, frozen=True):
    """Whether a wallet can top itself up: the saved method, and why not if it may not."""

    wallet_id: int
    customer: str | None
    payment_method: str | None
    failures: int
    retry_at: str | None
    stopped: bool
    reason: str | None


class AutoTopupState(Struct, frozen=True):
    """Whether a wallet can top itself up: ``off``, ``ready``, ``waiting`` until ``retry_at``, or ``stopped``.

    When it is stopped, a person must act: ``reason`` says why, and ``action_url`` where, if a page is known.
    """

    state: Literal["off", "ready", "waiting", "stopped"]
    payment_method: str | None = None
    reason: str | None = None
    retry_at: str | None = None
    action_url: str | None = None


DeliveryStatus = Literal["pending", "delivered", "dead"]


class DeliveryView(Struct, frozen=True):
    """An event on its way to a target; ``address`` is the target's, with its secrets removed."""

    delivery_id: int
    wallet_id: int
    event_id: int
    kind: str
    target_id: int
    address: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: str
    last_error: str | None
    created_at: str
    delivered_at: str | None


class Access(Struct, frozen=True):
    """The access that a bearer token gives: to a wallet, as its owner (``key_id`` None) or through an agent key.

    ``ends_at`` is when the token expires, None when no expiry is known.
    """

    wallet_id: int
    key_id: int | None
    ends_at: str | None = None
    scopes: frozenset[Scope] = frozenset()
    """Of an agent key: what it may do. An owner needs none."""

    @property
    def viewer_key_id(self) -> int | None:
        """The key that sees nothing but its own part; None for the owner and for keys that manage."""
        return None if "manage" in self.scopes else self.key_id


class SellerAccess(Struct, frozen=True):
    """The access that a seller's token gives: to the movements that pay the seller, and to no wallet. ``ends_at`` is as
    in ``Access``.
    """

    seller_id: int
    ends_at: str | None = None


class SecretView(Struct, frozen=True):
    """A secret that opens a wallet beside its current tokens: a registered key, or an earlier token in its overlap."""

    sha256: str
    wallet_id: int
    key_id: int | None
    registered: bool
    created_at: str
    ends_at: str | None


class CreatedSeller(Struct, frozen=True):
    """A seller's new token, shown this once; only its hash is stored."""

    seller_id: int
    token: str


class SellerView(Struct, frozen=True):
    """A seller as the operator sees it."""

    seller_id: int
    label: str | None
    created_at: str
    revoked_at: str | None


class Totals(Struct, frozen=True):
    """Sums over all wallets."""

    wallets: int
    balance_micros: int
    held_micros: int
    debt_micros: int

    balance_yen = WholeYen()
    balance = Exact()
    held_yen = WholeYen()
    held = Exact()
    debt_yen = WholeYenUp()
    debt = Exact()


class Balance(int):
    """The whole yen that can be spent, usable as an integer, with held yen and debt, and each exactly."""

    balance_micros: int
    held_micros: int
    debt_micros: int

    def __new__(cls, balance_micros: int, held_micros: int, debt_micros: int) -> Balance:
        self = super().__new__(cls, whole_yen(balance_micros))
        self.balance_micros, self.held_micros, self.debt_micros = balance_micros, held_micros, debt_micros
        return self

    balance_yen = WholeYen()
    balance = Exact()
    held_yen = WholeYen()
    held = Exact()
    debt_yen = WholeYenUp()
    debt = Exact()


class Opening(Struct, frozen=True):
    """Whole yen of a wallet that no ledger entry explained when it was backfilled; below zero, yen that it lacked."""

    wallet_id: int
    opening_yen: int


class Upgrade(Struct, frozen=True):
    """The result of migrating a database; ``openings`` belong to the wallets that were backfilled."""

    applied: list[str]
    wallets_backfilled: int
    openings: list[Opening] = []


class Finding(Struct, frozen=True):
    """The result of one check; ``detail`` says what was found and, when it is not ``ok``, what to do."""

    check: str
    ok: bool
    detail: str
