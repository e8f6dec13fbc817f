"""Usage as charts show it: folded into days, weeks or months and into a few series, and added up along a cycle."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias

from credit_wallet.pages.charts import MAX_SERIES, round_up

Step: TypeAlias = Literal["day", "week", "month"]

ZERO = Decimal()
WHOLE = 100
APART = 14
"""How far marks are from each other at least: the height of their labels."""
RECENT_DAYS = 7
"""The pace of these days is the other edge of the forecast's band."""

Usage: TypeAlias = Mapping[str, Any]
"""A row of usage as the API has it."""


class Part(NamedTuple):
    """What charges for one value add up to; ``value`` is None for those without the dimension."""

    value: str | None
    charges: int
    amount: Decimal
    refunded: Decimal
    quantity: Decimal | None
    """None when not all of it is for one item."""


class Spend(NamedTuple):
    """Columns of series: ``amounts`` has for each period those of the ``leading`` parts, then of all others."""

    periods: list[date]
    parts: list[Part]
    """Every value, the largest amount first."""
    amounts: list[list[Decimal]]
    leading: int
    """How many of the parts have a series of their own."""
    total: Part

    @property
    def others(self) -> list[Part]:
        """Those that share a series."""
        return self.parts[self.leading :]


def folded(rows: Sequence[Usage], since: date, until: date, step: Step) -> Spend:
    """``rows`` by day or month, as columns from ``since`` to ``until``, both included."""
    periods = periods_between(since, until, step)
    columns = {period: position for position, period in enumerate(periods)}
    parts = _parts(rows)
    leading = MAX_SERIES if len(parts) > MAX_SERIES + 1 else len(parts)
    series = {part.value: min(position, leading) for position, part in enumerate(parts)}
    amounts = [[ZERO] * (leading + (len(parts) > leading)) for _ in periods]
    for row in rows:
        column = columns.get(begin_of(date.fromisoformat(_day(row["period"])), step))
        if column is not None:
            amounts[column][series[row["value"]]] += Decimal(row["amount"])
    return Spend(periods, parts, amounts, leading, _sum(None, rows))


def periods_between(since: date, until: date, step: Step) -> list[date]:
    """The first day of each period."""
    found, at = [], begin_of(since, step)
    while at <= until:
        found.append(at)
        at = begin_of(at + timedelta(days={"day": 1, "week": 7, "month": 31}[step]), step)
    return found


def begin_of(day: date, step: Step) -> date:
    """The first day of the period that ``day`` is in. Weeks begin on Monday."""
    if step == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if step == "month" else day


def _day(period: str) -> str:
    return f"{period}-01" if len(period) == len("2026-11") else period


def _parts(rows: Iterable[Usage]) -> list[Part]:
    by_value: dict[str | None, list[Usage]] = {}
    for row in rows:
        by_value.setdefault(row["value"], []).append(row)
    parts = [_sum(value, its_rows) for value, its_rows in by_value.items()]
    return sorted(parts, key=lambda part: (-part.amount, part.value or ""))


def _sum(value: str | None, rows: Sequence[Usage]) -> Part:
    is_one_item = bool(rows) and rows[0]["item"] is not None and len({row["item"] for row in rows}) == 1
    return Part(
        value,
        sum(row["charges"] for row in rows),
        sum((Decimal(row["amount"]) for row in rows), ZERO),
        sum((Decimal(row["refunded"]) for row in rows), ZERO),
        sum((Decimal(row["quantity"]) for row in rows), ZERO) if is_one_item else None,
    )


class Mark(NamedTuple):
    """A share of the budget, and how far from the top of the drawing it is."""

    percent: int
    amount: Decimal
    y: float


class Pace(NamedTuple):
    """Spending added up along a billing cycle, and where it is heading, in units of the drawing."""

    line: str
    area: str
    projection: str
    band: str
    now: tuple[float, float]
    marks: list[Mark]
    ticks: list[tuple[Decimal, float]]
    days: list[tuple[date, Decimal, Decimal]]
    """Each day, what was spent on it, and in all by its end; none of a wallet whose calls are not counted by day."""
    first: date
    last: date
    low: Decimal
    high: Decimal
    """What the cycle will have cost, at the slower and at the faster of two paces: the cycle's and the last days'."""


def pace_of(
    report: Mapping[str, Any],
    forecast: Mapping[str, Any],
    now: datetime,
    shares: Sequence[int],
    width: int,
    height: int,
    *,
    is_early: bool = False,
) -> Pace:
    """The current cycle's days in a ``report`` by day; ``now`` is by the wallet's clocks, in the cycle.

    ``is_early`` says that too little was seen to draw where it is heading.
    """
    year, month = map(int, forecast["billing_cycle"].split("-")[:2])
    first, length = date(year, month, 1), monthrange(year, month)[1]
    spent, projected = Decimal(forecast["spent"]), Decimal(forecast["projected_cycle_spend"])
    days = _days_of(report, first, now.date(), spent) if report["counted_from"] is not None else []
    at = min((now.day - 1 + (now.hour * 60 + now.minute) / 1440) / length, 1.0)
    low, high = sorted((projected, spent + _recent(days) * Decimal((1 - at) * length) if days else projected))
    if is_early:
        low = high = spent
    budget = Decimal(forecast["monthly_budget_yen"])
    top = round_up(max(budget, high))

    def place(share: float, amount: Decimal) -> str:
        return f"{share * width:.1f},{_from_top(amount, top, height)}"

    reached = [place((day.day) / length, by_then) for day, _, by_then in days[:-1]] + [place(at, spent)]
    line = " ".join([place(0, ZERO), *reached])
    return Pace(
        line=line,
        area=f"{line} {place(at, ZERO)}",
        projection="" if is_early else f"{place(at, spent)} {place(1, projected)}",
        band="" if is_early else f"{place(at, spent)} {place(1, high)} {place(1, low)}",
        now=(round(at * width, 1), _from_top(spent, top, height)),
        marks=_marks(shares, budget, top, height),
        ticks=[(top * part / 4, _from_top(top * part / 4, top, height)) for part in range(5)],
        days=days,
        first=first,
        last=first.replace(day=length),
        low=low,
        high=high,
    )


def _marks(shares: Sequence[int], budget: Decimal, top: Decimal, height: int) -> list[Mark]:
    """The whole budget and shares of it, as far as each is in the drawing and can be read."""
    found: list[Mark] = []
    for share in sorted(shares, key=lambda share: (share != WHOLE, share)):
        amount = budget * share / WHOLE
        y = _from_top(amount, top, height)
        if budget and amount <= top and all(abs(y - mark.y) >= APART for mark in found):
            found.append(Mark(share, amount, y))
    return sorted(found)


def _days_of(
    report: Mapping[str, Any], first: date, today: date, spent: Decimal
) -> list[tuple[date, Decimal, Decimal]]:
    """The days of the cycle so far. What is not counted yet was spent today, or before counting began."""
    by_day: dict[date, Decimal] = {}
    for row in report["rows"]:
        day = date.fromisoformat(row["period"])
        if first <= day <= today:
            by_day[day] = by_day.get(day, ZERO) + Decimal(row["amount"])
    uncounted = spent - sum(by_day.values(), ZERO)
    began = min(by_day, default=today) if report["is_current"] else today
    by_day[began] = by_day.get(began, ZERO) + uncounted
    found, so_far = [], ZERO
    for number in range((today - first).days + 1):
        day = first + timedelta(days=number)
        so_far += by_day.get(day, ZERO)
        found.append((day, by_day.get(day, ZERO), so_far))
    return found


def _recent(days: Sequence[tuple[date, Decimal, Decimal]]) -> Decimal:
    """What the last whole days of the cycle have cost each; with few of them, what all have."""
    whole = days[:-1][-RECENT_DAYS:] or days
    return sum((spent for _, spent, _ in whole), ZERO) / len(whole)


def _from_top(amount: Decimal, top: Decimal, height: int) -> float:
    return round(height - float(max(amount, ZERO) / top) * height, 1)
