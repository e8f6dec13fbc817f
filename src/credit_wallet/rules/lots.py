"""Lots: which credit a movement spends, and where it goes back to.

Spending burns promotional credit before paid and earlier expiry before later. What a movement took is its allocation; a
refund returns the end of it first, so that the lots spent last are restored first.
"""

from __future__ import annotations

from bisect import insort

from msgspec import json

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import LotKind
from credit_wallet.rules.state import Allocation, Lot, LotOpening

MAX_OPEN_LOTS = 1000
"""Open lots of each kind that a wallet can have; they ride on its row."""

_decoder = json.Decoder(list[list[int]])


def spending_order(lot: Lot) -> tuple[bool, str, int]:
    """Promotional before paid, earlier expiry before later, older before newer."""
    return (lot.kind == "paid", lot.expires_at or "~", lot.lot_id)


def is_full(lots: list[Lot], kind: LotKind) -> bool:
    """Whether the lots of ``kind`` are as many as there can be. Those of the other kind do not count."""
    return len(lots) >= MAX_OPEN_LOTS and sum(lot.kind == kind for lot in lots) >= MAX_OPEN_LOTS


def take(lots: list[Lot], amount_micros: int) -> Allocation:
    """Spend ``amount_micros`` from ``lots`` in order, dropping what is used up, and say what was taken.

    Takes less only when the lots hold less, which ``verify`` reports: they add up to the balance.
    """
    if not amount_micros:
        return []  # what is free is of no lot
    front = lots[0] if lots else None
    if front is not None and front.remaining_micros > amount_micros:
        front.remaining_micros -= amount_micros
        return [(front.lot_id, amount_micros)] if amount_micros else []  # what is free takes of no lot
    taken: Allocation = []
    while lots and amount_micros:
        front = lots[0]
        part_micros = min(front.remaining_micros, amount_micros)
        taken.append((front.lot_id, part_micros))
        amount_micros -= part_micros
        front.remaining_micros -= part_micros
        if not front.remaining_micros:
            del lots[0]
    return taken


def take_from(lots: list[Lot], lot_id: int, amount_micros: int) -> Allocation:
    """Like ``take``, from the lot ``lot_id`` first and from the others for what it lacks."""
    taken: Allocation = []
    for position, lot in enumerate(lots):
        if lot.lot_id == lot_id:
            part_micros = min(lot.remaining_micros, amount_micros)
            taken.append((lot_id, part_micros))
            amount_micros -= part_micros
            lot.remaining_micros -= part_micros
            if not lot.remaining_micros:
                del lots[position]
            break
    return taken + take(lots, amount_micros) if amount_micros else taken


def put(lots: list[Lot], opening: LotOpening, amount_micros: int) -> None:
    """Add ``amount_micros`` to the lot ``opening`` describes, reopening it in its place when it was used up."""
    for lot in lots:
        if lot.lot_id == opening.lot_id:
            lot.remaining_micros += amount_micros
            return
    insort(lots, Lot(opening.lot_id, opening.kind, amount_micros, opening.expires_at), key=spending_order)


def split(allocation: Allocation, amount_micros: int) -> tuple[Allocation, Allocation]:
    """The first ``amount_micros`` of an allocation, and the rest of it."""
    first: Allocation = []
    rest: Allocation = []
    for lot_id, part_micros in allocation:
        here_micros = min(part_micros, amount_micros)
        amount_micros -= here_micros
        if here_micros:
            first.append((lot_id, here_micros))
        if part_micros > here_micros:
            rest.append((lot_id, part_micros - here_micros))
    return first, rest


def returned_part(allocation: Allocation, returned_micros: int, amount_micros: int) -> Allocation:
    """The part of an allocation to return next when ``returned_micros`` of it was returned before."""
    _, open_part = split(allocation[::-1], returned_micros)
    part, _ = split(open_part, amount_micros)
    return part


def total_micros(allocation: Allocation) -> int:
    """Sum of an allocation."""
    return sum(part_micros for _, part_micros in allocation)


def format_allocation(allocation: Allocation) -> str:
    """As the ledger stores it: ``[[lot_id,yen],…]``, or ``[lot_id,yen,fraction]`` for a part with micros beyond."""
    if len(allocation) == 1:
        lot_id, micros = allocation[0]
        yen, fraction = divmod(micros, MICROS)
        return f"[[{lot_id},{yen},{fraction}]]" if fraction else f"[[{lot_id},{yen}]]"
    return f"[{','.join([_format_part(*part) for part in allocation])}]"


def parse_allocation(text: str | None) -> Allocation:
    """The reverse of ``format_allocation``; an entry backfilled without lots has none."""
    return [_parse_part(*part) for part in _decoder.decode(text)] if text else []


def _format_part(lot_id: int, micros: int) -> str:
    yen, fraction = divmod(micros, MICROS)
    return f"[{lot_id},{yen},{fraction}]" if fraction else f"[{lot_id},{yen}]"


def _parse_part(lot_id: int, yen: int, fraction: int = 0) -> tuple[int, int]:
    return lot_id, yen * MICROS + fraction
