"""The windows of budgets: minutes to months by the clocks of a time zone, all time, or a number of seconds up to now.

A window is two instants, as ``cycle`` writes them: its start, and the start of the next one. Days, weeks and months
follow local clocks, so a day is 23 or 25 hours long when clocks change. A minute and an hour are 60 seconds or minutes
long; they begin when local clocks show a full one.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from credit_wallet.domain.cycle import format_instant, zone_of

FIXED_WINDOWS = ("minute", "hour", "day", "week", "month", "total")
WEEK_STARTS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

MIN_ROLLING_SECONDS = 60
MAX_ROLLING_SECONDS = 31 * 24 * 3600

ALWAYS = ""
"""The start of the window ``total``, and in the place of its end: there is none."""

_ROLLING = re.compile(r"rolling:([1-9][0-9]{0,4})([mhd])", re.ASCII)
_SECONDS = {"m": 60, "h": 3600, "d": 24 * 3600}
_LENGTHS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_SECOND = timedelta(seconds=1)
_YEAR_1 = datetime.min.replace(tzinfo=UTC)


class Span(NamedTuple):
    """A window: its first instant and the first one after it, both empty for all time."""

    start: str
    end: str


def is_window(text: str) -> bool:
    """Whether ``text`` names a window: one of ``FIXED_WINDOWS``, or ``rolling:`` with minutes, hours or days."""
    return text in FIXED_WINDOWS or rolling_seconds(text) is not None


@lru_cache(maxsize=1024)
def rolling_seconds(window: str) -> int | None:
    """The length of a rolling window (``rolling:24h``), one minute to 31 days; None for any other text."""
    match = _ROLLING.fullmatch(window)
    if match is None:
        return None
    seconds = int(match[1]) * _SECONDS[match[2]]
    return seconds if MIN_ROLLING_SECONDS <= seconds <= MAX_ROLLING_SECONDS else None


def window_at(window: str, moment: datetime, time_zone: str, week_start: str = "monday") -> Span:
    """The window that an aware ``moment`` falls in. Raises ``ValueError`` for a rolling one."""
    if window == "total":
        return Span(ALWAYS, ALWAYS)
    if window in _LENGTHS:
        return _short(moment.astimezone(UTC).replace(microsecond=0), time_zone, _LENGTHS[window])
    local = moment.astimezone(zone_of(time_zone))
    span = _calendar(window, local.date(), time_zone, week_start)
    if format_instant(moment) >= span.end:  # clocks were put back past midnight: the day that has begun goes on
        span = _calendar(window, local.date() + timedelta(days=1), time_zone, week_start)
    return span


def second_after(moment: datetime) -> datetime:
    """The first whole second that is not before ``moment``, cut to milliseconds as entries write it: rolling windows
    move in whole seconds.
    """
    second = moment.replace(microsecond=0)
    return second if moment.microsecond < 1_000 else second + timedelta(seconds=1)


@lru_cache(maxsize=4096)
def _short(moment: datetime, time_zone: str, length: timedelta) -> Span:
    """Where local clocks change by a part of ``length`` (Lord Howe's by half an hour), a window ends and one begins."""
    zone = zone_of(time_zone)
    shown = _shown(moment, zone, length)
    start = moment - ((moment - _YEAR_1) + shown) % length
    end = start + length
    if _shown(start, zone, length) != shown:
        start = _change_between(start, moment, zone, length)
    elif _shown(end - _SECOND, zone, length) != shown:
        end = _change_between(moment, end - _SECOND, zone, length)
    return Span(format_instant(start), format_instant(end))


def _shown(moment: datetime, zone: tzinfo, length: timedelta) -> timedelta:
    """What local clocks show beyond a full ``length`` when one has passed in UTC."""
    return (moment.astimezone(zone).utcoffset() or timedelta()) % length


def _change_between(before: datetime, after: datetime, zone: tzinfo, length: timedelta) -> datetime:
    """When clocks change between two instants; they do at a full second."""
    first, last = int(before.timestamp()), int(after.timestamp())
    shown_before = _shown(before, zone, length)
    while last - first > 1:
        middle = (first + last) // 2
        if _shown(datetime.fromtimestamp(middle, UTC), zone, length) == shown_before:
            first = middle
        else:
            last = middle
    return datetime.fromtimestamp(last, UTC)


@lru_cache(maxsize=4096)
def _calendar(window: str, day: date, time_zone: str, week_start: str) -> Span:
    if window == "day":
        first, after = day, day + timedelta(days=1)
    elif window == "week":
        first = day - timedelta(days=(day.weekday() - WEEK_STARTS.index(week_start)) % 7)
        after = first + timedelta(days=7)
    elif window == "month":
        first = day.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    else:
        raise ValueError(f"window {window!r} has no calendar")
    return Span(_midnight(first, time_zone), _midnight(after, time_zone))


def _midnight(day: date, time_zone: str) -> str:
    return format_instant(datetime(day.year, day.month, day.day, tzinfo=zone_of(time_zone)))
