"""Holds: yen that are set aside, then captured, extended, released, or left to expire."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from msgspec import structs

from credit_wallet.domain.actors import PAYER, Actor, may_close
from credit_wallet.domain.commands import MAX_HOLD_SECONDS, Capture, Extend, Release
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.money import both, format_micros
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Captured, Extended, Held, Released
from credit_wallet.domain.usage import MAX_FACTS, Usage
from credit_wallet.errors import Forbidden, HoldClosed, HoldNotFound, InvalidAmount, WalletError
from credit_wallet.rules import budgets, late_clocks, lots
from credit_wallet.rules.batch import Batch, append
from credit_wallet.rules.budgets import Counters
from credit_wallet.rules.clawbacks import remember_lots
from credit_wallet.rules.credit import emit_lower, note_due, return_to_lots
from credit_wallet.rules.limits import paying_key, refusal_to_capture, refusal_to_spend, spendable_above_micros
from credit_wallet.rules.names import names_of_capture
from credit_wallet.rules.pricing import cost_of, count_usage
from credit_wallet.rules.spending import count_spent, take_or_owe
from credit_wallet.rules.state import HoldState, KeyState, WalletState
from credit_wallet.rules.usage import too_many_facts

Closing = Literal["captured", "released", "expired"]


def open_hold(
    batch: Batch,
    wallet: WalletState,
    amount_micros: int,
    ttl_seconds: int,
    note: str | None,
    key_id: int | None,
    closer: Actor,
    usage: Usage | None = None,
    names: Names | None = None,
) -> Held | WalletError:
    """Set ``amount_micros`` aside for ``usage``, if it could be spent; ``closer`` may close the hold."""
    key = None if key_id is None else paying_key(batch, wallet, key_id)
    if isinstance(key, WalletError):
        return key
    cost = cost_of(batch, wallet, amount_micros, usage)
    if isinstance(cost, WalletError):
        return cost
    amount_micros, usage = cost
    counters = budgets.matching(batch, wallet, key_id, usage)
    expires_at = format_instant(batch.now + timedelta(seconds=ttl_seconds))
    refusal = refusal_to_spend(batch, wallet, key, amount_micros, counters) or late_clocks.refusal_to_hold(
        batch, wallet, key, counters, amount_micros, expires_at
    )
    if refusal is not None:
        return refusal
    remember_lots(batch, wallet)
    hold = HoldState(
        hold_id=next(batch.snapshot.hold_ids),
        wallet_id=wallet.wallet_id,
        key_id=key_id,
        amount_micros=amount_micros,
        captured_micros=0,
        status="open",
        allocation=lots.take(wallet.lots, amount_micros),
        note=note,
        created_at=batch.at,
        expires_at=expires_at,
        closer=closer,
        usage=usage,
        names=names,
    )
    batch.snapshot.holds[hold.hold_id] = hold
    batch.decision.opened_holds.add(hold.hold_id)
    budgets.reserve(batch, hold, counters, amount_micros)
    wallet.balance_micros -= amount_micros
    wallet.held_micros += amount_micros
    if key is not None:
        key.held_micros += amount_micros
        batch.decision.touched_keys[key.key_id] = key
    batch.decision.touched_holds[hold.hold_id] = hold
    batch.decision.touched[wallet.wallet_id] = wallet
    note_due(wallet, hold.expires_at)
    emit_lower(batch, wallet, hold.allocation, amount_micros)
    return Held(
        wallet.wallet_id,
        amount_micros,
        wallet.balance_micros,
        hold_id=hold.hold_id,
        expires_at=hold.expires_at,
        price_version=None if usage is None else usage.price_version,
    )


def capture(batch: Batch, wallet: WalletState, command: Capture) -> Captured | WalletError:
    """Spend yen of a hold and release the rest, unless more captures are to come."""
    hold = _hold_of(batch, wallet, command.hold_id, command.actor, command.key_id)
    if isinstance(hold, WalletError):
        return hold
    if hold.status != "open":
        return _closed(hold)
    cost = cost_of(batch, wallet, command.amount_micros, command.usage)
    if isinstance(cost, WalletError):
        return cost
    amount_micros, usage = cost
    key = _key_of(batch, hold)
    from_hold_micros = min(amount_micros, hold.left_micros)
    above_micros = amount_micros - from_hold_micros
    if above_micros and (command.above == "reject" or command.actor == PAYER):
        return InvalidAmount(
            f"hold {hold.hold_id} holds {format_micros(hold.left_micros)}; capture at most that",
            field="amount_yen",
            **both(held=hold.left_micros),
        )
    usage = captured_usage(hold, usage, whole=_is_whole(hold, amount_micros))
    if usage is not None and (problem := too_many_facts(usage)):
        return problem
    counters = budgets.matching(batch, wallet, hold.key_id, usage)
    fresh = budgets.not_reserved(hold, counters)
    refusal = _refusal_to_count(batch, wallet, hold, counters, fresh, from_hold_micros)
    if refusal is not None:
        return refusal
    if above_micros:
        room_micros = spendable_above_micros(wallet, key, counters, fresh, from_hold_micros)
        above_micros = min(above_micros, room_micros)
        of_yen = [counter for counter in counters if counter.budget.unit == "yen"]  # its call is counted
        if not from_hold_micros + above_micros and (
            refusal := refusal_to_spend(batch, wallet, key, amount_micros, of_yen)
        ):
            return refusal
    captured = _spend_held(
        batch,
        wallet,
        hold,
        from_hold_micros,
        above_micros,
        usage,
        names_of_capture(hold.names, command.names, command.idempotency_key, command.actor),
        final=command.final,
        stays_open=not command.final and command.above == "up_to_balance",
    )
    assert captured is not None, "something was spent, or it costs nothing"  # noqa: S101
    return captured


def _refusal_to_count(
    batch: Batch, wallet: WalletState, hold: HoldState, counters: Counters, fresh: Counters, amount_micros: int
) -> WalletError | None:
    """Why budgets do not let a capture count. What was served is paid, whatever they say by now."""
    if hold.served:
        return None
    if fresh and (refusal := refusal_to_capture(batch, wallet, fresh, amount_micros, is_call=not hold.is_counted)):
        return refusal
    if batch.at < hold.created_at:
        return late_clocks.refusal_to_capture(wallet, _key_of(batch, hold), hold, counters, amount_micros)
    return None


def release(batch: Batch, wallet: WalletState, command: Release) -> Released | WalletError:
    """Release what is left of a hold."""
    hold = _hold_of(batch, wallet, command.hold_id, command.actor, command.key_id)
    if isinstance(hold, WalletError):
        return hold
    if hold.status != "open":
        return _closed(hold)
    left_micros = hold.left_micros
    return_hold(batch, wallet, hold, "released")
    return Released(wallet.wallet_id, left_micros, wallet.balance_micros, hold_id=hold.hold_id)


def extend(batch: Batch, wallet: WalletState, command: Extend) -> Extended | WalletError:
    """Extend an open hold."""
    hold = _hold_of(batch, wallet, command.hold_id, command.actor, command.key_id)
    if isinstance(hold, WalletError):
        return hold
    if hold.status != "open":
        return _closed(hold)
    prolong(batch, wallet, hold, command.ttl_seconds)
    return Extended(
        wallet.wallet_id, hold.left_micros, wallet.balance_micros, hold_id=hold.hold_id, expires_at=hold.expires_at
    )


def prolong(batch: Batch, wallet: WalletState, hold: HoldState, ttl_seconds: int) -> None:
    """Extend an open hold to ``ttl_seconds`` from now, if that is later, but never past the maximum life."""
    longest = parse_instant(hold.created_at) + timedelta(seconds=MAX_HOLD_SECONDS)
    wanted = format_instant(min(batch.now + timedelta(seconds=ttl_seconds), longest))
    expires_at = late_clocks.longest_until(batch, wallet, _key_of(batch, hold), hold, wanted)
    if expires_at > hold.expires_at:
        hold.expires_at = expires_at
        batch.decision.touched_holds[hold.hold_id] = hold


def return_hold(batch: Batch, wallet: WalletState, hold: HoldState, status: Literal["released", "expired"]) -> None:
    """Close a hold and return what is left of it to the wallet. One that is used up is captured, whoever closes it.

    So is one that held nothing, because its item was free then, if more was captured since.
    """
    left_micros = hold.left_micros
    _take_out_of_hold(batch, wallet, hold, left_micros, call=not hold.is_counted)
    is_used_up = not left_micros and bool(hold.captured_micros or hold.above_micros)
    _close(batch, hold, "captured" if is_used_up else status)
    wallet.balance_micros += left_micros
    return_to_lots(batch, wallet, hold.allocation)


def expire_hold(batch: Batch, wallet: WalletState, hold: HoldState) -> None:
    """Close an expired hold: capture it if what it pays for was delivered, otherwise release it."""
    if hold.served:
        usage = captured_usage(hold, None, whole=_is_whole(hold, hold.left_micros))
        _spend_held(batch, wallet, hold, hold.left_micros, 0, usage, hold.names)
    else:
        return_hold(batch, wallet, hold, "expired")


def serve_hold(batch: Batch, wallet: WalletState, hold: HoldState) -> None:
    """Mark a hold as served: from now on its expiry captures it; if it has expired, the balance pays for it."""
    if hold.status == "open":
        hold.served = True
        batch.decision.touched_holds[hold.hold_id] = hold
    elif hold.status != "captured":
        hold.served = True
        usage = captured_usage(hold, None, whole=_is_whole(hold, hold.left_micros))
        _spend_held(batch, wallet, hold, 0, hold.left_micros, usage, hold.names)


def _spend_held(
    batch: Batch,
    wallet: WalletState,
    hold: HoldState,
    from_hold_micros: int,
    above_micros: int,
    usage: Usage | None,
    names: Names | None,
    *,
    final: bool = True,
    stays_open: bool = False,
) -> Captured | None:
    """Spend yen of a hold and ``above_micros`` of the balance beyond it; a shortfall becomes a debt.

    Returns None when there is no entry: nothing was left to spend, or all of it becomes a debt. An item that costs
    nothing has one.
    """
    key = _key_of(batch, hold)
    was_open = hold.status == "open"
    back_micros = hold.left_micros - from_hold_micros if final and was_open else 0
    used, rest = lots.split(hold.allocation, from_hold_micros)
    _take_out_of_hold(batch, wallet, hold, from_hold_micros + back_micros, call=not hold.is_counted)
    hold.captured_micros += from_hold_micros
    hold.allocation = rest
    if final or not was_open or not (hold.left_micros or stays_open):
        _close(batch, hold, "captured")
    batch.decision.touched_holds[hold.hold_id] = hold
    batch.decision.touched[wallet.wallet_id] = wallet
    wallet.balance_micros += back_micros
    above = take_or_owe(batch, wallet, above_micros) if above_micros else []
    hold.above_micros += lots.total_micros(above)
    spent_micros = from_hold_micros + lots.total_micros(above)
    count_usage(batch, wallet, usage)
    captured = None
    is_free = usage is not None and usage.item is not None and not above_micros
    if spent_micros or is_free:
        taken = used + above
        txn_id = append(
            batch,
            wallet,
            "charge",
            -spent_micros,
            taken,
            hold.note,
            usage=usage,
            key_id=hold.key_id,
            hold_id=hold.hold_id,
            names=names,
        )
        counters = budgets.countable(hold, budgets.matching(batch, wallet, hold.key_id, usage))
        budgets.count(batch, counters, spent_micros, calls=0 if hold.is_counted else 1)
        hold.is_counted = True
        captured = count_spent(Captured, batch, wallet, key, spent_micros, txn_id, hold.hold_id)
    if back_micros:
        return_to_lots(batch, wallet, rest)
    if above:
        emit_lower(batch, wallet, above, lots.total_micros(above))
    return captured and structs.replace(
        captured,
        balance_micros=wallet.balance_micros,
        price_version=None if usage is None else usage.price_version,
    )


def captured_usage(hold: HoldState, usage: Usage | None, *, whole: bool) -> Usage | None:
    """What a capture is for: its own item, and the hold's facts where it does not say others.

    Without an item of its own it is for the hold's, if it captures the ``whole`` of an untouched hold.
    """
    if hold.usage is None:
        return usage
    own = usage or Usage()
    if own.item is None and whole:
        item, quantity_micros, *_, price_version = structs.astuple(hold.usage)
        own = Usage(item, quantity_micros, own.facts, own.agent_facts, price_version)
    facts = {**dict(hold.usage.facts), **dict(own.facts)}
    agent_facts = {**dict(hold.usage.agent_facts), **dict(own.agent_facts)}
    if own.facts:
        agent_facts = _that_find_room(agent_facts, dict(own.agent_facts), MAX_FACTS - len(facts))
    merged = structs.replace(own, facts=tuple(sorted(facts.items())), agent_facts=tuple(sorted(agent_facts.items())))
    return None if merged == Usage() else merged


def _is_whole(hold: HoldState, amount_micros: int) -> bool:
    return amount_micros == hold.amount_micros and not hold.captured_micros


def _that_find_room(agent_facts: dict[str, str], own: dict[str, str], room: int) -> dict[str, str]:
    """The agent's facts beside what a seller adds: they must not keep it from being captured, so those of the hold
    give way, the last keys first.
    """
    said_before = sorted(agent_facts.keys() - own.keys())[: max(0, room - len(own))]
    return {key: agent_facts[key] for key in (*own, *said_before)}


def _take_out_of_hold(batch: Batch, wallet: WalletState, hold: HoldState, amount_micros: int, *, call: bool) -> None:
    """Reduce the held yen, of the wallet, of the agent key and of budgets; an expired hold holds none."""
    if hold.status != "open":
        return
    if hold.reserved:
        budgets.give_back(batch, hold, amount_micros, call=call)
    wallet.held_micros -= amount_micros
    key = _key_of(batch, hold)
    if key is not None:
        key.held_micros -= amount_micros
        batch.decision.touched_keys[key.key_id] = key


def _close(batch: Batch, hold: HoldState, status: Closing) -> None:
    hold.status = status
    hold.closed_at = batch.at
    batch.decision.touched_holds[hold.hold_id] = hold


def _key_of(batch: Batch, hold: HoldState) -> KeyState | None:
    return None if hold.key_id is None else batch.snapshot.keys[hold.key_id]


def _hold_of(
    batch: Batch, wallet: WalletState, hold_id: int, actor: Actor, key_id: int | None
) -> HoldState | WalletError:
    """The hold, if ``actor`` may close it. An agent key does not see other keys' holds; nobody sees one that the same
    batch makes, since its id has not been returned yet.
    """
    hold = None if hold_id in batch.decision.opened_holds else batch.snapshot.holds.get(hold_id)
    is_hidden = hold is None or hold.wallet_id != wallet.wallet_id or (key_id is not None and hold.key_id != key_id)
    if hold is None or is_hidden:
        return HoldNotFound(f"there is no hold {hold_id}; check the id", hold_id=hold_id)
    if not may_close(hold.closer, actor):
        return Forbidden(
            f"hold {hold_id} was made by another caller; only that caller or an operator can capture or release it",
            hold_id=hold_id,
        )
    if key_id is not None:
        key = paying_key(batch, wallet, key_id)
        if isinstance(key, WalletError):
            return key
    return hold


def _closed(hold: HoldState) -> HoldClosed:
    return HoldClosed(
        f"hold {hold.hold_id} is {hold.status}; make a new one", hold_id=hold.hold_id, hold_status=hold.status
    )
