"""How much unused credit may be paid back under Japan's Payment Services Act (資金決済法, art. 20(5)).

Paying back is forbidden in principle. Of the exceptions two are figures: in a base period up to 20 % of what was issued
in the period before, or up to 5 % of what was unused at the base date before. Base dates are 31 March and 30 September.
Not legal advice.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from credit_wallet.domain.cycle import format_instant

TOKYO = ZoneInfo("Asia/Tokyo")
ISSUED_SHARE_PCT = 20
UNUSED_SHARE_PCT = 5


class Figures(Protocol):
    """What the ledger is asked for; instants as it writes them."""

    def issued_yen(self, start: str, end: str) -> int:
        """Paid credit that came in."""

    def unused_yen(self, end: str) -> int:
        """What was left."""

    def paid_back_yen(self, start: str) -> int:
        """What was paid back."""


class PayBackRoom(Struct, frozen=True):
    """What the law lets be paid back in the period since ``base_date``, and what of it is left."""

    base_date: str
    issued_yen: int
    unused_yen: int
    allowed_yen: int
    paid_back_yen: int

    @property
    def left_yen(self) -> int:
        """What may still be paid back in this period."""
        return max(0, self.allowed_yen - self.paid_back_yen)


def base_dates(today: date) -> tuple[date, date]:
    """The two base dates before ``today`` (in Tokyo), the later one first."""
    years = (today.year, today.year - 1, today.year - 2)
    dates = sorted((date(year, *day) for year in years for day in ((3, 31), (9, 30))), reverse=True)
    latest, before, *_ = [each for each in dates if each < today]
    return latest, before


def pay_back_room(figures: Figures, now: datetime) -> PayBackRoom:
    """What may be paid back now."""
    latest, before = base_dates(now.astimezone(TOKYO).date())
    start, end = _after(before), _after(latest)
    issued_yen, unused_yen = figures.issued_yen(start, end), figures.unused_yen(end)
    allowed_yen = max(issued_yen * ISSUED_SHARE_PCT // 100, unused_yen * UNUSED_SHARE_PCT // 100)
    return PayBackRoom(latest.isoformat(), issued_yen, unused_yen, allowed_yen, figures.paid_back_yen(end))


def _after(day: date) -> str:
    """The first instant after a day in Tokyo."""
    return format_instant(datetime.combine(day + timedelta(days=1), time(), TOKYO))
