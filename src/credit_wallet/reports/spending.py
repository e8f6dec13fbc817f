"""Who spent a cycle's credit, and on what: its charges by agent key and by note, less refunds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from credit_wallet.domain.visibility import is_hidden
from credit_wallet.reports.items import SpendReadings
from credit_wallet.stores.reads import CycleEntry
from credit_wallet.stores.tallies import Tallies, Tally

MAX_NOTES = 20
"""Notes that are listed one by one; a seller may write another note for every call."""

_NO_NOTE = 0
"""The name for spending without a note. It cannot be a note, since notes are text."""


class KeySpend(SpendReadings, frozen=True):
    """What an agent key, or the owner, spent in the cycle."""

    key_id: int | None
    label: str | None
    charges: int
    charged_micros: int
    refunded_micros: int
    spent_micros: int
    monthly_cap_yen: int


class NoteSpend(SpendReadings, frozen=True):
    """What was spent under one note, such as `GET /search`."""

    note: str | None
    charges: int
    charged_micros: int
    refunded_micros: int
    spent_micros: int


class OtherNotes(SpendReadings, frozen=True):
    """What was spent under all notes that are not listed one by one."""

    notes: int
    charges: int
    charged_micros: int
    refunded_micros: int
    spent_micros: int


class Spending(NamedTuple):
    """The same spending twice, by key and by note, the most expensive first."""

    by_key: list[KeySpend]
    by_note: list[NoteSpend]
    other_notes: OtherNotes | None


class _Move(NamedTuple):
    """A charge or a refund, as spending of the key and under the note that were charged."""

    txn_id: int
    key_id: int | None
    note: str | None
    charges: int
    charged_micros: int
    refunded_micros: int


class SpendingTotals:
    """Adds up any amount of spending in little memory.

    A refund counts against the key and the note of its charge. One that names no charge, as plain SQL writes it, counts
    as the owner's and without a note. For an agent, ``viewer_key_id``, only its own spending is added up.
    """

    def __init__(self, viewer_key_id: int | None = None) -> None:
        self._viewer_key_id = viewer_key_id
        self._by_key, self._by_note = Tallies(), Tallies()

    def add(self, entries: Iterable[CycleEntry]) -> None:
        """Add the charges and refunds among ``entries``."""
        seen = (each for each in entries if not is_hidden(each.paid_by, self._viewer_key_id))
        moves = [move for each in seen if (move := _move(each))]
        self._by_key.add(_tally(move.key_id or 0, move) for move in moves)
        self._by_note.add(_tally(_NO_NOTE if move.note is None else move.note, move) for move in moves)

    def shown(self, label_and_cap: Callable[[int], tuple[str | None, int]]) -> Spending:
        """The totals; ``label_and_cap`` looks up an agent key."""
        by_key = [
            KeySpend(int(key_id) or None, label, charges, charged, refunded, charged - refunded, cap)
            for key_id, charges, charged, refunded in self._by_key.dearest()
            for label, cap in [label_and_cap(int(key_id)) if key_id else (None, 0)]
        ]
        by_note = [
            NoteSpend(None if note == _NO_NOTE else str(note), charges, charged, refunded, charged - refunded)
            for note, charges, charged, refunded in self._by_note.dearest(MAX_NOTES)
        ]
        return Spending(by_key, by_note, self._others(by_note))

    def _others(self, listed: list[NoteSpend]) -> OtherNotes | None:
        notes, charges, charged, refunded = self._by_note.total()
        if notes == len(listed):
            return None
        charges -= sum(line.charges for line in listed)
        charged -= sum(line.charged_micros for line in listed)
        refunded -= sum(line.refunded_micros for line in listed)
        return OtherNotes(notes - len(listed), charges, charged, refunded, charged - refunded)

    def close(self) -> None:
        """Free the totals."""
        self._by_key.close()
        self._by_note.close()


def _move(each: CycleEntry) -> _Move | None:
    entry = each.entry
    if entry.txn_type == "charge":
        return _Move(entry.txn_id, entry.key_id, entry.note, 1, -entry.amount_micros, 0)
    if entry.txn_type == "refund":
        return _Move(entry.txn_id, each.paid_key_id, each.paid_note, 0, 0, entry.amount_micros)
    return None


def _tally(name: int | str, move: _Move) -> Tally:
    return Tally(name, move.txn_id, move.charges, move.charged_micros, move.refunded_micros)
