"""Seals: SHA-256 over ranges of the ledger, each over the one before it, so that history cannot be changed unnoticed.

A seal's hash covers the previous seal's hash, the seal's own time and ranges, and every entry of the range in
order of ``txn_id``: all of its columns, and then the lots that they opened, who sold them, and their details; and every
act since the seal before, in order of ``act_id`` (``Seal.version`` 5). Either range may be empty, not both.

Seals of version 4 are from before they covered acts, which the first of version 5 covers; those of version 3 from
before there were details, those of version 2 from before entries had a cause, and those of version 1 cover the previous
hash and the entries' columns alone; that a cause is what its entry's note says is an invariant of its own.

Keep a seal somewhere else (an ``Anchor``), and every entry up to it is fixed.

Where texts of a range were erased, the seal stays as it is, and an act names the hash that the range has had since;
that act is sealed in its turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
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

ACTS_A_SEAL = 2_000
"""Maximum acts of one seal."""

NO_SEAL = "0" * 64
"""The previous hash of the first seal."""

VERSION = 5
"""The version of new seals."""

ACTS_SINCE = 5
"""The version from which seals cover acts."""

DETAILS_SINCE = 4
"""The version from which seals cover details, and what lots were granted beyond whole yen."""

CAUSES_SINCE = 3
"""The version from which seals cover the causes of entries."""

_SEAL_COLUMNS = "seal_id, first_txn_id, last_txn_id, entries, sha256, sealed_at, version, follows, last_act_id, acts"
_LAST_SEAL = f"SELECT {_SEAL_COLUMNS} FROM am_credit_seal ORDER BY seal_id DESC LIMIT 1"
SEALS = f"SELECT {_SEAL_COLUMNS} FROM am_credit_seal ORDER BY seal_id"
_SEAL_AND_BEFORE = f"SELECT {_SEAL_COLUMNS} FROM am_credit_seal WHERE seal_id <= :seal_id ORDER BY seal_id DESC LIMIT 2"
_ERASED_OF_SEAL = """
SELECT after FROM am_credit_act WHERE subject = :subject AND kind = 'erasure.sealed' ORDER BY act_id DESC LIMIT 1
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

_ACTS = """
SELECT act_id, wallet_id, kind, subject, occurred_at, actor, author, address, request_id, before, after, reason, note
FROM am_credit_act
WHERE act_id > :after AND act_id <= :last ORDER BY act_id
"""
_UNSEALED_ACTS = f"{_ACTS} LIMIT :limit"

_PUT_SEAL = """
INSERT INTO am_credit_seal (first_txn_id, last_txn_id, entries, sha256, sealed_at, version, follows, last_act_id, acts)
VALUES (:first, :last, :entries, :sha256, :at, :version, :follows, :last_act, :acts)
ON CONFLICT DO NOTHING
RETURNING seal_id
"""
_OLDEST_UNSEALED = """
SELECT occurred_at, (SELECT sealed_at FROM am_credit_seal WHERE entries > 0 ORDER BY seal_id DESC LIMIT 1)
FROM am_credit_transaction_log
WHERE txn_id > coalesce((SELECT last_txn_id FROM am_credit_seal ORDER BY seal_id DESC LIMIT 1), 0)
ORDER BY txn_id LIMIT 1
"""
_OLDEST_UNSEALED_ACT = """
SELECT occurred_at, (SELECT sealed_at FROM am_credit_seal WHERE acts > 0 ORDER BY seal_id DESC LIMIT 1)
FROM am_credit_act
WHERE act_id > coalesce((SELECT last_act_id FROM am_credit_seal ORDER BY seal_id DESC LIMIT 1), 0)
ORDER BY act_id LIMIT 1
"""


class Settled(NamedTuple):
    """Up to which entry and which act nothing can be added any more; 0 when that is not known yet."""

    txn_id: int
    act_id: int


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
    follows: int | None
    last_act_id: int
    acts: int

    @property
    def head(self) -> tuple[int, ...]:
        """Its ranges, as its hash covers them."""
        entries = (self.first_txn_id, self.last_txn_id, self.entries)
        if self.version < ACTS_SINCE:
            return entries
        return (*entries, self.last_act_id, self.acts, self.follows or 0)


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
    """Since when entries or acts have waited for a seal; None when all are sealed.

    That is when the oldest of them came in, or when some of its kind were last sealed: an entry may be backdated, and
    one of plain SQL may have an unreadable date.
    """
    waiting = [_waiting_since(source, oldest) for oldest in (_OLDEST_UNSEALED, _OLDEST_UNSEALED_ACT)]
    return min((since for since in waiting if since is not None), default=None)


def _waiting_since(source: Source, oldest: str) -> datetime | None:
    instants: list[datetime] = []
    for row in source.rows(oldest, {}):
        for text in row:
            with suppress(ValueError, TypeError):
                instants.append(parse_instant(text))
    return max(instants, default=None)


def seal(connection: Connection, now: datetime, settled: Settled) -> int:
    """Seal the next entries and acts in the caller's transaction; return how many of either it has, 0 if none is left.

    Up to ``settled``, below which nothing will come any more, and before an entry that is not backfilled yet: its chain
    is not fixed yet. When somebody else has just made the next seal there is nothing left here either.
    """
    found = [Seal(*row) for row in connection.execute(_LAST_SEAL).fetchall()]
    last = found[0] if found else Seal(0, 0, 0, 0, NO_SEAL, "", VERSION, None, 0, 0)
    wanted = {"after": last.last_txn_id, "last": settled.txn_id, "limit": ENTRIES_A_SEAL}
    entries = list(takewhile(_is_backfilled, connection.execute(_UNSEALED, wanted).fetchall()))
    wanted = {"after": _before_acts(last.last_act_id), "last": settled.act_id, "limit": ACTS_A_SEAL}
    acts = connection.execute(_UNSEALED_ACTS, wanted).fetchall()
    if not entries and not acts:
        return 0
    last_txn_id = entries[-1][0] if entries else last.last_txn_id
    made = Seal(
        0,
        entries[0][0] if entries else last_txn_id + 1,
        last_txn_id,
        len(entries),
        "",
        format_instant(now),
        VERSION,
        last.seal_id,
        acts[-1][0] if acts else last.last_act_id,
        len(acts),
    )
    facts = connection.execute(_FACTS, {"after": last.last_txn_id, "last": last_txn_id}).fetchall()
    row = {
        "first": made.first_txn_id,
        "last": made.last_txn_id,
        "entries": made.entries,
        "at": made.sealed_at,
        "version": VERSION,
        "follows": made.follows,
        "last_act": made.last_act_id,
        "acts": made.acts,
        "sha256": seal_hash(made, last.sha256, entries, facts, acts),
    }
    return made.entries or made.acts if connection.execute(_PUT_SEAL, row).fetchall() else 0


def _is_backfilled(entry: tuple[Any, ...]) -> bool:
    return entry[6] is not None


def seal_hash(
    seal: Seal,
    previous: str,
    entries: Sequence[tuple[Any, ...]],
    facts: Sequence[tuple[Any, ...]] = (),
    acts: Sequence[tuple[Any, ...]] = (),
) -> str:
    """The hash that ``seal`` has over these rows after the seal with hash ``previous``."""
    digest, version = sha256(previous.encode()), seal.version
    if version < CAUSES_SINCE:
        entries = [entry[:-1] for entry in entries]
    if version == 1:
        for entry in entries:
            digest.update(json.encode(entry))
        return digest.hexdigest()
    digest.update(json.encode((version, seal.sealed_at, *seal.head)))
    digest.update(json.encode(entries))
    digest.update(json.encode(_of_version(version, facts)))
    if version >= ACTS_SINCE:
        digest.update(json.encode(acts))
    return digest.hexdigest()


def _of_version(version: int, facts: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """The facts that seals of ``version`` cover: ``kind`` or ``seller_id`` was there before there were details."""
    if version >= DETAILS_SINCE:
        return facts
    return [fact[:5] for fact in facts if fact[1] is not None or fact[4] is not None]


Rows = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]
"""Runs a statement: of a source, or in a transaction."""


def range_hash(rows: Rows, seal: Seal, before: Seal | None) -> str | None:
    """The hash of what the ledger has in the range of ``seal``, which comes after the seal ``before``.

    None when something is missing or was added.
    """
    after_txn_id, after_act_id, previous = _end_of(before)
    wanted = {"after": after_txn_id, "last": seal.last_txn_id}
    entries = rows(_SEALED, wanted)
    first, last = (entries[0][0], entries[-1][0]) if entries else (after_txn_id + 1, after_txn_id)
    if (len(entries), first, last) != (seal.entries, seal.first_txn_id, seal.last_txn_id):
        return None
    if seal.version < ACTS_SINCE:
        acts, is_in_order = [], (seal.follows, seal.last_act_id, seal.acts) == (None, after_act_id, 0)
    else:
        acts = rows(_ACTS, {"after": _before_acts(after_act_id), "last": seal.last_act_id})
        is_in_order = seal.follows == (0 if before is None else before.seal_id) and seal.last_act_id >= after_act_id
    if not is_in_order or len(acts) != seal.acts:
        return None
    facts = rows(_FACTS, wanted) if seal.version > 1 else []
    return seal_hash(seal, previous, entries, facts, acts)


def is_whole(source: Source, seal: Seal, before: Seal | None, sha256: str) -> bool:
    """Whether the entries and acts that ``seal`` covers have a hash: the seal's, or that after the last erasure."""
    return range_hash(source.rows, seal, before) == sha256


def sealed_range(rows: Rows, seal_id: int) -> tuple[Seal, Seal | None]:
    """A seal and the one before it."""
    latest = [Seal(*row) for row in rows(_SEAL_AND_BEFORE, {"seal_id": seal_id})]
    return latest[0], latest[1] if len(latest) > 1 else None


def starts_after(before: Seal | None) -> tuple[int, int]:
    """The last entry and the last act before the range that comes after the seal ``before``."""
    last_txn_id, last_act_id, _ = _end_of(before)
    return last_txn_id, _before_acts(last_act_id)


def hash_now(rows: Rows, seal: Seal) -> str:
    """The hash that the range of ``seal`` has to have: after the last erasure in it, or its own."""
    erased = rows(_ERASED_OF_SEAL, {"subject": f"seal:{seal.seal_id}"})
    return str(json.decode(erased[0][0])["sha256"]) if erased else seal.sha256


def _before_acts(last_act_id: int) -> int:
    """Below the first act that a seal covers after one up to ``last_act_id``: the first covers whatever is before."""
    return last_act_id or -(1 << 62)


def _end_of(seal: Seal | None) -> tuple[int, int, str]:
    """The last entry and act up to a seal, and its hash."""
    return (0, 0, NO_SEAL) if seal is None else (seal.last_txn_id, seal.last_act_id, seal.sha256)
