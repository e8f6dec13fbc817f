"""Bounds: everything that limits what a wallet or an agent key can spend, in one form, for what refusals say.

The monthly budget and a key's cap are bounds as budgets are. A refusal says which of them said no, what would pass now,
and when the same request would pass if nobody else spends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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

    def first_that_fits(self, amount_micros: int, since: str) -> str | None:
        """The first instant from ``since`` (empty for now) at which a charge fits, if nothing else is spent and holds
        remain; None when there is none.
        """
        cost_micros = self.cost_of(amount_micros)
        for at, spent_micros in self._spent_from(since):
            limit_micros = self.budget.limit_at(at) if self.budget is not None and at else self.limit_micros
            if not cost_micros or spent_micros + self.held_micros + cost_micros <= limit_micros:
                return at
        return None

    def _spent_from(self, since: str) -> Iterator[tuple[str, int]]:
        """``since`` and the later instants at which more may fit, in order, with what is spent then."""
        left = sum(micros for at, micros in self._turns() if at <= since)
        yield since, self.spent_micros - left
        for at, micros in sorted(turn for turn in self._turns() if turn[0] > since):
            left += micros
            yield at, self.spent_micros - left

    def _turns(self) -> Iterator[tuple[str, int]]:
        """What leaves the window at which instants, and nothing at the end of a raise."""
        yield from self.leaving
        if end := self.empty_at or self.resets_at:
            yield end, self.spent_micros - sum(micros for _, micros in self.leaving)
        if self.budget is not None and self.budget.raised_until is not None:
            yield self.budget.raised_until, 0


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
    calls = bound.limit_micros // CALL
    limit = format_micros(bound.limit_micros) if bound.unit == "yen" else f"{calls:,} call{'s' * (calls != 1)}"
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
    bounds, at, before = tuple(bounds), "", None
    while at != before:  # once more when a raise has ended by then
        before = at
        for bound in bounds:
            later = bound.first_that_fits(amount_micros, at)
            if later is None:
                return None
            at = later
    is_there = lots is None or _lasting_micros(lots, at) >= amount_micros
    return at if at and is_there else None


def _lasting_micros(lots: Iterable[Lot], at: str) -> int:
    return sum(lot.remaining_micros for lot in lots if lot.expires_at is None or lot.expires_at > at)


def _end_of_cycle(cycle: str, time_zone: str) -> str:
    return format_instant(parse_instant(cycle_bounds(cycle, time_zone)[1]))
