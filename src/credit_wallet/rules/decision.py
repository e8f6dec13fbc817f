"""What a batch has decided: an outcome or a refusal of each command, and the rows that a store is to write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import Struct, field

from credit_wallet.domain.actors import Actor
from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.causes import Cause
from credit_wallet.domain.consents import Consent
from credit_wallet.domain.grants import GrantOccurrence, GrantState
from credit_wallet.domain.metadata import Metadata
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Alert, EntryType, Outcome
from credit_wallet.domain.topups import PayerState, TopupState
from credit_wallet.errors import WalletError
from credit_wallet.rules.events import Event
from credit_wallet.rules.state import (
    ClawbackState,
    Counter,
    EntryRecord,
    HoldState,
    KeyState,
    LotOpening,
    PurchaseState,
    Remembered,
    WalletState,
)
from credit_wallet.rules.transfer_state import TransferState

ENTRY_COLUMNS = (
    "txn_id",
    "wallet_id",
    "amount_yen",
    "note",
    "prev_txn_id",
    "ledger_balance_yen",
    "lots",
    "key_id",
    "related_txn_id",
    "hold_id",
    "cause",
    "detail",
)
"""The columns of a ledger entry beside its type and its instant, in the order of ``Decision.entries``."""


class Entry(NamedTuple):
    """A ledger entry to append, as ``am_credit_transaction_log`` has it.

    Whole yen: ``amount_yen`` is how the entry changes those of the ledger balance. What is beyond them, and what the
    entry was for, is in ``detail`` (``rules.details``).
    """

    txn_type: EntryType
    occurred_at: str
    txn_id: int
    wallet_id: int
    amount_yen: int
    note: str | None
    prev_txn_id: int
    ledger_balance_yen: int
    lots: str
    key_id: int | None
    related_txn_id: int | None
    hold_id: int | None
    cause: Cause | None
    detail: str | None


class TopupStep(Struct, frozen=True):
    """A line of a top-up's history."""

    topup_id: str
    wallet_id: int
    status: str
    received_yen: int
    clawed_back_yen: int
    reason: str | None


class BudgetChange(Struct, frozen=True):
    """A change to a budget, as its log keeps it. ``budget_id`` is the one that everybody sees, ``before`` is None for a
    new budget and ``after`` for a deleted one; ``after_txn_id`` is the wallet's last entry then, 0 for none.
    """

    wallet_id: int
    budget_id: str
    changed_by: Actor
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    after_txn_id: int


class Decision(Struct):
    """The result of a batch: an outcome or a refusal per command, in order, and the rows to write."""

    outcomes: list[Outcome | WalletError] = field(default_factory=list)
    entries: dict[tuple[EntryType, str], list[Any]] = field(default_factory=dict)
    """By type and instant, which stores bind once a statement: the ``ENTRY_COLUMNS`` of one new entry after the other.
    A flat list, because an object for each entry costs as much as writing it."""
    touched: dict[int, WalletState] = field(default_factory=dict)
    moved: dict[int, WalletState] = field(default_factory=dict)
    """Wallets in which charges have changed balance, front lot, cycle spend and last entry. Some may be touched too."""
    configured: dict[int, WalletState] = field(default_factory=dict)
    relabeled: dict[int, str | None] = field(default_factory=dict)
    """The labels of wallets that have another one, by which they are found."""
    described: dict[int, tuple[Author, Metadata]] = field(default_factory=dict)
    """The metadata of wallets, and who has set them."""
    touched_keys: dict[int, KeyState] = field(default_factory=dict)
    touched_holds: dict[int, HoldState] = field(default_factory=dict)
    opened_holds: set[int] = field(default_factory=set)
    returned: dict[int, EntryRecord] = field(default_factory=dict)
    opened_lots: list[LotOpening] = field(default_factory=list)
    remembered: dict[tuple[str, int], Remembered] = field(default_factory=dict)
    """The keys that are new, by name and wallet."""
    alerts: list[tuple[Alert, Event]] = field(default_factory=list)
    """Each with the event that is emitted if the alert is recorded, or was recorded for another budget."""
    events: list[Event] = field(default_factory=list)
    emitted: set[tuple[int, str]] = field(default_factory=set)
    """Wallet and ``dedupe_key`` of those among ``events`` that have one."""
    touched_topups: dict[str, TopupState] = field(default_factory=dict)
    topup_steps: list[TopupStep] = field(default_factory=list)
    touched_payers: dict[int, PayerState] = field(default_factory=dict)
    touched_clawbacks: dict[tuple[int, int], ClawbackState] = field(default_factory=dict)
    touched_purchases: dict[tuple[str, int], PurchaseState] = field(default_factory=dict)
    dropped_purchases: set[tuple[str, int]] = field(default_factory=set)
    named: list[tuple[int, int, Names]] = field(default_factory=list)
    """Wallet, entry and names of each entry that has any."""
    sales: list[tuple[int, int, int]] = field(default_factory=list)
    """Wallet, entry and seller of each charge that a seller made."""
    spent_in: dict[tuple[int, str], Counter] = field(default_factory=dict)
    """Counters in which something was spent, refused by a shadow, or told."""
    budget_changes: list[BudgetChange] = field(default_factory=list)
    held_in: dict[tuple[int, str], Counter] = field(default_factory=dict)
    """Counters in which holds have changed."""
    touched_tiers: dict[tuple[int, str, str], int] = field(default_factory=dict)
    """Micros used by wallet, item and billing cycle."""
    new_transfers: dict[tuple[int, str], TransferState] = field(default_factory=dict)
    touched_transfers: dict[tuple[int, str], TransferState] = field(default_factory=dict)
    """Those that have ended. One may be new as well."""
    touched_grants: dict[int, GrantState] = field(default_factory=dict)
    granted: list[GrantOccurrence] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    acts: list[tuple[Author, Act]] = field(default_factory=list)

    def appended(self) -> Iterator[Entry]:
        """The new entries, one type and instant after the other."""
        for (txn_type, at), columns in self.entries.items():
            for start in range(0, len(columns), len(ENTRY_COLUMNS)):
                yield Entry(txn_type, at, *columns[start : start + len(ENTRY_COLUMNS)])

    def entry(self, txn_id: int) -> Entry | None:
        """The new entry with an id."""
        for (txn_type, at), columns in self.entries.items():
            ids = columns[:: len(ENTRY_COLUMNS)]
            if txn_id in ids:
                start = ids.index(txn_id) * len(ENTRY_COLUMNS)
                return Entry(txn_type, at, *columns[start : start + len(ENTRY_COLUMNS)])
        return None
