"""Budgets as they are shown: amounts in the unit of each, yen or calls."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from credit_wallet.domain.actors import Actor
from credit_wallet.domain.budgets import Mode, Unit
from credit_wallet.domain.money import ExactOfUnit


class BudgetView(Struct, frozen=True):
    """A budget and what is used of it in the current window.

    ``limit`` is as it was set; until ``raised_until``, ``raised_limit`` counts instead. ``left`` is what remains of the
    limit that counts after ``spent`` and ``held``, 0 if that is more. ``resets_at`` is when the next window begins, or
    when all that was spent has left a rolling one, if there is anything to wait for.

    A budget for each value (``*`` in its scope) has a limit for every one of ``values`` values that it counted in this
    window; ``spent``, ``held`` and ``left`` are those of the ``value`` that has the least left. ``refused`` is what a
    budget in shadow mode would have refused of all values, in ``refusals`` charges and holds; of a rolling window since
    the budget was made.
    """

    budget_id: str
    wallet_id: int
    label: str | None
    unit: Unit
    window: str
    scope: dict[str, str]
    mode: Mode
    shares_pct: tuple[int, ...]
    time_zone: str
    week_start: str
    limit_micros: int
    spent_micros: int
    held_micros: int
    left_micros: int
    resets_at: str | None
    raised_limit_micros: int | None
    raised_until: str | None
    refused_micros: int
    refusals: int
    each_value: bool
    values: int
    value: str | None
    created_at: str | None

    limit, spent, held, left = ExactOfUnit(), ExactOfUnit(), ExactOfUnit(), ExactOfUnit()
    raised_limit, refused = ExactOfUnit(), ExactOfUnit()


class BudgetValueView(Struct, frozen=True):
    """One value of a budget for each value. ``value`` is several ones if the scope has several ``*``."""

    value: str
    spent_micros: int
    held_micros: int
    left_micros: int
    resets_at: str | None
    refused_micros: int
    refusals: int

    spent, held, left, refused = ExactOfUnit(), ExactOfUnit(), ExactOfUnit(), ExactOfUnit()


class BudgetChangeView(Struct, frozen=True):
    """A change to a budget: ``changed_by`` payer, operator, product or ``seller:<id>``, from what to what.

    A new budget has nothing ``before`` and a deleted one nothing ``after``; of a change, both have what it changed.
    Limits are decimals as text. ``after_txn_id`` is the wallet's last ledger entry then, 0 for none.
    """

    change_id: int
    budget_id: str
    changed_by: Actor
    changed_at: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    after_txn_id: int
