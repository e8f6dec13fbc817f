"""The rules of money. Every rule lives here and in the modules this one is made of (``idempotency``, ``limits``,
``lots``, ``budget``, ``credit``, ``money_in``, ``batch``), and every store calls it.

``decide`` is deterministic and does no I/O: time comes in as ``now``, ids continue from the snapshot. It carries
commands out one after the other on the snapshot it is given and says what is to be written. A refusal moves nothing.
Commands are well formed (``checks.malformed``).

What holds before and after every command, per wallet:

- Σ ledger entries = ``balance_yen`` + ``held_yen``
- Σ open lots = ``balance_yen``, which is never negative
- ``held_yen`` = Σ open holds
- ``debt_yen`` > 0 only while ``balance_yen`` = 0
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import UNSET, structs

from credit_wallet import lots
from credit_wallet.batch import Batch, append, tell_once
from credit_wallet.budget import WARN_PCTS, reached_pct, spent_pct, thresholds_pct, warn_pct
from credit_wallet.checks import malformed_auto_topup
from credit_wallet.commands import (
    Capture,
    Charge,
    Command,
    Configure,
    Expire,
    Hold,
    Movement,
    PayBack,
    Refund,
    Release,
    RequestAutoTopup,
    RequestTopup,
    Reverse,
    SettleTopup,
    Topup,
)
from credit_wallet.credit import credit, expire_lots, give_back, note_due, take_back, tell_lower
from credit_wallet.cycle import format_instant
from credit_wallet.errors import (
    EntryNotFound,
    HoldClosed,
    HoldNotFound,
    InvalidAmount,
    InvalidRequest,
    RefundExceedsCharge,
    WalletError,
    WalletNotFound,
)
from credit_wallet.idempotency import fingerprint, replay
from credit_wallet.limits import paying_key, refusal_to_spend
from credit_wallet.money import format_yen
from credit_wallet.money_in import pay_back, request_auto_topup, request_topup, settle_topup
from credit_wallet.outcomes import Alert, EntryType, LotKind, Outcome
from credit_wallet.state import (
    Decision,
    EntryRecord,
    HoldState,
    KeyState,
    Remembered,
    Snapshot,
    WalletState,
)


def decide(snapshot: Snapshot, commands: Sequence[Command], now: datetime) -> Decision:
    """Carry out ``commands`` in order on ``snapshot`` at ``now`` (aware).

    The decision has one outcome or ``WalletError`` per command, in order.
    """
    batch = Batch(snapshot, Decision(), now, format_instant(now))
    outcomes = batch.decision.outcomes
    for command in commands:
        outcomes.append(_carry_out(batch, command))
    return batch.decision


def _carry_out(batch: Batch, command: Command) -> Outcome | WalletError:
    wallet = batch.snapshot.wallets.get(command.wallet_id)
    if wallet is None:
        return WalletNotFound(f"there is no wallet {command.wallet_id}", wallet_id=command.wallet_id)
    if not isinstance(command, Movement):
        _settle_due(batch, wallet)
        return _RULES[type(command)](batch, wallet, command)

    request = fingerprint(command)
    name = (command.idempotency_key, command.wallet_id)
    before = batch.snapshot.remembered.get(name)
    if before is not None:
        return replay(command, request, before)
    if wallet.next_due_at is not None:
        _settle_due(batch, wallet)
    outcome = _RULES[type(command)](batch, wallet, command)
    if type(outcome) is Outcome:
        remembered = Remembered(request, outcome)
        batch.snapshot.remembered[name] = remembered
        batch.decision.remembered.append((command.idempotency_key, command.wallet_id, remembered))
        batch.decision.touched[command.wallet_id] = wallet
    return outcome


# Spending


def _charge(batch: Batch, wallet: WalletState, command: Charge) -> Outcome | WalletError:
    key = None if command.key_id is None else paying_key(batch, wallet, command.key_id)
    if isinstance(key, WalletError):
        return key
    amount_yen = command.amount_yen
    refusal = refusal_to_spend(batch, wallet, key, amount_yen)
    if refusal is not None:
        return refusal
    wallet.balance_yen -= amount_yen
    taken = lots.take(wallet.lots, amount_yen)
    txn_id = append(batch, wallet, "charge", -amount_yen, taken, command.note, key_id=command.key_id)
    tell_lower(batch, wallet, amount_yen)
    return _spent(batch, wallet, key, amount_yen, txn_id, None)


def _hold(batch: Batch, wallet: WalletState, command: Hold) -> Outcome | WalletError:
    key = None if command.key_id is None else paying_key(batch, wallet, command.key_id)
    if isinstance(key, WalletError):
        return key
    refusal = refusal_to_spend(batch, wallet, key, command.amount_yen)
    if refusal is not None:
        return refusal
    amount_yen = command.amount_yen
    hold = HoldState(
        hold_id=next(batch.snapshot.hold_ids),
        wallet_id=wallet.wallet_id,
        key_id=command.key_id,
        amount_yen=amount_yen,
        captured_yen=0,
        status="open",
        allocation=lots.take(wallet.lots, amount_yen),
        note=command.note,
        created_at=batch.at,
        expires_at=format_instant(batch.now + timedelta(seconds=command.ttl_seconds)),
    )
    wallet.balance_yen -= amount_yen
    wallet.held_yen += amount_yen
    if key is not None:
        key.held_yen += amount_yen
        batch.decision.touched_keys[key.key_id] = key
    batch.decision.touched_holds[hold.hold_id] = hold
    note_due(wallet, hold.expires_at)
    tell_lower(batch, wallet, amount_yen)
    return Outcome(wallet.wallet_id, amount_yen, wallet.balance_yen, hold_id=hold.hold_id, expires_at=hold.expires_at)


def _capture(batch: Batch, wallet: WalletState, command: Capture) -> Outcome | WalletError:
    hold = _open_hold(batch, wallet, command.hold_id)
    if isinstance(hold, WalletError):
        return hold
    if command.amount_yen > hold.amount_yen:
        return InvalidAmount(
            f"hold {hold.hold_id} holds {format_yen(hold.amount_yen)}; capture at most that",
            field="amount_yen",
            held_yen=hold.amount_yen,
        )
    used, rest = lots.split(hold.allocation, command.amount_yen)
    hold.captured_yen = command.amount_yen
    _close_hold(batch, wallet, hold, "captured")
    wallet.balance_yen += hold.amount_yen - command.amount_yen
    txn_id = append(
        batch, wallet, "charge", -command.amount_yen, used, hold.note, key_id=hold.key_id, hold_id=hold.hold_id
    )
    key = None if hold.key_id is None else batch.snapshot.keys[hold.key_id]
    outcome = _spent(batch, wallet, key, command.amount_yen, txn_id, hold.hold_id)
    give_back(batch, wallet, rest, hold.amount_yen - command.amount_yen)
    return structs.replace(outcome, balance_yen=wallet.balance_yen)


def _release(batch: Batch, wallet: WalletState, command: Release) -> Outcome | WalletError:
    hold = _open_hold(batch, wallet, command.hold_id)
    if isinstance(hold, WalletError):
        return hold
    _return_hold(batch, wallet, hold, "released")
    return Outcome(wallet.wallet_id, hold.amount_yen, wallet.balance_yen, hold_id=hold.hold_id)


def _spent(
    batch: Batch, wallet: WalletState, key: KeyState | None, amount_yen: int, txn_id: int, hold_id: int | None
) -> Outcome:
    """Count spending against the cycle, the key and the alert thresholds."""
    wallet.cycle_spent_yen += amount_yen
    if key is not None:
        _count_against_cap(batch, wallet, key, amount_yen)
    if not wallet.monthly_budget_yen:
        return Outcome(wallet.wallet_id, amount_yen, wallet.balance_yen, txn_id, hold_id)
    share_pct = spent_pct(wallet.cycle_spent_yen, wallet.monthly_budget_yen)
    alerts = _cross_thresholds(batch, wallet, amount_yen, share_pct) if share_pct >= wallet.thresholds_pct[0] else ()
    return Outcome(
        wallet.wallet_id, amount_yen, wallet.balance_yen, txn_id, hold_id, False, alerts, warn_pct(share_pct)
    )


def _cross_thresholds(batch: Batch, wallet: WalletState, amount_yen: int, share_pct: int) -> tuple[Alert, ...]:
    """What spending ``amount_yen`` has crossed. When the budget was raised since, its thresholds fire anew."""
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
        batch.decision.alerts.append((wallet.wallet_id, alert))
    return fired


def _count_against_cap(batch: Batch, wallet: WalletState, key: KeyState, amount_yen: int) -> None:
    """Count spending of an agent key, and tell when it crosses a warning share of its cap."""
    before_yen = key.cycle_spent_yen
    key.cycle_spent_yen += amount_yen
    batch.decision.touched_keys[key.key_id] = key
    cap_yen = key.monthly_cap_yen
    if not cap_yen or key.cycle_spent_yen * 100 < cap_yen * WARN_PCTS[0]:
        return
    reached_pct, known_pct = warn_pct(spent_pct(key.cycle_spent_yen, cap_yen)), warn_pct(spent_pct(before_yen, cap_yen))
    if reached_pct > known_pct:
        occasion = f"{key.key_id} {key.current_cycle} {cap_yen} {reached_pct}"
        spent = {"spent_yen": key.cycle_spent_yen, "monthly_cap_yen": cap_yen, "billing_cycle": key.current_cycle}
        tell_once(batch, wallet, "key_cap_reached", occasion, key_id=key.key_id, threshold_pct=reached_pct, **spent)


# Credit


def _topup(batch: Batch, wallet: WalletState, command: Topup) -> Outcome | WalletError:
    if command.expires_at is not None and command.expires_at <= batch.at:
        return InvalidRequest(f"expires_at {command.expires_at} is in the past", field="expires_at")
    kind: LotKind = "promo" if command.promo else "paid"
    txn_id = credit(batch, wallet, command.amount_yen, kind, command.expires_at, command.note)
    if isinstance(txn_id, WalletError):
        return txn_id
    return Outcome(wallet.wallet_id, command.amount_yen, wallet.balance_yen, txn_id, expires_at=command.expires_at)


def _refund(batch: Batch, wallet: WalletState, command: Refund) -> Outcome | WalletError:
    charge = _named_entry(batch, wallet, command.txn_id, "charge")
    if isinstance(charge, WalletError):
        return charge
    left_yen = -charge.amount_yen - charge.returned_yen
    amount_yen = left_yen if command.amount_yen is None else command.amount_yen
    if not 0 < amount_yen <= left_yen:
        return RefundExceedsCharge(
            f"{format_yen(left_yen)} of charge {charge.txn_id} is left to refund",
            txn_id=charge.txn_id,
            refundable_yen=left_yen,
        )
    part = lots.returned_part(charge.allocation, charge.returned_yen, amount_yen)
    txn_id = next(batch.snapshot.txn_ids)
    if short_yen := amount_yen - lots.total_yen(part):
        part.append((txn_id, short_yen))
    charge.returned_yen += amount_yen
    batch.decision.returned[charge.txn_id] = charge
    wallet.balance_yen += amount_yen
    append(batch, wallet, "refund", amount_yen, part, command.note, txn_id=txn_id, related_txn_id=charge.txn_id)
    give_back(batch, wallet, part, amount_yen)
    return Outcome(wallet.wallet_id, amount_yen, wallet.balance_yen, txn_id)


def _reverse(batch: Batch, wallet: WalletState, command: Reverse) -> Outcome | WalletError:
    topup = _named_entry(batch, wallet, command.txn_id, "topup")
    if isinstance(topup, WalletError):
        return topup
    left_yen = topup.amount_yen - topup.returned_yen
    if command.amount_yen > left_yen:
        return RefundExceedsCharge(
            f"{format_yen(left_yen)} of top-up {topup.txn_id} is left to reverse",
            txn_id=topup.txn_id,
            refundable_yen=left_yen,
        )
    topup.returned_yen += command.amount_yen
    batch.decision.returned[topup.txn_id] = topup
    taken_yen, txn_id = take_back(batch, wallet, topup.txn_id, command.amount_yen, command.note)
    return Outcome(wallet.wallet_id, taken_yen, wallet.balance_yen, txn_id)


def _named_entry(batch: Batch, wallet: WalletState, txn_id: int, txn_type: EntryType) -> EntryRecord | WalletError:
    entry = batch.snapshot.entries.get(txn_id)
    if entry is None or entry.wallet_id != wallet.wallet_id or entry.txn_type != txn_type:
        return EntryNotFound(f"wallet {wallet.wallet_id} has no {txn_type} with txn_id {txn_id}", txn_id=txn_id)
    return entry


# What falls due by itself


def _expire(_batch: Batch, wallet: WalletState, _command: Expire) -> Outcome:
    """What was due has been settled before the rule is called; this reports the balance."""
    return Outcome(wallet.wallet_id, 0, wallet.balance_yen)


def _settle_due(batch: Batch, wallet: WalletState) -> None:
    """Release the holds and burn the lots whose time has come, before anything else happens to the wallet."""
    if wallet.next_due_at is None or wallet.next_due_at > batch.at:
        return
    batch.decision.touched[wallet.wallet_id] = wallet
    for hold in batch.snapshot.due_holds.get(wallet.wallet_id, ()):
        if hold.status == "open":
            _return_hold(batch, wallet, hold, "expired")
    expire_lots(batch, wallet)
    expiries = [lot.expires_at for lot in wallet.lots if lot.expires_at is not None]
    next_hold = batch.snapshot.next_hold_expiry.get(wallet.wallet_id)
    if next_hold is not None:
        expiries.append(next_hold)
    wallet.next_due_at = min(expiries, default=None)


# Holds


def _open_hold(batch: Batch, wallet: WalletState, hold_id: int) -> HoldState | WalletError:
    hold = batch.snapshot.holds.get(hold_id)
    if hold is None or hold.wallet_id != wallet.wallet_id:
        return HoldNotFound(f"wallet {wallet.wallet_id} has no hold {hold_id}", hold_id=hold_id)
    if hold.status != "open":
        return HoldClosed(f"hold {hold_id} is {hold.status}; make a new one", hold_id=hold_id, hold_status=hold.status)
    return hold


def _close_hold(
    batch: Batch, wallet: WalletState, hold: HoldState, status: Literal["captured", "released", "expired"]
) -> None:
    hold.status = status
    hold.closed_at = batch.at
    wallet.held_yen -= hold.amount_yen
    batch.decision.touched_holds[hold.hold_id] = hold
    if hold.key_id is not None:
        key = batch.snapshot.keys[hold.key_id]
        key.held_yen -= hold.amount_yen
        batch.decision.touched_keys[key.key_id] = key


def _return_hold(batch: Batch, wallet: WalletState, hold: HoldState, status: Literal["released", "expired"]) -> None:
    _close_hold(batch, wallet, hold, status)
    wallet.balance_yen += hold.amount_yen
    give_back(batch, wallet, hold.allocation, hold.amount_yen)


# Settings


def _configure(batch: Batch, wallet: WalletState, command: Configure) -> Outcome | WalletError:
    settings = {
        name: value for name, value in structs.asdict(command).items() if name != "wallet_id" and value is not UNSET
    }
    problem = malformed_auto_topup(
        settings.get("auto_topup_threshold", wallet.auto_topup_threshold),
        settings.get("auto_topup_amount", wallet.auto_topup_amount),
    )
    if problem is not None:
        return problem
    own_thresholds = settings.pop("alert_thresholds_pct", None)
    if own_thresholds is not None:
        wallet.thresholds_pct = thresholds_pct(own_thresholds)
    for name, value in settings.items():
        setattr(wallet, name, value)
    batch.decision.configured[wallet.wallet_id] = wallet
    return Outcome(wallet.wallet_id, 0, wallet.balance_yen)


_RULES: dict[type[Command], Callable[[Batch, WalletState, Any], Outcome | WalletError]] = {
    Charge: _charge,
    Hold: _hold,
    Capture: _capture,
    Release: _release,
    Refund: _refund,
    Reverse: _reverse,
    Topup: _topup,
    Expire: _expire,
    Configure: _configure,
    RequestTopup: request_topup,
    RequestAutoTopup: request_auto_topup,
    SettleTopup: settle_topup,
    PayBack: pay_back,
}
