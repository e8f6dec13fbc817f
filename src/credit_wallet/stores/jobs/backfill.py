"""Backfill: completing what plain SQL wrote, so that hosts of the seed's schema and the wallet can share a database.

A writer of plain SQL inserts ledger rows and updates balances, and knows nothing of chains, lots and cycle spend. Its
entries have no ``prev_txn_id``, its wallets no ``last_txn_id``; a backfill replays the new entries in order and writes
what they lack. Money is never invented: when a wallet is backfilled for the first time, ``opening_yen`` records the
difference between its balance and its entries; later differences are left for ``verify`` to report.

Plain SQL writes whole yen. What a wallet has below the yen stays as it is, and is noted in the detail of each entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from msgspec import Struct

from credit_wallet.domain.cycle import cycle_at, cycle_of
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.views import Opening
from credit_wallet.rules.details import format_detail, parse_detail
from credit_wallet.rules.lots import format_allocation, put, take
from credit_wallet.rules.state import Allocation, ClosedSegment, Lot, LotOpening
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.budget_backfill import count_backfilled
from credit_wallet.stores.jobs.naming import name_wallets
from credit_wallet.stores.rows import PUT_LOT, format_lots, lot_row, parse_lots
from credit_wallet.stores.segments import put_segments
from credit_wallet.telemetry import warn

_PENDING = """
SELECT wallet_id FROM am_credit_wallet WHERE last_txn_id IS NULL
UNION
SELECT wallet_id FROM am_credit_transaction_log WHERE prev_txn_id IS NULL
ORDER BY wallet_id
"""
_LOCK_WALLET = """
UPDATE am_credit_wallet SET updated_at = updated_at WHERE wallet_id = :wallet_id
RETURNING balance_yen, held_yen, balance_fraction, ledger_fraction, opening_yen, open_lots, current_cycle,
          cycle_spent_yen, last_txn_id, time_zone, budget_kinds, label, created_at
"""
_LEDGER_BALANCE = """
SELECT ledger_balance_yen, CAST(detail AS TEXT) FROM am_credit_transaction_log
WHERE txn_id = :txn_id AND wallet_id = :wallet_id
"""
_NEW_ENTRIES = """
SELECT txn_id, amount_yen, txn_type, occurred_at FROM am_credit_transaction_log
WHERE wallet_id = :wallet_id AND prev_txn_id IS NULL ORDER BY txn_id
"""
_CHAIN_ENTRY = """
UPDATE am_credit_transaction_log
SET prev_txn_id = :prev_txn_id, ledger_balance_yen = :ledger_balance_yen, lots = :lots, detail = :detail
WHERE txn_id = :txn_id AND wallet_id = :wallet_id
"""
_ADD_CYCLE_SPEND = """
INSERT INTO am_credit_cycle_spend (billing_cycle, wallet_id, key_id, spent_yen)
VALUES (:cycle, :wallet_id, 0, :spent_yen)
ON CONFLICT (billing_cycle, wallet_id, key_id)
DO UPDATE SET spent_yen = am_credit_cycle_spend.spent_yen + excluded.spent_yen
"""
_UPDATE_WALLET = """
UPDATE am_credit_wallet
SET opening_yen = :opening_yen, open_lots = :open_lots, current_cycle = :cycle, cycle_spent_yen = :cycle_spent_yen,
    last_txn_id = :last_txn_id, exhausted = CASE WHEN :credited = 1 AND balance_yen > 0 THEN 0 ELSE exhausted END,
    recovery_due = CASE WHEN :credited = 1 AND balance_yen > 0 AND balance_yen >= low_balance_yen
                        THEN 0 ELSE recovery_due END,
    alerted_pct = (SELECT coalesce(max(threshold_pct), 0) FROM am_credit_spending_alert a
                   WHERE a.wallet_id = am_credit_wallet.wallet_id AND a.billing_cycle = :cycle)
WHERE wallet_id = :wallet_id
"""

WALLETS_A_TRANSACTION = 1_000


class _Replay(Struct):
    """A replay of a wallet's entries: what can be spent there, with the lots that hold it, and what open holds hold.

    Plain SQL may charge more than there is. The lots then stay at zero, and the next credit fills the gap first.
    """

    wallet_id: int
    balance_micros: int
    held_micros: int
    lots: list[Lot]
    last_txn_id: int
    spent_yen: dict[str, int]
    """By billing cycle."""
    opened: list[LotOpening]
    cycle: str
    """Of the entries that were passed last; empty before the first."""
    closed: list[ClosedSegment]

    @property
    def ledger_micros(self) -> int:
        """Balance and open holds together."""
        return self.balance_micros + self.held_micros

    def go_on_in(self, cycle: str) -> None:
        """The next entry belongs to ``cycle``: if that differs, the segment before it has ended."""
        if cycle != self.cycle and self.last_txn_id:
            self.closed.append(ClosedSegment(self.wallet_id, self.last_txn_id, self.cycle, self.ledger_micros))
        self.cycle = cycle

    def open_lot(self, lot_id: int, amount_micros: int) -> Allocation:
        """Credit ``amount_micros``; the part that covers a shortfall opens no lot."""
        usable_micros = max(0, min(amount_micros, self.balance_micros + amount_micros))
        self.balance_micros += amount_micros
        if not usable_micros:
            return []
        opening = LotOpening(self.wallet_id, lot_id, "paid", usable_micros, None)
        put(self.lots, opening, usable_micros)
        self.opened.append(opening)
        return [(lot_id, usable_micros)]

    def spend(self, amount_micros: int) -> Allocation:
        taken = take(self.lots, amount_micros)
        self.balance_micros -= amount_micros
        return taken


def backfill_all(
    connection: Connection, transaction: Callable[[Any], AbstractContextManager[None]], now: datetime
) -> tuple[int, list[Opening]]:
    """Backfill all pending wallets, in transactions of ``WALLETS_A_TRANSACTION``; return how many, and the openings."""
    wallet_ids, openings = _pending(connection), []
    for start in range(0, len(wallet_ids), WALLETS_A_TRANSACTION):
        with transaction(connection):
            openings += backfill(connection, wallet_ids[start : start + WALLETS_A_TRANSACTION], now)
    return len(wallet_ids), openings


def backfill_pending(connection: Connection, now: datetime) -> None:
    """Backfill all pending wallets in the caller's transaction."""
    backfill(connection, _pending(connection), now)


def backfill(connection: Connection, wallet_ids: Iterable[int], now: datetime) -> list[Opening]:
    """Backfill some wallets in the caller's transaction; return the yen that no entry explains.

    Each opening is also logged as a warning: from now on it counts as credit.
    """
    openings = [opening for wallet_id in wallet_ids if (opening := _backfill(connection, wallet_id, now))]
    for opening in openings:
        warn("opening_without_entries", wallet_id=opening.wallet_id, opening_yen=opening.opening_yen)
    return openings


def is_backfilled(source: Source) -> bool:
    """Whether nothing is pending."""
    return not source.rows(_PENDING, {})


def _pending(connection: Connection) -> list[int]:
    return [wallet_id for (wallet_id,) in connection.execute(_PENDING)]


def _backfill(connection: Connection, wallet_id: int, now: datetime) -> Opening | None:
    this: dict[str, Any] = {"wallet_id": wallet_id}
    rows = connection.execute(_LOCK_WALLET, this).fetchall()
    if not rows:  # an entry of a wallet that does not exist; verify reports it
        return None
    *row, zone, budget_kinds, label, created_at = rows[0]
    balance_yen, held_yen, fraction, ledger_fraction, opening_yen, open_lots, cycle, spent_yen, last_txn_id = row
    entries: list[tuple[Any, ...]] = connection.execute(_NEW_ENTRIES, this).fetchall()
    held_micros = held_yen * MICROS + ledger_fraction - fraction
    replay = _Replay(wallet_id, 0, held_micros, parse_lots(open_lots), last_txn_id or 0, {}, [], cycle or "", [])
    if last_txn_id is None:
        name_wallets(connection, [(wallet_id, label, created_at)])
        opening_yen = balance_yen + held_yen - sum(amount_yen for _, amount_yen, _, _ in entries)
        replay.open_lot(0, opening_yen * MICROS)
    else:
        replay.balance_micros = _ledger_micros(connection, wallet_id, last_txn_id, opening_yen) - held_micros
    _replay_entries(connection, replay, entries, zone)
    cycle = cycle or cycle_at(now, zone)
    replay.go_on_in(cycle)
    put_segments(connection, replay.closed)
    spent_yen += replay.spent_yen.pop(cycle, 0)
    if budget_kinds:
        charges = [(at, -amount_yen) for _, amount_yen, txn_type, at in entries if txn_type == "charge"]
        count_backfilled(connection, wallet_id, budget_kinds, charges, now)
    for opening in replay.opened:
        connection.execute(PUT_LOT, lot_row(opening))
    for other, spent_then_yen in replay.spent_yen.items():
        connection.execute(_ADD_CYCLE_SPEND, {**this, "cycle": other, "spent_yen": spent_then_yen})
    connection.execute(
        _UPDATE_WALLET,
        {
            **this,
            "opening_yen": opening_yen,
            "open_lots": format_lots(replay.lots),
            "cycle": cycle,
            "cycle_spent_yen": spent_yen,
            "last_txn_id": replay.last_txn_id,
            "credited": int(any(amount_yen > 0 for _, amount_yen, _, _ in entries)),
        },
    )
    return Opening(wallet_id, opening_yen) if last_txn_id is None and opening_yen else None


def _ledger_micros(connection: Connection, wallet_id: int, last_txn_id: int, opening_yen: int) -> int:
    """Balance and open holds after the last entry of a wallet's chain; 0 is the one before the first."""
    rows = connection.execute(_LEDGER_BALANCE, {"wallet_id": wallet_id, "txn_id": last_txn_id}).fetchall()
    if not rows:
        return opening_yen * MICROS
    [(ledger_balance_yen, detail)] = rows
    return int(ledger_balance_yen) * MICROS + parse_detail(detail).fraction


def _detail(amount_yen: int, fraction: int) -> str | None:
    """What an entry of plain SQL leaves out. One of no yen says so, as those of the wallet do."""
    if amount_yen and not fraction:
        return None
    return format_detail(None if amount_yen else 0, fraction, None)


def _replay_entries(connection: Connection, replay: _Replay, entries: list[tuple[Any, ...]], time_zone: str) -> None:
    for txn_id, amount_yen, txn_type, occurred_at in entries:
        cycle = cycle_of(occurred_at, time_zone)
        replay.go_on_in(cycle)
        amount_micros = amount_yen * MICROS
        allocation = replay.open_lot(txn_id, amount_micros) if amount_yen > 0 else replay.spend(-amount_micros)
        ledger_balance_yen, fraction = divmod(replay.ledger_micros, MICROS)
        connection.execute(
            _CHAIN_ENTRY,
            {
                "wallet_id": replay.wallet_id,
                "txn_id": txn_id,
                "prev_txn_id": replay.last_txn_id,
                "ledger_balance_yen": ledger_balance_yen,
                "lots": format_allocation(allocation),
                "detail": _detail(amount_yen, fraction),
            },
        )
        replay.last_txn_id = txn_id
        if txn_type == "charge":
            replay.spent_yen[cycle] = replay.spent_yen.get(cycle, 0) - amount_yen
