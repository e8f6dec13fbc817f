"""Wallets, their lots and agent keys as rows, the same for every store.

Values are in micros. A row has whole yen, rounded down, and the micros beyond them in a column ``…_fraction``.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, json, structs

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import LotKind
from credit_wallet.domain.permissions import scopes_of
from credit_wallet.domain.settings import SETTINGS, Setting
from credit_wallet.domain.shares import ALERT_THRESHOLDS_PCT, thresholds_pct
from credit_wallet.domain.standing import COLUMNS, OPEN, Standing
from credit_wallet.rules.state import KeyState, Lot, LotOpening, WalletState
from credit_wallet.stores.budget_rows import parse_kinds

WALLET_COLUMNS = """
wallet_id, balance_yen, held_yen, debt_yen, open_lots, current_cycle, cycle_spent_yen, alerted_pct, last_txn_id,
next_due_at, exhausted, enabled, label, monthly_budget_yen, budget_mode, auto_topup_threshold, auto_topup_amount,
time_zone, low_balance_yen, alert_thresholds, balance_fraction, ledger_fraction, debt_fraction, cycle_spent_fraction,
price_group, budget_kinds, recovery_due, auto_topup_daily_yen, auto_topup_monthly_yen, auto_topup_consents,
frozen_at, frozen_reason, frozen_note, closing_at, closed_at, merged_into
"""
MOVED_COLUMNS = (
    "balance_yen",
    "balance_fraction",
    "open_lots",
    "held_yen",
    "ledger_fraction",
    "cycle_spent_yen",
    "cycle_spent_fraction",
    "last_txn_id",
)
"""What a charge changes of a wallet's row: ``held_yen`` depends on the balance too, see ``moved_row``."""

RESTING_COLUMNS = (
    "debt_yen",
    "debt_fraction",
    "current_cycle",
    "alerted_pct",
    "next_due_at",
    "exhausted",
    "recovery_due",
)
"""The rest of its state, its settings apart."""

KEY_COLUMNS = """
key_id, wallet_id, monthly_cap_yen, current_cycle, cycle_spent_yen, held_yen, expires_at, revoked_at,
cycle_spent_fraction, held_fraction, key_group, scopes
"""
LOT_COLUMNS = "wallet_id, lot_id, kind, granted_yen, expires_at, granted_fraction"

SETTINGS_COLUMNS = (*(setting.column for setting in SETTINGS), "auto_topup_consents", "enabled", *COLUMNS)
"""The settings, how many consents they have taken, and the standing."""

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


_NO_KINDS: frozenset[str] = frozenset()

_lots_decoder = json.Decoder(list[_LotRow])
_numbers_decoder = json.Decoder(list[int])


def parse_lots(text: str) -> list[Lot]:
    """The open lots of a wallet, from its column ``open_lots``."""
    return [
        Lot(row.lot_id, row.kind, row.yen * MICROS + row.fraction, row.expires_at) for row in _lots_decoder.decode(text)
    ]


def format_lots(lots: list[Lot]) -> str:
    """The reverse of ``parse_lots``."""
    return f"[{_format_lot(lots[0])}]" if len(lots) == 1 else f"[{','.join(map(_format_lot, lots))}]"


def _format_lot(lot: Lot) -> str:
    """Without an encoder: ids, kinds and instants need no escaping."""
    yen, fraction = divmod(lot.remaining_micros, MICROS)
    expires_at = "null" if lot.expires_at is None else f'"{lot.expires_at}"'
    beyond = f",{fraction}" if fraction else ""
    return f'[{lot.lot_id},"{lot.kind}",{yen},{expires_at}{beyond}]'


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
        budget_kinds,
        recovery_due,
        auto_topup_daily_yen,
        auto_topup_monthly_yen,
        auto_topup_consents,
        *standing,
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
        frozenset(parse_kinds(budget_kinds)) if budget_kinds else _NO_KINDS,
        recovery_due=bool(recovery_due),
        auto_topup_daily_yen=auto_topup_daily_yen,
        auto_topup_monthly_yen=auto_topup_monthly_yen,
        auto_topup_consents=auto_topup_consents,
        standing=Standing(*standing) if any(each is not None for each in standing) else OPEN,
    )


def _thresholds_of(text: str) -> tuple[int, ...]:
    return ALERT_THRESHOLDS_PCT if text == "[]" else thresholds_pct(_numbers_decoder.decode(text))


def own_thresholds(wallet: WalletState) -> str:
    """The column ``alert_thresholds``: a wallet's thresholds without those that every wallet has."""
    return json.encode([pct for pct in wallet.thresholds_pct if pct not in ALERT_THRESHOLDS_PCT]).decode()


def settings_row(wallet: WalletState) -> tuple[Any, ...]:
    """A wallet's settings, in the order of ``SETTINGS_COLUMNS``."""
    settings = (_column_of(wallet, setting) for setting in SETTINGS)
    return (*settings, wallet.auto_topup_consents, int(wallet.enabled), *structs.astuple(wallet.standing))


def _column_of(wallet: WalletState, setting: Setting) -> Any:
    if setting.kind == "percents":
        return own_thresholds(wallet)
    return getattr(wallet, setting.name)


def moved_row(wallet: WalletState) -> tuple[Any, ...]:
    """``MOVED_COLUMNS`` of a wallet.

    ``held_yen`` is what holds add to the whole yen of the balance, so that ``balance_yen + held_yen`` are those of both
    together: 0.7 and 0.6 are 0 and 1.
    """
    balance_yen, balance_fraction = divmod(wallet.balance_micros, MICROS)
    held_yen, ledger_fraction = divmod(balance_fraction + wallet.held_micros, MICROS)
    spent_yen, spent_fraction = divmod(wallet.cycle_spent_micros, MICROS)
    return (
        balance_yen,
        balance_fraction,
        format_lots(wallet.lots),
        held_yen,
        ledger_fraction,
        spent_yen,
        spent_fraction,
        wallet.last_txn_id,
    )


def resting_row(wallet: WalletState) -> tuple[Any, ...]:
    """``RESTING_COLUMNS`` of a wallet."""
    return (
        *divmod(wallet.debt_micros, MICROS),
        wallet.current_cycle,
        wallet.alerted_pct,
        wallet.next_due_at,
        int(wallet.exhausted),
        int(wallet.recovery_due),
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
        group,
        scopes,
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
        group,
        scopes is None or "spend" in scopes_of(scopes),
    )


def key_row(key: KeyState) -> tuple[Any, ...]:
    """The state of an agent key: ``current_cycle``, then yen and fraction of ``cycle_spent`` and of ``held``."""
    return (key.current_cycle, *divmod(key.cycle_spent_micros, MICROS), *divmod(key.held_micros, MICROS))


def left_cycle_row(left: tuple[str, int, int, int]) -> tuple[Any, ...]:
    """Spending of a cycle that was left: cycle, wallet, key, yen and fraction."""
    cycle, wallet_id, key_id, spent_micros = left
    return (cycle, wallet_id, key_id, *divmod(spent_micros, MICROS))
