"""Random courses of one wallet with budgets: the rules agree with a naive model to the micro and to the instant."""

from __future__ import annotations

import pytest
from budget_machine import BudgetsBesideAModel
from budget_rules import RulesAlone
from budget_values import Side
from clock import Clock
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from width import examples

pytestmark = pytest.mark.slow


class RulesMachine(BudgetsBesideAModel):
    """The rules alone."""

    def open_side(self, clock: Clock) -> Side:
        return RulesAlone(clock)


def test_budgets_are_exact_in_the_rules() -> None:
    run_state_machine_as_test(
        RulesMachine,
        settings=settings(
            max_examples=examples(60, "BUDGETS_EXAMPLES"),
            stateful_step_count=50,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
