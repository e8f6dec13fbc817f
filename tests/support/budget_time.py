"""Time in the state machine of budgets, which goes forth and back, and nodes that begin anew."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from budget_model import FAR, ModelSpender
from budget_values import Side, amounts, jumps, positions, usages
from clock import Clock
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from naive_windows import leaves_at

MILLISECOND = timedelta(milliseconds=1)


class BudgetsInTime(RuleBasedStateMachine):
    """What passes between the rules of ``BudgetsBesideAModel``."""

    clock: Clock
    model: ModelSpender
    side: Side

    def charge(self, micros: int, usage: Any, key: int | None, elsewhere: bool) -> None:
        raise NotImplementedError

    @rule(by=jumps)
    def move_on(self, by: timedelta) -> None:
        self.clock.advance(seconds=by.total_seconds())

    @precondition(lambda self: self.model.budgets)
    @rule(position=positions, beside=st.sampled_from([-1, 0, 1]))
    def go_to_an_edge(self, position: int, beside: int) -> None:
        """Where a window or a raise ends, or a hold expires."""
        edges = [hold.expires for hold in self.model.holds if hold.status == "open"]
        for budget in self.model.budgets:
            edges += [budget.ends(self.now) or FAR, budget.raised_until]
            if budget.rolls:
                edges += [leaves_at(entry.at, budget.rolls) for entry in self.model.entries]
        edges = sorted(edge for edge in edges if self.now < edge < FAR)
        if edges:
            self.clock.set(edges[position % len(edges)] + beside * MILLISECOND)

    @rule(by=st.sampled_from([1, 61, 3601, 86401]))
    def go_back(self, by: int) -> None:
        self.clock.advance(seconds=-by)

    @rule()
    def restart(self) -> None:
        self.side.reopen()

    @precondition(lambda self: self.model.budgets)
    @rule(
        position=positions,
        micros=amounts,
        usage=usages,
        key=st.sampled_from([None, 0, 1]),
        by=st.sampled_from([1, 5_000]),
    )
    def be_late(self, position: int, micros: int, usage: Any, key: int | None, by: int) -> None:
        """Another node spends in a window that begins soon; then this one comes, by whose clock it has not begun."""
        ends = sorted({end for budget in self.model.budgets if (end := budget.ends(self.now)) is not None})
        if ends:
            self.clock.set(ends[position % len(ends)])
            self.charge(micros, usage, key, elsewhere=True)
            self.clock.advance(milliseconds=-by)

    @property
    def now(self) -> datetime:
        return self.clock()
