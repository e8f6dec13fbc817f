"""Holds, purchases, refundable entries and remembered outcomes as rows; see ``rows``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, json

from credit_wallet.domain.cycle import day_number
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Alert, Outcome
from credit_wallet.domain.usage import Usage
from credit_wallet.rules.details import exact_micros, format_detail, names_of, parse_detail, usage_of
from credit_wallet.rules.lots import format_allocation, parse_allocation
from credit_wallet.rules.state import EntryRecord, HoldState, PurchaseState, Remembered
from credit_wallet.stores.budget_rows import format_reserved, parse_reserved

HOLD_COLUMNS = """
hold_id, wallet_id, key_id, amount_yen, captured_yen, status, lots, note, created_at, expires_at, closed_at, closer,
served, above_yen, amount_fraction, captured_fraction, above_fraction, usage, reserved
"""
ENTRY_COLUMNS = """
e.txn_id, e.wallet_id, amount_yen, txn_type, lots, coalesce(returned_yen, 0), coalesce(returned_fraction, 0), detail,
occurred_at, coalesce(e.cause, CASE WHEN substr(e.note, 1, 10) = 'top-up tu_' THEN 'payment' END)
"""
"""Of a ledger entry ``e`` and what was returned of it; one of a payment names it since before entries had causes."""

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
        reserved_text,
    ) = row
    reserved, is_counted = parse_reserved(reserved_text)
    said = parse_detail(usage)
    captured_micros = captured_yen * MICROS + captured_fraction
    above_micros = above_yen * MICROS + above_fraction
    return HoldState(
        hold_id,
        wallet_id,
        key_id,
        amount_yen * MICROS + amount_fraction,
        captured_micros,
        status,
        parse_allocation(lots),
        note,
        created_at,
        expires_at,
        closed_at,
        closer,
        bool(served),
        above_micros,
        usage_of(said),
        reserved,
        is_counted or bool(captured_micros or above_micros),
        names_of(said),
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
        _format_usage(hold.usage, hold.names),
        format_reserved(hold),
    )


def purchase_of(row: tuple[Any, ...]) -> PurchaseState:
    """A purchase from ``PURCHASE_COLUMNS``."""
    *before, amount_yen, txn_id, hold_id, undone_txn_id, free_used, lease_until, amount_fraction, usage = row
    amount_micros = amount_yen * MICROS + amount_fraction
    said = parse_detail(usage)
    after = (txn_id, hold_id, undone_txn_id, free_used, lease_until, usage_of(said), names_of(said))
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
        _format_usage(purchase.usage, purchase.names),
        changed_on,
    )


def _format_usage(usage: Usage | None, names: Names | None) -> str | None:
    """What a hold or a purchase is for and what it is called, in the words of an entry's detail."""
    return None if usage is None and names is None else format_detail(None, 0, usage, names=names)


def entry_of(row: tuple[Any, ...]) -> EntryRecord:
    """A refundable entry, from ``ENTRY_COLUMNS``."""
    txn_id, wallet_id, amount_yen, txn_type, lots, returned_yen, returned_fraction, text, occurred_at, cause = row
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
        cause,
    )


def returned_row(entry: EntryRecord) -> tuple[int, ...]:
    """How much of an entry was returned: its wallet, its id, yen and fraction."""
    return (entry.wallet_id, entry.txn_id, *divmod(entry.returned_micros, MICROS))


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


def remembered_columns(
    remembered: Mapping[tuple[str, int], Remembered], short: Mapping[str, str], created_on: str
) -> list[Any]:
    """The ``REMEMBERED_COLUMNS`` of one key after the other, sorted as the primary key is; see ``remembered_of``.

    ``short`` has the keys as the table has them. The day ``created_on`` (YYYY-MM-DD) goes by its number.
    """
    columns: list[Any] = []
    day = day_number(created_on)
    for key, wallet_id, use in sorted([(short[key], wallet_id, use) for (key, wallet_id), use in remembered.items()]):
        outcome = use.outcome
        amount_yen, amount_fraction = divmod(outcome.amount_micros, MICROS)
        balance_yen, balance_fraction = divmod(outcome.balance_micros, MICROS)
        columns += (
            key,
            wallet_id,
            use.fingerprint,
            outcome.txn_id,
            outcome.hold_id,
            amount_yen,
            balance_yen,
            _detail_of(outcome, amount_fraction, balance_fraction),
            day,
        )
    return columns


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
