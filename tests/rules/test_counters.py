"""Steps of a rolling window, which moves with time either way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from credit_wallet.rules.counters import Steps

NINE = datetime(2026, 5, 15, 9, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


def test_spending_leaves_the_window_at_the_second_that_it_counts_in() -> None:
    steps = Steps(60)
    for at, micros in ((0, 5), (0.0004, 2), (0.4, 3), (0.9, 4)):
        steps.move_to(after(at))
        steps.add(after(at), micros)
    assert steps.spent_micros == 14
    for at, left in ((59.999, 14), (60, 7), (60.999, 7), (61, 0)):
        steps.move_to(after(at))
        assert steps.spent_micros == left


def test_a_clock_that_steps_back_finds_what_had_left_and_counts_what_is_to_come() -> None:
    steps = Steps(60)
    for at in (0, 30, 90):
        steps.move_to(after(at))
        steps.add(after(at), 1)
    assert steps.spent_micros == 1, "at 90 seconds, what was spent at 30 has just left"
    steps.move_to(after(45))
    assert steps.spent_micros == 3, "what is dated later counts as well"
    steps.add(after(45), 1)
    steps.move_to(after(100))
    assert steps.spent_micros == 2


def test_it_is_over_when_all_has_left() -> None:
    steps = Steps(60)
    assert steps.is_over(NINE)
    steps.add(NINE, 1)
    assert not steps.is_over(after(59))
    assert steps.is_over(after(60))
