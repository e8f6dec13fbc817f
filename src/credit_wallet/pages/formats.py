"""Yen, numbers and dates as people write them in each language."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from markupsafe import Markup

from credit_wallet.pages.words import Language, filled

_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
_WEEKDAYS = {"en": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "ja": ["月", "火", "水", "木", "金", "土", "日"]}
_MONEY = Markup('<data class="money{kind}" value="{amount}">{plus}{shown}</data>')
_TIME = Markup('<time datetime="{at}" title="{title}">{shown}</time>')
MINUS = "−"
_LONG = len("999,999,999")
"""What is longer is set smaller, to stay on one line of a phone."""
_UNITS: dict[Language, list[tuple[int, str]]] = {
    "en": [(10**9, "B"), (10**6, "M"), (10**3, "k")],
    "ja": [(10**8, "億"), (10**4, "万")],
}


class Formats:
    """Formats values for ``language``, and instants in ``zone``, seen from ``now``."""

    def __init__(self, language: Language, zone: str = "UTC", now: datetime | None = None) -> None:
        self.language = language
        self.now = now or datetime.now(UTC)
        self.zone = zone
        self._zone = ZoneInfo(zone)

    def yen(self, amount: str | int | Decimal | None) -> str:
        """An amount, exact: ``¥1,234.50``; in Japanese ``1,234.5円``. A dash where there is none."""
        if amount is None:
            return "–"
        value = Decimal(amount)
        digits = number(abs(value))
        sign = MINUS if value < 0 else ""
        return f"{sign}{digits}円" if self.language == "ja" else f"{sign}¥{digits}"

    def money(self, amount: str | int | None, *, signed: bool = False) -> Markup:
        """An amount as an element that programs and screen readers read too; ``signed`` writes a plus as well."""
        if amount is None:
            return Markup('<span class="none">–</span>')
        value = Decimal(amount)
        plus = "+" if signed and value > 0 else ""
        kind = " negative" if value < 0 else " positive" if signed and value > 0 else ""
        return filled(_MONEY, {"kind": kind, "amount": amount, "plus": plus, "shown": self.yen(amount)})

    def display(self, amount: str | int) -> Markup:
        """An amount in the largest type, what is less than a yen smaller."""
        value = Decimal(amount)
        whole, dot, rest = number(abs(value)).partition(".")
        fraction = Markup('<span class="fraction">.{}</span>').format(rest) if dot else Markup()
        sign = MINUS if value < 0 else ""
        before, after = ("", "円") if self.language == "ja" else ("¥", "")
        unit = Markup('<span class="after">{}</span>')
        kind = " long" if len(whole) > _LONG else ""
        return Markup('<data class="money{}" value="{}">{}{}{}{}{}</data>').format(
            kind, amount, sign, before, whole, fraction, unit.format(after) if after else ""
        )

    def compact(self, amount: str | int | Decimal) -> str:
        """A round amount as an axis has it: ``¥12k``, ``1.2万円``."""
        value = Decimal(amount)
        units = _UNITS[self.language]
        size, unit = next((each for each in units if abs(value) >= each[0]), (1, ""))
        digits = number(round(value / size, 2))
        return f"{digits}{unit}円" if self.language == "ja" else f"¥{digits}{unit}"

    def aligned(self, amounts: Iterable[str | int]) -> Callable[..., Markup]:
        """Says amounts of one column with the same places as each other, so that they stand under each other.

        Nothing is a dash, where it is not a balance, and what takes something away has a sign.
        """
        places = max(map(_places, amounts), default=0)

        def say(amount: str | int, *, signed: bool = False, dash: bool = True) -> Markup:
            value = Decimal(amount)
            if not value and dash:
                return Markup('<span class="none">–</span>')
            digits = f"{abs(value):,.{places}f}"
            sign = MINUS if value < 0 else "+" if signed and value else ""
            shown = f"{sign}{digits}円" if self.language == "ja" else f"{sign}¥{digits}"
            return Markup('<data class="money" value="{}">{}</data>').format(amount, shown)

        return say

    def whole(self, amount: str | int | Decimal | None) -> Markup:
        """An amount for lists that are looked over: whole yen, rounded towards zero; the exact one on hovering."""
        if amount is None:
            return Markup('<span class="none">–</span>')
        value = Decimal(amount)
        return Markup('<data class="money" value="{}" title="{}">{}</data>').format(
            amount, self.yen(amount), self.yen(str(value.to_integral_value(ROUND_DOWN)))
        )

    def number(self, value: str | int | Decimal | None) -> str:
        """A number with its thousands apart."""
        return "–" if value is None else number(value)

    def percent(self, part: str | int, whole: str | int) -> int:
        """How many hundredths of ``whole`` are ``part``, rounded down; 0 of nothing."""
        total = Decimal(whole)
        return int(Decimal(part) * 100 / total) if total > 0 else 0

    def day(self, instant: str | datetime | None) -> str:
        """A day: ``29 November 2026``, ``2026年11月29日``."""
        if instant is None:
            return "–"
        at = self.local(instant)
        return (
            f"{at.year}年{at.month}月{at.day}日"
            if self.language == "ja"
            else f"{at.day} {_MONTHS[at.month - 1]} {at.year}"
        )

    def short_day(self, instant: str | datetime) -> str:
        """A day within a year that is known: ``29 Nov``, ``11/29``."""
        at = self.local(instant)
        return f"{at.month}/{at.day}" if self.language == "ja" else f"{at.day} {_MONTHS[at.month - 1][:3]}"

    def date(self, instant: str | datetime | None) -> str:
        """A day in lists, short and whole: ``29 Nov 2026``, ``2026/11/29``."""
        if instant is None:
            return "–"
        at = self.local(instant)
        return (
            f"{at.year}/{at.month}/{at.day}"
            if self.language == "ja"
            else f"{at.day} {_MONTHS[at.month - 1][:3]} {at.year}"
        )

    def weekday(self, instant: str | datetime) -> str:
        """The day of the week, short."""
        return _WEEKDAYS[self.language][self.local(instant).weekday()]

    def time(self, instant: str | datetime | None) -> Markup:
        """An instant to the minute as a ``time`` element: ``29 Nov 2026, 14:03``, ``2026年11月29日 14:03``."""
        if instant is None:
            return Markup('<span class="none">–</span>')
        at = self.local(instant)
        return _time(at, f"{at:%H:%M:%S} {self.zone}", self._minute(at))

    def time_as(self, instant: str | datetime, shown: str) -> Markup:
        """An instant as a ``time`` element that says it in other words, such as ``in 3 hours``."""
        at = self.local(instant)
        return _time(at, f"{self._minute(at)} {self.zone}", shown)

    def _minute(self, at: datetime) -> str:
        clock = f"{at:%H:%M}"
        if self.language == "ja":
            return f"{at.year}年{at.month}月{at.day}日 {clock}"
        return f"{at.day} {_MONTHS[at.month - 1][:3]} {at.year}, {clock}"

    def clock(self, instant: str | datetime) -> Markup:
        """The time of a day that is known: ``14:03``."""
        at = self.local(instant)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.isoformat(), f"{self.day(at)} {at:%H:%M:%S} {self.zone}", f"{at:%H:%M}"
        )

    def iso_date(self, instant: str | datetime) -> str:
        """The day that an instant is on, as ``YYYY-MM-DD``."""
        return f"{self.local(instant):%Y-%m-%d}"

    def month(self, cycle: str) -> str:
        """A billing cycle, ``2026-11``: ``November 2026``, ``2026年11月``."""
        year, month = cycle.split("-")[:2]
        return f"{year}年{int(month)}月" if self.language == "ja" else f"{_MONTHS[int(month) - 1]} {year}"

    def duration(self, seconds: float) -> str:
        """A span in the largest unit that fits: ``3 days``, ``3日``."""
        for unit, english, japanese in ((86_400, "day", "日"), (3_600, "hour", "時間"), (60, "minute", "分")):
            if seconds >= unit:
                n = round(seconds / unit)
                return f"{n}{japanese}" if self.language == "ja" else f"{n} {english}{'s' if n != 1 else ''}"
        n = round(seconds)
        return f"{n}秒" if self.language == "ja" else f"{n} second{'s' if n != 1 else ''}"

    def until(self, instant: str | datetime) -> str:
        """How long it is until an instant: ``3 hours``."""
        return self.duration(max((self.local(instant) - self.now).total_seconds(), 0))

    def size(self, count: int) -> str:
        """Bytes in the largest unit that fits: ``1.4 GB``."""
        for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
            if count >= unit:
                return f"{count / unit:,.1f} {name}"
        return f"{count} B"

    def local(self, instant: str | datetime) -> datetime:
        """An instant in the zone; a date alone is that day's start there."""
        at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        if at.tzinfo is None:
            at = at.replace(tzinfo=self._zone)
        return at.astimezone(self._zone)

    def today(self, days: int = 0) -> str:
        """Today in the zone, or ``days`` later, as ``YYYY-MM-DD``."""
        return f"{self.now.astimezone(self._zone) + timedelta(days=days):%Y-%m-%d}"

    def functions(self) -> dict[str, Any]:
        """What templates call."""
        return {
            "yen": self.yen,
            "money": self.money,
            "display": self.display,
            "compact": self.compact,
            "whole": self.whole,
            "date": self.date,
            "number": self.number,
            "aligned": self.aligned,
            "percent": self.percent,
            "day": self.day,
            "short_day": self.short_day,
            "weekday": self.weekday,
            "time": self.time,
            "clock": self.clock,
            "time_as": self.time_as,
            "month": self.month,
            "duration": self.duration,
            "until": self.until,
        }


def _time(at: datetime, title: str, shown: str) -> Markup:
    return filled(_TIME, {"at": at.isoformat(), "title": title, "shown": shown})


def number(value: str | int | Decimal) -> str:
    """A number with commas, all its decimals, and none that say nothing."""
    exact = Decimal(value)
    return f"{exact:,.0f}" if exact == exact.to_integral_value() else f"{exact.normalize():,f}"


def _places(amount: str | int) -> int:
    """How many decimals an amount needs."""
    _, _, decimals = f"{Decimal(amount):f}".partition(".")
    return len(decimals.rstrip("0"))


@cache
def zones() -> frozenset[str]:
    """The names of all time zones; finding them takes a look at each file once."""
    return frozenset(available_timezones())
