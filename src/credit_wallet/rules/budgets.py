"""Budgets: which of them a charge matches, and what is counted, reserved and told in each.

All of it happens in the transaction that moves the money. What is spent in a window and what holds reserve never exceed
the limit of a cap together, unless the limit was lowered, or something had been delivered that could not be refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from credit_wallet.domain.actors import Actor
from credit_wallet.domain.budgets import CALL, Budget, Reserved, counted_as, labels_of
from credit_wallet.domain.shares import reached_pct, spent_pct
from credit_wallet.domain.usage import Usage
from credit_wallet.rules.batch import Batch, emit_made
from credit_wallet.rules.bounds import monthly_budget_id, told
from credit_wallet.rules.decision import BudgetChange
from credit_wallet.rules.events import budget_threshold_reached
from credit_wallet.rules.late_clocks import fits_later
from credit_wallet.rules.state import Counter, HoldState, Payment, WalletState

Counters = Sequence[Counter]

FULL_PCT = 100
_RENEWED_WINDOWS = frozenset(("day", "week", "month"))
_LONG_WINDOWS = _RENEWED_WINDOWS | {"total"}


def payment(wallet_id: int, key_id: int | None, usage: Usage | None) -> Payment:
    """The name in ``Snapshot.matched`` of a charge that ``key_id`` pays for ``usage``."""
    if usage is None:
        return (wallet_id, key_id, None, (), ())
    return (wallet_id, key_id, usage.item, usage.facts, usage.agent_facts)


def matching(batch: Batch, wallet: WalletState, key_id: int | None, usage: Usage | None) -> Counters:
    """The counters in which such a charge counts."""
    if not wallet.budget_kinds:
        return ()
    return batch.snapshot.matched[payment(wallet.wallet_id, key_id, usage)]


def refusing(counters: Counters, amount_micros: int) -> Counter | None:
    """A cap that has no room for a charge, None when all have. Every charge asks, so it is ``has_room`` written out."""
    for counter in counters:
        budget = counter.budget
        if budget.mode == "cap":
            cost_micros = amount_micros if budget.unit == "yen" else CALL
            if counter.spent_micros + counter.held_micros + cost_micros > counter.limit_micros and cost_micros:
                return counter
    return None


def note_monthly_budget(batch: Batch, wallet: WalletState, before: tuple[int, str], changed_by: Actor) -> None:
    """Log that the monthly budget or its mode has changed, if it has."""
    after = wallet.monthly_budget_yen, wallet.budget_mode
    if after == before:
        return
    batch.decision.budget_changes.append(
        BudgetChange(
            wallet.wallet_id,
            monthly_budget_id(wallet.wallet_id),
            changed_by,
            {"limit": str(before[0]), "mode": before[1]},
            {"limit": str(after[0]), "mode": after[1]},
            wallet.last_txn_id,
        )
    )


# Spending


def count(batch: Batch, counters: Counters, amount_micros: int, calls: int) -> None:
    """Count a charge in its budgets, ``calls`` 0 when its call has been counted before; and tell when a share of one is
    reached. A shadow counts what it lets through.
    """
    for counter in counters:
        budget = counter.budget
        cost_micros = amount_micros if budget.unit == "yen" else calls * CALL
        if not cost_micros:
            continue
        batch.decision.spent_in[budget.budget_id, counter.value] = counter
        if budget.mode == "shadow" and not counter.has_room(cost_micros):
            _refuse_in_shadow(batch, counter, cost_micros)
            continue
        counter.spent_micros += cost_micros
        if counter.leaves_at:
            note_leaving(counter, cost_micros)
        if counter.spent_micros * 100 >= counter.limit_micros * budget.shares_pct[0]:
            _tell(batch, counter, cost_micros)


def note_leaving(counter: Counter, cost_micros: int) -> None:
    """Note when what was spent in a rolling window leaves it."""
    counter.empty_at = max(counter.empty_at, counter.leaves_at)
    before_micros = 0
    if counter.leaving and counter.leaving[-1][0] == counter.leaves_at:
        _, before_micros = counter.leaving.pop()
    counter.leaving.append((counter.leaves_at, before_micros + cost_micros))


def _refuse_in_shadow(batch: Batch, counter: Counter, cost_micros: int) -> None:
    counter.refused_micros += cost_micros
    counter.refusals += 1
    note_used_up(batch, counter)


def _tell(batch: Batch, counter: Counter, cost_micros: int) -> None:
    """Emit an event for each share that spending ``cost_micros`` has reached. After a raise, they are emitted anew."""
    budget = counter.budget
    share_pct = _share_pct(counter, counter.spent_micros)
    before_pct = _share_pct(counter, counter.spent_micros - cost_micros)
    if counter.told_pct > before_pct:
        counter.told_pct = reached_pct(budget.shares_pct, before_pct)
    for threshold_pct in budget.shares_pct:
        if counter.told_pct < threshold_pct <= share_pct:
            counter.told_pct = threshold_pct
            facts, period = told(counter), period_of(counter, batch.at)
            emit_made(batch, budget_threshold_reached(budget.wallet_id, facts, threshold_pct, period))
    if share_pct >= FULL_PCT:
        note_used_up(batch, counter)


def note_used_up(batch: Batch, counter: Counter) -> None:
    """A job will tell that a new window has begun, of windows of a day and longer."""
    if counter.budget.window in _RENEWED_WINDOWS and counter.limit_micros and not counter.renewal:
        counter.renewal = 1
        batch.decision.spent_in[counter.budget.budget_id, counter.value] = counter


def _share_pct(counter: Counter, spent_micros: int) -> int:
    """A limit of 0 is spent whole."""
    return spent_pct(spent_micros, counter.limit_micros) if counter.limit_micros else 100


def period_of(counter: Counter, at: str) -> str:
    """What an event about a counter is deduplicated by, beside budget and value: its window; the day if it is shorter
    or rolls, lest a limit per minute emits one every minute.
    """
    return counter.window_start if counter.budget.window in _LONG_WINDOWS else at[:10]


# Holds


def reserve(batch: Batch, hold: HoldState, counters: Counters, amount_micros: int) -> None:
    """Reserve a new hold's amount, and its call, in the budgets that it matches."""
    hold.reserved = tuple(
        _reserved(batch, counter, counter.cost_of(amount_micros), hold.expires_at) for counter in counters
    )


def _reserved(batch: Batch, counter: Counter, cost_micros: int, until: str) -> Reserved:
    budget_id, value = counter.budget.budget_id, counter.value
    has_room = counter.has_room(cost_micros) and fits_later(counter, cost_micros, until)
    if counter.budget.mode == "shadow" and not has_room:
        _refuse_in_shadow(batch, counter, cost_micros)
        batch.decision.spent_in[budget_id, value] = counter
        return Reserved(budget_id, value, 0)
    if cost_micros:
        counter.held_micros += cost_micros
        batch.decision.held_in[budget_id, value] = counter
    return Reserved(budget_id, value)


def reserve_in_new(hold: HoldState, budget: Budget, group: str | None) -> tuple[str, int] | None:
    """Have an open hold, of a key in ``group``, reserve in a budget that is new: for which value, and how many micros.
    None when the hold does not match it.
    """
    value = counted_as(budget.scope, labels_of(hold.key_id, group, hold.usage))
    if value is None:
        return None
    hold.reserved = (*hold.reserved, Reserved(budget.budget_id, value))
    return value, hold.left_micros if budget.unit == "yen" else CALL * (not hold.is_counted)


def give_back(batch: Batch, hold: HoldState, amount_micros: int, *, call: bool) -> None:
    """Take an amount out of what a hold reserves, and its call. Budgets that were deleted since have no counter."""
    for reserved in hold.reserved:
        counter = batch.snapshot.counters.get((reserved.budget_id, reserved.value)) if reserved.is_held else None
        if counter is None:
            continue
        cost_micros = amount_micros if counter.budget.unit == "yen" else CALL * call
        if cost_micros:
            counter.held_micros -= cost_micros
            batch.decision.held_in[reserved.budget_id, reserved.value] = counter


def not_reserved(hold: HoldState, counters: Counters) -> Counters:
    """Those of a capture's budgets that its hold does not reserve in: the capture names more than the hold did, or what
    would have refused the hold as a shadow is one no more.
    """
    reserved = {(each.budget_id, each.value): each.is_held for each in hold.reserved}
    return [each for each in counters if not reserved.get(_name(each), 0) and not _is_passed(each, reserved)]


def countable(hold: HoldState, counters: Counters) -> Counters:
    """Those of a capture's budgets in which it counts: not the shadows that would have refused its hold."""
    reserved = {(each.budget_id, each.value): each.is_held for each in hold.reserved}
    return [each for each in counters if not _is_passed(each, reserved)]


def _is_passed(counter: Counter, reserved: Mapping[tuple[int, str], int]) -> bool:
    """Whether a hold has reserved nothing in it because it is a shadow that would have refused the hold."""
    return counter.budget.mode == "shadow" and reserved.get(_name(counter)) == 0


def _name(counter: Counter) -> tuple[int, str]:
    return counter.budget.budget_id, counter.value
