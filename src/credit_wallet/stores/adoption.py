"""Adoption: taking in what plain SQL wrote, so that hosts of the seed's schema and the wallet can share a database.

A writer of plain SQL inserts ledger rows and updates balances, and knows nothing of chains, lots and cycle spend. Its
entries have no ``prev_txn_id``, its wallets no ``last_txn_id``; adoption replays the new entries in order and fills in
what they lack. Money is never made up: when a wallet is adopted first, ``opening_yen`` records the difference between
its balance and its entries; later differences are left for ``verify`` to report.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import apsw
from msgspec import Struct, json, structs

from credit_wallet.cycle import cycle_at, parse_instant
from credit_wallet.lots import format_allocation, put, take
from credit_wallet.state import Allocation, Lot, LotOpening
from credit_wallet.stores.rows import PUT_LOT
from credit_wallet.stores.sqlite_connection import transaction

_UNADOPTED = """
SELECT wallet_id FROM am_credit_wallet WHERE last_txn_id IS NULL
UNION
SELECT wallet_id FROM am_credit_transaction_log WHERE prev_txn_id IS NULL
ORDER BY wallet_id
"""
_WALLET = """
SELECT balance_yen, held_yen, opening_yen, open_lots, current_cycle, cycle_spent_yen, last_txn_id, time_zone
FROM am_credit_wallet WHERE wallet_id = ?
"""
_LEDGER_BALANCE = "SELECT ledger_balance_yen FROM am_credit_transaction_log WHERE txn_id = ?"
_NEW_ENTRIES = """
SELECT txn_id, amount_yen, txn_type, occurred_at FROM am_credit_transaction_log
WHERE wallet_id = ? AND prev_txn_id IS NULL ORDER BY txn_id
"""
_CHAIN_ENTRY = """
UPDATE am_credit_transaction_log SET prev_txn_id = ?, ledger_balance_yen = ?, lots = ? WHERE txn_id = ?
"""
_ADD_CYCLE_SPEND = """
INSERT INTO am_credit_cycle_spend (billing_cycle, wallet_id, key_id, spent_yen) VALUES (?, ?, 0, ?)
ON CONFLICT (billing_cycle, wallet_id, key_id) DO UPDATE SET spent_yen = spent_yen + excluded.spent_yen
"""
_UPDATE_WALLET = """
UPDATE am_credit_wallet
SET opening_yen = :opening_yen, open_lots = :open_lots, current_cycle = :cycle, cycle_spent_yen = :cycle_spent_yen,
    last_txn_id = :last_txn_id, exhausted = exhausted AND NOT (:credited AND balance_yen > 0),
    alerted_pct = (SELECT coalesce(max(threshold_pct), 0) FROM am_credit_spending_alert a
                   WHERE a.wallet_id = am_credit_wallet.wallet_id AND a.billing_cycle = :cycle)
WHERE wallet_id = :wallet_id
"""

WALLETS_A_TRANSACTION = 1_000


class _Replay(Struct):
    """A wallet's entries replayed: how far its ledger has come, and what the lots are then.

    Plain SQL may charge more than there is. The lots then stay at zero, and the next credit fills the gap first.
    """

    wallet_id: int
    ledger_yen: int
    lots: list[Lot]
    last_txn_id: int
    spent_yen: dict[str, int]
    """By billing cycle."""
    opened: list[LotOpening]

    def open_lot(self, lot_id: int, amount_yen: int) -> Allocation:
        """Credit ``amount_yen``, of which what fills a gap opens no lot."""
        usable_yen = max(0, min(amount_yen, self.ledger_yen + amount_yen))
        self.ledger_yen += amount_yen
        if not usable_yen:
            return []
        opening = LotOpening(self.wallet_id, lot_id, "paid", usable_yen, None)
        put(self.lots, opening, usable_yen)
        self.opened.append(opening)
        return [(lot_id, usable_yen)]

    def spend(self, amount_yen: int) -> Allocation:
        taken = take(self.lots, amount_yen)
        self.ledger_yen -= amount_yen
        return taken


def adopt_all(connection: apsw.Connection, now: datetime) -> int:
    """Adopt everything there is to adopt, in transactions of ``WALLETS_A_TRANSACTION``; return how many wallets."""
    wallet_ids = _unadopted(connection)
    for start in range(0, len(wallet_ids), WALLETS_A_TRANSACTION):
        with transaction(connection):
            for wallet_id in wallet_ids[start : start + WALLETS_A_TRANSACTION]:
                _adopt(connection, wallet_id, now)
    return len(wallet_ids)


def adopt_unadopted(connection: apsw.Connection, now: datetime) -> None:
    """Adopt everything there is to adopt, inside the caller's transaction."""
    for wallet_id in _unadopted(connection):
        _adopt(connection, wallet_id, now)


def _unadopted(connection: Any) -> list[int]:
    return [wallet_id for (wallet_id,) in connection.execute(_UNADOPTED)]


def _adopt(connection: apsw.Connection, wallet_id: int, now: datetime) -> None:
    row = connection.execute(_WALLET, (wallet_id,)).get
    if row is None:  # an entry of a wallet that does not exist; verify reports it
        return
    balance_yen, held_yen, opening_yen, open_lots, cycle, cycle_spent_yen, last_txn_id, time_zone = row
    entries: list[tuple[Any, ...]] = connection.execute(_NEW_ENTRIES, (wallet_id,)).fetchall()
    replay = _Replay(wallet_id, 0, json.decode(open_lots, type=list[Lot]), last_txn_id or 0, {}, [])
    if last_txn_id is None:
        opening_yen = balance_yen + held_yen - sum(amount_yen for _, amount_yen, _, _ in entries)
        replay.open_lot(0, opening_yen)
    else:
        ledger_balance_yen = connection.execute(_LEDGER_BALANCE, (last_txn_id,)).get if last_txn_id else opening_yen
        replay.ledger_yen = ledger_balance_yen - held_yen
    _replay_entries(connection, replay, entries, held_yen, time_zone)
    cycle = cycle or cycle_at(now, time_zone)
    cycle_spent_yen += replay.spent_yen.pop(cycle, 0)
    connection.executemany(PUT_LOT, [structs.astuple(opening) for opening in replay.opened])
    connection.executemany(
        _ADD_CYCLE_SPEND, [(other, wallet_id, spent_yen) for other, spent_yen in replay.spent_yen.items()]
    )
    connection.execute(
        _UPDATE_WALLET,
        {
            "wallet_id": wallet_id,
            "opening_yen": opening_yen,
            "open_lots": json.encode(replay.lots).decode(),
            "cycle": cycle,
            "cycle_spent_yen": cycle_spent_yen,
            "last_txn_id": replay.last_txn_id,
            "credited": any(amount_yen > 0 for _, amount_yen, _, _ in entries),
        },
    )


def _replay_entries(
    connection: apsw.Connection, replay: _Replay, entries: list[tuple[Any, ...]], held_yen: int, time_zone: str
) -> None:
    for txn_id, amount_yen, txn_type, occurred_at in entries:
        allocation = replay.open_lot(txn_id, amount_yen) if amount_yen > 0 else replay.spend(-amount_yen)
        ledger_balance_yen = replay.ledger_yen + held_yen
        connection.execute(
            _CHAIN_ENTRY, (replay.last_txn_id, ledger_balance_yen, format_allocation(allocation), txn_id)
        )
        replay.last_txn_id = txn_id
        if txn_type == "charge":
            cycle = _cycle_of(occurred_at, time_zone)
            replay.spent_yen[cycle] = replay.spent_yen.get(cycle, 0) - amount_yen


def _cycle_of(occurred_at: str, time_zone: str) -> str:
    """The cycle of an entry. In UTC, and when it is not ISO 8601, its first seven characters say it, as in the seed."""
    if time_zone != "UTC":
        with suppress(ValueError, OverflowError):
            return cycle_at(parse_instant(occurred_at), time_zone)
    return occurred_at[:7].ljust(7)
