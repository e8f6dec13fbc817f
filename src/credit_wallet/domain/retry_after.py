"""``Retry-After``: how long a server asks to wait, read and written (RFC 9110, sections 10.2.3 and 5.6.7)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import ceil

SOON_SECONDS = 1
"""The wait for a refusal that lasts a moment: the shortest that HTTP can express."""

LONGEST_SECONDS = 10**9
"""More than thirty years; longer waits are cut to this."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_DAY = r"(?P<day>[0-9]{2})"
_YEAR = r"(?P<year>[0-9]{4})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_NAME = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_NAME = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_DATES = (
    re.compile(f"{_NAME}, {_DAY} {_MONTH} {_YEAR} {_TIME} GMT"),  # IMF-fixdate
    re.compile(f"{_LONG_NAME}, {_DAY}-{_MONTH}-(?P<short_year>[0-9]{{2}}) {_TIME} GMT"),  # RFC 850
    re.compile(f"{_NAME} {_MONTH} (?P<day>[0-9]{{2}}| ?[0-9]) {_TIME} {_YEAR}"),  # asctime, which is UTC as well
)
_DELAY = re.compile("[0-9]+")


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """The wait that a ``Retry-After`` of ``value`` asks for at ``now``, in seconds from 0 to ``LONGEST_SECONDS``.

    ``value`` is a number of seconds or a date in one of HTTP's three forms. None when it is neither, or was not sent.
    """
    text = (value or "").strip(" \t")
    if _DELAY.fullmatch(text):
        return min(float(text), float(LONGEST_SECONDS))
    at = _date(text, now)
    return None if at is None else min(max((at - now).total_seconds(), 0.0), float(LONGEST_SECONDS))


def whole_seconds(seconds: float) -> int:
    """The ``Retry-After`` for a wait of ``seconds``: rounded up, so that nobody retries too soon; 1 or more."""
    return max(SOON_SECONDS, ceil(seconds))


def _date(text: str, now: datetime) -> datetime | None:
    for form in _DATES:
        if found := form.fullmatch(text):
            parts = found.groupdict()
            year = int(parts["year"]) if "year" in parts else _full_year(int(parts["short_year"]), now)
            second = min(int(parts["second"]), 59) if parts["second"] == "60" else int(parts["second"])
            month = _MONTHS.index(parts["month"]) + 1
            try:
                return datetime(
                    year, month, int(parts["day"]), int(parts["hour"]), int(parts["minute"]), second, tzinfo=UTC
                )
            except ValueError:
                return None
    return None


def _full_year(short_year: int, now: datetime) -> int:
    """The year with these last two digits that is at most 50 years ahead."""
    latest = now.year + 50
    return latest - (latest - short_year) % 100
