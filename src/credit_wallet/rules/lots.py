"""Lots: which credit a movement spends, and where it goes back to.

Spending burns promotional credit before paid and earlier expiry before later. What a movement took is its allocation; a
refund returns the end of it first, so that the lots spent last are restored first.
"""

from __future__ import annotations

from bisect import insort

from msgspec import json

from credit_wallet.domain.outcomes import LotKind
from credit_wallet.rules.state import Allocation, Lot, LotOpening

MAX_OPEN_LOTS = 1000
"""Open lots of each kind that a wallet can have; they ride on its row."""

_decoder = json.Decoder(Allocation)


def spending_order(lot: Lot) -> tuple[bool, str, int]:
    """Promotional before paid, earlier expiry before later, older before newer."""
    return (lot.kind == "paid", lot.expires_at or "~", lot.lot_id)


def is_full(lots: list[Lot], kind: LotKind) -> bool:
    """Whether the lots of ``kind`` are as many as there can be. Those of the other kind do not count."""
    return len(lots) >= MAX_OPEN_LOTS and sum(lot.kind == kind for lot in lots) >= MAX_OPEN_LOTS


def take(lots: list[Lot], amount_yen: int) -> Allocation:
    """Spend ``amount_yen`` from ``lots`` in order, dropping what is used up, and say what was taken.

    Takes less only when the lots hold less, which ``verify`` reports: they add up to the balance.
    """
    front = lots[0] if lots else None
    if front is not None and front.remaining_yen > amount_yen:
        front.remaining_yen -= amount_yen
        return [(front.lot_id, amount_yen)]
    taken: Allocation = []
    while lots and amount_yen:
        front = lots[0]
        part_yen = min(front.remaining_yen, amount_yen)
        taken.append((front.lot_id, part_yen))
        amount_yen -= part_yen
        front.remaining_yen -= part_yen
        if not front.remaining_yen:
            del lots[0]
    return taken


def take_from(lots: list[Lot], lot_id: int, amount_yen: int) -> Allocation:
    """Like ``take``, from the lot ``lot_id`` first and from the others for what it lacks."""
    taken: Allocation = []
    for position, lot in enumerate(lots):
        if lot.lot_id == lot_id:
            part_yen = min(lot.remaining_yen, amount_yen)
            taken.append((lot_id, part_yen))
            amount_yen -= part_yen
            lot.remaining_yen -= part_yen
            if not lot.remaining_yen:
                del lots[position]
            break
    return taken + take(lots, amount_yen) if amount_yen else taken


def put(lots: list[Lot], opening: LotOpening, amount_yen: int) -> None:
    """Add ``amount_yen`` to the lot ``opening`` describes, reopening it in its place when it was used up."""
    for lot in lots:
        if lot.lot_id == opening.lot_id:
            lot.remaining_yen += amount_yen
            return
    insort(lots, Lot(opening.lot_id, opening.kind, amount_yen, opening.expires_at), key=spending_order)


def split(allocation: Allocation, amount_yen: int) -> tuple[Allocation, Allocation]:
    """The first ``amount_yen`` of an allocation, and the rest of it."""
    first: Allocation = []
    rest: Allocation = []
    for lot_id, part_yen in allocation:
        here_yen = min(part_yen, amount_yen)
        amount_yen -= here_yen
        if here_yen:
            first.append((lot_id, here_yen))
        if part_yen > here_yen:
            rest.append((lot_id, part_yen - here_yen))
    return first, rest


def returned_part(allocation: Allocation, returned_yen: int, amount_yen: int) -> Allocation:
    """The part of an allocation to return next when ``returned_yen`` of it was returned before."""
    _, open_part = split(allocation[::-1], returned_yen)
    part, _ = split(open_part, amount_yen)
    return part


def total_yen(allocation: Allocation) -> int:
    """Sum of an allocation."""
    return sum(part_yen for _, part_yen in allocation)


def format_allocation(allocation: Allocation) -> str:
    """As the ledger stores it: ``[[lot_id,amount_yen],…]``."""
    if len(allocation) == 1:
        lot_id, amount_yen = allocation[0]
        return f"[[{lot_id},{amount_yen}]]"
    return json.encode(allocation).decode()


def parse_allocation(text: str | None) -> Allocation:
    """The reverse of ``format_allocation``; an entry backfilled without lots has none."""
    return _decoder.decode(text) if text else []
