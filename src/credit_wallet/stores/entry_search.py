"""Searches among a wallet's entries, in bounded steps along its chain; the same on every database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.entry_search import EntryFilter, Paid, SearchStep
from credit_wallet.domain.views import Transaction
from credit_wallet.stores import Source
from credit_wallet.stores.sql import statements
from credit_wallet.stores.views import WalletRow, entry_of

SQL = statements("entry_search.sql")

STEPS = 2_000
"""Entries that one statement searches, so that others get their turn however few match."""

PASSED = 20_000
"""Entries of whatever wallet that are passed to find one of this wallet."""

LATE = timedelta(minutes=1)
"""By how much the clocks of nodes may differ: entries that follow each other are dated no further backwards."""


def page(source: Source, wallet_id: int, start: int | None, limit: int) -> list[Transaction]:
    """A wallet's entries from ``start`` back along its chain."""
    rows = source.rows(SQL["history"], {"start": start, "wallet_id": wallet_id, "limit": limit})
    return [entry_of(row) for row in rows]


def start_of(source: Source, wallet: WalletRow, before_txn_id: int | None) -> int | None:
    """The entry that stands before ``before_txn_id`` in the wallet's chain, or its last one."""
    if before_txn_id is None:
        return wallet.last_txn_id
    named = {"txn_id": before_txn_id, "wallet_id": wallet.wallet_id}
    for (prev_txn_id,) in source.rows(SQL["previous"], named):
        return int(prev_txn_id)
    return None


def step(
    source: Source, wallet: WalletRow, wanted: EntryFilter, limit: int, before_txn_id: int | None = None
) -> SearchStep:
    """The matches, up to ``limit``, among the next ``STEPS`` entries before ``before_txn_id``."""
    if before_txn_id is None and wanted.until is not None:
        start = _last_before(source, wallet, wanted.until)
    else:
        start = start_of(source, wallet, before_txn_id)
    if not start:
        return SearchStep([], None, None)
    rows = source.rows(
        SQL["filtered_history"],
        {
            "start": start,
            "wallet_id": wallet.wallet_id,
            "steps": STEPS,
            "limit": STEPS if wanted.words else limit,
            "txn_type": wanted.txn_type,
            "key_id": wanted.key_id,
            "note": wanted.note,
            "item": wanted.item,
            "since": wanted.since,
            "until": wanted.until,
        },
    )
    return _judged(rows, wanted, limit)


def _judged(rows: list[tuple[Any, ...]], wanted: EntryFilter, limit: int) -> SearchStep:
    found: list[Transaction] = []
    for row in rows:
        if not row[-2] or (wanted.words and not _says(row, wanted)):
            continue
        entry = entry_of(row[:12])
        found.append(entry)
        if len(found) == limit:
            return SearchStep(found, entry.txn_id, entry.occurred_at)
    if not rows or rows[-1][-1] < STEPS:
        return SearchStep(found, None, None)
    last_txn_id, last_at = rows[-1][0], rows[-1][4]
    is_past = wanted.since is not None and _comparable(last_at) < wanted.since
    return SearchStep(found, None, None) if is_past else SearchStep(found, last_txn_id, last_at)


def _says(row: tuple[Any, ...], wanted: EntryFilter) -> bool:
    """Whether the texts of an entry have the words; most that have not are ruled out by the columns as they are."""
    note, detail, paid_note, paid_item = row[5], *row[11:14]
    if wanted.is_written_plainly and not wanted.may_say("\n".join(filter(None, (note, detail, paid_note, paid_item)))):
        return False
    return wanted.says(entry_of(row[:12]), Paid(None, paid_note, paid_item))


def _last_before(source: Source, wallet: WalletRow, until: str) -> int | None:
    """An entry of the wallet after which none is dated before ``until``, as near to it as is found quickly.

    A wallet's entries are dated one after the other, as what has ended is closed before anything else is written, up to
    ``LATE``. So are those of all wallets but for what ended unnoticed, and their ids can be searched by halves.
    """
    dated = format_instant(parse_instant(until) + LATE)
    before, after = 0, wallet.last_txn_id
    while after - before > STEPS:
        middle = (before + after) // 2
        [(txn_id, occurred_at)] = source.rows(SQL["next"], {"txn_id": middle})
        if _comparable(occurred_at) >= dated:
            after = middle
        else:
            before = max(middle, min(txn_id, after))
    named = {"wallet_id": wallet.wallet_id, "after": before, "dated": dated}
    for (txn_id,) in source.rows(SQL["of_wallet_between"], {**named, "limit": PASSED, "last": wallet.last_txn_id}):
        return int(txn_id)
    for (txn_id,) in source.rows(SQL["known_of_wallet"], named):
        return int(txn_id)
    return wallet.last_txn_id


def _comparable(occurred_at: str) -> str:
    """An instant as plain SQL may have written it, to be compared with one as the ledger writes it."""
    return occurred_at.replace(" ", "T")
