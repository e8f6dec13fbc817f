"""Rows to values and back, the same for every store.

Values are in micros. A row has whole yen, rounded down, and the micros beyond them in a column ``…_fraction``.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, json

from credit_wallet.domain.budget import ALERT_THRESHOLDS_PCT, thresholds_pct
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import Alert, LotKind, Outcome
from credit_wallet.domain.settings import SETTINGS, Setting
from credit_wallet.domain.usage import Usage
from credit_wallet.rules.details import exact_micros, format_detail, parse_detail, usage_of
from credit_wallet.rules.lots import format_allocation, parse_allocation
from credit_wallet.rules.state import (
    EntryRecord,
    HoldState,
    KeyState,
    Lot,
    LotOpening,
    PurchaseState,
    Remembered,
    WalletState,
)

WALLET_COLUMNS = """
wallet_id, balance_yen, held_yen, debt_yen, open_lots, current_cycle, cycle_spent_yen, alerted_pct, last_txn_id,
next_due_at, exhausted, enabled, label, monthly_budget_yen, budget_mode, auto_topup_threshold, auto_topup_amount,
time_zone, low_balance_yen, alert_thresholds, balance_fraction, ledger_fraction, debt_fraction, cycle_spent_fraction,
price_group
"""
MOVED_COLUMNS = ("balance_yen", "open_lots", "cycle_spent_yen", "last_txn_id")
"""What a charge of whole yen changes of a wallet's row."""

RESTING_COLUMNS = (
    "held_yen",
    "debt_yen",
    "current_cycle",
    "alerted_pct",
    "next_due_at",
    "exhausted",
    "balance_fraction",
    "ledger_fraction",
    "debt_fraction",
    "cycle_spent_fraction",
)
"""The rest of its state, its settings apart."""

KEY_COLUMNS = """
key_id, wallet_id, monthly_cap_yen, current_cycle, cycle_spent_yen, held_yen, expires_at, revoked_at,
cycle_spent_fraction, held_fraction
"""
HOLD_COLUMNS = """
hold_id, wallet_id, key_id, amount_yen, captured_yen, status, lots, note, created_at, expires_at, closed_at, closer,
served, above_yen, amount_fraction, captured_fraction, above_fraction, usage
"""
ENTRY_COLUMNS = """
e.txn_id, e.wallet_id, amount_yen, txn_type, lots, coalesce(returned_yen, 0), coalesce(returned_fraction, 0), detail,
occurred_at
"""
"""Of a ledger entry ``e`` and what was returned of it."""

LOT_COLUMNS = "wallet_id, lot_id, kind, granted_yen, expires_at, granted_fraction"

SETTINGS_COLUMNS = tuple(setting.column for setting in SETTINGS)

PURCHASE_COLUMNS = (
    "purchase_key, wallet_id, key_id, actor, fingerprint, attempt, status, amount_yen, txn_id, hold_id, undone_txn_id, "
    "free_used, lease_until, amount_fraction, usage"
)

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

PUT_LOT = f"""
INSERT INTO am_credit_lot ({LOT_COLUMNS})
VALUES (:wallet_id, :lot_id, :kind, :granted_yen, :expires_at, :granted_fraction)
"""
"""Takes a ``lot_row``."""


class _LotRow(Struct, array_like=True, frozen=True, gc=False):
    """An open lot on its wallet's row: ``[lot_id, kind, yen, expires_at]``, and the micros beyond the yen if any."""

    lot_id: int
    kind: LotKind
    yen: int
    expires_at: str | None
    fraction: int = 0


_lots_decoder = json.Decoder(list[_LotRow])
_numbers_decoder = json.Decoder(list[int])


class _Detail(Struct, frozen=True, omit_defaults=True):
    """The parts of an outcome that most outcomes don't have."""

    alerts: tuple[Alert, ...] = ()
    warn_pct: int = 0
    expires_at: str | None = None
    topup_id: str | None = None
    amount_fraction: int = 0
    balance_fraction: int = 0
    price_version: int | None = None


_detail_decoder = json.Decoder(_Detail)
_NO_DETAIL = _Detail()


def parse_lots(text: str) -> list[Lot]:
    """The open lots of a wallet, from its column ``open_lots``."""
    return [
        Lot(row.lot_id, row.kind, row.yen * MICROS + row.fraction, row.expires_at) for row in _lots_decoder.decode(text)
    ]


def format_lots(lots: list[Lot]) -> str:
    """The reverse of ``parse_lots``."""
    return json.encode([_lot_row(lot) for lot in lots]).decode()


def _format_lot(lot: Lot, yen: int) -> str:
    """The only lot of a wallet, of whole yen; as ``format_lots`` does, in half the time."""
    expires_at = "null" if lot.expires_at is None else f'"{lot.expires_at}"'
    return f'[[{lot.lot_id},"{lot.kind}",{yen},{expires_at}]]'


def _lot_row(lot: Lot) -> tuple[Any, ...]:
    yen, fraction = divmod(lot.remaining_micros, MICROS)
    row = (lot.lot_id, lot.kind, yen, lot.expires_at)
    return (*row, fraction) if fraction else row


def lot_row(opening: LotOpening) -> dict[str, Any]:
    """A lot as it was granted, by the columns of ``LOT_COLUMNS``."""
    granted_yen, granted_fraction = divmod(opening.granted_micros, MICROS)
    return {
        "wallet_id": opening.wallet_id,
        "lot_id": opening.lot_id,
        "kind": opening.kind,
        "granted_yen": granted_yen,
        "expires_at": opening.expires_at,
        "granted_fraction": granted_fraction,
    }


def lot_opening_of(row: tuple[Any, ...]) -> LotOpening:
    """The reverse of ``lot_row``, from ``LOT_COLUMNS``."""
    wallet_id, lot_id, kind, granted_yen, expires_at, granted_fraction = row
    return LotOpening(wallet_id, lot_id, kind, granted_yen * MICROS + granted_fraction, expires_at)


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
        balance_fraction,
        ledger_fraction,
        debt_fraction,
        cycle_spent_fraction,
        price_group,
    ) = row
    return WalletState(
        wallet_id,
        balance_yen * MICROS + balance_fraction,
        held_yen * MICROS + ledger_fraction - balance_fraction,
        debt_yen * MICROS + debt_fraction,
        parse_lots(open_lots),
        current_cycle or "",
        cycle_spent_yen * MICROS + cycle_spent_fraction,
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
        price_group,
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


def wallet_row(wallet: WalletState) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The state of a wallet, its settings apart, as ``MOVED_COLUMNS`` and ``RESTING_COLUMNS``.

    ``held_yen`` is what holds add to the whole yen of the balance, so that ``balance_yen + held_yen`` are those of both
    together: 0.7 and 0.6 are 0 and 1.
    """
    balance_yen, balance_fraction = divmod(wallet.balance_micros, MICROS)
    spent_yen, spent_fraction = divmod(wallet.cycle_spent_micros, MICROS)
    held_yen, ledger_fraction = 0, balance_fraction
    if wallet.held_micros:
        held_yen, ledger_fraction = divmod(balance_fraction + wallet.held_micros, MICROS)
    debt_yen, debt_fraction = divmod(wallet.debt_micros, MICROS) if wallet.debt_micros else (0, 0)
    lots = wallet.lots
    if len(lots) == 1 and not balance_fraction and lots[0].remaining_micros == wallet.balance_micros:
        open_lots = _format_lot(lots[0], balance_yen)  # most wallets, most of the time
    else:
        open_lots = format_lots(lots)
    return (
        (balance_yen, open_lots, spent_yen, wallet.last_txn_id),
        (
            held_yen,
            debt_yen,
            wallet.current_cycle,
            wallet.alerted_pct,
            wallet.next_due_at,
            wallet.exhausted,
            balance_fraction,
            ledger_fraction,
            debt_fraction,
            spent_fraction,
        ),
    )


def key_of(row: tuple[Any, ...]) -> KeyState:
    """An agent key from ``KEY_COLUMNS``."""
    (
        key_id,
        wallet_id,
        monthly_cap_yen,
        current_cycle,
        cycle_spent_yen,
        held_yen,
        expires_at,
        revoked_at,
        cycle_spent_fraction,
        held_fraction,
    ) = row
    return KeyState(
        key_id,
        wallet_id,
        monthly_cap_yen,
        current_cycle or "",
        cycle_spent_yen * MICROS + cycle_spent_fraction,
        held_yen * MICROS + held_fraction,
        expires_at,
        revoked_at,
    )


def key_row(key: KeyState) -> tuple[Any, ...]:
    """The state of an agent key: ``current_cycle``, then yen and fraction of ``cycle_spent`` and of ``held``."""
    return (key.current_cycle, *divmod(key.cycle_spent_micros, MICROS), *divmod(key.held_micros, MICROS))


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
        amount_fraction,
        captured_fraction,
        above_fraction,
        usage,
    ) = row
    return HoldState(
        hold_id,
        wallet_id,
        key_id,
        amount_yen * MICROS + amount_fraction,
        captured_yen * MICROS + captured_fraction,
        status,
        parse_allocation(lots),
        note,
        created_at,
        expires_at,
        closed_at,
        closer,
        bool(served),
        above_yen * MICROS + above_fraction,
        _parse_usage(usage),
    )


def hold_row(hold: HoldState) -> tuple[Any, ...]:
    """The reverse of ``hold_of``."""
    amount_yen, amount_fraction = divmod(hold.amount_micros, MICROS)
    captured_yen, captured_fraction = divmod(hold.captured_micros, MICROS)
    above_yen, above_fraction = divmod(hold.above_micros, MICROS)
    return (
        hold.hold_id,
        hold.wallet_id,
        hold.key_id,
        amount_yen,
        captured_yen,
        hold.status,
        format_allocation(hold.allocation),
        hold.note,
        hold.created_at,
        hold.expires_at,
        hold.closed_at,
        hold.closer,
        int(hold.served),
        above_yen,
        amount_fraction,
        captured_fraction,
        above_fraction,
        _format_usage(hold.usage),
    )


def purchase_of(row: tuple[Any, ...]) -> PurchaseState:
    """A purchase from ``PURCHASE_COLUMNS``."""
    *before, amount_yen, txn_id, hold_id, undone_txn_id, free_used, lease_until, amount_fraction, usage = row
    amount_micros = amount_yen * MICROS + amount_fraction
    after = (txn_id, hold_id, undone_txn_id, free_used, lease_until, _parse_usage(usage))
    return PurchaseState(*(*before, amount_micros, *after))


def purchase_row(purchase: PurchaseState, changed_on: str) -> tuple[Any, ...]:
    """The reverse of ``purchase_of``, and the day."""
    amount_yen, amount_fraction = divmod(purchase.amount_micros, MICROS)
    return (
        purchase.purchase_key,
        purchase.wallet_id,
        purchase.key_id,
        purchase.actor,
        purchase.fingerprint,
        purchase.attempt,
        purchase.status,
        amount_yen,
        purchase.txn_id,
        purchase.hold_id,
        purchase.undone_txn_id,
        purchase.free_used,
        purchase.lease_until,
        amount_fraction,
        _format_usage(purchase.usage),
        changed_on,
    )


def _parse_usage(text: str | None) -> Usage | None:
    return None if text is None else usage_of(parse_detail(text))


def _format_usage(usage: Usage | None) -> str | None:
    """What a hold or a purchase is for, in the words of an entry's detail."""
    return None if usage is None else format_detail(None, 0, usage)


def entry_of(row: tuple[Any, ...]) -> EntryRecord:
    """A refundable entry, from ``ENTRY_COLUMNS``."""
    txn_id, wallet_id, amount_yen, txn_type, lots, returned_yen, returned_fraction, text, occurred_at = row
    detail = parse_detail(text)
    return EntryRecord(
        txn_id,
        wallet_id,
        exact_micros(amount_yen, detail),
        txn_type,
        parse_allocation(lots),
        returned_yen * MICROS + returned_fraction,
        usage_of(detail),
        occurred_at,
    )


def returned_row(entry: EntryRecord) -> tuple[int, ...]:
    """How much of an entry was returned: its wallet, its id, yen and fraction."""
    return (entry.wallet_id, entry.txn_id, *divmod(entry.returned_micros, MICROS))


def left_cycle_row(left: tuple[str, int, int, int]) -> tuple[Any, ...]:
    """Spending of a cycle that was left: cycle, wallet, key, yen and fraction."""
    cycle, wallet_id, key_id, spent_micros = left
    return (cycle, wallet_id, key_id, *divmod(spent_micros, MICROS))


def remembered_of(wallet_id: int, row: tuple[Any, ...]) -> Remembered:
    """From ``fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail``."""
    fingerprint, txn_id, hold_id, amount_yen, balance_yen, text = row
    detail = _detail_decoder.decode(text) if text else _NO_DETAIL
    outcome = Outcome(
        wallet_id,
        amount_yen * MICROS + detail.amount_fraction,
        balance_yen * MICROS + detail.balance_fraction,
        txn_id,
        hold_id,
        False,
        detail.alerts,
        detail.warn_pct,
        detail.expires_at,
        detail.topup_id,
        detail.price_version,
    )
    return Remembered(fingerprint, outcome)


def remembered_row(key: str, wallet_id: int, remembered: Remembered, created_on: str) -> tuple[Any, ...]:
    """The reverse of ``remembered_of``, in the order of ``REMEMBERED_COLUMNS``."""
    outcome = remembered.outcome
    amount_yen, amount_fraction = divmod(outcome.amount_micros, MICROS)
    balance_yen, balance_fraction = divmod(outcome.balance_micros, MICROS)
    return (
        key,
        wallet_id,
        remembered.fingerprint,
        outcome.txn_id,
        outcome.hold_id,
        amount_yen,
        balance_yen,
        _detail_of(outcome, amount_fraction, balance_fraction),
        created_on,
    )


def _detail_of(outcome: Outcome, amount_fraction: int, balance_fraction: int) -> str | None:
    if (
        not (amount_fraction or balance_fraction or outcome.alerts or outcome.warn_pct)
        and outcome.expires_at is None
        and outcome.topup_id is None
        and outcome.price_version is None
    ):
        return None
    detail = _Detail(
        outcome.alerts,
        outcome.warn_pct,
        outcome.expires_at,
        outcome.topup_id,
        amount_fraction,
        balance_fraction,
        outcome.price_version,
    )
    return json.encode(detail).decode()
