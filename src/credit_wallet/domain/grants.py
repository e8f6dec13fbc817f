"""Grants: credit that is due once at an instant, or every month until one. Pure.

The occurrences of a grant are numbered from 0. Number 0 comes when the grant starts, number n comes n months later by
the clocks of the wallet's time zone: at the same time of the same day, or on the last day of a month that is shorter. A
time that the clocks skip is as much later; of one that they show twice, it is the first.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

from credit_wallet.domain.cycle import LAST_YEAR, format_instant, parse_instant, zone_of
from credit_wallet.domain.money import Exact, WholeYen
from credit_wallet.domain.outcomes import LotKind

Rhythm: TypeAlias = Literal["month"]
Lapse: TypeAlias = Literal["never", "next", "days"]
OccurrenceStatus: TypeAlias = Literal["credited", "lapsed"]

MAX_LAPSE_DAYS = 3_660
"""Maximum life in days of the credit of an occurrence: ten years."""

MAX_GRANTS = 100
"""Maximum grants of a wallet from which credit is still to come."""

MAX_DAYS_AGO = 366
"""How many days ago a grant may begin: what would have come since is credited at once."""


class Terms(Struct, frozen=True):
    """When the credit of a grant comes and lapses. ``until`` is the instant from which on nothing comes."""

    starts_at: str
    every: Rhythm | None
    until: str | None
    lapse: Lapse
    lapse_days: int
    time_zone: str


class GrantState(Struct):
    """A grant's row. ``next_at`` is when the next occurrence comes, None when there is none; ``due_at`` is when it is
    tried, later than that once it was refused.
    """

    grant_id: int
    wallet_id: int
    amount_micros: int
    kind: LotKind
    starts_at: str
    every: Rhythm | None
    until: str | None
    lapse: Lapse
    lapse_days: int
    note: str | None
    next_occurrence: int
    next_at: str | None
    due_at: str | None
    canceled_at: str | None

    def terms(self, time_zone: str) -> Terms:
        """Its terms, in the time zone of its wallet."""
        return Terms(self.starts_at, self.every, self.until, self.lapse, self.lapse_days, time_zone)


class GrantOccurrence(Struct, frozen=True):
    """An occurrence that has come: credited by entry ``txn_id``, or ``lapsed`` before it could be credited."""

    wallet_id: int
    grant_id: int
    occurrence: int
    came_at: str
    status: OccurrenceStatus
    txn_id: int | None
    lapses_at: str | None


class GrantView(Struct, frozen=True):
    """A grant as operators see it. ``lapses`` is ``"never"``, ``"next"`` or a number of days.

    ``occurrences`` were due so far, credited or lapsed. The next one is due at ``next_at``, if there is one;
    ``retry_at`` is when it is tried again after the wallet could not take it.
    """

    grant_id: int
    wallet_id: int
    amount_micros: int
    promo: bool
    starts_at: str
    every: Rhythm | None
    until: str | None
    lapses: int | Literal["never", "next"]
    note: str | None
    created_at: str
    occurrences: int
    next_at: str | None
    retry_at: str | None
    canceled_at: str | None

    amount_yen = WholeYen()
    amount = Exact()


def occurrence_at(terms: Terms, number: int) -> str | None:
    """When an occurrence comes; None when the grant has ended by then."""
    at = _planned(terms, number) if terms.every is not None or number == 0 else None
    return None if at is None or (terms.until is not None and at >= terms.until) else at


def lapses_at(terms: Terms, number: int) -> str | None:
    """When the credit of an occurrence lapses, counted from when that was to come; None for never.

    With ``lapse`` "next" it lapses when the next one comes, or would come if the grant went on.
    """
    match terms.lapse:
        case "next":
            return _planned(terms, number + 1)
        case "days":
            at = _planned(terms, number)
            return None if at is None else _later(at, terms.time_zone, days=terms.lapse_days)
    return None


def _planned(terms: Terms, number: int) -> str | None:
    return terms.starts_at if number == 0 else _later(terms.starts_at, terms.time_zone, months=number)


def _later(instant: str, time_zone: str, *, months: int = 0, days: int = 0) -> str | None:
    """An instant that many months or days later by the clocks of ``time_zone``; None after ``LAST_YEAR``."""
    zone = zone_of(time_zone)
    local = parse_instant(instant).astimezone(zone).replace(tzinfo=None, fold=0)
    years, month = divmod(local.month - 1 + months, 12)
    year = local.year + years
    if year + days // 366 > LAST_YEAR:
        return None
    day = min(local.day, monthrange(year, month + 1)[1])
    moved = local.replace(year=year, month=month + 1, day=day) + timedelta(days=days)
    return None if moved.year > LAST_YEAR else format_instant(moved.replace(tzinfo=zone))
