"""Who spent a cycle's credit, and on what: its charges by agent key and by note, less what was given back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from msgspec import Struct

from credit_wallet.outcomes import KeyView, Transaction

MOST_NOTES = 20
"""Notes that are listed one by one; a seller may write another note for every call."""

K = TypeVar("K")


class KeySpend(Struct, frozen=True):
    """What an agent key spent, or the owner (``key_id`` None). Its cap, 0 for none, bounds ``charged_yen``."""

    key_id: int | None
    label: str | None
    charges: int
    charged_yen: int
    refunded_yen: int
    spent_yen: int
    monthly_cap_yen: int


class NoteSpend(Struct, frozen=True):
    """What was spent under a note such as ``GET /search`` or ``tool summarize``; None is without one."""

    note: str | None
    charges: int
    charged_yen: int
    refunded_yen: int
    spent_yen: int


class OtherNotes(Struct, frozen=True):
    """What was spent under ``notes`` further notes together, none of them more than any that is listed."""

    notes: int
    charges: int
    charged_yen: int
    refunded_yen: int
    spent_yen: int


class Spending(NamedTuple):
    """The same spending twice, by key and by note, the most expensive first."""

    by_key: list[KeySpend]
    by_note: list[NoteSpend]
    other_notes: OtherNotes | None


class _Total(NamedTuple):
    charges: int
    charged_yen: int
    refunded_yen: int
    spent_yen: int
    """Net: below zero in a cycle that gives back more than it charges."""


class _Move(NamedTuple):
    """A charge or a refund, as spending of the key and under the note that were charged."""

    key_id: int | None
    note: str | None
    charged_yen: int
    refunded_yen: int


def spending(entries: Iterable[Transaction], refunded: Iterable[Transaction], keys: Iterable[KeyView]) -> Spending:
    """The spending of the cycle with these ``entries``, whose refunds give back the charges ``refunded``.

    A refund counts against the key and the note of its charge. One that names no charge, as plain SQL writes it, counts
    as the owner's and without a note.
    """
    moves = _moves(entries, refunded)
    by_note = _totals(moves, lambda move: move.note)
    rest = by_note[MOST_NOTES:]
    return Spending(
        _by_key(moves, keys),
        [NoteSpend(note, *total) for note, total in by_note[:MOST_NOTES]],
        OtherNotes(len(rest), *_sum(total for _, total in rest)) if rest else None,
    )


def _moves(entries: Iterable[Transaction], refunded: Iterable[Transaction]) -> list[_Move]:
    charges = {charge.txn_id: charge for charge in refunded}
    moves = []
    for entry in entries:
        if entry.txn_type == "charge":
            moves.append(_Move(entry.key_id, entry.note, -entry.amount_yen, 0))
        elif entry.txn_type == "refund":
            charge = charges.get(entry.related_txn_id or 0)
            key_id, note = (charge.key_id, charge.note) if charge else (None, None)
            moves.append(_Move(key_id, note, 0, entry.amount_yen))
    return moves


def _by_key(moves: list[_Move], keys: Iterable[KeyView]) -> list[KeySpend]:
    known = {key.key_id: key for key in keys}
    lines = []
    for key_id, total in _totals(moves, lambda move: move.key_id):
        key = known.get(key_id or 0)
        lines.append(KeySpend(key_id, key.label if key else None, *total, key.monthly_cap_yen if key else 0))
    return lines


def _totals(moves: Iterable[_Move], part: Callable[[_Move], K]) -> list[tuple[K, _Total]]:
    """The total of each part, the most expensive first; parts that cost the same in the order they first came in."""
    parts: dict[K, list[_Total]] = {}
    for move in moves:
        net_yen = move.charged_yen - move.refunded_yen
        one = _Total(int(move.charged_yen > 0), move.charged_yen, move.refunded_yen, net_yen)
        parts.setdefault(part(move), []).append(one)
    totals = [(each, _sum(of_it)) for each, of_it in parts.items()]
    return sorted(totals, key=lambda found: -found[1].spent_yen)


def _sum(totals: Iterable[_Total]) -> _Total:
    return _Total(*(sum(figures) for figures in zip(*totals, strict=True)))
