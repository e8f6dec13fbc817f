"""Spending: a charge, and what is counted when yen are spent — the cycle, the agent key's cap, alert thresholds."""

from __future__ import annotations

from typing import TypeVar

from msgspec import structs

from credit_wallet.domain.actors import NO_SELLERS, Actor, seller_of
from credit_wallet.domain.money import MICROS, both, whole_yen
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Alert, Charged
from credit_wallet.domain.shares import WARN_PCTS, reached_pct, spent_pct, warn_pct
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import WalletError
from credit_wallet.rules import budgets, lots
from credit_wallet.rules.batch import Batch, append, emit_once, fire
from credit_wallet.rules.bounds import key_cap_id
from credit_wallet.rules.clawbacks import owe
from credit_wallet.rules.credit import emit_lower
from credit_wallet.rules.limits import paying_key, refusal_to_spend
from credit_wallet.rules.pricing import cost_of, count_usage
from credit_wallet.rules.state import Allocation, KeyState, WalletState

Spent = TypeVar("Spent", bound=Charged)


def charge(
    batch: Batch,
    wallet: WalletState,
    amount_micros: int,
    note: str | None,
    key_id: int | None,
    actor: Actor,
    usage: Usage | None = None,
    names: Names | None = None,
) -> Charged | WalletError:
    """Spend ``amount_micros`` of the balance for ``usage`` if no limit refuses it, on behalf of ``actor``."""
    key = None if key_id is None else paying_key(batch, wallet, key_id)
    if isinstance(key, WalletError):
        return key
    if usage is not None:
        cost = cost_of(batch, wallet, amount_micros, usage)
        if isinstance(cost, WalletError):
            return cost
        amount_micros, usage = cost
    counters = budgets.matching(batch, wallet, key_id, usage) if wallet.budget_kinds else ()
    refusal = refusal_to_spend(batch, wallet, key, amount_micros, counters)
    if refusal is not None:
        return refusal
    wallet.balance_micros -= amount_micros
    taken = lots.take(wallet.lots, amount_micros)
    txn_id = append(batch, wallet, "charge", -amount_micros, taken, note, usage=usage, key_id=key_id, names=names)
    if actor not in NO_SELLERS:
        note_sale(batch, wallet, txn_id, actor)
    if wallet.auto_topup_amount or wallet.low_balance_yen:
        emit_lower(batch, wallet, taken, amount_micros)
    if counters:
        budgets.count(batch, counters, amount_micros, calls=1)
    charged = count_spent(Charged, batch, wallet, key, amount_micros, txn_id, None)
    if usage is None or usage.item is None:
        return charged
    count_usage(batch, wallet, usage)
    return structs.replace(charged, price_version=usage.price_version)


def note_sale(batch: Batch, wallet: WalletState, txn_id: int, actor: Actor) -> None:
    """Record the seller that made a charge, if one did: it may refund the charge."""
    seller_id = seller_of(actor)
    if seller_id is not None:
        batch.decision.sales.append((wallet.wallet_id, txn_id, seller_id))


def take_or_owe(batch: Batch, wallet: WalletState, amount_micros: int) -> Allocation:
    """Take ``amount_micros`` of the balance for something already delivered; a shortfall becomes a debt."""
    taken_micros = min(amount_micros, wallet.balance_micros)
    wallet.balance_micros -= taken_micros
    owe(batch, wallet, amount_micros - taken_micros)
    batch.decision.touched[wallet.wallet_id] = wallet
    return lots.take(wallet.lots, taken_micros)


def count_spent(
    kind: type[Spent],
    batch: Batch,
    wallet: WalletState,
    key: KeyState | None,
    amount_micros: int,
    txn_id: int,
    hold_id: int | None,
) -> Spent:
    """Count spending against the cycle, the key and the alert thresholds."""
    wallet.cycle_spent_micros += amount_micros
    if key is not None:
        _count_against_cap(batch, wallet, key, amount_micros)
    if not wallet.monthly_budget_yen:
        return kind(wallet.wallet_id, amount_micros, wallet.balance_micros, txn_id, hold_id)
    share_pct = spent_pct(wallet.cycle_spent_micros, wallet.monthly_budget_yen * MICROS)
    alerts = _cross_thresholds(batch, wallet, amount_micros, share_pct) if share_pct >= wallet.thresholds_pct[0] else ()
    return kind(
        wallet.wallet_id, amount_micros, wallet.balance_micros, txn_id, hold_id, False, alerts, warn_pct(share_pct)
    )


def _cross_thresholds(batch: Batch, wallet: WalletState, amount_micros: int, share_pct: int) -> tuple[Alert, ...]:
    """The thresholds that spending ``amount_micros`` has crossed. After the budget was raised, they fire anew."""
    before_pct = spent_pct(wallet.cycle_spent_micros - amount_micros, wallet.monthly_budget_yen * MICROS)
    if wallet.alerted_pct > before_pct:
        wallet.alerted_pct = reached_pct(wallet.thresholds_pct, before_pct)
    fired = tuple(
        Alert(threshold_pct, wallet.current_cycle, whole_yen(wallet.cycle_spent_micros), wallet.monthly_budget_yen)
        for threshold_pct in wallet.thresholds_pct
        if wallet.alerted_pct < threshold_pct <= share_pct
    )
    for alert in fired:
        wallet.alerted_pct = alert.threshold_pct
        fire(batch, wallet, alert)
    return fired


def _count_against_cap(batch: Batch, wallet: WalletState, key: KeyState, amount_micros: int) -> None:
    """Count spending of an agent key, and emit an event when it crosses a warning share of its cap."""
    before_micros = key.cycle_spent_micros
    key.cycle_spent_micros += amount_micros
    batch.decision.touched_keys[key.key_id] = key
    cap_yen = key.monthly_cap_yen
    cap_micros = cap_yen * MICROS
    if not cap_yen or key.cycle_spent_micros * 100 < cap_micros * WARN_PCTS[0]:
        return
    crossed_pct = warn_pct(spent_pct(key.cycle_spent_micros, cap_micros))
    if crossed_pct > warn_pct(spent_pct(before_micros, cap_micros)):
        dedupe_key = f"{key.key_id} {key.current_cycle} {cap_yen} {crossed_pct}"
        spent = both(spent=key.cycle_spent_micros)
        cap = {"monthly_cap_yen": cap_yen, "billing_cycle": key.current_cycle, "budget_id": key_cap_id(key.key_id)}
        emit_once(
            batch,
            wallet,
            "key_cap.threshold_reached",
            dedupe_key,
            key_id=key.key_id,
            threshold_pct=crossed_pct,
            **spent,
            **cap,
        )
