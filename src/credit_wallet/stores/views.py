"""Rows of the reading statements as views: whole yen and the micros beyond them become one exact amount."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from msgspec import DecodeError, json

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import BudgetMode
from credit_wallet.domain.permissions import ordered, scopes_of
from credit_wallet.domain.standing import COLUMNS
from credit_wallet.domain.views import HoldView, KeyView, TopupView, Totals, Transaction, TransactionView, WalletView
from credit_wallet.errors import DatabaseCorrupt
from credit_wallet.rules.details import EntryDetail, exact_micros, parse_detail
from credit_wallet.stores.profile_rows import parse_metadata
from credit_wallet.stores.topup_rows import read_clawbacks, read_offer


class WalletRow(NamedTuple):
    """The columns of the statements ``wallet`` and ``wallets``."""

    wallet_id: int
    label: str | None
    balance_yen: int
    balance_fraction: int
    ledger_yen: int
    ledger_fraction: int
    debt_whole_yen: int
    debt_fraction: int
    auto_topup_threshold: int
    auto_topup_amount: int
    monthly_budget_yen: int
    budget_mode: BudgetMode
    time_zone: str
    current_cycle: str | None
    cycle_spent_yen: int
    cycle_spent_fraction: int
    enabled: int
    created_at: str
    next_due_at: str | None
    last_txn_id: int
    low_balance_yen: int
    alert_thresholds: str
    price_group: str | None
    budget_kinds: str
    """Kinds of anchors that its budgets have, as JSON; empty for a wallet without budgets."""
    auto_topup_daily_yen: int
    auto_topup_monthly_yen: int
    auto_topup_consents: int
    frozen_at: str | None
    frozen_reason: str | None
    frozen_note: str | None
    closing_at: str | None
    closed_at: str | None
    merged_into: int | None
    reference: str | None
    metadata: str | None
    token_prefix: str | None

    @property
    def balance_micros(self) -> int:
        """What can be spent."""
        return micros(self.balance_yen, self.balance_fraction)

    @property
    def held_micros(self) -> int:
        """What open holds have set aside."""
        return micros(self.ledger_yen, self.ledger_fraction) - self.balance_micros

    @property
    def debt_micros(self) -> int:
        """What is owed."""
        return micros(self.debt_whole_yen, self.debt_fraction)

    @property
    def cycle_spent_micros(self) -> int:
        """What was spent in ``current_cycle``."""
        return micros(self.cycle_spent_yen, self.cycle_spent_fraction)

    def is_due(self, now: datetime) -> bool:
        """Whether holds or lots of the wallet have expired and are not settled yet."""
        return self.next_due_at is not None and self.next_due_at <= format_instant(now)


class CycleSpan(NamedTuple):
    """The opening balance of a cycle, open holds included, and its segments, oldest first.

    Each is given by its last entry and the one after which it begins; entries appended later change neither.
    """

    opening_micros: int
    net_micros: int
    """What its entries changed together."""

    segments: list[tuple[int, int]]


class CycleEntry(NamedTuple):
    """An entry; a refund also has the key, the note and the item of the charge that it refunds."""

    entry: Transaction
    paid_key_id: int | None
    paid_note: str | None
    paid_item: str | None = None

    @property
    def paid_by(self) -> int | None:
        """The agent key that the spending belongs to, None for the owner."""
        return self.paid_key_id if self.entry.txn_type == "refund" else self.entry.key_id


def micros(yen: Any, fraction: Any) -> int:
    """The exact amount of whole yen and the micros beyond them; sums of them may come as decimals."""
    return int(yen) * MICROS + int(fraction)


def entry_of(columns: tuple[Any, ...]) -> Transaction:
    """An entry from ``txn_id`` to ``hold_id``, its cause and its detail. Raises ``DatabaseCorrupt``."""
    return Transaction(*_fields_of(columns))


def entry_view(columns: tuple[Any, ...]) -> TransactionView:
    """The same, and what was refunded or reversed of it."""
    *entry, returned_yen, returned_fraction = columns
    refunded_micros = micros(returned_yen, returned_fraction)
    return TransactionView(*_fields_of(tuple(entry)), refunded_micros=refunded_micros)


def _fields_of(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    txn_id, wallet_id, amount_yen, txn_type, occurred_at, note, ledger_yen, *related, cause, text = columns
    if text is None:
        ledger_micros = None if ledger_yen is None else ledger_yen * MICROS
        amount_micros = amount_yen * MICROS
        says: tuple[Any, ...] = (None, None, None, {}, {})
        reason = None
        names: tuple[Any, ...] = (None, None, {}, None)
    else:
        detail = _detail_of(txn_id, text)
        ledger_micros = None if ledger_yen is None else ledger_yen * MICROS + detail.fraction
        amount_micros, says, reason = exact_micros(amount_yen, detail), _usage_fields(detail), detail.reason
        names = (detail.request_id, detail.reference, detail.metadata or {}, detail.idempotency_key)
    said = (txn_type, occurred_at, note, ledger_micros, *related)
    return (txn_id, wallet_id, amount_yen, amount_micros, *said, *says, cause, reason, *names)


def _detail_of(txn_id: int, text: str) -> EntryDetail:
    try:
        return parse_detail(text)
    except DecodeError as error:
        raise DatabaseCorrupt(
            f"the detail of entry {txn_id} is damaged ({error}); stop the wallet and restore a backup"
        ) from error


def _usage_fields(detail: EntryDetail) -> tuple[Any, ...]:
    """What an entry was for, in the order of ``Transaction``."""
    quantity_micros = None if detail.item is None else detail.quantity
    return (detail.item, quantity_micros, detail.price_version, detail.facts or {}, detail.agent_facts or {})


def wallet_view(row: WalletRow, cycle: str, spent_micros: int) -> WalletView:
    """A wallet as its owner sees it, in a cycle in which it has spent this."""
    return WalletView(
        wallet_id=row.wallet_id,
        label=row.label,
        balance_micros=row.balance_micros,
        held_micros=row.held_micros,
        debt_micros=row.debt_micros,
        auto_topup_threshold=row.auto_topup_threshold,
        auto_topup_amount=row.auto_topup_amount,
        monthly_budget_yen=row.monthly_budget_yen,
        budget_mode=row.budget_mode,
        time_zone=row.time_zone,
        current_cycle=cycle,
        current_cycle_spent_micros=spent_micros,
        enabled=bool(row.enabled),
        created_at=row.created_at,
        low_balance_yen=row.low_balance_yen,
        alert_thresholds_pct=json.decode(row.alert_thresholds, type=tuple[int, ...]),
        price_group=row.price_group,
        auto_topup_daily_yen=row.auto_topup_daily_yen,
        auto_topup_monthly_yen=row.auto_topup_monthly_yen,
        reference=row.reference or None,
        metadata=parse_metadata(row.metadata),
        token_prefix=row.token_prefix or None,
        frozen=not row.enabled,
        **{name: getattr(row, name) for name in COLUMNS},
    )


def key_view(row: tuple[Any, ...]) -> KeyView:
    """A key from the statements ``keys`` and ``key``."""
    key_id, wallet_id, label, cap_yen, spent_yen, spent_fraction, held_yen, held_fraction, *others = row
    created_at, expires_at, revoked_at, group, scopes, reference, metadata, token_prefix = others
    spent_micros, held_micros = micros(spent_yen, spent_fraction), micros(held_yen, held_fraction)
    return KeyView(
        key_id,
        wallet_id,
        label,
        cap_yen,
        spent_micros,
        held_micros,
        created_at,
        expires_at,
        revoked_at,
        group,
        ordered(scopes_of(scopes)),
        reference or None,
        parse_metadata(metadata),
        token_prefix or None,
    )


def hold_view(row: tuple[Any, ...]) -> HoldView:
    """A hold from the statement ``hold``."""
    hold_id, wallet_id, key_id, amount_yen, amount_fraction, captured_yen, captured_fraction, *state = row
    amounts = (micros(amount_yen, amount_fraction), micros(captured_yen, captured_fraction))
    return HoldView(hold_id, wallet_id, key_id, *amounts, *state)


def totals_of(row: tuple[Any, ...]) -> Totals:
    """Sums over all wallets."""
    wallets, balance_yen, balance_fraction, ledger_yen, ledger_fraction, debt_yen, debt_fraction = row
    balance_micros = micros(balance_yen, balance_fraction)
    held_micros = micros(ledger_yen, ledger_fraction) - balance_micros
    return Totals(wallets, balance_micros, held_micros, micros(debt_yen, debt_fraction))


def topup_view(row: tuple[Any, ...]) -> TopupView:
    """A top-up from the statements that end with its clawbacks."""
    values = list(row)
    values[-2:] = read_offer(row[-2]), read_clawbacks(row[-1])
    return TopupView(*values)
