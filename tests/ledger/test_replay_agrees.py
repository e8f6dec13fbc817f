"""A replay agrees with charging again: the same charges are refused by the same budget, to the micro.

A past without limits is replayed under a plan, and happens again at the same instants on another ledger that has the
plan's budgets as caps. And a past that had them as shadows has counted what its replay counts.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from databases import Databases, on_both_databases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replayed import OTHER_PRICES, STARTS, ZONES, Past, Refused, Step, budgets, past, steps, toml
from width import examples

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.replay_views import Replayed

EXAMPLES = examples(25, "REPLAY_EXAMPLES")

at_random = settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
histories = st.lists(steps, min_size=5, max_size=40)
plans = st.lists(budgets, min_size=1, max_size=4)

REFUSED = """
SELECT budget_id, sum(refusals), sum(refused), sum(refused_fraction) FROM am_credit_budget_spent GROUP BY budget_id
"""

pytestmark = on_both_databases


def told(was: Past, replayed: Replayed, *, exactly: bool = True) -> list[Refused]:
    """The refusals of a replay, as the other ledger tells its own."""
    return [
        Refused(
            was.charges.index(each.txn_id),
            each.label or each.budget_id,
            each.value,
            each.amount if exactly else None,
            each.left,
        )
        for each in replayed.first_refusals
    ]


def happen(to: Past, history: list[Step]) -> None:
    for number, step in enumerate(history):
        to.happen(number, step)


@at_random
@given(history=histories, plan=plans, start=st.sampled_from(STARTS), zone=st.sampled_from(ZONES))
def test_budgets_refuse_what_they_would_refuse_again(
    databases: Databases, history: list[Step], plan: list[dict[str, Any]], start: Any, zone: str
) -> None:
    with past(databases, start, zone) as was, past(databases, start, zone) as again:
        happen(was, history)
        for number, budget in enumerate(plan, 1):
            again.budget(number, budget, "cap")
        happen(again, history)
        replayed = was.wallets.budgets.replay(toml(plan), limit=1_000)
        assert [each._replace(amount=None) for each in told(was, replayed)] == [
            each._replace(amount=None) for each in again.refused
        ]
        amounts = {each.number: each.amount for each in told(was, replayed)}
        assert all(each.amount in (None, amounts[each.number]) for each in again.refused)
        assert replayed.earned_planned == again.earned
        assert replayed.earned == was.earned
        assert replayed.refusals == len(again.refused)
        assert replayed.charges == len(was.charges)


@at_random
@given(
    history=histories, plan=st.lists(budgets, max_size=2), start=st.sampled_from(STARTS), zone=st.sampled_from(ZONES)
)
def test_other_prices_and_what_credit_is_left_agree_as_well(
    databases: Databases, history: list[Step], plan: list[dict[str, Any]], start: Any, zone: str
) -> None:
    """Both wallets have little credit, so that higher prices use it up."""
    with (
        past(databases, start, zone, credit_yen=150) as was,
        past(databases, start, zone, OTHER_PRICES, credit_yen=150) as again,
    ):
        for number, budget in enumerate(plan, 1):
            again.budget(number, budget, "cap")
        happen(was, history)
        happen(again, history)
        if was.refused:
            return  # what the past itself refused left no entry
        replayed = was.wallets.budgets.replay(toml(plan, OTHER_PRICES), limit=1_000)
        assert [each._replace(amount=None) for each in told(was, replayed)] == [
            each._replace(amount=None) for each in again.refused
        ]
        assert replayed.earned_planned == again.earned


@at_random
@given(history=histories, plan=plans, start=st.sampled_from(STARTS), zone=st.sampled_from(ZONES))
def test_shadows_of_the_past_have_counted_what_their_replay_counts(
    databases: Databases, history: list[Step], plan: list[dict[str, Any]], start: Any, zone: str
) -> None:
    with past(databases, start, zone) as was:
        labels = {}
        for number, budget in enumerate(plan, 1):
            for budget_id in was.budget(number, budget, "shadow"):
                unit = "calls" if "limit_calls" in budget else "yen"
                labels[int(budget_id.removeprefix("budget-"))] = (str(number), unit)
        happen(was, history)
        refused: Counter[tuple[str, str]] = Counter()
        refusals: Counter[str] = Counter()
        for budget_id, *counted in was.wallets._ledger.ask(REFUSED):
            label, unit = labels[budget_id]
            refusals[label] += int(counted[0])
            refused[label, unit] += int(counted[1]) * MICROS + int(counted[2])
        plan = [{**budget, "mode": "shadow"} for budget in plan]
        replayed = was.wallets.budgets.replay(toml(plan), limit=1_000)
        assert {each.label: each.refusals for each in replayed.budgets} == +refusals
        yen = {label: micros for (label, unit), micros in refused.items() if unit == "yen" and micros}
        assert {each.label: each.refused_micros for each in replayed.budgets if each.label in yen} == yen
        assert replayed.refusals == 0
        assert replayed.difference == Decimal(0)
