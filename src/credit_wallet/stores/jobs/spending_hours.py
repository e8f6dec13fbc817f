"""Spending of wallets by the hour, counted behind the rail, and the hours that are anomalies.

The same on every database. ``rules.anomalies`` defines an anomaly.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.anomalies import MIN_YEN, WINDOW, is_anomaly, usual_micros
from credit_wallet.rules.events import spending_anomaly
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.outbox import put_event
from credit_wallet.stores.sql import statements
from credit_wallet.stores.views import micros

SQL = statements("spending_hours.sql")

ENTRIES_A_COUNT = 100_000
"""Entries counted in one step."""


class HourSpend(Struct, frozen=True):
    """A wallet's spending in an hour (YYYY-MM-DDTHH, UTC)."""

    wallet_id: int
    hour: str
    spent_micros: int


class Counted(Struct, frozen=True):
    """The spending of the entries after ``after`` and up to ``last``."""

    after: int
    last: int
    spent: list[HourSpend]


def count_next(source: Source, settled_txn_id: int) -> Counted | None:
    """Count the next entries up to ``settled_txn_id``, below which no entry will come; None when all are counted."""
    [(after,)] = source.rows(SQL["counted"], {})
    limits = {"after": after, "settled": settled_txn_id, "limit": ENTRIES_A_COUNT}
    [(last,)] = source.rows(SQL["last_to_count"], limits)
    if last is None:
        return None
    rows = source.rows(SQL["spent_by_hour"], {"after": after, "last": last})
    return Counted(after, last, [HourSpend(wallet_id, hour, micros(*spent)) for wallet_id, hour, *spent in rows])


def add(connection: Connection, counted: Counted) -> bool:
    """Add what was counted, unless another process has counted the same entries."""
    if not connection.execute(SQL["count_up_to"], {"after": counted.after, "last": counted.last}).fetchall():
        return False
    for each in counted.spent:
        spent_yen, spent_fraction = divmod(each.spent_micros, MICROS)
        spent = {"spent_yen": spent_yen, "spent_fraction": spent_fraction}
        row = {"wallet_id": each.wallet_id, "hour": each.hour, **spent}
        connection.execute(SQL["add_to_hour"], row)
    return True


def anomalies(source: Source, at: datetime) -> list[tuple[HourSpend, int]]:
    """Anomalies in the hour of ``at`` that were not reported yet, each with the usual hour's micros."""
    hour, since = _hour(at), _hour(at - WINDOW)
    named = {"hour": hour, "since": since, "min_yen": MIN_YEN}
    named["dedupe_key"] = str(spending_anomaly(0, hour, 0, 0).dedupe_key)
    found = []
    for wallet_id, spent_yen, fraction, hours, *spent_before in source.rows(SQL["spent_in_hour"], named):
        spent_micros, usual = micros(spent_yen, fraction), usual_micros(hours, micros(*spent_before))
        if usual is not None and is_anomaly(spent_micros, usual):
            found.append((HourSpend(wallet_id, hour, spent_micros), usual))
    return found


def emit(connection: Connection, found: Sequence[tuple[HourSpend, int]], at: datetime, now: datetime) -> None:
    """Emit an event for each anomaly, and delete the hours that are no longer compared with."""
    connection.execute(SQL["prune_hours"], {"since": _hour(at - WINDOW)})
    for spent, usual in found:
        event = spending_anomaly(spent.wallet_id, spent.hour, spent.spent_micros, usual)
        put_event(connection, event, format_instant(now))


def _hour(at: datetime) -> str:
    return format_instant(at)[:13]
