"""Rows to values and back, the same for every store."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, json, structs

from credit_wallet.domain.budget import ALERT_THRESHOLDS_PCT, thresholds_pct
from credit_wallet.domain.outcomes import Alert, Outcome
from credit_wallet.domain.settings import SETTINGS, Setting
from credit_wallet.rules.lots import format_allocation, parse_allocation
from credit_wallet.rules.state import (
    EntryRecord,
    HoldState,
    KeyState,
    Lot,
    PurchaseState,
    Remembered,
    WalletState,
)

WALLET_COLUMNS = """
wallet_id, balance_yen, held_yen, debt_yen, open_lots, current_cycle, cycle_spent_yen, alerted_pct, last_txn_id,
next_due_at, exhausted, enabled, label, monthly_budget_yen, budget_mode, auto_topup_threshold, auto_topup_amount,
time_zone, low_balance_yen, alert_thresholds
"""
KEY_COLUMNS = """
key_id, wallet_id, monthly_cap_yen, current_cycle, cycle_spent_yen, held_yen, expires_at, revoked_at
"""
HOLD_COLUMNS = """
hold_id, wallet_id, key_id, amount_yen, captured_yen, status, lots, note, created_at, expires_at, closed_at, closer,
served, above_yen
"""

SETTINGS_COLUMNS = tuple(setting.column for setting in SETTINGS)

PURCHASE_COLUMNS = ", ".join(PurchaseState.__struct_fields__)

REMEMBERED_COLUMNS = (
    "idempotency_key",
    "wallet_id",
    "fingerprint",
    "txn_id",
    "hold_id",
    "amount_yen",
    "balance_yen",
    "detail",
    "created_on",
)

PUT_LOT = """
INSERT INTO am_credit_lot (wallet_id, lot_id, kind, granted_yen, expires_at)
VALUES (:wallet_id, :lot_id, :kind, :granted_yen, :expires_at)
"""
"""Takes the fields of a ``LotOpening``."""

_lots_decoder = json.Decoder(list[Lot])
_numbers_decoder = json.Decoder(list[int])


class _Detail(Struct, frozen=True, omit_defaults=True):
    """The parts of an outcome that most outcomes don't have."""

    alerts: tuple[Alert, ...] = ()
    warn_pct: int = 0
    expires_at: str | None = None
    topup_id: str | None = None


_detail_decoder = json.Decoder(_Detail)


def wallet_of(row: tuple[Any, ...]) -> WalletState:
    """A wallet from ``WALLET_COLUMNS``."""
    (
        wallet_id,
        balance_yen,
        held_yen,
        debt_yen,
        open_lots,
        current_cycle,
        cycle_spent_yen,
        alerted_pct,
        last_txn_id,
        next_due_at,
        exhausted,
        enabled,
        label,
        monthly_budget_yen,
        budget_mode,
        auto_topup_threshold,
        auto_topup_amount,
        time_zone,
        low_balance_yen,
        alert_thresholds,
    ) = row
    return WalletState(
        wallet_id,
        balance_yen,
        held_yen,
        debt_yen,
        _lots_decoder.decode(open_lots),
        current_cycle or "",
        cycle_spent_yen,
        alerted_pct,
        last_txn_id,
        next_due_at,
        bool(exhausted),
        bool(enabled),
        label,
        monthly_budget_yen,
        budget_mode,
        auto_topup_threshold,
        auto_topup_amount,
        time_zone,
        low_balance_yen,
        _thresholds_of(alert_thresholds),
    )


def _thresholds_of(text: str) -> tuple[int, ...]:
    return ALERT_THRESHOLDS_PCT if text == "[]" else thresholds_pct(_numbers_decoder.decode(text))


def own_thresholds(wallet: WalletState) -> str:
    """The column ``alert_thresholds``: a wallet's thresholds without those that every wallet has."""
    return json.encode([pct for pct in wallet.thresholds_pct if pct not in ALERT_THRESHOLDS_PCT]).decode()


def settings_row(wallet: WalletState) -> tuple[Any, ...]:
    """A wallet's settings, in the order of ``SETTINGS_COLUMNS``."""
    return tuple(_column_of(wallet, setting) for setting in SETTINGS)


def _column_of(wallet: WalletState, setting: Setting) -> Any:
    if setting.kind == "percents":
        return own_thresholds(wallet)
    value = getattr(wallet, setting.name)
    return int(value) if setting.kind == "flag" else value


def wallet_row(wallet: WalletState) -> tuple[Any, ...]:
    """The state of a wallet (its settings apart), from ``balance_yen`` to ``exhausted`` in the order of the columns."""
    return (
        wallet.balance_yen,
        wallet.held_yen,
        wallet.debt_yen,
        json.encode(wallet.lots).decode(),
        wallet.current_cycle,
        wallet.cycle_spent_yen,
        wallet.alerted_pct,
        wallet.last_txn_id,
        wallet.next_due_at,
        wallet.exhausted,
    )


def key_of(row: tuple[Any, ...]) -> KeyState:
    """An agent key from ``KEY_COLUMNS``."""
    key_id, wallet_id, monthly_cap_yen, current_cycle, cycle_spent_yen, held_yen, expires_at, revoked_at = row
    return KeyState(
        key_id, wallet_id, monthly_cap_yen, current_cycle or "", cycle_spent_yen, held_yen, expires_at, revoked_at
    )


def hold_of(row: tuple[Any, ...]) -> HoldState:
    """A hold from ``HOLD_COLUMNS``."""
    (
        hold_id,
        wallet_id,
        key_id,
        amount_yen,
        captured_yen,
        status,
        lots,
        note,
        created_at,
        expires_at,
        closed_at,
        closer,
        served,
        above_yen,
    ) = row
    return HoldState(
        hold_id,
        wallet_id,
        key_id,
        amount_yen,
        captured_yen,
        status,
        parse_allocation(lots),
        note,
        created_at,
        expires_at,
        closed_at,
        closer,
        bool(served),
        above_yen,
    )


def hold_row(hold: HoldState) -> tuple[Any, ...]:
    """The reverse of ``hold_of``."""
    return (
        hold.hold_id,
        hold.wallet_id,
        hold.key_id,
        hold.amount_yen,
        hold.captured_yen,
        hold.status,
        format_allocation(hold.allocation),
        hold.note,
        hold.created_at,
        hold.expires_at,
        hold.closed_at,
        hold.closer,
        int(hold.served),
        hold.above_yen,
    )


def purchase_of(row: tuple[Any, ...]) -> PurchaseState:
    """A purchase from ``PURCHASE_COLUMNS``."""
    return PurchaseState(*row)


def purchase_row(purchase: PurchaseState, changed_on: str) -> tuple[Any, ...]:
    """The reverse of ``purchase_of``, and the day."""
    return (*structs.astuple(purchase), changed_on)


def entry_of(row: tuple[Any, ...]) -> EntryRecord:
    """A refundable entry, from ``txn_id, wallet_id, amount_yen, txn_type, lots, returned_yen``."""
    txn_id, wallet_id, amount_yen, txn_type, lots, returned_yen = row
    return EntryRecord(txn_id, wallet_id, amount_yen, txn_type, parse_allocation(lots), returned_yen)


def remembered_of(wallet_id: int, row: tuple[Any, ...]) -> Remembered:
    """From ``fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail``."""
    fingerprint, txn_id, hold_id, amount_yen, balance_yen, text = row
    detail = _detail_decoder.decode(text) if text else _Detail()
    outcome = Outcome(
        wallet_id,
        amount_yen,
        balance_yen,
        txn_id,
        hold_id,
        False,
        detail.alerts,
        detail.warn_pct,
        detail.expires_at,
        detail.topup_id,
    )
    return Remembered(fingerprint, outcome)


def remembered_row(key: str, wallet_id: int, remembered: Remembered, created_on: str) -> tuple[Any, ...]:
    """The reverse of ``remembered_of``, in the order of ``REMEMBERED_COLUMNS``."""
    outcome = remembered.outcome
    return (
        key,
        wallet_id,
        remembered.fingerprint,
        outcome.txn_id,
        outcome.hold_id,
        outcome.amount_yen,
        outcome.balance_yen,
        _detail_of(outcome),
        created_on,
    )


def _detail_of(outcome: Outcome) -> str | None:
    if not outcome.alerts and not outcome.warn_pct and outcome.expires_at is None and outcome.topup_id is None:
        return None
    return json.encode(_Detail(outcome.alerts, outcome.warn_pct, outcome.expires_at, outcome.topup_id)).decode()
