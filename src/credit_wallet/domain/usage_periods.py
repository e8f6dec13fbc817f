"""The hours, days and months of usage, by the clocks of a wallet's time zone.

An hour is named by the UTC instant at which it begins, cut short: ``2026-05-15T09``, or ``2026-05-15T18:30`` in a zone
that is half an hour beside. A day is named by its date, a month by its billing cycle. Names sort as the periods do.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

from credit_wallet.domain.cycle import (
    CYCLE_PATTERN,
    FIRST_YEAR,
    LAST_YEAR,
    cycle_at,
    cycle_bounds,
    format_instant,
    local_time,
    parse_instant,
    zone_of,
)

Every: TypeAlias = Literal["hour", "day", "month"]
EVERY: tuple[Every, ...] = get_args(Every)

_UTC_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}))?")


class Periods(NamedTuple):
    """The hour, the day and the month that an entry falls in."""

    hour: str
    day: str
    month: str


@lru_cache(maxsize=65_536)
def periods_of(occurred_at: str, time_zone: str) -> Periods | None:
    """The periods of an entry that was written at ``occurred_at``, in whatever spelling; None when that is not a time.

    As with billing cycles, what stands there counts in UTC.
    """
    with suppress(ValueError, OverflowError):
        if time_zone == "UTC":
            return _as_written(occurred_at)
        moment = parse_instant(occurred_at)
        if FIRST_YEAR <= moment.year <= LAST_YEAR:
            return Periods(*(period_at(moment, time_zone, every) for every in EVERY))
    return None


def _as_written(occurred_at: str) -> Periods | None:
    match = _UTC_TIME.match(occurred_at)
    if match is None:
        return None
    day, hour = match[1], match[2] or "00"
    is_time = FIRST_YEAR <= date.fromisoformat(day).year <= LAST_YEAR and hour < "24"
    return Periods(f"{day}T{hour}", day, day[:7]) if is_time else None


def hour_at(moment: datetime, time_zone: str) -> str:
    """The hour of an aware ``moment``. Where clocks are put back by half an hour, an hour lasts one and a half."""
    local = moment.astimezone(zone_of(time_zone))
    start = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC).isoformat(timespec="seconds")[:19]
    return start.removesuffix(":00").removesuffix(":00")


def day_at(moment: datetime, time_zone: str) -> str:
    """The day of an aware ``moment``. One that has begun does not end because clocks are put back past midnight."""
    local = moment.astimezone(zone_of(time_zone))
    day = local.date()
    if local.fold and moment >= day_start(day + timedelta(days=1), time_zone):
        day += timedelta(days=1)
    return day.isoformat()


def period_at(moment: datetime, time_zone: str, every: Every) -> str:
    """The period of ``every`` that an aware ``moment`` falls in."""
    if every == "month":
        return cycle_at(moment, time_zone)
    return hour_at(moment, time_zone) if every == "hour" else day_at(moment, time_zone)


@lru_cache(maxsize=4096)
def period_start(period: str, time_zone: str) -> str:
    """The instant at which an hour, a day or a month begins, as the ledger writes instants."""
    if CYCLE_PATTERN.fullmatch(period):
        return format_instant(parse_instant(cycle_bounds(period, time_zone)[0]))
    if len(period) == len("2026-05-15"):
        return format_instant(day_start(date.fromisoformat(period), time_zone))
    return format_instant(parse_instant(period))


@lru_cache(maxsize=4096)
def period_label(period: str, time_zone: str) -> str:
    """For people: an hour by the wallet's clocks, ``2026-05-15T18:00+09:00``; a day or a month as it is."""
    if len(period) <= len("2026-05-15"):
        return period
    shown = local_time(period_start(period, time_zone), time_zone)
    return shown.replace(":00.000", "").replace("Z", "+00:00") if shown.endswith("Z") else shown.replace(":00.000", "")


def day_start(day: date, time_zone: str) -> datetime:
    """The instant at which ``day`` begins; where clocks skip its midnight, that of the skip."""
    return datetime(day.year, day.month, day.day, tzinfo=zone_of(time_zone)).astimezone(UTC)
