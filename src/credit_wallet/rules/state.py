"""What ``decide`` works on: the wallets that a batch touches, as the store loaded them.

These values are mutable and belong to one batch at a time. A store fills a ``Snapshot``, ``decide`` moves the money in
it and returns a ``Decision``, which the store writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct, field

from credit_wallet.domain.actors import OPERATOR, Actor
from credit_wallet.domain.budgets import CALL, Budget, Reserved
from credit_wallet.domain.causes import Cause
from credit_wallet.domain.cycle import parse_instant
from credit_wallet.domain.grants import GrantState
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import BudgetMode, EntryType, HoldStatus, LotKind, Outcome, PurchaseStatus
from credit_wallet.domain.prices import NO_PRICES, PriceBook
from credit_wallet.domain.shares import ALERT_THRESHOLDS_PCT
from credit_wallet.domain.standing import OPEN, Standing
from credit_wallet.domain.topups import AutoToppedUp, PayerState, TopupState
from credit_wallet.domain.usage import Facts, Usage
from credit_wallet.domain.views import LotView
from credit_wallet.rules.transfer_state import TransferState

Payment: TypeAlias = tuple[int, int | None, str | None, Facts, Facts]
"""What decides which budgets a charge matches: wallet, agent key, item, facts of the seller and of the agent."""

Allocation: TypeAlias = list[tuple[int, int]]
"""Which lots a movement touched and by how many micros: ``[(lot_id, amount_micros), …]`` in the order of spending."""


class Lot(Struct, gc=False):
    """Credit that came in together. ``lot_id`` is the entry that brought it, 0 for credit of a plain-SQL wallet."""

    lot_id: int
    kind: LotKind
    remaining_micros: int
    expires_at: str | None

    def view(self, now: datetime) -> LotView:
        """The lot as it is shown."""
        days_left = None if self.expires_at is None else max(0, (parse_instant(self.expires_at) - now).days)
        return LotView(self.lot_id, self.kind, self.remaining_micros, self.expires_at, days_left)


class LotOpening(Struct, frozen=True):
    """A lot as it was granted; the register's row, which never changes."""

    wallet_id: int
    lot_id: int
    kind: LotKind
    granted_micros: int
    expires_at: str | None


class WalletState(Struct):
    """A wallet's row. ``lots`` are the open ones in spending order, and their sum is ``balance_micros``.

    ``current_cycle`` is empty until the wallet is first used.
    """

    wallet_id: int
    balance_micros: int
    held_micros: int
    debt_micros: int
    lots: list[Lot]
    current_cycle: str
    cycle_spent_micros: int
    alerted_pct: int
    last_txn_id: int
    next_due_at: str | None
    exhausted: bool
    enabled: bool
    label: str | None
    monthly_budget_yen: int
    budget_mode: BudgetMode
    auto_topup_threshold: int
    auto_topup_amount: int
    time_zone: str
    low_balance_yen: int = 0
    thresholds_pct: tuple[int, ...] = ALERT_THRESHOLDS_PCT
    """The shares of the budget at which an alert fires, ascending: the default ones and the wallet's own."""
    price_group: str | None = None
    budget_kinds: frozenset[str] = frozenset()
    """Kinds of anchors (``domain.budgets``) that the wallet's budgets have; none for a wallet without budgets."""
    recovery_due: bool = False
    """``balance.low`` or ``wallet.exhausted`` was emitted, and ``balance.recovered`` was not since."""
    auto_topup_daily_yen: int = 0
    auto_topup_monthly_yen: int = 0
    auto_topup_consents: int = 0
    """How many consents are recorded, the last of which is for these settings of automatic top-ups."""
    standing: Standing = OPEN
    """Frozen, being closed or closed; such a wallet is not ``enabled``."""


class KeyState(Struct):
    """An agent key. A ``monthly_cap_yen`` of 0 means no cap. ``group`` is the group that it is in, and those above."""

    key_id: int
    wallet_id: int
    monthly_cap_yen: int
    current_cycle: str
    cycle_spent_micros: int
    held_micros: int
    expires_at: str | None
    revoked_at: str | None
    group: str | None = None
    may_spend: bool = True
    """Whether ``spend`` is among its scopes."""


class Counter(Struct, gc=False):
    """What is used of a budget by one value, in the window that a batch falls in; amounts in micros of its unit.

    ``window_start`` and ``resets_at`` are empty for a window without end, and ``resets_at`` for a rolling one. There,
    ``leaving`` lists what leaves the window next, with the instant, and all has left at ``empty_at``.
    """

    budget: Budget
    value: str
    window_start: str
    resets_at: str
    limit_micros: int
    spent_micros: int = 0
    held_micros: int = 0
    refused_micros: int = 0
    """Of a shadow budget: what it would have refused in the window, in ``refusals`` charges and holds."""
    refusals: int = 0
    told_pct: int = 0
    """The highest of the budget's shares that it has told of for this limit."""
    leaving: list[tuple[str, int]] = field(default_factory=list)
    empty_at: str = ""
    leaves_at: str = ""
    """When that leaves which the batch spends."""
    renewal: int = 0
    """1 when an event is due that a new window has begun, 2 when it was emitted."""
    later: Sequence[tuple[str, int]] | None = None
    """What was spent in windows that begin after the batch, by their start (``late_clocks``); None when not read."""

    @property
    def left_micros(self) -> int:
        """What is left after spending and holds; below zero when the limit was lowered."""
        return self.limit_micros - self.spent_micros - self.held_micros

    def cost_of(self, amount_micros: int) -> int:
        """What a charge of ``amount_micros`` counts for."""
        return amount_micros if self.budget.unit == "yen" else CALL

    def has_room(self, cost_micros: int) -> bool:
        """Whether so much more fits. What costs nothing always does."""
        return self.spent_micros + self.held_micros + cost_micros <= self.limit_micros or not cost_micros


class HoldState(Struct):
    """Yen set aside; ``allocation`` lists the lots that the yen still held come from.

    ``closer`` is the actor that made the hold. ``served`` means that what it pays for was delivered, so it is captured
    when it expires. ``above_micros`` was captured beyond what it held.
    """

    hold_id: int
    wallet_id: int
    key_id: int | None
    amount_micros: int
    captured_micros: int
    status: HoldStatus
    allocation: Allocation
    note: str | None
    created_at: str
    expires_at: str
    closed_at: str | None = None
    closer: Actor = OPERATOR
    served: bool = False
    above_micros: int = 0
    usage: Usage | None = None
    reserved: tuple[Reserved, ...] = ()
    """Where the hold reserves what is left of it: the counters of the budgets that it matched."""
    is_counted: bool = False
    """Whether it has been captured before: a hold and all its captures are one call."""
    names: Names | None = None
    """Those of its captures, as far as they name no others."""

    @property
    def left_micros(self) -> int:
        """Yen that an open hold still holds."""
        return self.amount_micros - self.captured_micros


class PurchaseState(Struct):
    """A request's purchase. ``txn_id`` is its charge, or ``hold_id`` its hold; ``undone_txn_id`` is the refund.

    A ``running`` one belongs to ``attempt`` until ``lease_until``; a ``served`` one was free ``free_used`` times since.
    """

    purchase_key: str
    wallet_id: int
    key_id: int | None
    actor: Actor
    fingerprint: bytes
    attempt: str
    status: PurchaseStatus
    amount_micros: int
    txn_id: int | None
    hold_id: int | None
    undone_txn_id: int | None
    free_used: int
    lease_until: str
    usage: Usage | None = None
    names: Names | None = None
    """Those of all its entries."""


class EntryRecord(Struct):
    """A ledger entry that a refund or a reversal names, and how much of it was refunded or reversed before."""

    txn_id: int
    wallet_id: int
    amount_micros: int
    txn_type: EntryType
    allocation: Allocation
    returned_micros: int
    usage: Usage | None = None
    occurred_at: str = ""
    cause: Cause | None = None


class Remembered(Struct, frozen=True, gc=False):
    """The use of an idempotency key: the request's fingerprint and its outcome."""

    fingerprint: bytes
    outcome: Outcome


class ClosedSegment(Struct, frozen=True):
    """A run of consecutive entries of one billing cycle that has ended.

    ``closing_micros`` is the ledger balance after ``last_txn_id``; the segment is what changed since the one before.
    """

    wallet_id: int
    last_txn_id: int
    billing_cycle: str
    closing_micros: int


class ClawbackState(Struct):
    """Credit of a top-up that was taken back and not reinstated: the lots it came from, and the yen still owed.
    ``credit_txn_id`` 0 stands for debt that belongs to no top-up.
    """

    wallet_id: int
    credit_txn_id: int
    taken: Allocation
    owed_micros: int


MAX_DUE_HOLDS = 500
"""Expired holds of a wallet that one batch closes: a wallet may have one for each yen, all expired at once."""


class Snapshot(Struct):
    """Everything that a batch may touch. Anything missing from a mapping does not exist."""

    wallets: dict[int, WalletState]
    keys: dict[int, KeyState]
    holds: dict[int, HoldState]
    entries: dict[int, EntryRecord]
    lot_openings: dict[tuple[int, int], LotOpening]
    remembered: dict[tuple[str, int], Remembered]
    due_holds: dict[int, list[HoldState]]
    """Per wallet with something due: its open holds that have expired, oldest first, up to ``MAX_DUE_HOLDS``."""
    next_hold_expiry: dict[int, str]
    """Per wallet with something due: when the first of its other open holds expires."""
    left_cycles: list[tuple[str, int, int, int]]
    """``(billing_cycle, wallet_id, key_id, spent_micros)`` of cycles that wallets (key_id 0) and keys just left."""
    txn_ids: Iterator[int]
    """Ids for new entries: rising, and above those of every entry of the wallets."""
    hold_ids: Iterator[int]
    headrooms: dict[int, int] = field(default_factory=dict)
    """How much wallets can spend before a rule has something to say (``rules.headroom``), of those that were looked at.
    A store that keeps wallets in memory keeps this beside them.
    """
    rolled: dict[int, WalletState] = field(default_factory=dict)
    """Wallets that have moved to another cycle: their rows are to be written, whatever happens."""
    topups: dict[str, TopupState] = field(default_factory=dict)
    """Those that commands name, and all open ones of wallets that ask for another."""
    auto_topped_up: dict[int, AutoToppedUp] = field(default_factory=dict)
    """Per wallet that asks for an automatic top-up: those before it."""
    payers: dict[int, PayerState] = field(default_factory=dict)
    grants: dict[int, GrantState] = field(default_factory=dict)
    """Those that commands name."""
    purchases: dict[tuple[str, int], PurchaseState] = field(default_factory=dict)
    """By stored key and wallet: those that commands name."""
    known_lots: set[int] = field(default_factory=set)
    """Wallets of which every open lot is in ``lot_openings``."""
    emitted: Collection[tuple[int, str]] = ()
    """Wallet and ``dedupe_key`` of events that are known to have been emitted."""
    closed_segments: dict[int, list[ClosedSegment]] = field(default_factory=dict)
    """Per wallet, in the order of its chain: runs of entries of one cycle that have ended in this batch."""
    clawbacks: dict[int, dict[int, ClawbackState]] = field(default_factory=dict)
    """Per wallet and top-up, by the entry that credited it: those with debt, and those that commands name."""
    paid_back_yen: int = 0
    """Credit that was paid back in the current period, of all wallets and with that cause; loaded when commands need
    it.
    """
    prices: PriceBook = NO_PRICES
    """The price book that counts for the batch; loaded when commands name an item."""
    tier_usage: dict[tuple[int, str], int] = field(default_factory=dict)
    """Per wallet and item that has tiers, for items that commands need: micros used in the wallet's current cycle."""
    counters: dict[tuple[int, str], Counter] = field(default_factory=dict)
    """By budget and value: those that commands or their holds match, or that holds reserve in."""
    matched: dict[Payment, tuple[Counter, ...]] = field(default_factory=dict)
    """Which counters a charge counts in, for every one that commands can make in a wallet with budgets."""
    later_cycles: dict[tuple[int, int], list[tuple[str, int]]] = field(default_factory=dict)
    """By wallet and agent key (0 for none): the same of cycles; read when commands make or extend holds."""
    transfers: dict[tuple[int, str], TransferState] = field(default_factory=dict)
    """By wallet and id: those that commands name."""
    tiered_before: set[tuple[int, str]] = field(default_factory=set)
    """Earlier versions of the book with an item that they had tiers for, of entries that commands name."""
