"""What a search among a wallet's entries looks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from credit_wallet.domain.outcomes import EntryType
from credit_wallet.domain.search_terms import folded
from credit_wallet.domain.views import Transaction

MAX_QUERY_LENGTH = 300
MAX_QUERY_WORDS = 8


class Paid(NamedTuple):
    """What a refund has of the charge that it refunds."""

    key_id: int | None = None
    note: str | None = None
    item: str | None = None


class EntryFilter(Struct, frozen=True):
    """What entries must have, all of it; a refund has key, note and item of the charge that it refunds.

    ``since`` and ``until`` are instants, the last one excluded. ``words`` are folded, and each must be part of a text
    of the entry: its note, its item, what it is called, its facts.
    """

    txn_type: EntryType | None = None
    key_id: int | None = None
    note: str | None = None
    item: str | None = None
    since: str | None = None
    until: str | None = None
    words: tuple[str, ...] = ()

    def fits(self, entry: Transaction, paid: Paid) -> bool:
        """Whether an entry has all of it."""
        at = entry.occurred_at.replace(" ", "T")
        return (
            self.txn_type in (None, entry.txn_type)
            and (self.key_id is None or self.key_id in (entry.key_id, paid.key_id))
            and (self.note is None or self.note in (entry.note, paid.note))
            and (self.item is None or self.item in (entry.item, paid.item))
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
            and self.says(entry, paid)
        )

    def says(self, entry: Transaction, paid: Paid) -> bool:
        """Whether the texts of an entry have all words; a refund also has those of its charge."""
        if not self.words:
            return True
        texts = "\n".join(map(folded, _texts_of(entry, paid)))
        return all(word in texts for word in self.words)

    def may_say(self, written: str) -> bool:
        """False for an entry that cannot have all words, from the columns as they are ``written``: quicker."""
        texts = folded(written)
        return all(word in texts for word in self.words)

    @property
    def is_written_plainly(self) -> bool:
        """Whether the words stand in JSON as they are."""
        return not any(sign in word for word in self.words for sign in '"\\')


EVERYTHING = EntryFilter()


class EntryQuery(Struct, frozen=True):
    """A filter as it is asked for: months, days and times, and a text."""

    txn_type: EntryType | None = None
    key_id: int | None = None
    note: str | None = None
    item: str | None = None
    since: str | None = None
    until: str | None = None
    query: str | None = None


class SearchStep(Struct, frozen=True):
    """Entries that match, and where the search goes on: ``before_txn_id``, None at the end.

    ``searched_to`` is when the last entry was made that was looked at.
    """

    entries: list[Transaction]
    before_txn_id: int | None
    searched_to: str | None


def words_of(query: str) -> tuple[str, ...]:
    """The different words of a query, folded."""
    return tuple(dict.fromkeys(folded(query).split()))


def _texts_of(entry: Transaction, paid: Paid) -> Iterator[str]:
    yield from filter(None, (entry.note, entry.item, entry.request_id, entry.reference, paid.note, paid.item))
    for pairs in (entry.metadata, entry.facts, entry.agent_facts):
        yield from pairs.values()
