"""Seals: SHA-256 over ranges of the ledger, each over the one before it, so that history cannot be changed unseen.

A seal's hash covers the previous seal's hash and, for every entry of its range in order of ``txn_id``, its columns as a
JSON array. Publish a seal's hash anywhere out of reach, and every entry up to it is fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from itertools import takewhile
from typing import Any

from msgspec import Struct, json

from credit_wallet.cycle import format_instant, parse_instant
from credit_wallet.stores import Connection, Source

ENTRIES_A_SEAL = 10_000
"""Most entries that one seal covers; sealing so many takes about 0.1 s."""

NO_SEAL = "0" * 64
"""What the first seal takes for the hash of the one before it."""

_LAST_SEAL = "SELECT last_txn_id, sha256 FROM am_credit_seal ORDER BY seal_id DESC LIMIT 1"
_ENTRIES = """
SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, note, prev_txn_id, ledger_balance_yen, lots, key_id,
       related_txn_id, hold_id
FROM am_credit_transaction_log
"""
_UNSEALED = f"""{_ENTRIES}WHERE txn_id > :after AND txn_id <= :settled ORDER BY txn_id LIMIT :limit
"""
_PUT_SEAL = """
INSERT INTO am_credit_seal (first_txn_id, last_txn_id, entries, sha256, sealed_at)
VALUES (:first, :last, :entries, :sha256, :at)
ON CONFLICT DO NOTHING
RETURNING seal_id
"""
_SEALS = """
SELECT seal_id, first_txn_id, last_txn_id, entries, sha256 FROM am_credit_seal ORDER BY seal_id
"""
_SEALED = f"""{_ENTRIES}WHERE txn_id > :after AND txn_id <= :last ORDER BY txn_id
"""


_OLDEST_UNSEALED = """
SELECT occurred_at, (SELECT sealed_at FROM am_credit_seal ORDER BY seal_id DESC LIMIT 1)
FROM am_credit_transaction_log
WHERE txn_id > coalesce((SELECT last_txn_id FROM am_credit_seal ORDER BY seal_id DESC LIMIT 1), 0)
ORDER BY txn_id LIMIT 1
"""


class Holder(Struct, frozen=True):
    """A transaction that may still add an entry below those that wait for a seal.

    ``who`` is for people; ``seconds`` how long ago it began, None when the wallet's user may not see that.
    """

    who: str
    seconds: int | None


class BrokenSeal(Struct, frozen=True):
    """A seal that the ledger no longer matches."""

    seal_id: int
    first_txn_id: int
    last_txn_id: int


def unsealed_since(source: Source) -> datetime | None:
    """Since when entries have waited for a seal; None when all are sealed.

    That is when the oldest of them came, or when the ledger was last sealed: an entry may be dated back, and one of
    plain SQL may have a date that nobody can read.
    """
    instants: list[datetime] = []
    for row in source.rows(_OLDEST_UNSEALED, {}):
        for text in row:
            with suppress(ValueError, TypeError):
                instants.append(parse_instant(text))
    return max(instants, default=None)


def seal(connection: Connection, now: datetime, settled_txn_id: int) -> int:
    """Seal the next range of entries in the caller's transaction; return how many entries it has, 0 if none is left.

    Up to ``settled_txn_id``, below which no entry will come any more, and before an entry that is still to be adopted:
    its chain is not fixed yet. When somebody else has just sealed the same range there is nothing left here either.
    """
    last_seal = connection.execute(_LAST_SEAL).fetchall()
    after, previous = last_seal[0] if last_seal else (0, NO_SEAL)
    wanted = {"after": after, "settled": settled_txn_id, "limit": ENTRIES_A_SEAL}
    entries = list(takewhile(_is_adopted, connection.execute(_UNSEALED, wanted).fetchall()))
    if not entries:
        return 0
    row = {
        "first": entries[0][0],
        "last": entries[-1][0],
        "entries": len(entries),
        "sha256": seal_hash(previous, entries),
        "at": format_instant(now),
    }
    return len(entries) if connection.execute(_PUT_SEAL, row).fetchall() else 0


def _is_adopted(entry: tuple[Any, ...]) -> bool:
    return entry[6] is not None


def seal_hash(previous: str, entries: Iterable[tuple[Any, ...]]) -> str:
    """The hash of a seal over ``entries`` that follows the seal with hash ``previous``."""
    digest = sha256(previous.encode())
    for entry in entries:
        digest.update(json.encode(entry))
    return digest.hexdigest()


def broken_seals(source: Source) -> Iterator[BrokenSeal]:
    """The seals that the ledger does not match."""
    previous, after = NO_SEAL, 0
    for seal_id, first, last, entries, recorded in source.rows(_SEALS, {}):
        sealed = source.rows(_SEALED, {"after": after, "last": last})
        if len(sealed) != entries or seal_hash(previous, sealed) != recorded:
            yield BrokenSeal(seal_id, first, last)
        previous, after = recorded, last
