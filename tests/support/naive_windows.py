"""Windows of budgets a second time: found by looking at local clocks minute after minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Window = tuple[datetime | None, datetime | None]


def naive_window(window: str, moment: datetime, zone: str, week_start: str) -> Window:
    """First instant and first one after; nothing for all time."""
    if window == "total":
        return None, None
    if window in ("minute", "hour"):
        return _short(window, moment.astimezone(UTC), zone)
    day = moment.astimezone(ZoneInfo(zone)).date()
    if moment >= midnight(day + DAY, zone):
        day += DAY
    first = _first_day(window, day, week_start)
    after = first + DAY
    while _first_day(window, after, week_start) == first:
        after += DAY
    return midnight(first, zone), midnight(after, zone)


@cache
def midnight(day: date, zone: str) -> datetime:
    """The first minute at which local calendars show ``day`` or a later one."""
    minute = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=30)
    while minute.astimezone(ZoneInfo(zone)).date() < day:
        minute += MINUTE
    return minute


def _first_day(window: str, day: date, week_start: str) -> date:
    while not _begins(window, day, week_start):
        day -= DAY
    return day


def _begins(window: str, day: date, week_start: str) -> bool:
    if window == "week":
        return WEEKDAYS[day.weekday()] == week_start
    return window == "day" or day.day == 1


def _short(window: str, moment: datetime, zone: str) -> Window:
    """From one full minute or hour of local clocks, or change of them by less than that, to the next."""
    start = moment.replace(second=0, microsecond=0)
    if window == "minute":
        return start, start + MINUTE
    while not _begins_hour(start, zone):
        start -= MINUTE
    end = start + MINUTE
    while not _begins_hour(end, zone):
        end += MINUTE
    return start, end


def _begins_hour(minute: datetime, zone: str) -> bool:
    local, before = minute.astimezone(ZoneInfo(zone)), (minute - MINUTE).astimezone(ZoneInfo(zone))
    shift = (local.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
    return local.minute == 0 or bool(shift % timedelta(hours=1))


def leaves_at(spent_at: datetime, seconds: int) -> datetime:
    """When what was spent has left a rolling window."""
    whole = spent_at.replace(microsecond=0)
    return (whole if whole == spent_at else whole + timedelta(seconds=1)) + timedelta(seconds=seconds)
