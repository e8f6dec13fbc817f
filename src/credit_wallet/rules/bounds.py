"""Bounds: everything that limits what a wallet or an agent key can spend, in one form, for what refusals say.

The monthly budget and a key's cap are bounds as budgets are. A refusal says which of them said no, what would pass now,
and when the same request would pass if nobody else spends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from credit_wallet.domain.budgets import CALL, Budget, Unit, shown_scope, shown_value, values_in
from credit_wallet.domain.cycle import cycle_bounds, format_instant, parse_instant
from credit_wallet.domain.money import MICROS, decimal_text, format_micros
from credit_wallet.rules.state import Counter, KeyState, Lot, WalletState


class Bound(Struct, frozen=True):
    """A limit and what is used of it; amounts in micros of its unit. ``resets_at`` is empty when it never does."""

    budget_id: str
    label: str | None
    unit: Unit
    limit_micros: int
    spent_micros: int
    held_micros: int
    resets_at: str
    window: str = "month"
    value: str | None = None
    leaving: tuple[tuple[str, int], ...] = ()
    empty_at: str = ""
    budget: Budget | None = None

    @property
    def left_micros(self) -> int:
        """What is left after spending and holds; below zero when the limit was lowered."""
        return self.limit_micros - self.spent_micros - self.held_micros

    def cost_of(self, amount_micros: int) -> int:
        """What a charge of ``amount_micros`` counts for."""
        return amount_micros if self.unit == "yen" else CALL

    def fits(self, amount_micros: int) -> bool:
        """Whether a charge fits now. What costs nothing always does."""
        cost_micros = self.cost_of(amount_micros)
        return not cost_micros or cost_micros <= self.left_micros

    def fits_at(self, amount_micros: int, instant: str) -> bool:
        """Whether a charge would fit at a later instant, if nothing else is spent and holds remain."""
        cost_micros = self.cost_of(amount_micros)
        limit_micros = self.limit_micros if self.budget is None else self.budget.limit_at(instant)
        return not cost_micros or cost_micros <= limit_micros - self._spent_at(instant) - self.held_micros

    def turns(self) -> Iterable[str]:
        """The instants at which more fits, in order."""
        if self.leaving or self.empty_at:
            yield from (at for at, _ in self.leaving)
            yield self.empty_at
        elif self.resets_at:
            yield self.resets_at

    def _spent_at(self, instant: str) -> int:
        if self.empty_at:
            if instant >= self.empty_at:
                return 0
            return self.spent_micros - sum(micros for at, micros in self.leaving if at <= instant)
        return 0 if self.resets_at and instant >= self.resets_at else self.spent_micros


def monthly_budget_id(wallet_id: int) -> str:
    """The id under which the monthly budget of a wallet is listed."""
    return f"monthly-{wallet_id}"


def key_cap_id(key_id: int) -> str:
    """The id under which the monthly cap of an agent key is listed."""
    return f"key-{key_id}"


def budget_id_text(budget_id: int) -> str:
    """The id of a budget, as everybody sees it."""
    return f"budget-{budget_id}"


def bound_of_budget(wallet: WalletState) -> Bound | None:
    """The monthly budget, if it is a cap."""
    if wallet.budget_mode != "cap" or not wallet.monthly_budget_yen:
        return None
    return Bound(
        monthly_budget_id(wallet.wallet_id),
        None,
        "yen",
        wallet.monthly_budget_yen * MICROS,
        wallet.cycle_spent_micros,
        wallet.held_micros,
        _end_of_cycle(wallet.current_cycle, wallet.time_zone),
    )


def bound_of_key(wallet: WalletState, key: KeyState | None) -> Bound | None:
    """The monthly cap of the agent key that pays, if it has one."""
    if key is None or not key.monthly_cap_yen:
        return None
    return Bound(
        key_cap_id(key.key_id),
        None,
        "yen",
        key.monthly_cap_yen * MICROS,
        key.cycle_spent_micros,
        key.held_micros,
        _end_of_cycle(key.current_cycle, wallet.time_zone),
    )


def bound_of_counter(counter: Counter) -> Bound:
    """What one value may spend of a budget."""
    budget = counter.budget
    return Bound(
        budget_id_text(budget.budget_id),
        budget.label,
        budget.unit,
        counter.limit_micros,
        counter.spent_micros,
        counter.held_micros,
        counter.resets_at,
        budget.window,
        shown_value(counter.value) or None,
        tuple(counter.leaving),
        counter.empty_at,
        budget,
    )


def shown(bound: Bound) -> dict[str, Any]:
    """A bound as refusals and events show it: decimals as texts."""
    return {
        "budget_id": bound.budget_id,
        "label": bound.label,
        "value": bound.value,
        "unit": bound.unit,
        "window": bound.window,
        "limit": decimal_text(bound.limit_micros),
        "spent": decimal_text(bound.spent_micros),
        "held": decimal_text(bound.held_micros),
        "left": decimal_text(max(0, bound.left_micros)),
        "resets_at": bound.resets_at or bound.empty_at or None,
    }


def told(counter: Counter) -> dict[str, Any]:
    """A counter as events tell of it: what it is for as well."""
    return {
        **shown(bound_of_counter(counter)),
        "mode": counter.budget.mode,
        "scope": shown_scope(counter.budget.scope),
        "values": values_in(counter.budget.scope, counter.value),
    }


def told_budget(budget: Budget) -> dict[str, Any]:
    """A budget as events tell of it that are of no counter."""
    return {
        "budget_id": budget_id_text(budget.budget_id),
        "label": budget.label,
        "value": None,
        "unit": budget.unit,
        "window": budget.window,
        "limit": decimal_text(budget.limit_micros),
        "mode": budget.mode,
        "scope": shown_scope(budget.scope),
        "values": {},
    }


def in_words(bound: Bound) -> str:
    """A bound's name for people: ``budget-12 (searches, r1) of ¥100 a day``."""
    named = ", ".join(filter(None, (bound.label, bound.value)))
    limit = format_micros(bound.limit_micros) if bound.unit == "yen" else f"{bound.limit_micros // CALL:,} calls"
    span = {"total": "in all"}.get(bound.window, f"a {bound.window}")
    if bound.window.startswith("rolling:"):
        span = f"in {bound.window.removeprefix('rolling:')}"
    return f"{bound.budget_id}{f' ({named})' if named else ''} of {limit} {span}"


def what_to_do(passing: Mapping[str, Any]) -> str:
    """The advice of a refusal that says what would pass."""
    ways = []
    if passing["max_amount"] != "0":
        ways.append(f"spend at most {passing['max_amount']} yen now")
    if passing["retry_at"] is not None:
        ways.append(f"send it again at {passing['retry_at']} or later")
    return ", or ".join([*ways, "have the budget raised"])


def most_that_fits(bounds: Iterable[Bound], balance_micros: int) -> int:
    """The largest charge that would pass now, in micros of yen; 0 when none would."""
    rooms = [balance_micros]
    for bound in bounds:
        if bound.unit == "yen":
            rooms.append(bound.left_micros)
        elif not bound.fits(0):
            return 0
    return max(0, min(rooms))


def retry_at(bounds: Iterable[Bound], lots: Iterable[Lot] | None, amount_micros: int) -> str | None:
    """The first instant at which the same charge would pass if nothing else is spent; None when waiting does not help.

    Holds are taken to remain, and credit to expire when it does. Without ``lots`` the credit is set aside already.
    """
    bounds, lots = tuple(bounds), None if lots is None else tuple(lots)
    for at in sorted({at for bound in bounds if not bound.fits(amount_micros) for at in bound.turns()}):
        is_there = lots is None or _lasting_micros(lots, at) >= amount_micros
        if is_there and all(bound.fits_at(amount_micros, at) for bound in bounds):
            return at
    return None


def _lasting_micros(lots: Iterable[Lot], at: str) -> int:
    return sum(lot.remaining_micros for lot in lots if lot.expires_at is None or lot.expires_at > at)


def _end_of_cycle(cycle: str, time_zone: str) -> str:
    return format_instant(parse_instant(cycle_bounds(cycle, time_zone)[1]))
