"""The geometry of charts; templates draw them as SVG and show the same figures as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

MAX_SERIES = 6
"""More than six colours nobody tells apart: what is left over is one series of its own."""


_TOPS = [Decimal(top) for top in ("1", "1.2", "1.6", "2", "2.4", "3", "4", "5", "6", "8", "10")]


class Bar(NamedTuple):
    """One rectangle of a column, in units of the drawing."""

    x: float
    y: float
    width: float
    height: float
    series: int


class Columns(NamedTuple):
    """Stacked columns with what their axis says: ``ticks`` are amounts with their height from the top."""

    bars: list[Bar]
    ticks: list[tuple[Decimal, float]]
    step: float
    top: Decimal


def columns(values: Sequence[Sequence[Decimal]], width: float, height: float) -> Columns:
    """Stacked columns: for each column the values of its series, none below 0."""
    top = round_up(max((sum(column, Decimal()) for column in values), default=Decimal()))
    step = width / max(len(values), 1)
    gap = min(step * 0.28, 10)
    bars = []
    for position, column in enumerate(values):
        base = height
        for series, value in enumerate(column):
            if value <= 0:
                continue
            tall = float(value / top) * height
            base -= tall
            bars.append(
                Bar(round(position * step + gap / 2, 2), round(base, 2), round(step - gap, 2), round(tall, 2), series)
            )
    ticks = [(top * part / 4, round(height - height * part / 4, 2)) for part in range(5)]
    return Columns(bars, ticks, step, top)


def round_up(value: Decimal) -> Decimal:
    """The next amount that an axis ends at, a quarter of which has few digits."""
    if value <= 0:
        return Decimal(1)
    power = Decimal(10) ** value.adjusted()
    return next(power * step for step in _TOPS if power * step >= value)


def along(count: int, limit: int = 6) -> list[tuple[int, float]]:
    """Which of ``count`` columns have a label, evenly apart, and where their middle is, in hundredths of the width."""
    every = max(1, -(-count // limit))
    return [(position, round((position + 0.5) * 100 / count, 2)) for position in range(0, count, every)]


CHARTS: dict[str, Callable[..., Any]] = {"columns": columns, "along": along}
"""What templates call."""
