"""What each quarter of an hour brought in and took out of the ledger as a whole, counted behind the rail.

Quarters of an hour make the days of every time zone. The same on every database.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.jobs.totals import ENTRIES_A_STEP, SQL
from credit_wallet.stores.views import micros

KEPT = timedelta(days=40)


class Quarter(NamedTuple):
    """Entries of a quarter of an hour that are alike, and what they moved; ``kind`` of credit that came in."""

    quarter: str
    txn_type: str
    cause: str
    kind: str
    entries: int
    amount_micros: int


class CountedQuarters(NamedTuple):
    """The entries after ``after`` and up to ``last`` that are dated from ``since`` on, by quarter."""

    after: int
    last: int
    since: str
    quarters: list[Quarter]


def count(source: Source, settled_txn_id: int, now: datetime) -> CountedQuarters | None:
    """Count the next entries up to ``settled_txn_id``, below which no entry will come; None when all are counted."""
    [(after,)] = source.rows(SQL["counted_quarters"], {})
    limits = {"after": after, "settled": settled_txn_id, "limit": ENTRIES_A_STEP}
    [(last,)] = source.rows(SQL["last_to_count"], limits)
    if last is None:
        return None
    since = quarter_of(now - KEPT)
    rows = source.rows(SQL["moved_in_quarters"], {"after": after, "last": last, "since": since})
    return CountedQuarters(after, last, since, [_quarter(row) for row in rows])


def add(connection: Connection, counted: CountedQuarters) -> int:
    """Add what was counted, and forget what is old; how many ids that covers, 0 when another process has counted."""
    if not connection.execute(SQL["count_quarters_up_to"], {"after": counted.after, "last": counted.last}).fetchall():
        return 0
    for each in counted.quarters:
        amount_yen, amount_fraction = divmod(each.amount_micros, MICROS)
        named = {name: getattr(each, name) for name in ("quarter", "txn_type", "cause", "kind", "entries")}
        connection.execute(
            SQL["add_to_quarter"], {**named, "amount_yen": amount_yen, "amount_fraction": amount_fraction}
        )
    connection.execute(SQL["prune_quarters"], {"since": counted.since})
    return counted.last - counted.after


def since(source: Source, moment: datetime) -> list[Quarter]:
    """The quarters from ``moment`` on, as they were counted last."""
    return [_quarter(row) for row in source.rows(SQL["quarters"], {"since": quarter_of(moment)})]


def counted_to(source: Source) -> str | None:
    """When the last entry was made that was counted."""
    [(last,)] = source.rows(SQL["counted_quarters"], {})
    return next((str(at) for (at,) in source.rows(SQL["counted_to"], {"txn_id": last})), None)


def quarter_of(moment: datetime) -> str:
    """The quarter of an hour, of UTC, that a moment is in."""
    text = format_instant(moment)
    return f"{text[:14]}{int(text[14:16]) // 15 * 15:02}"


def _quarter(row: tuple[object, ...]) -> Quarter:
    quarter, txn_type, cause, kind, entries, amount_yen, beyond = row
    return Quarter(str(quarter), str(txn_type), str(cause), str(kind), int(str(entries)), micros(amount_yen, beyond))
