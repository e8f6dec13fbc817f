"""Events of budgets: what they say, and what makes two of them the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from credit_wallet.domain.budgets import Budget, shown_scope, values_in
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.bounds import told, told_budget
from credit_wallet.rules.events import (
    Event,
    budget_exhausted,
    budget_raised,
    budget_renewed,
    budget_threshold_reached,
    threshold_reached,
)
from credit_wallet.rules.state import Counter

DAY = ("2026-11-27T15:00:00.000Z", "2026-11-28T15:00:00.000Z")
BUDGET = Budget(
    12, 7, "searches", "yen", 100 * MICROS, "day", (("run", "*"),), "cap", (80, 100), "UTC", "monday", None, None, ""
)
COMMON = {
    "budget_id": "budget-12",
    "label": "searches",
    "unit": "yen",
    "window": "day",
    "mode": "cap",
    "scope": {"run": "*"},
}


def counter(value: str = "r1", budget: Budget = BUDGET, limit_micros: int = 100 * MICROS) -> Counter:
    return Counter(budget, value, *DAY, limit_micros, 80_500_000, 19 * MICROS)


def reached(of: Counter | None = None, pct: int = 80, period: str = DAY[0]) -> Event:
    return budget_threshold_reached(7, told(of or counter()), pct, period)


def exhausted(of: Counter | None = None, period: str = DAY[0]) -> Event:
    return budget_exhausted(7, {**told(of or counter()), "refused": "3.3"}, period)


def test_a_crossed_share_says_how_much_of_which_window_is_spent() -> None:
    event = reached()
    figures = {"limit": "100", "spent": "80.5", "held": "19", "left": "0.5", "resets_at": DAY[1]}
    of_value = {"value": "r1", "values": {"run": "r1"}}
    assert (event.wallet_id, event.kind) == (7, "budget.threshold_reached")
    assert event.payload == {"wallet_id": 7, **COMMON, **of_value, **figures, "threshold_pct": 80}


def test_a_budget_that_is_used_up_says_what_is_left_and_what_was_refused() -> None:
    assert exhausted().payload == {k: v for k, v in reached().payload.items() if k != "threshold_pct"} | {
        "refused": "3.3"
    }
    assert exhausted(counter(limit_micros=MICROS)).payload["left"] == "0"  # it was lowered


def test_a_raise_says_from_what_to_what_until_when_and_by_whom() -> None:
    raised = budget_raised(7, told_budget(BUDGET), 200 * MICROS, "2026-12-01T00:00:00.000Z", "payer")
    limits = {"limit": "100", "raised_limit": "200", "raised_until": "2026-12-01T00:00:00.000Z", "raised_by": "payer"}
    assert raised.payload == {"wallet_id": 7, **COMMON, "value": None, "values": {}, **limits}
    assert raised.dedupe_key is None


def test_a_window_that_began_says_which_one_ended() -> None:
    renewed = budget_renewed(7, told(counter()), *DAY)
    assert renewed.payload["spent"] == "80.5"
    assert (renewed.payload["window_start"], renewed.payload["window_end"]) == DAY
    assert renewed.dedupe_key == f"budget.renewed budget-12 {DAY[0]} r1"


def test_the_monthly_budget_is_named_in_its_events_as_in_the_list() -> None:
    event = threshold_reached(7, 80, "2026-11", 800 * MICROS, 1_000)
    assert event.payload["budget_id"] == "monthly-7"
    assert event.dedupe_key == "budget.threshold_reached 2026-11 1000 80"


@pytest.mark.parametrize(
    ("other", "is_the_same"),
    [
        (reached(), True),
        (reached(counter(budget=structs.replace(BUDGET, label="renamed"))), True),
        (reached(counter("r2")), False),
        (reached(counter(budget=structs.replace(BUDGET, budget_id=13))), False),
        (reached(period=DAY[1]), False),
        (reached(pct=100), False),
        (reached(counter(limit_micros=200 * MICROS)), False),
        (exhausted(), False),
    ],
)
def test_a_share_is_emitted_once_for_each_window_value_and_limit(other: Event, is_the_same: bool) -> None:
    assert (reached().dedupe_key == other.dedupe_key) is is_the_same


@pytest.mark.parametrize("make", [reached, exhausted])
@pytest.mark.parametrize(
    ("one", "other"), [("a\x1fb, c", "a, b\x1fc"), ("a\x1fb", "a b\x1f"), ("80 r\x1fr", "r\x1f80 r")]
)
def test_no_value_of_an_agent_makes_the_events_of_two_counters_one(
    make: Callable[..., Event], one: str, other: str
) -> None:
    budget = structs.replace(BUDGET, scope=(("project", "*"), ("run", "*")))
    assert make(counter(one, budget)).dedupe_key != make(counter(other, budget)).dedupe_key


def test_a_limit_of_0_is_told_once_whatever_values_an_agent_thinks_of() -> None:
    """Each refusal is free of charge."""
    assert len({exhausted(counter(f"r{number}", limit_micros=0)).dedupe_key for number in range(100)}) == 1


@pytest.mark.parametrize(
    ("scope", "value", "outside", "values"),
    [
        ((), "", {}, {}),
        ((("run", "*"),), "r1", {"run": "*"}, {"run": "r1"}),
        (
            ((".key_id", "*"), ("item", "*"), ("run", "r1")),
            "3\x1fx, y",
            {"key_id": "*", "fact.item": "*", "run": "r1"},
            {"key_id": "3", "fact.item": "x, y"},
        ),
        (((".group", "acme"), (".item", "search")), "", {"group": "acme", "item": "search"}, {}),
    ],
)
def test_scopes_and_values_have_the_names_of_the_doors(
    scope: Any, value: str, outside: dict[str, str], values: dict[str, str]
) -> None:
    assert shown_scope(scope) == outside
    assert values_in(scope, value) == values
