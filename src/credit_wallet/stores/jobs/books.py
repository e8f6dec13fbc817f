"""The books of a ledger from before migration 289, all of whole yen: its segments, clawbacks and expiries.

Made once, from each wallet's chain and behind its lock, when the database is migrated. The rail and backfill maintain
them from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from credit_wallet.domain.money import MICROS
from credit_wallet.rules import lots
from credit_wallet.rules.clawbacks import FOR_NO_TOPUP
from credit_wallet.rules.state import Allocation, ClawbackState, Lot
from credit_wallet.stores import Connection
from credit_wallet.stores.clawback_rows import write_clawbacks
from credit_wallet.stores.rows import parse_lots
from credit_wallet.stores.segments import SQL, ChainEntry, chain, put_segments, segments_of

WALLETS_A_TRANSACTION = 1_000


def make_books(connection: Connection, transaction: Callable[[Any], AbstractContextManager[None]]) -> None:
    """Make the books if they are missing, in transactions of ``WALLETS_A_TRANSACTION``.

    Interrupting it is safe: the next run starts over with the same result.
    """
    if connection.execute(SQL["are_made"]).fetchall():
        return
    after = 0
    while wallet_ids := _next_wallets(connection, after):
        with transaction(connection):
            for wallet_id in wallet_ids:
                _make_books_of(connection, wallet_id)
        after = wallet_ids[-1]
    with transaction(connection):
        connection.execute(SQL["note_made"])


def _next_wallets(connection: Connection, after: int) -> list[int]:
    wanted = {"after": after, "limit": WALLETS_A_TRANSACTION}
    return [wallet_id for (wallet_id,) in connection.execute(SQL["wallets"], wanted).fetchall()]


def _make_books_of(connection: Connection, wallet_id: int) -> None:
    this = {"wallet_id": wallet_id}
    [(last_txn_id, cycle, time_zone, debt_yen, open_lots, due_at)] = connection.execute(
        SQL["lock_wallet"], this
    ).fetchall()
    _note_due(connection, wallet_id, parse_lots(open_lots), due_at)
    taken_back: list[ChainEntry] = []

    def passed(entries: Any) -> Any:
        for entry in entries:
            if entry.lots is not None:
                taken_back.append(entry)
            yield entry

    def rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = connection.execute(statement, parameters).fetchall()
        return found

    closed = list(segments_of(passed(chain(rows, wallet_id, last_txn_id)), wallet_id, cycle or "", time_zone))
    connection.execute(SQL["delete_segments"], this)
    put_segments(connection, reversed(closed))
    connection.execute(SQL["delete_clawbacks"], this)
    if taken_back or debt_yen:
        totals = {txn_id: total_yen * MICROS for txn_id, total_yen in rows(SQL["taken_back"], this)}
        write_clawbacks(connection, clawbacks_of(wallet_id, taken_back[::-1], totals, debt_yen * MICROS))


def _note_due(connection: Connection, wallet_id: int, open_lots: list[Lot], due_at: str | None) -> None:
    """A refund could reopen a lot whose expiry was no longer tracked."""
    end = min((lot.expires_at for lot in open_lots if lot.expires_at is not None), default=None)
    if end is not None and (due_at is None or end < due_at):
        connection.execute(SQL["note_due"], {"wallet_id": wallet_id, "at": end})


def clawbacks_of(
    wallet_id: int, entries: list[ChainEntry], taken_back_micros: dict[int, int], debt_micros: int
) -> list[ClawbackState]:
    """What ``entries`` took back of each top-up and did not reinstate, given the total taken back of each.

    What a top-up's own entries do not account for was debt. It was repaid by entries that named no top-up, which are
    allocated in order, or is still owed.
    """
    taken = {txn_id: Allocation() for txn_id in taken_back_micros}
    repaid: Allocation = []
    for entry in entries:
        part = lots.parse_allocation(entry.lots)
        if entry.related_txn_id is None:
            repaid += part
        elif entry.related_txn_id in taken:
            before = taken[entry.related_txn_id]
            came_again_micros = max(0, entry.amount_micros)
            taken[entry.related_txn_id] = (
                lots.split(before, lots.total_micros(before) - came_again_micros)[0]
                if came_again_micros
                else before + part
            )
    clawbacks = []
    for txn_id, total_micros in sorted(taken_back_micros.items()):
        own, _ = lots.split(taken[txn_id], total_micros)
        from_debt, repaid = lots.split(repaid, total_micros - lots.total_micros(own))
        own += from_debt
        owed_micros = min(debt_micros, total_micros - lots.total_micros(own))
        debt_micros -= owed_micros
        clawbacks.append(ClawbackState(wallet_id, txn_id, own, owed_micros))
    if debt_micros:
        clawbacks.append(ClawbackState(wallet_id, FOR_NO_TOPUP, [], debt_micros))
    return clawbacks
