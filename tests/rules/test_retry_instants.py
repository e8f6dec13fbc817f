"""When a refused charge would pass: across bounds whose windows turn, and whose raises end, at different times."""

from __future__ import annotations

import pytest
from msgspec import structs

from credit_wallet.domain.budgets import Budget
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.bounds import Bound, retry_at

BUDGET = Budget(1, 1, None, "yen", 10 * MICROS, "hour", (), "cap", (100,), "UTC", "monday", None, None, "00:00")


def bound(limit: int, spent: int, resets_at: str, budget: Budget | None = None) -> Bound:
    return Bound("budget-1", None, "yen", limit * MICROS, spent * MICROS, 0, resets_at, budget=budget)


def raised(limit: int, raised_limit: int, until: str) -> Budget:
    return structs.replace(BUDGET, limit_micros=limit * MICROS, raised_micros=raised_limit * MICROS, raised_until=until)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([bound(10, 10, "13:00")], "13:00"),
        ([bound(10, 10, "13:00"), bound(10, 10, "24:00")], "24:00"),
        ([bound(10, 10, "13:00"), bound(10, 10, "")], None),
        ([bound(10, 10, "13:00"), bound(4, 0, "24:00")], None),
        ([bound(10, 10, "13:00"), bound(20, 10, "24:00", raised(10, 20, "12:30"))], "24:00"),
        ([bound(10, 10, "13:00"), bound(20, 10, "24:00", raised(10, 20, "13:30"))], "13:00"),
        ([bound(10, 10, "24:00", raised(20, 10, "12:30"))], "12:30"),
        ([bound(20, 20, "24:00", raised(4, 20, "12:30"))], None),
    ],
    ids=["one", "the last", "one never turns", "too small", "a raise ends before", "a raise ends after",
         "a lower raise", "what is raised no more is too small"],
)  # fmt: skip
def test_a_charge_of_5_passes_at_the_first_instant_at_which_all_have_room(
    bounds: list[Bound], expected: str | None
) -> None:
    assert retry_at(bounds, None, 5 * MICROS) == expected
    assert retry_at(reversed(bounds), None, 5 * MICROS) == expected


def test_many_rolling_windows_with_many_steps_are_quick() -> None:
    """Each of 100 bounds turns 256 times, at instants of its own; all must have turned."""
    windows = [
        structs.replace(
            bound(1_000, 1_000, ""),
            leaving=tuple((f"{step:05}.{number:03}", MICROS) for step in range(256)),
            empty_at="99999",
        )
        for number in range(100)
    ]
    assert retry_at(windows, None, 1_000 * MICROS) == "99999"
