"""What a replay tries: budgets and prices from a file, or budgets as the arguments that ``budgets.create`` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from credit_wallet.domain.budgets import DEFAULT_SHARES_PCT, Budget
from credit_wallet.domain.price_file import Inexact, WalletOf, no_wallets, prices_of, refused, tables_of
from credit_wallet.domain.prices import Price
from credit_wallet.errors import InvalidRequest
from credit_wallet.rules.budget_requests import checked_budget
from credit_wallet.rules.replay_entries import EVERY_WALLET, NEVER_PCT
from credit_wallet.rules.validation import checked_id

MAX_BUDGETS = 1_000
"""Budgets of a plan."""

_DEFAULTS: dict[str, Any] = {
    "limit_yen": None,
    "limit_calls": None,
    "window": None,
    "scope": None,
    "mode": "cap",
    "label": None,
    "time_zone": None,
    "week_start": "monday",
}
_FIELDS = (*_DEFAULTS, "wallet_id")


def parse_plan(text: str, wallet_of: WalletOf = no_wallets) -> tuple[tuple[Budget, ...], tuple[Price, ...]]:
    """The budgets and prices of a file with tables ``[[budget]]`` and ``[[price]]``, in its order.

    Raises ``InvalidRequest`` that names every table and field that is wrong.
    """
    tables = tables_of(text, ("budget", "price"), "a plan", "plan")
    budgets, problems = _budgets_of(tables["budget"])
    prices, more = prices_of(tables["price"], wallet_of)
    if problems or more:
        raise refused([*problems, *more], "plan")
    return budgets, prices


def planned_budgets(budgets: Sequence[Mapping[str, Any]]) -> tuple[Budget, ...]:
    """Budgets of a plan, each given by arguments of ``budgets.create``. Raises ``InvalidRequest``."""
    planned, problems = _budgets_of(budgets)
    if problems:
        raise refused(problems, "plan")
    return planned


def _budgets_of(tables: Sequence[Any]) -> tuple[tuple[Budget, ...], list[str]]:
    if len(tables) > MAX_BUDGETS:
        return (), [f"a plan has at most {MAX_BUDGETS:,} budgets, not {len(tables):,}"]
    budgets, problems = [], []
    for number, table in enumerate(tables, 1):
        found = [*_wrong_fields(table)] if isinstance(table, Mapping) else ["budget must be a table: [[budget]]"]
        if not found:
            try:
                budgets.append(_budget(number, table))
            except InvalidRequest as error:
                found = [str(error)]
        problems += [f"budget {number}: {problem}" for problem in found]
    return tuple(budgets), problems


def _wrong_fields(table: Mapping[str, Any]) -> list[str]:
    unknown = [name for name in table if name not in _FIELDS]
    problems = [f"{name} is not a field; the fields are {', '.join(_FIELDS)}" for name in unknown]
    inexact = table.get("limit_yen")
    if isinstance(inexact, Inexact):
        problems.append(f'limit_yen must be exact: quote it, limit_yen = "{inexact}"')
    return problems


def _budget(number: int, table: Mapping[str, Any]) -> Budget:
    """Raises ``InvalidRequest``."""
    wallet_id = checked_id("wallet_id", table["wallet_id"]) if "wallet_id" in table else EVERY_WALLET
    asked = {**_DEFAULTS, **{name: value for name, value in table.items() if name != "wallet_id"}}
    new = checked_budget(
        wallet_id, **asked, shares_pct=DEFAULT_SHARES_PCT, raised=(None, None, None), ends=lambda _, until: until
    )
    return Budget(
        -number,
        wallet_id,
        new.label,
        new.unit,
        new.limit_micros,
        new.window,
        new.scope,
        new.mode,
        (NEVER_PCT,),
        new.time_zone or "",
        new.week_start,
        None,
        None,
        "",
    )
