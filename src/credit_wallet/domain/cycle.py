"""Instants and billing cycles.

An instant is written as the ledger writes it: ISO 8601 in UTC with milliseconds, ``2026-05-15T12:00:00.000Z``. Written
so, instants of the same precision compare as text. A billing cycle is a calendar month in the wallet's time zone,
written ``YYYY-MM``; as a range of instants it is half open.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

CYCLE_PATTERN = re.compile(r"(?!9999)[1-9][0-9]{3}-(0[1-9]|1[0-2])")
"""Years 1000 to 9998: those whose months begin and end in every time zone."""

FIRST_YEAR, LAST_YEAR = 1000, 9998
"""Years of accepted instants, for the same reason; and instants compare as text while years have four digits."""


_WEEK = re.compile(r"W[0-9]{2}(?!-?[0-9])")
"""An ISO 8601 week without a day."""

_NOT_IANA = frozenset({"Factory", "localtime", "posixrules"})


def format_instant(moment: datetime) -> str:
    """``moment`` (aware) as the ledger writes it, cut to milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_instant(text: str) -> datetime:
    """An ISO 8601 date or date-time as an aware UTC moment; without an offset it is read as UTC.

    Raises ``ValueError`` when ``text`` is not ISO 8601, or is before year 1 or after 9999 in UTC.
    """
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is not in the years 1 to 9999 in UTC") from None


def parse_end(text: str, time_zone: Callable[[], str], *, days: int = 1) -> datetime:
    """An ISO 8601 date-time as ``parse_instant`` reads it, or a date as the end of that day in ``time_zone``; with
    ``days`` 0 as its start.

    Raises ``ValueError`` for what is neither, such as a week, and for years beyond ``FIRST_YEAR`` and ``LAST_YEAR``.
    """
    if _WEEK.search(text):
        raise ValueError(f"{text!r} is a week, not a day")  # Python reads it as its Monday
    day: date | None = None
    try:
        given = day = date.fromisoformat(text)
    except ValueError:
        given = parse_instant(text)
    if not FIRST_YEAR <= given.year <= LAST_YEAR:
        raise ValueError(f"{text!r} is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    return parse_instant(text) if day is None else end_of_day(day + timedelta(days=days - 1), time_zone())


def end_of_day(day: date, time_zone: str) -> datetime:
    """The midnight after ``day`` in ``time_zone`` (an IANA name), as a UTC moment.

    Where clocks skip that midnight, it is the moment of the skip.
    """
    after = day + timedelta(days=1)
    return datetime(after.year, after.month, after.day, tzinfo=zone_of(time_zone)).astimezone(UTC)


def day_start(moment: datetime, time_zone: str) -> datetime:
    """When the day began that an aware ``moment`` falls in by the clocks of ``time_zone``, as a UTC moment.

    Where clocks skip that midnight, it is the moment of the skip. A day that has begun does not end because clocks are
    put back past midnight.
    """
    day = moment.astimezone(zone_of(time_zone)).date()
    began = end_of_day(day - timedelta(days=1), time_zone)
    following = end_of_day(day, time_zone)
    return following if following <= moment else began


def day_number(day: str) -> str:
    """The days from 1970-01-01 to ``day`` (YYYY-MM-DD), in five digits or more."""
    return f"{(date.fromisoformat(day) - date(1970, 1, 1)).days:05}"


def day_of_number(number: str) -> str:
    """The day (YYYY-MM-DD) that has this number."""
    return (date(1970, 1, 1) + timedelta(days=int(number))).isoformat()


def local_time(instant: str, time_zone: str) -> str:
    """An instant of the ledger by the clocks of ``time_zone``, with its offset: ``2026-05-15T21:00:00.000+09:00``.

    In UTC, and when plain SQL wrote something else than ISO 8601, it is ``instant`` as it stands.
    """
    zone = zone_of(time_zone)
    if zone is UTC:
        return instant
    try:
        return parse_instant(instant).astimezone(zone).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return instant


def cycle_at(moment: datetime, time_zone: str = "UTC") -> str:
    """The billing cycle that an aware ``moment`` falls in, for a wallet in ``time_zone`` (an IANA name).

    A cycle that has begun does not end because clocks are put back past midnight: cycles follow instants, as
    ``cycle_bounds`` does.
    """
    local = moment.astimezone(zone_of(time_zone))
    cycle = f"{local.year:04d}-{local.month:02d}"
    if local.fold and format_instant(moment) >= cycle_bounds(cycle, time_zone)[1]:
        return f"{local.year + local.month // 12:04d}-{local.month % 12 + 1:02d}"
    return cycle


def cycle_of(occurred_at: str, time_zone: str = "UTC") -> str:
    """The billing cycle of an entry that was written at ``occurred_at``, in whatever spelling.

    In UTC, and when it is not ISO 8601, its first seven characters say it, as in the seed.
    """
    if time_zone != "UTC":
        with suppress(ValueError, OverflowError):
            return cycle_at(parse_instant(occurred_at), time_zone)
    return occurred_at[:7].ljust(7)


@lru_cache(maxsize=1024)
def cycle_bounds(cycle: str, time_zone: str = "UTC") -> tuple[str, str]:
    """First instant of ``cycle`` and first instant after it, for comparing with ``occurred_at`` as text.

    The bounds are cut short (``2026-05-01``, ``2026-04-30T15:00:00``) so that they sort before every spelling of that
    instant that writers use (``2026-05-01 00:00:00``, ``2026-05-01T00:00:00.000Z``).

    Raises ``ValueError`` when ``cycle`` is not ``YYYY-MM``.
    """
    if not CYCLE_PATTERN.fullmatch(cycle):
        raise ValueError(f"billing cycle {cycle!r} is not YYYY-MM")
    year, month = int(cycle[:4]), int(cycle[5:])
    zone = zone_of(time_zone)
    start = datetime(year, month, 1, tzinfo=zone)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    return _bound(start), _bound(end)


def is_time_zone(name: str) -> bool:
    """Whether ``name`` is a zone of IANA's that is known here, and means the same on every machine.

    A time zone database also has names that do not: the machine's own zone, a placeholder, other people's clocks
    (``right/…`` counts leap seconds).
    """
    return name == "UTC" or name in _time_zones()


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    from zoneinfo import available_timezones

    names = available_timezones() - _NOT_IANA
    return frozenset(name for name in names if not name.startswith(("posix/", "right/")))


@lru_cache(maxsize=1_024)
def zone_of(name: str) -> tzinfo:
    """UTC needs no time zone database, which a plain Python may lack. A name that plain SQL made up counts as UTC."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _bound(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:-6].removesuffix("T00:00:00")
