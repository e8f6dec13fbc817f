"""Budgets of a ledger: made, listed with what is used of each, changed and deleted, every change with its author."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import OWNER
from credit_wallet.domain.budget_views import BudgetView
from credit_wallet.errors import (
    BudgetExhausted,
    BudgetNotFound,
    CallLimitReached,
    InvalidRequest,
    KeyNotFound,
    WalletNotFound,
)

pytestmark = on_every_database

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
MIDNIGHT = "2026-05-16T00:00:00.000Z"
SEARCH = {"tool": "search"}


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def charge(wallets: CreditWallet, payer: int) -> Callable[..., None]:
    """Charges ``payer`` an amount, with facts as keywords."""
    keys = iter(range(10_000))

    def charged(amount: Any = 1, key_id: int | None = None, **facts: str) -> None:
        key = f"charge {next(keys)}"
        wallets.charge(payer, amount, key_id=key_id, facts=facts or None, idempotency_key=key)

    return charged


def figures(view: BudgetView) -> str:
    """Limit, spent, held and left."""
    return f"{view.limit} {view.spent} {view.held} {view.left}"


def test_a_budget_is_made_and_shown_with_what_is_used_of_it(wallets: CreditWallet, payer: int, charge: Any) -> None:
    made = wallets.budgets.create(payer, limit_yen="100", window="day", scope=SEARCH, mode="cap", label="searches")
    assert (made.wallet_id, made.label, made.unit, made.window) == (payer, "searches", "yen", "day")
    assert (made.scope, made.mode, made.shares_pct, made.time_zone) == (SEARCH, "cap", (80, 100), "UTC")
    assert (made.each_value, made.values, made.value, made.week_start) == (False, 0, None, "monday")
    assert figures(made) == "100 0 0 100"
    assert (made.resets_at, made.created_at) == (MIDNIGHT, "2026-05-15T12:00:00.000Z")
    charge("30.5", tool="search")
    charge(7, tool="other")
    wallets.hold(payer, 9, facts=SEARCH, idempotency_key="hold")
    [shown] = wallets.budgets.list(payer)
    assert figures(shown) == "100 30.5 9 60.5"
    assert wallets.budgets.show(made.budget_id) == shown
    with pytest.raises(BudgetExhausted) as refused:
        charge(61, tool="search")
    budget: Any = refused.value.details["budget"]
    assert budget["budget_id"] == made.budget_id


def test_a_limit_on_calls_counts_calls(wallets: CreditWallet, payer: int, clock: Clock, charge: Any) -> None:
    limited = wallets.budgets.create(payer, limit_calls=2, window="minute")
    charge(5)
    charge("0.1")
    with pytest.raises(CallLimitReached):
        charge(1)
    assert figures(wallets.budgets.show(limited.budget_id)) == "2 2 0 0"
    clock.advance(minutes=1)
    assert figures(wallets.budgets.show(limited.budget_id)) == "2 0 0 2"
    charge(1)


def test_a_rolling_window_forgets_by_the_second(wallets: CreditWallet, payer: int, clock: Clock, charge: Any) -> None:
    budget_id = wallets.budgets.create(payer, limit_yen=100, window="rolling:10m").budget_id
    charge(10)
    clock.advance(minutes=4)
    charge("20.5")
    shown = wallets.budgets.show(budget_id)
    assert (figures(shown), shown.resets_at) == ("100 30.5 0 69.5", "2026-05-15T12:14:00.000Z")
    clock.advance(minutes=5, seconds=59)
    assert wallets.budgets.show(budget_id).spent == Decimal("30.5")
    clock.advance(seconds=1)
    assert wallets.budgets.show(budget_id).spent == Decimal("20.5")
    charge(3)
    assert wallets.budgets.show(budget_id).spent == Decimal("23.5")
    clock.advance(minutes=4)
    assert wallets.budgets.show(budget_id).spent == 3
    clock.advance(minutes=6)
    shown = wallets.budgets.show(budget_id)
    assert (figures(shown), shown.resets_at) == ("100 0 0 100", None)


def test_a_clock_that_steps_back_finds_what_had_left_a_rolling_window(
    wallets: CreditWallet, payer: int, clock: Clock, charge: Any
) -> None:
    budget_id = wallets.budgets.create(payer, limit_yen=100, window="rolling:10m").budget_id
    charge(10)
    clock.advance(minutes=11)
    charge(1)
    assert wallets.budgets.show(budget_id).spent == 1
    clock.advance(minutes=-2)
    assert wallets.budgets.show(budget_id).spent == 11


def test_a_budget_for_each_value_shows_the_fullest_and_all(wallets: CreditWallet, payer: int, charge: Any) -> None:
    budget = wallets.budgets.create(payer, limit_yen=10, window="total", scope={"run": "*", **SEARCH})
    assert (budget.each_value, budget.values, budget.value, figures(budget)) == (True, 0, None, "10 0 0 10")
    charge(3, run="a", tool="search")
    charge("6.5", run="b", tool="search")
    charge(9, run="c", tool="other")
    wallets.hold(payer, 8, facts={"run": "d", **SEARCH}, idempotency_key="hold")
    [shown] = wallets.budgets.list(payer)
    assert (shown.values, shown.value, figures(shown)) == (3, "d", "10 0 8 2")
    found = wallets.budgets.values(budget.budget_id)
    assert [(each.value, f"{each.spent} {each.held} {each.left}") for each in found] == [
        ("a", "3 0 7"),
        ("b", "6.5 0 3.5"),
        ("d", "0 8 2"),
    ]
    assert wallets.budgets.values(budget.budget_id, after="a", limit=1) == found[1:2]
    assert wallets.budgets.values(budget.budget_id, after="d") == []


def test_values_of_several_conditions_are_paged_as_they_are_shown(
    wallets: CreditWallet, payer: int, charge: Any
) -> None:
    budget = wallets.budgets.create(payer, limit_calls=10, window="day", scope={"run": "*", "tool": "*"})
    for run, tool in (("a", "x"), ("a", "y, z"), ("a", "y"), ("a, y", "z"), ("\\", "\\,")):
        charge(1, run=run, tool=tool)
    found = wallets.budgets.values(budget.budget_id)
    shown = {"a, x", "a, y", "a, y\\, z", "a\\, y, z", "\\\\, \\\\\\,"}
    assert {each.value for each in found} == shown, "an agent's comma does not make two values look alike"
    paged = [each.value for each in wallets.budgets.values(budget.budget_id, limit=1)]
    while page := wallets.budgets.values(budget.budget_id, after=paged[-1], limit=1):
        paged.append(page[0].value)
    assert paged == [each.value for each in found]
    first = wallets.budgets.values(budget.budget_id, after="a, w", limit=1)
    assert [each.value for each in first] == ["a, x"], "after a value of a window that is over, say"
    assert wallets.budgets.show(budget.budget_id).values == 5


@pytest.mark.parametrize("odd", [10**30, 1.5, "\ud800", "\x00", []])
def test_a_page_after_what_is_none_is_refused(wallets: CreditWallet, payer: int, odd: Any) -> None:
    budget = wallets.budgets.create(payer, limit_yen=10, window="total", scope={"run": "*"})
    with pytest.raises(InvalidRequest, match="after"):
        wallets.budgets.values(budget.budget_id, after=odd)
    with pytest.raises((InvalidRequest, KeyNotFound), match="key"):
        wallets.budgets.list(payer, key_id=odd)


def test_a_budget_that_is_not_for_each_value_has_no_values(wallets: CreditWallet, payer: int, charge: Any) -> None:
    budget = wallets.budgets.create(payer, limit_yen=10, window="total")
    charge(1)
    assert wallets.budgets.values(budget.budget_id) == []
    assert wallets.budgets.values(f"monthly-{payer}") == []


def test_rolling_values_that_have_left_are_no_more(
    wallets: CreditWallet, payer: int, clock: Clock, charge: Any
) -> None:
    budget = wallets.budgets.create(payer, limit_yen=10, window="rolling:1h", scope={"run": "*"})
    charge(3, run="a")
    clock.advance(minutes=30)
    charge(2, run="b")
    assert wallets.budgets.show(budget.budget_id).values == 2
    clock.advance(minutes=30)
    shown = wallets.budgets.show(budget.budget_id)
    assert (shown.values, shown.value, figures(shown)) == (1, "b", "10 2 0 8")
    assert [each.value for each in wallets.budgets.values(budget.budget_id)] == ["b"]


def test_a_shadow_says_what_it_would_have_refused(wallets: CreditWallet, payer: int, charge: Any) -> None:
    budget = wallets.budgets.create(payer, limit_yen=10, window="day", scope={"run": "*"}, mode="shadow")
    for amount, run in ((8, "a"), (3, "a"), ("11.5", "b"), (2, "a")):
        charge(amount, run=run)
    shown = wallets.budgets.show(budget.budget_id)
    assert (shown.refused, shown.refusals, shown.value) == (Decimal("14.5"), 2, "a")
    assert shown.spent == 10
    assert [(each.value, str(each.refused), each.refusals) for each in wallets.budgets.values(budget.budget_id)] == [
        ("a", "3", 1),
        ("b", "11.5", 1),
    ]


def test_the_monthly_budget_and_caps_are_in_the_list_before_budgets(wallets: CreditWallet, payer: int) -> None:
    wallets.configure(payer, monthly_budget_yen=500, budget_mode="cap", alert_thresholds_pct=[90])
    capped = [wallets.keys.create(payer, label=f"agent {cap}", monthly_cap_yen=cap).key_id for cap in (70, 0, 80)]
    made = [wallets.budgets.create(payer, limit_yen=limit, window="day").budget_id for limit in (1, 2, 3)]
    wallets.charge(payer, 1, key_id=capped[0], idempotency_key="a", facts={"tool": "x"})
    listed = wallets.budgets.list(payer)
    ids = [f"monthly-{payer}", f"key-{capped[0]}", f"key-{capped[2]}", *made]
    assert [each.budget_id for each in listed] == ids
    month, cap, *_ = listed
    assert (month.window, month.mode, month.shares_pct, month.scope) == ("month", "cap", (50, 80, 90, 100), {})
    assert (figures(month), month.resets_at) == ("500 1 0 499", "2026-06-01T00:00:00.000Z")
    assert (cap.label, cap.scope, figures(cap)) == ("agent 70", {"key_id": str(capped[0])}, "70 1 0 69")
    for limit in (1, 2, 4):
        paged: list[str] = []
        while page := wallets.budgets.list(payer, after=paged[-1] if paged else None, limit=limit):
            paged += [each.budget_id for each in page]
        assert paged == ids
    wallets.keys.revoke(capped[0])
    assert f"key-{capped[0]}" not in [each.budget_id for each in wallets.budgets.list(payer)]


@pytest.mark.partitions
def test_an_agent_sees_the_budgets_that_can_bound_it(wallets: CreditWallet, payer: int, charge: Any) -> None:
    own = wallets.keys.create(payer, group="acme/re_search/a", monthly_cap_yen=50).key_id
    other = wallets.keys.create(payer, group="acmexresearch", monthly_cap_yen=60).key_id
    scopes: list[dict[str, str | int]] = [
        {},
        {"group": "acme"},
        {"group": "acme/re_search"},
        {"group": "acme/re_search/a"},
        {"group": "acme/rexsearch"},
        {"group": "acmexresearch"},
        {"key_id": own},
        {"key_id": other},
        {"key_id": "*"},
        {"run": "*"},
        {"tool": '[".key_id",'},
    ]
    made = [wallets.budgets.create(payer, limit_yen=30, window="day", scope=scope).budget_id for scope in scopes]
    charge(9, key_id=other, run="secret")
    charge(2, key_id=own)
    seen = {each.budget_id: each for each in wallets.budgets.list(payer, key_id=own)}
    assert [*seen] == [f"key-{own}", *(made[place] for place in (0, 1, 2, 3, 6, 8, 9, 10))]
    assert (seen[made[8]].value, figures(seen[made[8]])) == (str(own), "30 2 0 28")
    assert (seen[made[9]].value, figures(seen[made[9]])) == (None, "30 0 0 30")
    grouped = wallets.budgets.list(payer, key_id=other)
    assert [each.budget_id for each in grouped] == [f"key-{other}", *(made[place] for place in (0, 5, 7, 8, 9, 10))]
    with pytest.raises(KeyNotFound):
        wallets.budgets.list(payer, key_id=99)


@pytest.mark.partitions
def test_a_change_counts_at_once_and_is_logged_with_its_author(wallets: CreditWallet, payer: int, charge: Any) -> None:
    budget_id = wallets.budgets.create(payer, limit_yen=10, window="day", scope={"fact.item": "x"}).budget_id
    charge(8, item="x")
    changed = wallets.acting(OWNER).budgets.configure(budget_id, limit_yen="5.5", label="tools", mode="alert")
    assert figures(changed) == "5.5 8 0 0"
    assert (changed.label, changed.mode, changed.shares_pct) == ("tools", "alert", (80, 100))
    assert wallets.budgets.configure(budget_id, label="tools") == changed
    assert wallets.budgets.configure(budget_id) == changed
    deleted = wallets.budgets.delete(budget_id)
    assert deleted == changed
    removed, changed_entry, made = wallets.budgets.changes(payer)
    last = wallets.history(payer, limit=1)[0].txn_id
    assert (made.before, made.changed_by, made.budget_id) == (None, "operator", budget_id)
    assert made.after is not None
    assert (made.after["scope"], made.after["limit"]) == ({"fact.item": "x"}, "10")
    assert (changed_entry.changed_by, changed_entry.after_txn_id) == ("payer", last)
    assert changed_entry.before == {"label": None, "limit": "10", "mode": "cap"}
    assert changed_entry.after == {"label": "tools", "limit": "5.5", "mode": "alert"}
    assert (removed.after, removed.changed_at) == (None, "2026-05-15T12:00:00.000Z")
    assert wallets.budgets.changes(payer, before=removed.change_id, limit=1) == [changed_entry]
    assert wallets.budgets.changes(payer, budget_id="budget-99") == []
    assert wallets.budgets.list(payer) == []
    charge(5, item="x")


def test_monthly_budgets_and_caps_are_configured_by_the_same_call(wallets: CreditWallet, payer: int) -> None:
    key_id = wallets.keys.create(payer, label="agent", group="acme").key_id
    month = wallets.acting(OWNER).budgets.configure(f"monthly-{payer}", limit_yen=300, mode="cap")
    assert (figures(month), month.mode, wallets.show(payer).monthly_budget_yen) == ("300 0 0 300", "cap", 300)
    cap = wallets.acting(OWNER).budgets.configure(f"key-{key_id}", limit_yen="40")
    assert wallets.budgets.configure(cap.budget_id) == cap
    key = wallets.keys.show(key_id)
    assert (figures(cap), key.monthly_cap_yen, key.label, key.group) == ("40 0 0 40", 40, "agent", "acme")
    by_month, by_key = (wallets.budgets.changes(payer, budget_id=each.budget_id) for each in (month, cap))
    assert [(each.changed_by, each.before, each.after) for each in by_month] == [
        ("payer", {"limit": "0", "mode": "alert"}, {"limit": "300", "mode": "cap"})
    ]
    assert by_key[0].changed_by == "payer"
    for budget_id in (month.budget_id, cap.budget_id):
        with pytest.raises(InvalidRequest, match="set its limit to 0"):
            wallets.budgets.delete(budget_id)
        wallets.budgets.configure(budget_id, limit_yen=0)
    assert wallets.budgets.list(payer) == []
    assert wallets.budgets.show(month.budget_id).limit == 0


def test_a_raise_lasts_until_its_instant(wallets: CreditWallet, payer: int, clock: Clock, charge: Any) -> None:
    budget = wallets.budgets.create(payer, limit_yen=10, window="total", time_zone="Asia/Tokyo")
    charge(10)
    raised = wallets.budgets.configure(budget.budget_id, raised_limit_yen=25, raised_until="2026-05-15")
    assert (figures(raised), raised.raised_until) == ("10 10 0 15", "2026-05-15T15:00:00.000Z")
    assert raised.raised_limit == 25
    charge(12)
    clock.advance(hours=3)
    over = wallets.budgets.show(budget.budget_id)
    assert (figures(over), over.raised_limit_micros, over.raised_until) == ("10 22 0 0", None, None)
    with pytest.raises(BudgetExhausted):
        charge(1)
    with pytest.raises(InvalidRequest, match="raised_limit_yen is missing"):  # of one that is over, nothing is left
        wallets.budgets.configure(budget.budget_id, raised_until="2026-06-01")
    wallets.budgets.configure(budget.budget_id, raised_limit_yen=30, raised_until="2026-06-01")
    assert wallets.budgets.configure(budget.budget_id, raised_until=None).left == 0


def test_a_key_changes_its_cap_label_and_group_and_what_is_omitted_stays(wallets: CreditWallet, payer: int) -> None:
    key_id = wallets.keys.create(payer, label="agent", monthly_cap_yen=50, group="acme").key_id
    assert wallets.keys.configure(key_id) == wallets.keys.show(key_id)
    assert wallets.keys.configure(key_id, monthly_cap_yen=70).monthly_cap_yen == 70
    changed = wallets.acting(OWNER).keys.configure(key_id, group="acme/team", label=None)
    assert (changed.label, changed.monthly_cap_yen, changed.group) == (None, 70, "acme/team")
    assert wallets.keys.configure(key_id, group=None).group is None
    assert [each.key_id for each in wallets.keys.list(payer)] == [key_id]
    newest, *_, made = wallets.budgets.changes(payer, budget_id=f"key-{key_id}")
    assert newest.before is not None
    assert newest.before["group"] == "acme/team"
    assert made.before is None
    with pytest.raises(KeyNotFound):
        wallets.keys.configure(99, label="x")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"group": "Acme"}, "group"),
        ({"monthly_cap_yen": -1}, "monthly_cap_yen"),
        ({"monthly_cap_yen": None}, "monthly_cap_yen"),
        ({"label": 3}, "label"),
    ],
)
def test_malformed_settings_of_a_key_are_refused(
    wallets: CreditWallet, payer: int, settings: dict[str, Any], field: str
) -> None:
    key_id = wallets.keys.create(payer).key_id
    for call in (lambda: wallets.keys.create(payer, **settings), lambda: wallets.keys.configure(key_id, **settings)):
        with pytest.raises(InvalidRequest) as refused:
            call()
        assert refused.value.details["field"] == field
    assert len(wallets.keys.list(payer)) == 1


def test_a_budget_of_somebody_elses_key_is_refused(wallets: CreditWallet, payer: int) -> None:
    other = wallets.keys.create(wallets.create().wallet_id).key_id
    for key_id in (other, 99):
        with pytest.raises(KeyNotFound):
            wallets.budgets.create(payer, limit_yen=1, window="day", scope={"key_id": key_id})
    assert wallets.budgets.list(payer) == []


def test_what_does_not_exist_is_not_found(wallets: CreditWallet, payer: int) -> None:
    gone = wallets.budgets.create(payer, limit_yen=1, window="day").budget_id
    wallets.budgets.delete(gone)
    for budget_id in (gone, "budget-99", "monthly-99", "key-99"):
        for call in (wallets.budgets.show, wallets.budgets.values, wallets.budgets.configure):
            with pytest.raises(BudgetNotFound, match=f"there is no {budget_id}"):
                call(budget_id)
    with pytest.raises(BudgetNotFound):
        wallets.budgets.delete(gone)
    for ask in (wallets.budgets.list, wallets.budgets.changes):
        with pytest.raises(WalletNotFound):
            ask(99)
    with pytest.raises(WalletNotFound):
        wallets.budgets.create(99, limit_yen=1, window="day")


def test_bad_input_changes_nothing(wallets: CreditWallet, payer: int) -> None:
    budget = wallets.budgets.create(payer, limit_yen=10, window="day")
    for call in (
        lambda: wallets.budgets.create(payer, limit_yen=1, limit_calls=1, window="day"),
        lambda: wallets.budgets.create(payer, limit_yen=1, window="day", raised_limit_yen=2, raised_until="2026-05-14"),
        lambda: wallets.budgets.configure(budget.budget_id, limit_calls=1),
        lambda: wallets.budgets.configure(budget.budget_id, label="x", mode="off"),
        lambda: wallets.budgets.configure(f"monthly-{payer}", limit_yen=9, label="x"),
        lambda: wallets.budgets.list(payer, after="12"),
        lambda: wallets.budgets.list(payer, limit=0),
        lambda: wallets.budgets.changes(payer, budget_id="12"),
    ):
        with pytest.raises(InvalidRequest):
            call()
    assert wallets.budgets.list(payer) == [budget]
    assert len(wallets.budgets.changes(payer)) == 1
