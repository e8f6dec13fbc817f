"""Spending: a charge, and what is counted when yen are spent — the cycle, the agent key's cap, alert thresholds."""

from __future__ import annotations

from typing import TypeVar

from credit_wallet.domain.actors import NO_SELLERS, Actor, seller_of
from credit_wallet.domain.budget import WARN_PCTS, reached_pct, spent_pct, warn_pct
from credit_wallet.domain.outcomes import Alert, Charged
from credit_wallet.errors import WalletError
from credit_wallet.rules import lots
from credit_wallet.rules.batch import Batch, append, emit_once, fire
from credit_wallet.rules.clawbacks import owe
from credit_wallet.rules.credit import emit_lower
from credit_wallet.rules.limits import paying_key, refusal_to_spend
from credit_wallet.rules.state import Allocation, KeyState, WalletState

Spent = TypeVar("Spent", bound=Charged)


def charge(
    batch: Batch, wallet: WalletState, amount_yen: int, note: str | None, key_id: int | None, actor: Actor
) -> Charged | WalletError:
    """Spend ``amount_yen`` of the balance if no limit refuses it, on behalf of ``actor``."""
    key = None if key_id is None else paying_key(batch, wallet, key_id)
    if isinstance(key, WalletError):
        return key
    refusal = refusal_to_spend(batch, wallet, key, amount_yen)
    if refusal is not None:
        return refusal
    wallet.balance_yen -= amount_yen
    taken = lots.take(wallet.lots, amount_yen)
    txn_id = append(batch, wallet, "charge", -amount_yen, taken, note, key_id=key_id)
    if actor not in NO_SELLERS:
        note_sale(batch, wallet, txn_id, actor)
    emit_lower(batch, wallet, taken, amount_yen)
    return count_spent(Charged, batch, wallet, key, amount_yen, txn_id, None)


def note_sale(batch: Batch, wallet: WalletState, txn_id: int, actor: Actor) -> None:
    """Record the seller that made a charge, if one did: it may refund the charge."""
    seller_id = seller_of(actor)
    if seller_id is not None:
        batch.decision.sales.append((wallet.wallet_id, txn_id, seller_id))


def take_or_owe(batch: Batch, wallet: WalletState, amount_yen: int) -> Allocation:
    """Take ``amount_yen`` of the balance for something already delivered; a shortfall becomes a debt."""
    taken_yen = min(amount_yen, wallet.balance_yen)
    wallet.balance_yen -= taken_yen
    owe(batch, wallet, amount_yen - taken_yen)
    batch.decision.touched[wallet.wallet_id] = wallet
    return lots.take(wallet.lots, taken_yen)


def count_spent(
    kind: type[Spent],
    batch: Batch,
    wallet: WalletState,
    key: KeyState | None,
    amount_yen: int,
    txn_id: int,
    hold_id: int | None,
) -> Spent:
    """Count spending against the cycle, the key and the alert thresholds."""
    wallet.cycle_spent_yen += amount_yen
    if key is not None:
        _count_against_cap(batch, wallet, key, amount_yen)
    if not wallet.monthly_budget_yen:
        return kind(wallet.wallet_id, amount_yen, wallet.balance_yen, txn_id, hold_id)
    share_pct = spent_pct(wallet.cycle_spent_yen, wallet.monthly_budget_yen)
    alerts = _cross_thresholds(batch, wallet, amount_yen, share_pct) if share_pct >= wallet.thresholds_pct[0] else ()
    return kind(wallet.wallet_id, amount_yen, wallet.balance_yen, txn_id, hold_id, False, alerts, warn_pct(share_pct))


def _cross_thresholds(batch: Batch, wallet: WalletState, amount_yen: int, share_pct: int) -> tuple[Alert, ...]:
    """The thresholds that spending ``amount_yen`` has crossed. After the budget was raised, they fire anew."""
    before_pct = spent_pct(wallet.cycle_spent_yen - amount_yen, wallet.monthly_budget_yen)
    if wallet.alerted_pct > before_pct:
        wallet.alerted_pct = reached_pct(wallet.thresholds_pct, before_pct)
    fired = tuple(
        Alert(threshold_pct, wallet.current_cycle, wallet.cycle_spent_yen, wallet.monthly_budget_yen)
        for threshold_pct in wallet.thresholds_pct
        if wallet.alerted_pct < threshold_pct <= share_pct
    )
    for alert in fired:
        wallet.alerted_pct = alert.threshold_pct
        fire(batch, wallet, alert)
    return fired


def _count_against_cap(batch: Batch, wallet: WalletState, key: KeyState, amount_yen: int) -> None:
    """Count spending of an agent key, and emit an event when it crosses a warning share of its cap."""
    before_yen = key.cycle_spent_yen
    key.cycle_spent_yen += amount_yen
    batch.decision.touched_keys[key.key_id] = key
    cap_yen = key.monthly_cap_yen
    if not cap_yen or key.cycle_spent_yen * 100 < cap_yen * WARN_PCTS[0]:
        return
    crossed_pct = warn_pct(spent_pct(key.cycle_spent_yen, cap_yen))
    if crossed_pct > warn_pct(spent_pct(before_yen, cap_yen)):
        dedupe_key = f"{key.key_id} {key.current_cycle} {cap_yen} {crossed_pct}"
        spent = {"spent_yen": key.cycle_spent_yen, "monthly_cap_yen": cap_yen, "billing_cycle": key.current_cycle}
        emit_once(
            batch,
            wallet,
            "key_cap.threshold_reached",
            dedupe_key,
            key_id=key.key_id,
            threshold_pct=crossed_pct,
            **spent,
        )
