"""Instants and billing cycles.

An instant is written as the ledger writes it: ISO 8601 in UTC with milliseconds, ``2026-05-15T12:00:00.000Z``. Written
so, instants of the same precision compare as text. A billing cycle is a calendar month in the wallet's time zone,
written ``YYYY-MM``; as a range of instants it is half open.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

CYCLE_PATTERN = re.compile(r"(?!9999)[1-9][0-9]{3}-(0[1-9]|1[0-2])")
"""Years 1000 to 9998: those whose months begin and end in every time zone."""


def format_instant(moment: datetime) -> str:
    """``moment`` (aware) as the ledger writes it, cut to milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_instant(text: str) -> datetime:
    """An ISO 8601 date or date-time as an aware UTC moment; without an offset it is read as UTC.

    Raises ``ValueError`` when ``text`` is not ISO 8601.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def cycle_at(moment: datetime, time_zone: str = "UTC") -> str:
    """The billing cycle that an aware ``moment`` falls in, for a wallet in ``time_zone`` (an IANA name)."""
    local = moment.astimezone(_zone(time_zone))
    return f"{local.year:04d}-{local.month:02d}"


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
    zone = _zone(time_zone)
    start = datetime(year, month, 1, tzinfo=zone)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    return _bound(start), _bound(end)


def _zone(name: str) -> tzinfo:
    """UTC needs no time zone database, which a plain Python may lack. A name that plain SQL made up counts as UTC."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _bound(moment: datetime) -> str:
    """``isoformat`` writes the year 999, in which a cycle can begin, with four digits; ``%Y`` does not."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00").removesuffix("T00:00:00")
