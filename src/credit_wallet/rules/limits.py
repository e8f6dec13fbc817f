"""The limits on spending: the state of the agent key, the budget's cap, the key's cap, the balance."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from credit_wallet.domain.cycle import parse_instant
from credit_wallet.domain.money import MICROS, both, both_up, decimal_text, format_micros, format_yen, whole_yen_up
from credit_wallet.domain.retry_after import whole_seconds
from credit_wallet.domain.views import KeyView, WalletView
from credit_wallet.errors import (
    BudgetExhausted,
    CallLimitReached,
    Forbidden,
    InsufficientFunds,
    KeyCapExhausted,
    Unauthorized,
    WalletDisabled,
    WalletError,
)
from credit_wallet.rules.batch import Batch, emit, emit_made, emit_once, note_recovery_due
from credit_wallet.rules.bounds import (
    Bound,
    bound_of_budget,
    bound_of_counter,
    bound_of_key,
    in_words,
    most_that_fits,
    retry_at,
    shown,
    told,
    what_to_do,
)
from credit_wallet.rules.budgets import Counters, note_used_up, period_of, refusing
from credit_wallet.rules.events import budget_exhausted
from credit_wallet.rules.state import Counter, KeyState, WalletState


def paying_key(batch: Batch, wallet: WalletState, key_id: int) -> KeyState | WalletError:
    """The agent key that pays, if it is the wallet's, works and may spend."""
    key = batch.snapshot.keys.get(key_id)
    expired = key is not None and key.expires_at is not None and key.expires_at <= batch.at
    if key is None or key.wallet_id != wallet.wallet_id or key.revoked_at is not None or expired:
        return Unauthorized(f"agent key {key_id} is unknown, revoked or expired", key_id=key_id)
    if not key.may_spend:
        return Forbidden(f"agent key {key_id} may not spend; pay with one whose scopes have spend", key_id=key_id)
    return key


def left_micros(bound_micros: int, spent_micros: int, held_micros: int) -> int:
    """What is left of a budget or a cap after spending and open holds; below zero when it was lowered."""
    return bound_micros - spent_micros - held_micros


def spendable_micros(wallet: WalletView, key: KeyView | None, counters: Counters = ()) -> int:
    """The largest charge that would be accepted now, 0 for none. A paying key must be active.

    ``counters`` are those of the budgets that limit every charge of the key, or of the owner; what a charge is for may
    limit it further.
    """
    if not wallet.enabled or (key is not None and "spend" not in key.scopes):
        return 0
    rooms = [wallet.balance_micros]
    if wallet.budget_mode == "cap" and wallet.monthly_budget_yen:
        budget_micros = wallet.monthly_budget_yen * MICROS
        rooms.append(left_micros(budget_micros, wallet.current_cycle_spent_micros, wallet.held_micros))
    if key is not None and key.monthly_cap_yen:
        rooms.append(left_micros(key.monthly_cap_yen * MICROS, key.current_cycle_spent_micros, key.held_micros))
    return most_that_fits(map(bound_of_counter, counters), max(0, min(rooms)))


def spendable_above_micros(
    wallet: WalletState, key: KeyState | None, counters: Counters, fresh: Counters, from_hold_micros: int
) -> int:
    """How much a capture may take beyond its hold: what balance, budgets and caps leave. ``fresh`` are the budgets that
    the hold does not reserve in, which ``from_hold_micros`` counts against as well.
    """
    if not wallet.enabled:
        return 0
    bounds = [bound for bound in (bound_of_budget(wallet), bound_of_key(wallet, key)) if bound is not None]
    caps = [counter for counter in counters if counter.budget.mode == "cap" and counter.budget.unit == "yen"]
    taken = [from_hold_micros if counter in fresh else 0 for counter in caps]
    rooms = [counter.left_micros - micros for counter, micros in zip(caps, taken, strict=True)]
    return max(0, min([wallet.balance_micros, *rooms, *(bound.left_micros for bound in bounds)]))


def refusal_to_spend(
    batch: Batch, wallet: WalletState, key: KeyState | None, amount_micros: int, counters: Counters = ()
) -> WalletError | None:
    """Why the wallet, or the agent key that pays, cannot spend ``amount_micros``; None when it can.

    ``counters`` are those of the budgets that the charge matches.
    """
    if not wallet.enabled:
        return WalletDisabled(
            f"wallet {wallet.wallet_id} is frozen, so nothing can be spent of it; ask the operator",
            wallet_id=wallet.wallet_id,
        )
    if wallet.budget_mode == "cap" and wallet.monthly_budget_yen:
        room_micros = left_micros(wallet.monthly_budget_yen * MICROS, wallet.cycle_spent_micros, wallet.held_micros)
        if amount_micros > max(room_micros, 0) and (budget := bound_of_budget(wallet)):
            return _budget_exhausted(batch, Asked(wallet, key, counters, amount_micros), budget)
    if key is not None and key.monthly_cap_yen:
        room_micros = left_micros(key.monthly_cap_yen * MICROS, key.cycle_spent_micros, key.held_micros)
        if amount_micros > max(room_micros, 0) and (cap := bound_of_key(wallet, key)):
            return _key_cap_exhausted(batch, Asked(wallet, key, counters, amount_micros), cap, key)
    if counters and (counter := refusing(counters, amount_micros)) is not None:
        return _counter_exhausted(batch, Asked(wallet, key, counters, amount_micros), counter)
    if amount_micros > wallet.balance_micros:
        return _insufficient_funds(batch, Asked(wallet, key, counters, amount_micros))
    return None


def refusal_to_capture(
    batch: Batch, wallet: WalletState, fresh: Counters, amount_micros: int, *, is_call: bool
) -> WalletError | None:
    """Why a capture cannot count in budgets that its hold does not reserve in."""
    in_question = fresh if is_call else [counter for counter in fresh if counter.budget.unit == "yen"]
    counter = refusing(in_question, amount_micros)
    if counter is None:
        return None
    return _counter_exhausted(batch, Asked(wallet, None, in_question, amount_micros, is_held=True), counter)


class Asked(Struct, frozen=True):
    """A refused request to spend, for the refusal to say what would pass. What ``is_held`` waits for budgets alone."""

    wallet: WalletState
    key: KeyState | None
    counters: Counters
    amount_micros: int
    is_held: bool = False

    def bounds(self) -> list[Bound]:
        """Every cap on it."""
        caps = [bound_of_counter(counter) for counter in self.counters if counter.budget.mode == "cap"]
        if self.is_held:
            return caps
        return [*filter(None, (bound_of_budget(self.wallet), bound_of_key(self.wallet, self.key))), *caps]

    def what_would_pass(self) -> dict[str, Any]:
        """``max_amount`` now, and when the same request would."""
        bounds = self.bounds()
        most_micros = most_that_fits(bounds, self.amount_micros if self.is_held else self.wallet.balance_micros)
        waiting = retry_at(bounds, None if self.is_held else self.wallet.lots, self.amount_micros)
        return {**both(max_amount=most_micros), "retry_at": waiting}

    def details(self, refusing: Bound) -> dict[str, Any]:
        """What a refusal by a bound says."""
        said = {"wallet_id": self.wallet.wallet_id, **both(balance=self.wallet.balance_micros)}
        if refusing.unit == "yen":
            said |= both_up(missing=self.amount_micros - max(refusing.left_micros, 0))
        return {**said, "budget": shown(refusing), **self.what_would_pass()}


def _budget_exhausted(batch: Batch, asked: Asked, bound: Bound) -> WalletError:
    wallet = asked.wallet
    limit = {"monthly_budget_yen": wallet.monthly_budget_yen}
    _emit_used_up(batch, wallet, "budget.exhausted", bound, limit)
    return BudgetExhausted(
        f"{format_micros(max(bound.left_micros, 0))} of the monthly budget of "
        f"{format_yen(wallet.monthly_budget_yen)} is left; raise the budget or wait for the cycle after "
        f"{wallet.current_cycle}",
        **limit,
        **asked.details(bound),
    )


def _key_cap_exhausted(batch: Batch, asked: Asked, bound: Bound, key: KeyState) -> WalletError:
    limit = {"key_id": key.key_id, "monthly_cap_yen": key.monthly_cap_yen}
    _emit_used_up(batch, asked.wallet, "key_cap.exhausted", bound, limit)
    return KeyCapExhausted(
        f"{format_micros(max(bound.left_micros, 0))} of the monthly cap of agent key {key.key_id} is left; "
        "raise the cap or pay with another key",
        **limit,
        **asked.details(bound),
    )


def _counter_exhausted(batch: Batch, asked: Asked, counter: Counter) -> WalletError:
    """A budget said no: one of calls refuses as a rate limit does."""
    bound = bound_of_counter(counter)
    if counter.left_micros * 10 < counter.limit_micros or not counter.limit_micros:
        refused = {**told(counter), "refused": decimal_text(counter.cost_of(asked.amount_micros))}
        emit_made(batch, budget_exhausted(asked.wallet.wallet_id, refused, period_of(counter, batch.at)))
        note_used_up(batch, counter)
    details = asked.details(bound)
    name, hint = in_words(bound), what_to_do(details)
    if bound.unit == "calls":
        return CallLimitReached(
            f"{name} allows no more calls; {hint}", **details, **_seconds_until(batch, details["retry_at"])
        )
    return BudgetExhausted(f"{format_micros(max(bound.left_micros, 0))} of {name} is left; {hint}", **details)


def _seconds_until(batch: Batch, instant: str | None) -> dict[str, int]:
    """What ``Retry-After`` says: nothing when waiting does not help."""
    if instant is None:
        return {}
    return {"retry_after_seconds": whole_seconds((parse_instant(instant) - batch.now).total_seconds())}


def _emit_used_up(batch: Batch, wallet: WalletState, kind: str, bound: Bound, limit: dict[str, int]) -> None:
    """Emit an event that a monthly limit stops spending, once a cycle for each limit. While a tenth of it or more is
    left, the limit is not used up: the call was large.
    """
    if bound.left_micros * 10 < bound.limit_micros:
        dedupe_key = " ".join(map(str, (wallet.current_cycle, *limit.values())))
        left = {
            "budget_id": bound.budget_id,
            "billing_cycle": wallet.current_cycle,
            **both(left=max(bound.left_micros, 0)),
        }
        emit_once(batch, wallet, kind, dedupe_key, **left, **limit)


def _insufficient_funds(batch: Batch, asked: Asked) -> WalletError:
    """Refuse, and emit an event: once until credit comes in, or once an hour while credit is only on hold."""
    wallet, amount_micros = asked.wallet, asked.amount_micros
    if not wallet.exhausted:
        refused = both(balance=wallet.balance_micros, refused=amount_micros)
        if amount_micros <= wallet.balance_micros + wallet.held_micros:
            emit_once(batch, wallet, "wallet.exhausted", batch.at[:13], **refused)
        else:
            wallet.exhausted = True
            batch.decision.touched[wallet.wallet_id] = wallet
            emit(batch, wallet, "wallet.exhausted", **refused)
        note_recovery_due(batch, wallet)
    missing_micros = amount_micros - wallet.balance_micros + wallet.debt_micros
    needed = format_micros(amount_micros)
    owed = f" and {format_micros(wallet.debt_micros)} is owed from a payment taken back" if wallet.debt_micros else ""
    return InsufficientFunds(
        f"wallet {wallet.wallet_id} has {format_micros(wallet.balance_micros)}, this needs {needed}{owed}; "
        f"top up {format_yen(whole_yen_up(missing_micros))} or more and send it again with the same idempotency key",
        wallet_id=wallet.wallet_id,
        **both(balance=wallet.balance_micros),
        **both_up(debt=wallet.debt_micros, missing=missing_micros),
        **asked.what_would_pass(),
    )
