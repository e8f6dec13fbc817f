"""Transfers: credit that moves between wallets of one owner, as out of the one and in to the other. Pure.

out → done | returned, on the side of the wallet that it leaves; on the other side it is done or refused, for good.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from itertools import groupby
from typing import Literal

from msgspec import Struct

from credit_wallet.domain.money import Exact, WholeYen
from credit_wallet.domain.outcomes import LotKind

TransferStatus = Literal["out", "done", "returned", "refused"]
Direction = Literal["out", "in"]

MAX_PARTS = 100
"""Maximum kinds and expiries of credit in one transfer: each comes in as a lot, by an entry of its own."""

ID_PATTERN = r"tr_[1-9][0-9]{0,18}_[0-9a-f]{24}"

_ID = re.compile(ID_PATTERN, re.ASCII)


class TransferPart(Struct, frozen=True, array_like=True, gc=False):
    """Credit of one kind and expiry. ``lot_id`` is the lot that it was taken from, or the entry that brought it in."""

    lot_id: int
    kind: LotKind
    expires_at: str | None
    amount_micros: int

    amount_yen = WholeYen()
    amount = Exact()


class Transferred(Struct, frozen=True):
    """``amount`` has moved from ``wallet_id`` to ``to_wallet_id``; the balances are those right after it."""

    transfer_id: str
    wallet_id: int
    to_wallet_id: int
    amount_micros: int
    balance_micros: int
    to_balance_micros: int
    txn_id: int
    """The entry that took it out."""
    replayed: bool = False

    amount_yen = WholeYen()
    amount = Exact()
    balance_yen = WholeYen()
    balance = Exact()
    to_balance_yen = WholeYen()
    to_balance = Exact()


class TransferView(Struct, frozen=True):
    """A transfer, as one of the two wallets has it: ``wallet_id``, which it leaves (``out``) or arrives at (``in``).

    ``lots`` say what kinds of credit it has moved, and when they expire. ``reason`` is why it was returned.
    """

    transfer_id: str
    wallet_id: int
    direction: Direction
    other_wallet_id: int
    status: TransferStatus
    amount_micros: int
    balance_micros: int
    """What the wallet could spend right after it."""
    lots: tuple[TransferPart, ...]
    txn_id: int | None
    """The entry that took it out, or the last of those that brought it in."""
    returned_txn_id: int | None
    note: str | None
    reason: str | None
    created_at: str
    ended_at: str | None

    amount_yen = WholeYen()
    amount = Exact()
    balance_yen = WholeYen()
    balance = Exact()


class TransferPage(Struct, frozen=True):
    """Transfers, newest first."""

    transfers: list[TransferView]


def transfer_id_of(wallet_id: int, stored_key: str) -> str:
    """The id of the transfer that an idempotency key asks of ``wallet_id``: the same for every retry.

    It begins with the wallet, so that it leads to the transfer's row wherever the wallet is.
    """
    return f"tr_{wallet_id}_" + blake2b(f"{wallet_id}:{stored_key}".encode(), digest_size=12).hexdigest()


def is_transfer_id(value: object) -> bool:
    """Whether ``value`` can be the id of a transfer."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def source_of(transfer_id: str) -> int:
    """The wallet that a transfer leaves."""
    return int(transfer_id.split("_")[1])


def together(parts: Iterable[TransferPart]) -> tuple[TransferPart, ...]:
    """The parts with one for each kind and expiry, in the order of spending, which they are in. It is of no lot: 0."""
    return tuple(
        TransferPart(0, kind, expires_at, sum(part.amount_micros for part in same))
        for (kind, expires_at), same in groupby(parts, key=lambda part: (part.kind, part.expires_at))
    )
