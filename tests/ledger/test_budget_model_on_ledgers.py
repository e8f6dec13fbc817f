"""Random courses of one wallet with budgets on two nodes: the ledger agrees with a naive model to the micro."""

from __future__ import annotations

from functools import partial

import pytest
from budget_ledger import LedgerSide
from budget_machine import BudgetsBesideAModel
from budget_values import Side
from clock import Clock
from databases import Databases, on_both_databases
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from width import examples

pytestmark = pytest.mark.slow


class LedgerMachine(BudgetsBesideAModel):
    """A real database."""

    says_first_instant = False

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.databases = databases

    def open_side(self, clock: Clock) -> Side:
        return LedgerSide(self.databases, clock)


@on_both_databases
def test_budgets_are_exact_in_a_ledger(databases: Databases) -> None:
    run_state_machine_as_test(
        partial(LedgerMachine, databases),  # type: ignore[arg-type]  # anything that makes a machine
        settings=settings(
            max_examples=examples(8, "BUDGETS_EXAMPLES"),
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
