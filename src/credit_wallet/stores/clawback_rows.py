"""Clawbacks as rows: loaded and written with the same statements on every database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from credit_wallet.domain.commands import Adjust, Command, PayBack, Reverse, SettleTopup
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.lots import format_allocation, parse_allocation
from credit_wallet.rules.state import Allocation, ClawbackState, Snapshot
from credit_wallet.stores import Connection
from credit_wallet.stores.segments import SQL


def load_clawbacks(
    connection: Connection, snapshot: Snapshot, commands: Sequence[Command], owing: Sequence[int]
) -> list[tuple[int, Allocation]]:
    """Load the clawbacks that the wallets ``owing`` owe for, and those that ``commands`` change.

    Entries and top-ups must be loaded. Returns, by wallet, the lots that credit may return to.
    """
    if not (owing or snapshot.entries or snapshot.topups):
        return []
    wanted: set[tuple[int, int | None]] = {(wallet_id, None) for wallet_id in owing}
    for command in commands:
        if isinstance(command, Adjust | Reverse | SettleTopup | PayBack) and (
            named := _credit_txn_id(snapshot, command)
        ):
            wanted.add((command.wallet_id, named))
    found = [clawback for each in wanted for clawback in _load(connection, *each)]
    for clawback in found:
        snapshot.clawbacks.setdefault(clawback.wallet_id, {})[clawback.credit_txn_id] = clawback
    return [(clawback.wallet_id, clawback.taken) for clawback in found]


def _credit_txn_id(snapshot: Snapshot, command: Adjust | Reverse | SettleTopup | PayBack) -> int | None:
    if isinstance(command, Adjust | Reverse):
        return command.txn_id
    topup = snapshot.topups.get(command.topup_id)
    return None if topup is None else topup.credit_txn_id


def _load(connection: Connection, wallet_id: int, credit_txn_id: int | None) -> Iterator[ClawbackState]:
    """All clawbacks that a wallet owes for, or one by its entry."""
    name = "owing" if credit_txn_id is None else "clawback"
    this = (
        {"wallet_id": wallet_id} if credit_txn_id is None else {"wallet_id": wallet_id, "credit_txn_id": credit_txn_id}
    )
    for owner_id, txn_id, taken, owed_yen, owed_fraction in connection.execute(SQL[name], this).fetchall():
        yield ClawbackState(owner_id, txn_id, parse_allocation(taken), owed_yen * MICROS + owed_fraction)


def write_clawbacks(connection: Connection, clawbacks: Iterable[ClawbackState]) -> None:
    """Write the changed clawbacks."""
    for clawback in clawbacks:
        owed_yen, owed_fraction = divmod(clawback.owed_micros, MICROS)
        connection.execute(
            SQL["put_clawback"],
            {
                "wallet_id": clawback.wallet_id,
                "credit_txn_id": clawback.credit_txn_id,
                "taken": format_allocation(clawback.taken),
                "owed_yen": owed_yen,
                "owed_fraction": owed_fraction,
            },
        )
