"""Names of entries as rows, and entries by their names; the same on every database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from credit_wallet.domain.actors import PAYER, PRODUCT, room, seller
from credit_wallet.domain.entry_search import EVERYTHING, EntryFilter, Paid
from credit_wallet.domain.names import Names
from credit_wallet.domain.views import Transaction
from credit_wallet.stores import Source
from credit_wallet.stores.short_keys import short_forms
from credit_wallet.stores.sql import statements
from credit_wallet.stores.views import entry_of

ENTRY_NAME_COLUMNS = ("named", "name", "wallet_id", "txn_id")

STEP = 1_000
"""Entries with a name that one statement reads, so that others get their turn however few match."""

SQL = statements("entry_names.sql")

_SELLER, _SELLER_END = room(seller(0)).split("0")


class Position(NamedTuple):
    """Where a list of entries goes on: after this one."""

    wallet_id: int
    txn_id: int


class Wanted(Struct, frozen=True):
    """What entries are looked for: a name at least, and what else they must have."""

    request_id: str | None = None
    reference: str | None = None
    idempotency_key: str | None = None
    rest: EntryFilter = EVERYTHING

    @property
    def name(self) -> tuple[str, str]:
        """The kind of name to look for, which the fewest entries share, and the name."""
        if self.idempotency_key is not None:
            return "idempotency_key", self.idempotency_key
        if self.request_id is not None:
            return "request_id", self.request_id
        assert self.reference is not None, "an entry is looked for by a name"  # noqa: S101
        return "reference", self.reference

    @property
    def is_name_alone(self) -> bool:
        """Whether all entries with the name are wanted."""
        names = (self.request_id, self.reference, self.idempotency_key)
        return sum(name is not None for name in names) == 1 and self.rest == EVERYTHING

    def fits(self, entry: Transaction, paid: Paid) -> bool:
        """Whether an entry that has the name has the rest."""
        return (
            self.request_id in (None, entry.request_id)
            and self.reference in (None, entry.reference)
            and self.rest.fits(entry, paid)
        )


def entry_name_columns(named: Iterable[tuple[int, int, Names]]) -> list[Any]:
    """The ``ENTRY_NAME_COLUMNS`` of one name after the other, sorted as the primary key is."""
    rows = sorted(
        (kind, name, wallet_id, txn_id) for wallet_id, txn_id, names in named for kind, name in kept_of(names)
    )
    return [column for row in rows for column in row]


def kept_of(names: Names) -> Iterator[tuple[str, str]]:
    """The kinds of names by which an entry is found, and the names; metadata are not searched."""
    if names.request_id is not None:
        yield "request_id", names.request_id
    if names.reference is not None:
        yield "reference", names.reference
    if names.idempotency_key is not None:
        yield "idempotency_key", names.idempotency_key


def entries_named(
    source: Source, wanted: Wanted, first: int, after: Position, limit: int
) -> tuple[list[Transaction], Position | None]:
    """One step of a search: up to ``limit`` entries after ``after``, down to wallet ``first``, of ``STEP`` at most.

    With them where the next step begins, None at the end.
    """
    kind, name = wanted.name
    is_key = kind == "idempotency_key"
    at_once = limit if wanted.is_name_alone else STEP
    rows = source.rows(
        SQL["named"],
        {
            "named": kind,
            "name": name,
            "key": name if is_key else None,
            "short": short_forms([name])[0] if is_key else None,
            "payer": room(PAYER),
            "product": room(PRODUCT),
            "seller": _SELLER,
            "seller_end": _SELLER_END,
            "first": first,
            "wallet_id": after.wallet_id,
            "txn_id": after.txn_id,
            "limit": at_once,
        },
    )
    found: list[Transaction] = []
    for row in rows:
        entry = entry_of(row[:-3])
        if wanted.fits(entry, Paid(*row[-3:])):
            found.append(entry)
            if len(found) == limit:
                return found, Position(entry.wallet_id, entry.txn_id)
    if len(rows) < at_once:
        return found, None
    last = rows[-1]
    return found, Position(wallet_id=last[1], txn_id=last[0])
