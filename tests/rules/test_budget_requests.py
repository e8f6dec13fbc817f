"""Budgets as callers ask for them: what is accepted, and the field that a refusal names with what to send instead."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, json

from credit_wallet.domain.budget_settings import BudgetSettings, NewBudget
from credit_wallet.domain.budgets import Scope, shown_scope
from credit_wallet.errors import InvalidRequest
from credit_wallet.rules.budget_requests import (
    MonthlyLimit,
    Raise,
    checked_budget,
    checked_budget_id,
    checked_monthly,
    checked_settings,
)
from credit_wallet.rules.budget_scopes import checked_group, checked_scope

YEN = 1_000_000
LATER = "2026-12-31T15:00:00.000Z"

NO_RAISE = Raise(None, None)
RAISED = Raise(200 * YEN, LATER)

ASKED: dict[str, Any] = {
    "limit_yen": "3.30",
    "limit_calls": None,
    "window": "day",
    "scope": None,
    "mode": "cap",
    "label": None,
    "shares_pct": (80, 100),
    "time_zone": None,
    "week_start": "monday",
    "raised": (None, None, None),
}


def ends(field: str, given: str | None) -> str | None:
    """Every instant but one is in the future."""
    if given == "past":
        raise InvalidRequest(f"{field} is in the past", field=field)
    return given


def budget(**asked: object) -> NewBudget:
    return checked_budget(7, **{**ASKED, **asked}, ends=ends)


def settings(unit: Any = "yen", known: Raise = NO_RAISE, **asked: Any) -> BudgetSettings:
    unset = dict.fromkeys(("limit_yen", "limit_calls", "label", "mode", "shares_pct"), UNSET)
    names = ("raised_limit_yen", "raised_limit_calls", "raised_until")
    raised = tuple(asked.pop(name, UNSET) for name in names)
    return checked_settings("budget-1", unit, **{**unset, **asked}, raised=raised, known_raise=known, ends=ends)


def test_a_budget_of_yen_is_exact() -> None:
    assert budget() == NewBudget(7, None, "yen", 3_300_000, "day", (), "cap", (80, 100), None, "monday", None, None)


def test_a_budget_of_calls_counts_calls_in_micros() -> None:
    new = budget(limit_yen=None, limit_calls=5, window="minute", shares_pct=[50])
    assert (new.unit, new.limit_micros, new.shares_pct) == ("calls", 5 * YEN, (50,))


@pytest.mark.parametrize(
    ("limit", "micros"),
    [(0, 0), ("0", 0), (10**12, 10**18), (Decimal("0.000001"), 1), ("1.5", 1_500_000)],
)
def test_limits_reach_from_nothing_to_the_largest_amount(limit: object, micros: int) -> None:
    assert budget(limit_yen=limit).limit_micros == micros


@pytest.mark.parametrize("window", ["minute", "hour", "day", "week", "month", "total", "rolling:1m", "rolling:31d"])
def test_every_window_is_taken(window: str) -> None:
    assert budget(window=window).window == window


def test_a_raise_has_a_limit_and_an_end() -> None:
    new = budget(raised=("200", None, LATER))
    assert (new.raised_micros, new.raised_until) == (200 * YEN, LATER)


@pytest.mark.parametrize(
    ("asked", "field", "fix"),
    [
        ({"limit_yen": None}, "limit_yen", "send either limit_yen or limit_calls"),
        ({"limit_calls": 3}, "limit_calls", "send either limit_yen or limit_calls"),
        ({"limit_yen": -1}, "limit_yen", "from 0 to 1000000000000"),
        ({"limit_yen": Decimal(-1)}, "limit_yen", "from 0 to"),
        ({"limit_yen": 10**12 + 1}, "limit_yen", "from 0 to"),
        ({"limit_yen": "0.0000001"}, "limit_yen", "up to 6 places"),
        ({"limit_yen": 3.3}, "limit_yen", 'write it as a string, as "3.30"'),
        ({"limit_yen": True}, "limit_yen", "whole number or an exact decimal"),
        ({"limit_yen": None, "limit_calls": -1}, "limit_calls", "whole number of calls"),
        ({"limit_yen": None, "limit_calls": "5"}, "limit_calls", "whole number of calls"),
        ({"limit_yen": None, "limit_calls": 10**12 + 1}, "limit_calls", "whole number of calls"),
        ({"window": "year"}, "window", "rolling:24h"),
        ({"window": "rolling:59s"}, "window", "from 1m to 31d"),
        ({"window": "rolling:32d"}, "window", "from 1m to 31d"),
        ({"window": None}, "window", "minute, hour, day"),
        ({"mode": "block"}, "mode", "alert (notify), cap (refuse) or shadow"),
        ({"mode": None}, "mode", "alert (notify)"),
        ({"label": "x" * 501}, "label", "at most 500 characters"),
        ({"label": 3}, "label", "text"),
        ({"shares_pct": ()}, "shares_pct", "1 to 10 different whole percents"),
        ({"shares_pct": (100, 80)}, "shares_pct", "ascending"),
        ({"shares_pct": (80, 80)}, "shares_pct", "different"),
        ({"shares_pct": (0,)}, "shares_pct", "from 1 to 1000"),
        ({"shares_pct": (1001,)}, "shares_pct", "from 1 to 1000"),
        ({"shares_pct": (80.0,)}, "shares_pct", "whole percents"),
        ({"shares_pct": range(1, 12)}, "shares_pct", "1 to 10"),
        ({"shares_pct": tuple(range(1, 12))}, "shares_pct", "1 to 10"),
        ({"shares_pct": 80}, "shares_pct", "such as 80, 100"),
        ({"time_zone": "Tokyo"}, "time_zone", "IANA name such as Asia/Tokyo"),
        ({"week_start": "Monday"}, "week_start", "monday or tuesday"),
        ({"raised": ("200", None, None)}, "raised_until", "until when raised_limit_yen counts"),
        ({"raised": (None, None, LATER)}, "raised_limit_yen", "is missing"),
        ({"raised": (None, 5, LATER)}, "raised_limit_calls", "send raised_limit_yen instead"),
        ({"raised": ("-1", None, LATER)}, "raised_limit_yen", "from 0 to"),
        ({"raised": ("200", None, "past")}, "raised_until", "in the past"),
        ({"limit_yen": None, "limit_calls": 5, "raised": (9, None, LATER)}, "raised_limit_yen", "raised_limit_calls"),
    ],
)
def test_a_refusal_names_the_field_and_what_to_send(asked: dict[str, object], field: str, fix: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        budget(**asked)
    assert refused.value.details["field"] == field
    assert fix in str(refused.value)


# Scopes


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (None, ()),
        ({}, ()),
        ({"tool": "search"}, (("tool", "search"),)),
        ({"run": "*"}, (("run", "*"),)),
        ({"key_id": 3}, ((".key_id", "3"),)),
        ({"key_id": "*"}, ((".key_id", "*"),)),
        ({"item": "tokens.input"}, ((".item", "tokens.input"),)),
        ({"item": "*"}, ((".item", "*"),)),
        ({"group": "acme/search"}, ((".group", "acme/search"),)),
        ({"fact.item": "x"}, (("item", "x"),)),
        ({"fact.key": "x"}, (("key", "x"),)),
        ({"fact.tool": "x"}, (("tool", "x"),)),
        (
            {"tool": "search", "key_id": "3", "run": "*", "group": "acme"},
            ((".group", "acme"), (".key_id", "3"), ("run", "*"), ("tool", "search")),
        ),
    ],
)
def test_a_scope_is_its_conditions_in_the_order_of_their_names(scope: Any, inside: Scope) -> None:
    assert checked_scope(scope) == inside


@pytest.mark.parametrize(
    ("scope", "field", "fix"),
    [
        ("tool=search", "scope", 'such as {"tool": "search"}'),
        ([("tool", "search")], "scope", "conditions by their names"),
        ({"key": "3"}, "scope.key", "send key_id for an agent key"),
        ({"key_id": 0}, "scope.key_id", "the id of an agent key, or *"),
        ({"key_id": True}, "scope.key_id", "the id of an agent key"),
        ({"key_id": "03"}, "scope.key_id", "the id of an agent key"),
        ({"key_id": "9" * 19}, "scope.key_id", "the id of an agent key"),
        ({"key_id": None}, "scope.key_id", "the id of an agent key"),
        ({"item": "Search"}, "scope.item", "such as search or tokens.input"),
        ({"item": "x" * 65}, "scope.item", "at most 64 characters"),
        ({"item": 3}, "scope.item", "or * for each item"),
        ({"group": "*"}, "scope.group", "make one for each"),
        ({"group": "a/b/c/d/e"}, "scope.group", "up to four names"),
        ({"group": "Acme"}, "scope.group", "a-z, 0-9, _ and -"),
        ({"group": "a" * 101}, "scope.group", "at most 100 characters"),
        ({"group": ""}, "scope.group", "such as acme/research"),
        ({"Tool": "x"}, "scope", "must be group, key_id, item, or the key of a fact"),
        ({"fact.": "x"}, "scope", "the key of a fact"),
        ({"x" * 33: "x"}, "scope", "the key of a fact"),
        ({3: "x"}, "scope", "the key of a fact"),
        ({"tool": ""}, "scope.tool", "1 to 64 printable characters"),
        ({"tool": "x" * 65}, "scope.tool", "1 to 64 printable characters"),
        ({"tool": "a\x1fb"}, "scope.tool", "printable"),
        ({"tool": 3}, "scope.tool", "or * for each value"),
        ({"tool": "a", "fact.tool": "b"}, "scope", "the same fact twice"),
        (dict.fromkeys("abcde", "x"), "scope", "at most 4 conditions, not 5"),
    ],
)
def test_a_malformed_scope_names_its_condition(scope: Any, field: str, fix: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked_scope(scope)
    assert refused.value.details["field"] == field
    assert fix in str(refused.value)


names = st.one_of(
    st.sampled_from(["tool", "run", "fact.item", "fact.group", "fact.key_id", "fact.key"]),
    st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True).filter(
        lambda name: name not in ("key", "key_id", "item", "group")
    ),
)
printable = st.text(min_size=1, max_size=64).filter(str.isprintable)
known = st.fixed_dictionaries(
    {},
    optional={
        "key_id": st.one_of(st.just("*"), st.integers(1, 2**63 - 1).map(str)),
        "item": st.one_of(st.just("*"), st.from_regex(r"[a-z][a-z0-9_]{0,9}(\.[a-z0-9_]{1,9}){0,3}", fullmatch=True)),
        "group": st.from_regex(r"[a-z0-9_-]{1,20}(/[a-z0-9_-]{1,20}){0,3}", fullmatch=True),
    },
)
scopes = st.builds(
    lambda facts, others: dict([*facts.items(), *others.items()][:4]),
    st.dictionaries(names, st.one_of(st.just("*"), printable), max_size=4),
    known,
)


@given(scopes)
def test_a_scope_comes_back_as_it_was_given_and_as_it_is_stored(scope: dict[str, str]) -> None:
    inside = checked_scope(scope)
    assert shown_scope(inside) == scope
    assert json.decode(json.encode(inside), type=Scope) == inside
    assert checked_scope(shown_scope(inside)) == inside


def test_a_group_that_is_no_group_is_refused_by_its_field() -> None:
    assert checked_group("group", "acme/research_1/a-b/4") == "acme/research_1/a-b/4"
    with pytest.raises(InvalidRequest, match="group must be up to four names"):
        checked_group("group", "acme//research")


# Changes


def test_what_is_omitted_stays() -> None:
    assert settings() == BudgetSettings()
    assert settings(label=None) == BudgetSettings(label=None)
    assert settings(limit_yen=0, mode="shadow", shares_pct=[90]) == BudgetSettings(
        limit_micros=0, mode="shadow", shares_pct=(90,)
    )
    assert settings("calls", limit_calls=9) == BudgetSettings(limit_micros=9 * YEN)


@pytest.mark.parametrize(
    ("asked", "known_raise", "micros", "until"),
    [
        ({"raised_limit_yen": 300, "raised_until": "then"}, NO_RAISE, 300 * YEN, "then"),
        ({"raised_limit_yen": 300}, RAISED, 300 * YEN, LATER),
        ({"raised_until": "then"}, RAISED, 200 * YEN, "then"),
        ({"raised_until": None}, RAISED, None, None),
        ({"raised_limit_yen": None}, RAISED, None, None),
        ({"raised_limit_calls": None}, RAISED, None, None),
        ({"raised_limit_yen": None, "raised_until": None}, NO_RAISE, None, None),
    ],
)
def test_a_raise_is_changed_by_halves_and_ended_by_either(
    asked: dict[str, Any], known_raise: Raise, micros: int | None, until: str | None
) -> None:
    assert settings(known=known_raise, **asked) == BudgetSettings(raised_micros=micros, raised_until=until)


@pytest.mark.parametrize(
    ("unit", "asked", "field"),
    [
        ("yen", {"limit_calls": 3}, "limit_calls"),
        ("calls", {"limit_yen": 3}, "limit_yen"),
        ("yen", {"raised_limit_calls": 3, "raised_until": LATER}, "raised_limit_calls"),
        ("calls", {"raised_limit_yen": 3, "raised_until": LATER}, "raised_limit_yen"),
        ("yen", {"raised_limit_yen": 3}, "raised_until"),
        ("yen", {"raised_limit_yen": 3, "raised_until": None}, "raised_until"),
        ("yen", {"raised_until": LATER}, "raised_limit_yen"),
        ("yen", {"raised_limit_yen": None, "raised_until": LATER}, "raised_limit_yen"),
        ("yen", {"raised_limit_yen": 3, "raised_until": "past"}, "raised_until"),
        ("yen", {"mode": "off"}, "mode"),
        ("yen", {"label": "\0"}, "label"),
        ("yen", {"shares_pct": []}, "shares_pct"),
        ("yen", {"limit_yen": None}, "limit_yen"),
        ("yen", {"limit_calls": None}, "limit_calls"),
    ],
)
def test_a_malformed_change_is_refused(unit: str, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        settings(unit, **asked)
    assert refused.value.details["field"] == field


def test_monthly_budgets_and_caps_have_whole_yen() -> None:
    assert checked_monthly("monthly-7", "monthly", "100", "cap", {"label": UNSET}) == MonthlyLimit(100, "cap")
    assert checked_monthly("key-3", "key", UNSET, UNSET, {}) == MonthlyLimit(UNSET, UNSET)


@pytest.mark.parametrize(
    ("kind", "limit", "mode", "others", "field"),
    [
        ("monthly", "3.3", UNSET, {}, "limit_yen"),
        ("monthly", -1, UNSET, {}, "limit_yen"),
        ("monthly", UNSET, "shadow", {}, "mode"),
        ("key", UNSET, "cap", {}, "mode"),
        ("monthly", UNSET, UNSET, {"label": None}, "label"),
        ("monthly", UNSET, UNSET, {"shares_pct": (80,)}, "shares_pct"),
        ("key", UNSET, UNSET, {"raised_limit_yen": 3}, "raised_limit_yen"),
        ("key", UNSET, UNSET, {"limit_calls": 3}, "limit_calls"),
    ],
)
def test_what_they_do_not_have_says_where_it_is(
    kind: Any, limit: Any, mode: Any, others: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked_monthly(f"{kind}-7", kind, limit, mode, others)
    assert refused.value.details["field"] == field


# Ids


def test_an_id_says_what_it_names() -> None:
    assert checked_budget_id("budget-12") == ("budget", 12)
    assert checked_budget_id("monthly-7") == ("monthly", 7)
    assert checked_budget_id("key-3") == ("key", 3)


@pytest.mark.parametrize(
    "budget_id", [12, "12", "budget-0", "budget-01", "budget-", "cap-3", "budget-12 ", "key-" + "9" * 19]
)
def test_any_other_id_is_refused(budget_id: object) -> None:
    with pytest.raises(InvalidRequest, match="such as budget-12, monthly-7 or key-3") as refused:
        checked_budget_id(budget_id)
    assert refused.value.details["field"] == "budget_id"
