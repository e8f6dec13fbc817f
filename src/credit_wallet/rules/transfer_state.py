"""A transfer between wallets as ``decide`` works on it; see ``state``."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.domain.transfers import Direction, TransferPart, TransferStatus


class TransferState(Struct):
    """One wallet's side of a transfer. ``balance_micros`` was left right after it."""

    transfer_id: str
    wallet_id: int
    direction: Direction
    other_wallet_id: int
    status: TransferStatus
    amount_micros: int
    balance_micros: int
    parts: tuple[TransferPart, ...]
    txn_id: int | None
    returned_txn_id: int | None
    note: str | None
    reason: str | None
    created_at: str
    ended_at: str | None
