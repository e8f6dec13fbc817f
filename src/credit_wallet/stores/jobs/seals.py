"""Seals: SHA-256 over ranges of the ledger, each over the one before it, so that history cannot be changed unnoticed.

A seal's hash covers the previous seal's hash, the seal's own time and range, and every entry of the range in
order of ``txn_id``: all of its columns, and then the lots that they opened, who sold them, and their details
(``Seal.version`` 4). Seals of version 3 are from before there were details, those of version 2 from before entries had
a cause, and those of version 1 cover the previous hash and the entries' columns alone; that a cause is what its entry's
note says is an invariant of its own.

Keep a seal somewhere else (an ``Anchor``), and every entry up to it is fixed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from itertools import takewhile
from typing import Any, NamedTuple

from msgspec import DecodeError, Struct, json

from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.errors import InvalidRequest
from credit_wallet.stores import Connection, Source

ENTRIES_A_SEAL = 10_000
"""Maximum entries of one seal; sealing that many takes about 0.1 s."""

NO_SEAL = "0" * 64
"""The previous hash of the first seal."""

VERSION = 4
"""The version of new seals."""

DETAILS_SINCE = 4
"""The version from which seals cover details, and what lots were granted beyond whole yen."""

CAUSES_SINCE = 3
"""The version from which seals cover the causes of entries."""

_LAST_SEAL = """
SELECT seal_id, first_txn_id, last_txn_id, entries, sha256, sealed_at, version
FROM am_credit_seal ORDER BY seal_id DESC LIMIT 1
"""
SEALS = """
SELECT seal_id, first_txn_id, last_txn_id, entries, sha256, sealed_at, version FROM am_credit_seal ORDER BY seal_id
"""
_COLUMNS = """
e.txn_id, e.wallet_id, e.amount_yen, e.txn_type, e.occurred_at, e.note, e.prev_txn_id, e.ledger_balance_yen, e.lots,
e.key_id, e.related_txn_id, e.hold_id, e.cause
"""
_RANGE = "WHERE e.txn_id > :after AND e.txn_id <= :last ORDER BY e.txn_id"
_SEALED = f"SELECT {_COLUMNS} FROM am_credit_transaction_log e {_RANGE}"
_UNSEALED = f"{_SEALED} LIMIT :limit"
_FACTS = """
SELECT e.txn_id, l.kind, l.granted_yen, l.expires_at, s.seller_id, l.granted_fraction, CAST(e.detail AS TEXT)
FROM am_credit_transaction_log e
LEFT JOIN am_credit_lot l
       ON e.txn_type IN ('topup', 'refund') AND l.wallet_id = e.wallet_id AND l.lot_id = e.txn_id
LEFT JOIN am_credit_sale s ON e.txn_type = 'charge' AND s.wallet_id = e.wallet_id AND s.txn_id = e.txn_id
WHERE e.txn_id > :after AND e.txn_id <= :last
  AND (l.lot_id IS NOT NULL OR s.txn_id IS NOT NULL OR e.detail IS NOT NULL)
ORDER BY e.txn_id
"""
"""The lots that entries of a range opened, who sold its charges, and their details."""

_PUT_SEAL = """
INSERT INTO am_credit_seal (first_txn_id, last_txn_id, entries, sha256, sealed_at, version)
VALUES (:first, :last, :entries, :sha256, :at, :version)
ON CONFLICT DO NOTHING
RETURNING seal_id
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


class Seal(NamedTuple):
    """A seal as it is stored."""

    seal_id: int
    first_txn_id: int
    last_txn_id: int
    entries: int
    sha256: str
    sealed_at: str
    version: int


class Anchor(Struct, frozen=True, omit_defaults=True):
    """A seal, to be kept elsewhere: its ledger must always contain it.

    Without its last entry and time where the reader may not know how many entries the ledger has.
    """

    seal_id: int
    sha256: str
    last_txn_id: int | None = None
    sealed_at: str | None = None

    def __str__(self) -> str:
        until = "" if self.last_txn_id is None else f" entry {self.last_txn_id} {self.sealed_at}"
        return f"seal {self.seal_id}{until} sha256 {self.sha256}"

    @property
    def short(self) -> Anchor:
        """Its id and hash alone, which prove as much."""
        return Anchor(self.seal_id, self.sha256)


_ANCHOR = re.compile(r"\bseal (\d{1,18})(?: entry (\d{1,18}) ([0-9TZ:.-]{20,30}))? sha256 ([0-9a-f]{64})\b")


def parse_anchors(text: str) -> list[Anchor]:
    """The anchors in a text, each as ``str`` writes it or as its JSON. Raises ``InvalidRequest`` when there is none."""
    anchors = [
        Anchor(int(number), digest, int(last) if last else None, at or None)
        for number, last, at, digest in _ANCHOR.findall(text)
    ]
    for line in text.splitlines():
        with suppress(DecodeError):
            anchors.append(json.decode(line, type=Anchor))
    if not anchors:
        raise InvalidRequest(
            "an anchor is a line of credit-wallet seal show: seal N entry N TIME sha256 HASH", field="anchor"
        )
    return anchors


def latest_seal(source: Source) -> Anchor | None:
    """The latest seal, None before the first."""
    for row in source.rows(_LAST_SEAL, {}):
        last = Seal(*row)
        return Anchor(last.seal_id, last.sha256, last.last_txn_id, last.sealed_at)
    return None


def unsealed_since(source: Source) -> datetime | None:
    """Since when entries have waited for a seal; None when all are sealed.

    That is when the oldest of them came in, or when the ledger was last sealed: an entry may be backdated, and one of
    plain SQL may have an unreadable date.
    """
    instants: list[datetime] = []
    for row in source.rows(_OLDEST_UNSEALED, {}):
        for text in row:
            with suppress(ValueError, TypeError):
                instants.append(parse_instant(text))
    return max(instants, default=None)


def seal(connection: Connection, now: datetime, settled_txn_id: int) -> int:
    """Seal the next range of entries in the caller's transaction; return how many entries it has, 0 if none is left.

    Up to ``settled_txn_id``, below which no entry will come any more, and before an entry that is not backfilled yet:
    its chain is not fixed yet. When somebody else has just sealed the same range there is nothing left here either.
    """
    last_seal = [Seal(*row) for row in connection.execute(_LAST_SEAL).fetchall()]
    after, previous = (last_seal[0].last_txn_id, last_seal[0].sha256) if last_seal else (0, NO_SEAL)
    wanted = {"after": after, "last": settled_txn_id, "limit": ENTRIES_A_SEAL}
    entries = list(takewhile(_is_backfilled, connection.execute(_UNSEALED, wanted).fetchall()))
    if not entries:
        return 0
    row = {
        "first": entries[0][0],
        "last": entries[-1][0],
        "entries": len(entries),
        "at": format_instant(now),
        "version": VERSION,
    }
    facts = connection.execute(_FACTS, {"after": after, "last": row["last"]}).fetchall()
    row["sha256"] = seal_hash(VERSION, previous, row["at"], entries, facts)
    return len(entries) if connection.execute(_PUT_SEAL, row).fetchall() else 0


def _is_backfilled(entry: tuple[Any, ...]) -> bool:
    return entry[6] is not None


def seal_hash(
    version: int,
    previous: str,
    sealed_at: str,
    entries: Sequence[tuple[Any, ...]],
    facts: Sequence[tuple[Any, ...]] = (),
) -> str:
    """The hash of a seal over ``entries`` (at least one) and ``facts`` that follows the seal with hash ``previous``."""
    digest = sha256(previous.encode())
    if version < CAUSES_SINCE:
        entries = [entry[:-1] for entry in entries]
    if version == 1:
        for entry in entries:
            digest.update(json.encode(entry))
    else:
        digest.update(json.encode((version, sealed_at, entries[0][0], entries[-1][0], len(entries))))
        digest.update(json.encode(entries))
        digest.update(json.encode(_of_version(version, facts)))
    return digest.hexdigest()


def _of_version(version: int, facts: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """The facts that seals of ``version`` cover: ``kind`` or ``seller_id`` was there before there were details."""
    if version >= DETAILS_SINCE:
        return facts
    return [fact[:5] for fact in facts if fact[1] is not None or fact[4] is not None]


def is_whole(source: Source, seal: Seal, after_txn_id: int, previous: str) -> bool:
    """Whether the ledger still has the entries that ``seal`` covers, from after entry ``after_txn_id`` and the previous
    seal.
    """
    wanted = {"after": after_txn_id, "last": seal.last_txn_id}
    entries = source.rows(_SEALED, wanted)
    if len(entries) != seal.entries or (entries[0][0], entries[-1][0]) != (seal.first_txn_id, seal.last_txn_id):
        return False
    facts = source.rows(_FACTS, wanted) if seal.version > 1 else []
    return seal_hash(seal.version, previous, seal.sealed_at, entries, facts) == seal.sha256
