"""The rules of money. Every rule lives here and in the modules this one is made of (``idempotency``, ``limits``,
``spending``, ``holds``, ``purchases``, ``refunds``, ``lots``, ``budget``, ``credit``, ``grants``, ``money_in``,
``consents``, ``transfers``, ``adjustments``, ``standing``,
``batch``), and every store calls it. Charges that no rule has anything to
say about take a short way (``headroom``), to the same decision.

``decide`` is deterministic and does no I/O: time comes in as ``now``, ids continue from the snapshot. It carries
commands out one after the other on the snapshot it is given and returns what is to be written. A refusal moves nothing.
Commands are well formed (``validation.malformed``).

What holds before and after every command, per wallet:

- Σ ledger entries = ``balance_micros`` + ``held_micros``, exactly and in whole yen (``batch.append``)
- Σ open lots = ``balance_micros``, which is never negative
- ``held_micros`` = Σ open holds
- ``debt_micros`` > 0 only while ``balance_micros`` = 0
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from msgspec import UNSET, structs

from credit_wallet.domain.acts import Act, difference
from credit_wallet.domain.commands import (
    Adjust,
    BeginClosing,
    Buy,
    Capture,
    Charge,
    Command,
    Configure,
    CreditGrant,
    EndClosing,
    EndTransfer,
    Expire,
    Extend,
    Freeze,
    Hold,
    Movement,
    PayBack,
    Refund,
    Release,
    Renew,
    RequestAutoTopup,
    RequestTopup,
    Reverse,
    Serve,
    SettleTopup,
    Topup,
    TransferIn,
    TransferOut,
    Undo,
)
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Charged, Configured, Expired, Held, LotKind, Outcome, Refunded, ToppedUp
from credit_wallet.domain.shares import thresholds_pct
from credit_wallet.domain.standing import OPEN
from credit_wallet.errors import (
    InvalidRequest,
    RailBusy,
    WalletError,
    WalletNotFound,
)
from credit_wallet.rules.adjustments import adjust
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.budgets import note_monthly_budget
from credit_wallet.rules.by_hand import leave_act
from credit_wallet.rules.consents import record_consent
from credit_wallet.rules.credit import credit, end_exhaustion, lapse_until
from credit_wallet.rules.decision import Decision
from credit_wallet.rules.grants import credit_grant
from credit_wallet.rules.headroom import QuietCharges
from credit_wallet.rules.holds import capture, expire_hold, extend, open_hold, release
from credit_wallet.rules.idempotency import fingerprint, replay
from credit_wallet.rules.money_in import request_auto_topup, request_topup, settle_topup
from credit_wallet.rules.names import names_of_entry
from credit_wallet.rules.pay_back import pay_back
from credit_wallet.rules.purchases import buy, renew, serve, undo
from credit_wallet.rules.refunds import refund_charge, reverse
from credit_wallet.rules.segments import carry_out_at
from credit_wallet.rules.spending import charge
from credit_wallet.rules.standing import begin_closing, end_closing, freeze, refusal_of_closed
from credit_wallet.rules.state import Remembered, Snapshot, WalletState
from credit_wallet.rules.transfers import end_transfer, transfer_in, transfer_out
from credit_wallet.rules.validation import malformed_auto_topup


def decide(snapshot: Snapshot, commands: Sequence[Command], now: datetime) -> Decision:
    """Carry out ``commands`` in order on ``snapshot`` at ``now`` (aware).

    The decision has one outcome or ``WalletError`` per command, in order.
    """
    batch = Batch(snapshot, Decision(touched=dict(snapshot.rolled)), now, format_instant(now))
    outcomes, quiet = batch.decision.outcomes, QuietCharges(batch)
    for command in commands:
        outcome = quiet.charge(command) if type(command) is Charge else None
        if outcome is None:
            quiet.end(command.wallet_id)
            outcomes.append(_carry_out(batch, command))
        else:
            outcomes.append(outcome)
    return batch.decision


def _carry_out(batch: Batch, command: Command) -> Outcome | WalletError:
    wallet = batch.snapshot.wallets.get(command.wallet_id)
    if wallet is None:
        if isinstance(command, TransferIn):
            return transfer_in(batch, None, command)
        return WalletNotFound(f"there is no wallet {command.wallet_id}; check the id", wallet_id=command.wallet_id)
    if not isinstance(command, Movement):
        if wallet.standing is not OPEN and (refusal := refusal_of_closed(wallet, command)):
            return refusal
        busy = _settle_due(batch, wallet)
        return busy if busy and type(command) is not Expire else _RULES[type(command)](batch, wallet, command)

    request = fingerprint(command)
    name = (command.stored_key, command.wallet_id)
    before = batch.decision.remembered.get(name) or batch.snapshot.remembered.get(name)
    if before is not None:
        return replay(command, request, before)
    if wallet.standing is not OPEN and (refusal := refusal_of_closed(wallet, command)):
        return refusal
    if wallet.next_due_at is not None and (busy := _settle_due(batch, wallet)):
        return busy
    outcome = _RULES[type(command)](batch, wallet, command)
    if not isinstance(outcome, WalletError):
        batch.decision.remembered[name] = Remembered(request, outcome)
        batch.decision.touched[command.wallet_id] = wallet
    return outcome


def _charge(batch: Batch, wallet: WalletState, command: Charge) -> Charged | WalletError:
    return charge(
        batch,
        wallet,
        command.amount_micros,
        command.note,
        command.key_id,
        command.actor,
        command.usage,
        names_of_entry(command),
    )


def _hold(batch: Batch, wallet: WalletState, command: Hold) -> Held | WalletError:
    return open_hold(
        batch,
        wallet,
        command.amount_micros,
        command.ttl_seconds,
        command.note,
        command.key_id,
        command.actor,
        command.usage,
        names_of_entry(command),
    )


def _refund(batch: Batch, wallet: WalletState, command: Refund) -> Refunded | WalletError:
    names = names_of_entry(command)
    outcome = refund_charge(batch, wallet, command.txn_id, command.amount_micros, command.note, names)
    if not isinstance(outcome, WalletError):
        end_exhaustion(batch, wallet)
        subject, amount_micros = f"entry:{command.txn_id}", outcome.amount_micros
        leave_act(batch, command, "charge.refunded", subject, amount_micros, command.note, txn_id=outcome.txn_id)
    return outcome


def _topup(batch: Batch, wallet: WalletState, command: Topup) -> ToppedUp | WalletError:
    if command.expires_at is not None and command.expires_at <= batch.at:
        return InvalidRequest(f"expires_at {command.expires_at} is in the past", field="expires_at")
    kind: LotKind = "promo" if command.promo else "paid"
    names = names_of_entry(command)
    txn_id = credit(batch, wallet, command.amount_micros, kind, command.expires_at, command.note, "grant", names=names)
    if isinstance(txn_id, WalletError):
        return txn_id
    lot = {"promo": command.promo, "expires_at": command.expires_at}
    leave_act(batch, command, "wallet.topped_up", f"entry:{txn_id}", command.amount_micros, command.note, **lot)
    return ToppedUp(
        wallet.wallet_id, command.amount_micros, wallet.balance_micros, txn_id, expires_at=command.expires_at
    )


# What falls due with time


def _expire(_batch: Batch, wallet: WalletState, _command: Expire) -> Expired:
    """Anything due was settled before this rule is called; it reports the balance."""
    return Expired(wallet.wallet_id, 0, wallet.balance_micros)


def _settle_due(batch: Batch, wallet: WalletState) -> RailBusy | None:
    """Release the holds and burn the lots whose time has come, before anything else happens to the wallet.

    Each is carried out in the order in which it fell due, and dated then, however late that is. What exceeds a batch is
    left for the next ones; until then every other command on the wallet gets the refusal that this returns.
    """
    if wallet.next_due_at is None or wallet.next_due_at > batch.at:
        return None
    batch.decision.touched[wallet.wallet_id] = wallet
    for hold in batch.snapshot.due_holds.pop(wallet.wallet_id, ()):
        lapse_until(batch, wallet, hold.expires_at)
        if hold.served:
            expire_hold(batch, wallet, hold)  # spending of the cycle in which it is noticed
        else:
            carry_out_at(batch, wallet, hold.expires_at, partial(expire_hold, wallet=wallet, hold=hold))
    next_hold = batch.snapshot.next_hold_expiry.get(wallet.wallet_id)
    if next_hold is not None and next_hold <= batch.at:
        wallet.next_due_at = next_hold
        return RailBusy("too many of the wallet's holds have expired at once; try again with the same idempotency key")
    lapse_until(batch, wallet, batch.at)
    expiries = [lot.expires_at for lot in wallet.lots if lot.expires_at is not None]
    if next_hold is not None:
        expiries.append(next_hold)
    wallet.next_due_at = min(expiries, default=None)
    return None


# Settings


_NOT_SETTINGS = ("wallet_id", "auto_topup_consent", "auto_topup_consent_language", "metadata", "author")


def _configure(batch: Batch, wallet: WalletState, command: Configure) -> Configured | WalletError:
    settings = {
        name: value
        for name, value in structs.asdict(command).items()
        if name not in _NOT_SETTINGS and value is not UNSET
    }
    problem = malformed_auto_topup(
        settings.get("auto_topup_threshold", wallet.auto_topup_threshold),
        settings.get("auto_topup_amount", wallet.auto_topup_amount),
    ) or record_consent(batch, wallet, command)
    if problem is not None:
        return problem
    own_thresholds = settings.pop("alert_thresholds_pct", None)
    if own_thresholds is not None:
        settings["thresholds_pct"] = thresholds_pct(own_thresholds)
    monthly = wallet.monthly_budget_yen, wallet.budget_mode
    before = {name: getattr(wallet, name) for name in settings}
    for name, value in settings.items():
        setattr(wallet, name, value)
    note_monthly_budget(batch, wallet, monthly, command.author.actor)
    before, after = difference(before, settings)
    if after:
        if "label" in after:
            batch.decision.relabeled[wallet.wallet_id] = wallet.label
        act = Act("wallet.configured", f"wallet:{wallet.wallet_id}", wallet.wallet_id, before, after)
        batch.decision.acts.append((command.author, act))
    if command.metadata is not UNSET:
        batch.decision.described[wallet.wallet_id] = (command.author, command.metadata)
    batch.decision.configured[wallet.wallet_id] = wallet
    return Configured(wallet.wallet_id, 0, wallet.balance_micros)


_RULES: dict[type[Command], Callable[[Batch, WalletState, Any], Outcome | WalletError]] = {
    Charge: _charge,
    Hold: _hold,
    Capture: capture,
    Release: release,
    Extend: extend,
    Buy: buy,
    Serve: serve,
    Renew: renew,
    Undo: undo,
    Refund: _refund,
    Reverse: reverse,
    Adjust: adjust,
    Topup: _topup,
    CreditGrant: credit_grant,
    Expire: _expire,
    Configure: _configure,
    RequestTopup: request_topup,
    RequestAutoTopup: request_auto_topup,
    SettleTopup: settle_topup,
    PayBack: pay_back,
    TransferOut: transfer_out,
    TransferIn: transfer_in,
    EndTransfer: end_transfer,
    Freeze: freeze,
    BeginClosing: begin_closing,
    EndClosing: end_closing,
}
