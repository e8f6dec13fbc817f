"""Plans: the file that a replay tries, and everything that can be wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from credit_wallet.domain.money import MICROS
from credit_wallet.errors import InvalidRequest
from credit_wallet.rules.replay_entries import EVERY_WALLET
from credit_wallet.rules.replay_plan import MAX_BUDGETS, parse_plan, planned_budgets

WHOLE = """
[[budget]]
label = "searches"
limit_yen = "100.5"
window = "day"
scope = { tool = "search", key_id = 3, "fact.item" = "a", run = "*" }
mode = "shadow"
time_zone = "Asia/Tokyo"
week_start = "sunday"
wallet_id = 7

[[budget]]
limit_calls = 3
window = "rolling:5m"

[[price]]
item = "search"
unit_price_yen = "3.30"
"""


def test_a_plan_has_budgets_and_prices() -> None:
    [first, second], [price] = parse_plan(WHOLE)
    assert (first.budget_id, first.wallet_id, first.label, first.unit) == (-1, 7, "searches", "yen")
    assert (first.limit_micros, first.window, first.mode) == (100_500_000, "day", "shadow")
    assert first.scope == ((".key_id", "3"), ("item", "a"), ("run", "*"), ("tool", "search"))
    assert (first.time_zone, first.week_start) == ("Asia/Tokyo", "sunday")
    assert (second.budget_id, second.wallet_id, second.limit_micros) == (-2, EVERY_WALLET, 3 * MICROS)
    assert (second.mode, second.time_zone) == ("cap", "")
    assert price.unit_price_micros == 3_300_000


WRONG = [
    ("limit_yen = 3.30\nwindow = 'day'", 'budget 1: limit_yen must be exact: quote it, limit_yen = "3.30"'),
    ("limit_yen = 3\nwindow = 'dayly'", "budget 1: window must be minute, hour"),
    ("limit_yen = 3", "budget 1: window must be minute, hour"),
    ("limit_yen = 3\nlimit_calls = 3\nwindow = 'day'", "budget 1: send either limit_yen or limit_calls"),
    ("window = 'day'", "budget 1: send either limit_yen or limit_calls"),
    ("limit_calls = 'x'\nwindow = 'day'", "budget 1: limit_calls must be a whole number of calls"),
    ("limit = 3\nwindow = 'day'", "budget 1: limit is not a field; the fields are limit_yen, limit_calls, window"),
    ("limit_yen = 3\nwindow = 'day'\nscope = 'x'", "budget 1: scope must be conditions"),
    ("limit_yen = 3\nwindow = 'day'\nmode = 'x'", "budget 1: mode must be alert (notify), cap (refuse)"),
    ("limit_yen = 3\nwindow = 'day'\ntime_zone = 'x'", "budget 1: time_zone"),
    ("limit_yen = 3\nwindow = 'day'\nweek_start = 'x'", "budget 1: week_start must be"),
    ("limit_yen = 3\nwindow = 'day'\nlabel = 3", "budget 1: label must be text"),
    ("limit_yen = 3\nwindow = 'day'\nwallet_id = 0", "budget 1: wallet_id must be"),
]


@pytest.mark.parametrize(("table", "problem"), WRONG)
def test_what_is_wrong_is_named_with_its_table_and_field(table: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_plan(f"[[budget]]\n{table}\n")
    assert str(refused.value).startswith(problem)
    assert refused.value.details["field"] == "plan"


def test_everything_that_is_wrong_is_named_at_once() -> None:
    text = '[[budget]]\nlimit_yen = 3\n[[budget]]\nx = 1\n[[price]]\nitem = "X"\nunit_price_yen = 1\n'
    with pytest.raises(InvalidRequest) as refused:
        parse_plan(text)
    problems: Any = refused.value.details["problems"]
    assert [problem.partition(":")[0] for problem in problems] == ["budget 1", "budget 2", "price 1"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("budget = 3", "budget must be a list of tables: write [[budget]]"),
        ("budget = [3]", "budget 1: budget must be a table: [[budget]]"),
        ("[[budgets]]\nlimit_yen = 3", "budgets does not belong in a plan; its tables are [[budget]] and [[price]]"),
        ("[[budget]", "the file is not TOML"),
    ],
)
def test_another_file_is_no_plan(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_plan(text)
    assert str(refused.value).startswith(problem)


def test_a_plan_has_so_many_budgets() -> None:
    with pytest.raises(InvalidRequest, match="a plan has at most 1,000 budgets, not 1,001"):
        planned_budgets([{"limit_yen": 1, "window": "day"}] * (MAX_BUDGETS + 1))
