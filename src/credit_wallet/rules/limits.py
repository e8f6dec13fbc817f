"""The limits on spending: the state of the agent key, the budget's cap, the key's cap, the balance."""

from __future__ import annotations

from credit_wallet.domain.money import MICROS, both, both_up, format_micros, format_yen, whole_yen_up
from credit_wallet.domain.views import KeyView, WalletView
from credit_wallet.errors import (
    BudgetExhausted,
    InsufficientFunds,
    KeyCapExhausted,
    Unauthorized,
    WalletDisabled,
    WalletError,
)
from credit_wallet.rules.batch import Batch, emit, emit_once
from credit_wallet.rules.state import KeyState, WalletState


def paying_key(batch: Batch, wallet: WalletState, key_id: int) -> KeyState | WalletError:
    """The agent key that pays, if it is the wallet's and works."""
    key = batch.snapshot.keys.get(key_id)
    expired = key is not None and key.expires_at is not None and key.expires_at <= batch.at
    if key is None or key.wallet_id != wallet.wallet_id or key.revoked_at is not None or expired:
        return Unauthorized(f"agent key {key_id} is unknown, revoked or expired", key_id=key_id)
    return key


def left_micros(bound_micros: int, spent_micros: int, held_micros: int) -> int:
    """What is left of a budget or a cap after spending and open holds; below zero when it was lowered."""
    return bound_micros - spent_micros - held_micros


def spendable_micros(wallet: WalletView, key: KeyView | None) -> int:
    """The largest charge that would be accepted now, 0 for none. A paying key must be active."""
    if not wallet.enabled:
        return 0
    rooms = [wallet.balance_micros]
    if wallet.budget_mode == "cap" and wallet.monthly_budget_yen:
        budget_micros = wallet.monthly_budget_yen * MICROS
        rooms.append(left_micros(budget_micros, wallet.current_cycle_spent_micros, wallet.held_micros))
    if key is not None and key.monthly_cap_yen:
        rooms.append(left_micros(key.monthly_cap_yen * MICROS, key.current_cycle_spent_micros, key.held_micros))
    return max(0, min(rooms))


def spendable_above_micros(wallet: WalletState, key: KeyState | None) -> int:
    """How much a capture may take beyond its hold: what balance, budget and cap leave."""
    if not wallet.enabled:
        return 0
    rooms = [wallet.balance_micros]
    if wallet.budget_mode == "cap" and wallet.monthly_budget_yen:
        rooms.append(left_micros(wallet.monthly_budget_yen * MICROS, wallet.cycle_spent_micros, wallet.held_micros))
    if key is not None and key.monthly_cap_yen:
        rooms.append(left_micros(key.monthly_cap_yen * MICROS, key.cycle_spent_micros, key.held_micros))
    return max(0, min(rooms))


def refusal_to_spend(batch: Batch, wallet: WalletState, key: KeyState | None, amount_micros: int) -> WalletError | None:
    """Why the wallet, or the agent key that pays, cannot spend ``amount_micros``; None when it can."""
    if not wallet.enabled:
        return WalletDisabled(
            f"wallet {wallet.wallet_id} is disabled; enable it to spend from it", wallet_id=wallet.wallet_id
        )
    if wallet.budget_mode == "cap" and wallet.monthly_budget_yen:
        room_micros = left_micros(wallet.monthly_budget_yen * MICROS, wallet.cycle_spent_micros, wallet.held_micros)
        if amount_micros > max(room_micros, 0):
            _emit_used_up(batch, wallet, "budget.exhausted", room_micros, monthly_budget_yen=wallet.monthly_budget_yen)
            return BudgetExhausted(
                f"{format_micros(max(room_micros, 0))} of the monthly budget of "
                f"{format_yen(wallet.monthly_budget_yen)} is left; raise the budget or wait for the cycle after "
                f"{wallet.current_cycle}",
                wallet_id=wallet.wallet_id,
                **both(balance=wallet.balance_micros),
                **both_up(missing=amount_micros - max(room_micros, 0)),
                monthly_budget_yen=wallet.monthly_budget_yen,
            )
    if key is not None and key.monthly_cap_yen:
        room_micros = left_micros(key.monthly_cap_yen * MICROS, key.cycle_spent_micros, key.held_micros)
        if amount_micros > max(room_micros, 0):
            _emit_used_up(
                batch, wallet, "key_cap.exhausted", room_micros, key_id=key.key_id, monthly_cap_yen=key.monthly_cap_yen
            )
            return KeyCapExhausted(
                f"{format_micros(max(room_micros, 0))} of the monthly cap of agent key {key.key_id} is left; "
                "raise the cap or pay with another key",
                wallet_id=wallet.wallet_id,
                key_id=key.key_id,
                **both(balance=wallet.balance_micros),
                **both_up(missing=amount_micros - max(room_micros, 0)),
                monthly_cap_yen=key.monthly_cap_yen,
            )
    if amount_micros > wallet.balance_micros:
        return _insufficient_funds(batch, wallet, amount_micros)
    return None


def _emit_used_up(batch: Batch, wallet: WalletState, kind: str, left_micros: int, **limit: int) -> None:
    """Emit an event that a monthly limit stops spending, once a cycle for each limit. While a tenth of it or more is
    left, the limit is not used up: the call was large.
    """
    *_, limit_yen = limit.values()
    if left_micros * 10 < limit_yen * MICROS:
        dedupe_key = " ".join(map(str, (wallet.current_cycle, *limit.values())))
        left = both(left=max(left_micros, 0))
        emit_once(batch, wallet, kind, dedupe_key, billing_cycle=wallet.current_cycle, **left, **limit)


def _insufficient_funds(batch: Batch, wallet: WalletState, amount_micros: int) -> WalletError:
    """Refuse, and emit an event: once until credit comes in, or once an hour while credit is only on hold."""
    if not wallet.exhausted:
        refused = both(balance=wallet.balance_micros, refused=amount_micros)
        if amount_micros <= wallet.balance_micros + wallet.held_micros:
            emit_once(batch, wallet, "wallet.exhausted", batch.at[:13], **refused)
        else:
            wallet.exhausted = True
            batch.decision.touched[wallet.wallet_id] = wallet
            emit(batch, wallet, "wallet.exhausted", **refused)
    missing_micros = amount_micros - wallet.balance_micros + wallet.debt_micros
    needed = format_micros(amount_micros)
    owed = f" and {format_micros(wallet.debt_micros)} is owed from a payment taken back" if wallet.debt_micros else ""
    return InsufficientFunds(
        f"wallet {wallet.wallet_id} has {format_micros(wallet.balance_micros)}, this needs {needed}{owed}; "
        f"top up {format_yen(whole_yen_up(missing_micros))} or more and send it again with the same idempotency key",
        wallet_id=wallet.wallet_id,
        **both(balance=wallet.balance_micros),
        **both_up(debt=wallet.debt_micros, missing=missing_micros),
    )
