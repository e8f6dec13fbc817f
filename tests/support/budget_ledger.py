"""One wallet with budgets on a real ledger with two nodes, for the state machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from budget_model import YEN, ModelBudget
from databases import Databases
from naive_windows import naive_window
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.budget_views import BudgetView
from credit_wallet.domain.commands import Command
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import decimal_of
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import WalletError

_SPENT = """
SELECT value, spent, spent_fraction, refused, refused_fraction, refusals FROM am_credit_budget_spent
WHERE budget_id = ? AND window_start = ?
"""
_STEPS = "SELECT value, spent, spent_fraction FROM am_credit_budget_step WHERE budget_id = ? AND at > ?"
_HELD = "SELECT value, held, held_fraction FROM am_credit_budget_held WHERE budget_id = ?"


class LedgerSide:
    """Two nodes, and the tables read by hand."""

    def __init__(self, databases: Databases, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._open_things = ExitStack()
        self._url = self._open_things.enter_context(databases.ledger())
        self._host = self._open_things.enter_context(PlainSql(self._url))
        self.node, self.other_node = self._opened(), self._opened()
        self.wallet_id = self.node.create(time_zone="UTC").wallet_id
        self.models: dict[str, ModelBudget] = {}

    def _opened(self) -> CreditWallet:
        return self._open_things.enter_context(CreditWallet.open(self._url, clock=self.clock))

    def reopen(self) -> None:
        self.node.close()
        self.node = self._opened()

    def close(self) -> None:
        with self._open_things:
            problems = self.other_node.verify()
            assert problems == [], problems

    def run(self, commands: Sequence[Command], *, elsewhere: bool = False) -> list[Outcome | WalletError]:
        node = self.other_node if elsewhere else self.node
        return list(node._ledger.lanes.submit(commands))

    def open_key(self, cap_yen: int) -> int:
        return self.node.keys.create(self.wallet_id, monthly_cap_yen=cap_yen).key_id

    def set_group(self, key_id: int, group: str | None) -> None:
        self.other_node.keys.configure(key_id, group=group)

    def make(self, model: ModelBudget) -> str:
        limit: dict[str, Any] = {f"limit_{model.unit}": _limit(model, model.limit)}
        scope = {name.removeprefix("."): wanted for name, wanted in model.scope.items()}
        made = self.other_node.budgets.create(
            self.wallet_id,
            **limit,
            window=model.window,
            scope=scope,
            mode=model.mode,
            time_zone=model.zone,
            week_start=model.week_start,
        )
        self.models[made.budget_id] = model
        return made.budget_id

    def change(self, model: ModelBudget) -> None:
        limits: dict[str, Any] = {f"limit_{model.unit}": _limit(model, model.limit)}
        limits["raised_until"] = None
        if model.raised is not None:
            limits[f"raised_limit_{model.unit}"] = _limit(model, model.raised)
            limits["raised_until"] = format_instant(model.raised_until)
        self.other_node.budgets.configure(model.name, **limits, mode=model.mode)

    def delete(self, model: ModelBudget) -> None:
        self.node.budgets.delete(model.name)
        del self.models[model.name]

    def used(self) -> dict[tuple[str, str], tuple[int, int]]:
        """What is spent now and what is held, by budget and value, where either is: in the tables, and as listed."""
        used = {}
        views = {view.budget_id: view for view in self.node.budgets.list(self.wallet_id)}
        for name, model in self.models.items():
            spent, held = self._spent(model), self._amounts(_HELD, _number(name))
            of_budget = {
                (name, value): (spent.get(value, 0), held.get(value, 0)) for value in spent.keys() | held.keys()
            }
            of_budget = {each: figures for each, figures in of_budget.items() if any(figures)}
            assert self._listed(views[name]) == of_budget
            used.update(of_budget)
        return used

    def refused(self, name: str, value: str) -> tuple[int, int]:
        """What a shadow would have refused of a value in the window, and how often."""
        for of, _, _, whole, fraction, refusals in self._host.run(_SPENT, _number(name), self._start(name)):
            if of == value:
                return int(whole) * YEN + int(fraction), int(refusals)
        return 0, 0

    def _spent(self, model: ModelBudget) -> dict[str, int]:
        number = _number(model.name)
        if model.rolls:
            start = self.clock() - timedelta(seconds=model.rolls)
            return self._amounts(_STEPS, number, format_instant(start))
        return self._amounts(_SPENT, number, self._start(model.name))

    def _start(self, name: str) -> str:
        model = self.models[name]
        start, _ = naive_window(model.window, self.clock(), model.zone, model.week_start)
        return "" if start is None else format_instant(start)

    def _amounts(self, statement: str, *parameters: object) -> dict[str, int]:
        amounts: dict[str, int] = {}
        for value, whole, fraction, *_ in self._host.run(statement, *parameters):
            amounts[value] = amounts.get(value, 0) + int(whole) * YEN + int(fraction)
        return amounts

    def _listed(self, view: BudgetView) -> dict[tuple[str, str], tuple[int, int]]:
        if not view.each_value:
            figures = {(view.budget_id, ""): (_micros(view.spent), _micros(view.held))}
        else:
            listed = self.other_node.budgets.values(view.budget_id)
            figures = {
                (view.budget_id, each.value.replace(", ", "\x1f")): (_micros(each.spent), _micros(each.held))
                for each in listed
            }
        return {name: each for name, each in figures.items() if any(each)}


def _number(name: str) -> int:
    return int(name.removeprefix("budget-"))


def _limit(model: ModelBudget, micros: int) -> Decimal | int:
    return decimal_of(micros) if model.unit == "yen" else micros // YEN


def _micros(amount: Decimal) -> int:
    return int(amount * YEN)
