"""Transfers as rows: loaded, written and read with the same statements on every database.

A row is one wallet's side. The rail never loads or writes the other one with it: that may be on another shard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import json, structs

from credit_wallet.domain.commands import Command, EndTransfer, TransferIn, TransferOut
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import LotKind
from credit_wallet.domain.transfers import TransferPart, TransferView
from credit_wallet.rules.decision import Decision
from credit_wallet.rules.state import Allocation, Snapshot
from credit_wallet.rules.transfer_state import TransferState
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.sql import statements

_SQL = statements("transfers.sql")

_ABOUT_TRANSFERS = frozenset((TransferOut, TransferIn, EndTransfer))


def load_transfers(
    connection: Connection, snapshot: Snapshot, commands: Sequence[Command]
) -> list[tuple[int, Allocation]]:
    """Load the transfers that ``commands`` name, if any; return the lots that they may return to, by wallet."""
    if _ABOUT_TRANSFERS.isdisjoint(map(type, commands)):
        return []
    names = {
        (command.wallet_id, command.transfer_id)
        for command in commands
        if isinstance(command, TransferOut | TransferIn | EndTransfer)
    }
    for wallet_id, transfer_id in sorted(names):
        this = {"wallet_id": wallet_id, "transfer_id": transfer_id}
        for row in connection.execute(_SQL["transfer"], this).fetchall():
            snapshot.transfers[wallet_id, transfer_id] = TransferState(*_fields_of(row))
    return [
        (transfer.wallet_id, [(part.lot_id, part.amount_micros) for part in transfer.parts])
        for transfer in snapshot.transfers.values()
        if transfer.status == "out"
    ]


def write_transfers(connection: Connection, decision: Decision) -> None:
    """Write the transfers that a decision made and ended."""
    for _, transfer in sorted(decision.new_transfers.items()):
        amount_yen, amount_fraction = divmod(transfer.amount_micros, MICROS)
        balance_yen, balance_fraction = divmod(transfer.balance_micros, MICROS)
        connection.execute(
            _SQL["put_transfer"],
            {
                **structs.asdict(transfer),
                "amount_yen": amount_yen,
                "amount_fraction": amount_fraction,
                "balance_yen": balance_yen,
                "balance_fraction": balance_fraction,
                "lots": _format_parts(transfer.parts),
            },
        )
    for name, transfer in sorted(decision.touched_transfers.items()):
        if name not in decision.new_transfers:
            connection.execute(_SQL["end_transfer"], structs.asdict(transfer))


def transfer(source: Source, wallet_id: int, transfer_id: str) -> TransferView | None:
    """A wallet's side of a transfer."""
    for row in source.rows(_SQL["transfer"], {"wallet_id": wallet_id, "transfer_id": transfer_id}):
        return TransferView(*_fields_of(row))
    return None


def transfers(source: Source, wallet_id: int, limit: int, before: TransferView | None) -> list[TransferView]:
    """A wallet's transfers, newest first, those before ``before``."""
    since = (None, None) if before is None else (before.created_at, before.transfer_id)
    parameters = {"wallet_id": wallet_id, "limit": limit, "before": since[0], "before_id": since[1]}
    return [TransferView(*_fields_of(row)) for row in source.rows(_SQL["transfers"], parameters)]


def on_their_way(
    source: Source, before: str, now: str, limit: int, after: tuple[str, int, str]
) -> list[tuple[int, str, str]]:
    """Wallet, id and time of transfers that are out since before ``before``, the oldest first, after ``after``."""
    created_at, wallet_id, transfer_id = after
    this = {"after": created_at, "after_wallet_id": wallet_id, "after_id": transfer_id}
    return [
        (found_wallet_id, found_id, found_at)
        for found_wallet_id, found_id, found_at in source.rows(
            _SQL["on_their_way"], {**this, "before": before, "now": now, "limit": limit}
        )
    ]


def _fields_of(row: tuple[Any, ...]) -> tuple[Any, ...]:
    *named, amount_yen, amount_fraction, balance_yen, balance_fraction, lots = row[:10]
    amounts = (amount_yen * MICROS + amount_fraction, balance_yen * MICROS + balance_fraction)
    return (*named, *amounts, _parse_parts(lots), *row[10:])


def _format_parts(parts: Iterable[TransferPart]) -> str:
    return json.encode(
        [(part.lot_id, part.kind, part.expires_at, *divmod(part.amount_micros, MICROS)) for part in parts]
    ).decode()


def _parse_parts(text: str) -> tuple[TransferPart, ...]:
    return tuple(
        TransferPart(lot_id, kind, expires_at, yen * MICROS + fraction)
        for lot_id, kind, expires_at, yen, fraction in json.decode(
            text, type=list[tuple[int, LotKind, str | None, int, int]]
        )
    )
