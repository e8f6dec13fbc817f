"""What a ledger keeps and for how long: every table, its rows and the oldest of them; and what waits to be done.

``docs/reference/retention.md`` explains it. A table without a line here fails a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from msgspec import Struct

from credit_wallet.domain.cycle import day_of_number
from credit_wallet.stores import Source
from credit_wallet.stores.sql import statements

FOR_GOOD = "for good"
LATE_DAYS = 2
"""How long after its time a row may still be there: pruning takes turns with charges."""

WHILE_THERE = "as long as what it is about"


class Days(NamedTuple):
    """How many days the worker keeps what is over."""

    idempotency: int
    closed: int
    notices: int


class Kept(Struct, frozen=True):
    """A table, for how long its rows are kept, how many there are, and since when."""

    table: str
    kept: str
    rows: int
    oldest: str | None
    is_late: bool = False
    """Whether rows are there that should have been deleted days ago."""

    @property
    def name(self) -> str:
        """The table's name, without what all begin with."""
        return self.table.removeprefix("am_credit_")


class Backlog(Struct, frozen=True):
    """What waits to be done, and how large the database is."""

    events: int
    """Events that were not fanned out to targets yet."""

    oldest_event_at: str | None
    deliveries: int
    """Notices that are to be sent, those that are retried later included."""

    dead_deliveries: int
    topups: dict[str, int]
    """Top-ups through a payment provider by status."""

    database_bytes: int


_TABLES: tuple[tuple[str, str, str | None], ...] = (
    ("am_credit_wallet", FOR_GOOD, "created_at"),
    ("am_credit_transaction_log", FOR_GOOD, "occurred_at"),
    ("am_credit_act", FOR_GOOD, "occurred_at"),
    ("am_credit_erasure", FOR_GOOD, "begun_at"),
    ("am_credit_seal", FOR_GOOD, "sealed_at"),
    ("am_credit_entry_name", FOR_GOOD, None),
    ("am_credit_reference", FOR_GOOD, None),
    ("am_credit_profile", WHILE_THERE, "created_at"),
    ("am_credit_search_term", WHILE_THERE, None),
    ("am_credit_lot", FOR_GOOD, None),
    ("am_credit_hold", "captured ones for good, others {closed} days after they end", "created_at"),
    ("am_credit_returned", FOR_GOOD, None),
    ("am_credit_cycle_spend", FOR_GOOD, "billing_cycle"),
    ("am_credit_cycle_segment", FOR_GOOD, "billing_cycle"),
    ("am_credit_clawback", FOR_GOOD, None),
    ("am_credit_sale", FOR_GOOD, None),
    ("am_credit_transfer", FOR_GOOD, "created_at"),
    ("am_credit_auto_topup_consent", FOR_GOOD, "consented_at"),
    ("am_credit_usage", FOR_GOOD, "period"),
    ("am_credit_usage_start", WHILE_THERE, None),
    ("am_credit_tier_usage", FOR_GOOD, "billing_cycle"),
    ("am_credit_price_version", FOR_GOOD, "applied_at"),
    ("am_credit_price", FOR_GOOD, None),
    ("am_credit_idempotency", "{idempotency} days", "created_on"),
    ("am_credit_purchase", "{idempotency} days after it is served or undone", "changed_on"),
    ("am_credit_outbox", "{notices} days after it was fanned out", "occurred_at"),
    ("am_credit_delivery", "{notices} days after it was sent or given up", "created_at"),
    ("am_credit_mail_count", "the day", "day"),
    ("am_credit_target", "until it is removed; a mailbox that nobody confirms, 3 days", "created_at"),
    ("am_credit_topup", "credited ones for good, others {closed} days after they fail", "created_at"),
    ("am_credit_topup_history", "{closed} days, that of open top-ups longer", "occurred_at"),
    ("am_credit_payer", WHILE_THERE, None),
    ("am_credit_key", "those that paid for good, others {closed} days after they end", "created_at"),
    ("am_credit_secret", "{closed} days after it ends", "created_at"),
    ("am_credit_end", WHILE_THERE, None),
    ("am_credit_seller", FOR_GOOD, "created_at"),
    ("am_credit_operator", FOR_GOOD, "created_at"),
    ("am_credit_operator_key", FOR_GOOD, "created_at"),
    ("am_credit_revoked_token", FOR_GOOD, "revoked_at"),
    ("am_credit_session", "{idempotency} days after it began", "created_at"),
    ("am_credit_link", "{idempotency} days after it was made", "created_at"),
    ("am_credit_grant", "{closed} days after it is canceled, if nothing came of it", "created_at"),
    ("am_credit_grant_occurrence", FOR_GOOD, "came_at"),
    ("am_credit_budget", FOR_GOOD, "created_at"),
    ("am_credit_budget_change", FOR_GOOD, "changed_at"),
    ("am_credit_budget_spent", "7 days after its window ends", None),
    ("am_credit_budget_held", WHILE_THERE, None),
    ("am_credit_budget_step", "twice the length of its window", "at"),
    ("am_credit_spending_alert", FOR_GOOD, "fired_at"),
    ("am_credit_threshold_alert", FOR_GOOD, "fired_at"),
    ("am_credit_hour_spend", "7 days", "hour"),
    ("am_credit_month_total", FOR_GOOD, "month"),
    ("am_credit_totals", WHILE_THERE, "counted_at"),
    ("am_credit_quarter_total", "40 days", "quarter"),
    ("am_credit_counted", WHILE_THERE, None),
    ("am_credit_installation", FOR_GOOD, None),
)
"""Table, for how long, and the column that dates its rows."""

TABLES = frozenset(table for table, _, _ in _TABLES)


def growth(source: Source, days: Days, today: date) -> Iterator[Kept]:
    """Every table of a ledger that has rows; each is counted, which reads all of it."""
    for table, kept, dated in _TABLES:
        [(rows, oldest)] = source.rows(f"SELECT count(*), {f'min({dated})' if dated else 'NULL'} FROM {table}", {})
        if rows:
            since = None if oldest is None else _day(str(oldest))
            limit = (today - timedelta(days=days.idempotency + LATE_DAYS)).isoformat()
            is_late = table == "am_credit_idempotency" and since is not None and since < limit
            yield Kept(table, kept.format(**days._asdict()), rows, since, is_late)


def backlog(source: Source) -> Backlog:
    """What waits. The top-ups are counted, which reads them all; the rest is found by indexes."""
    sql = statements("growth.sql", source.dialect)
    [(events, oldest)] = source.rows(sql["waiting_events"], {})
    [(deliveries,)] = source.rows(sql["waiting_deliveries"], {})
    [(dead,)] = source.rows(sql["dead_deliveries"], {})
    [(size,)] = source.rows(sql["database_bytes"], {})
    return Backlog(events, oldest, deliveries, dead, dict(source.rows(sql["topups_by_status"], {})), int(size))


def latest_migration(source: Source) -> str:
    """The name of the latest migration that was applied."""
    [(name,)] = source.rows(statements("growth.sql", source.dialect)["latest_migration"], {})
    return str(name)


def _day(text: str) -> str:
    """A day or a month, also of a day that idempotency keys have as a number."""
    return day_of_number(text) if text.isdigit() else text[: len("2026-01-01")]
