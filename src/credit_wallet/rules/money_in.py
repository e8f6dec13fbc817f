"""The rules of money that comes in through a payment provider: when it may be requested, and the effect of a report."""

from __future__ import annotations

from typing import NamedTuple

from credit_wallet.domain.acts import WORKER, Act
from credit_wallet.domain.causes import NOT_PAID_BACK, PAID_BACK, Cause
from credit_wallet.domain.commands import RequestAutoTopup, RequestTopup, SettleTopup
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS, format_yen, whole_yen, whole_yen_up
from credit_wallet.domain.outcomes import TopupRequested, TopupSettled
from credit_wallet.domain.topup_status import TopupStatus
from credit_wallet.domain.topups import (
    PAID,
    RUNAWAY_TOPUPS,
    AutoToppedUp,
    DeclineKind,
    Flow,
    Offer,
    Origin,
    PayerState,
    PaymentFact,
    TopupState,
    clawed_back_yen,
    is_under_way,
    join,
    mismatch_in,
    shortfall_yen,
    topup_id_of,
)
from credit_wallet.errors import (
    TopupInFlight,
    TopupLimitReached,
    TopupNotDue,
    TopupNotFound,
    TopupStopped,
    WalletDisabled,
    WalletError,
)
from credit_wallet.rules.batch import Batch, emit, emit_once
from credit_wallet.rules.by_hand import leave_act
from credit_wallet.rules.credit import claw_back, credit, give_again
from credit_wallet.rules.decision import TopupStep
from credit_wallet.rules.declines import retry_at
from credit_wallet.rules.state import WalletState
from credit_wallet.rules.topup_limits import Room, room_of

_NEWS: dict[TopupStatus, str] = {
    "requires_action": "topup.requires_action",
    "succeeded": "topup.uncredited",
    "credited": "topup.credited",
    "failed": "topup.failed",
    "canceled": "topup.canceled",
}
"""The event that a new status emits; a requested or pending top-up emits none."""


class _How(NamedTuple):
    """Who asks for a payment, and how it may be made."""

    origin: Origin
    flow: Flow = "intent"
    offer: Offer | None = None


def request_topup(batch: Batch, wallet: WalletState, command: RequestTopup) -> TopupRequested | WalletError:
    """Open a top-up that the owner will pay. One payment at a time may be on its way."""
    topup_id = topup_id_of(command.wallet_id, command.stored_key)
    if topup_id not in batch.snapshot.topups and (refusal := _under_way(batch, wallet)):
        return refusal
    is_new = topup_id not in batch.snapshot.topups
    outcome = _open(batch, wallet, topup_id, command.amount_yen, _How("owner", command.flow, command.offer))
    if is_new:
        leave_act(batch, command, "topup.requested", f"topup:{topup_id}", command.amount_yen * MICROS)
    return outcome


def request_auto_topup(batch: Batch, wallet: WalletState, command: RequestAutoTopup) -> TopupRequested | WalletError:
    """Open a top-up that the saved method will pay, for the whole shortfall, unless a rule refuses it."""
    if not wallet.enabled:
        return WalletDisabled(f"wallet {wallet.wallet_id} is disabled", wallet_id=wallet.wallet_id)
    payer = _payer(batch, wallet)
    if refusal := _under_way(batch, wallet) or _stopped(batch, payer):
        return refusal
    amount_yen = shortfall_yen(
        whole_yen(wallet.balance_micros),
        whole_yen_up(wallet.debt_micros),
        wallet.auto_topup_threshold,
        wallet.auto_topup_amount,
        command.min_yen,
    )
    if not amount_yen:
        return TopupNotDue(f"wallet {wallet.wallet_id} needs no automatic top-up", wallet_id=wallet.wallet_id)
    room = room_of(wallet, command, _auto_topped_up(batch, wallet))
    if room.left_yen < amount_yen:
        amount_yen = room.left_yen // wallet.auto_topup_amount * wallet.auto_topup_amount
    if amount_yen < command.min_yen:
        return _limit_reached(batch, wallet, payer, room)
    if payer.payment_method is None:
        return _stop(batch, payer, "no_payment_method", "there is no saved payment method; pay once and save it")
    topup_id = topup_id_of(command.wallet_id, command.stored_key)
    _emit_runaway(batch, wallet, topup_id, amount_yen)
    return _open(batch, wallet, topup_id, amount_yen, _How("auto"))


def settle_topup(batch: Batch, wallet: WalletState, command: SettleTopup) -> TopupSettled | WalletError:
    """Apply a report of the provider: credit the payment and take back clawbacks, in one transaction."""
    topup = batch.snapshot.topups.get(command.topup_id)
    is_new = topup is None
    if topup is None:
        if not command.amount_yen and command.fact.mismatches:
            _emit_mismatches(batch, wallet, command)
            return TopupSettled(wallet.wallet_id, 0, wallet.balance_micros, topup_id=command.topup_id)
        if not command.amount_yen:
            return TopupNotFound(f"there is no top-up {command.topup_id}; check the id", topup_id=command.topup_id)
        topup = _new(batch, wallet, command.topup_id, command.amount_yen, _How("found"))
    if topup.wallet_id != wallet.wallet_id:
        return TopupNotFound(f"wallet {wallet.wallet_id} has no top-up {command.topup_id}", topup_id=command.topup_id)
    _emit_mismatches(batch, wallet, command)
    fact = command.fact
    if topup.status not in PAID and _is_of_another(batch, topup, fact):
        fact = PaymentFact(observed_at=fact.observed_at, status="canceled", reason="paid_as_another")
    status, clawed_back_before_yen = topup.status, clawed_back_yen(topup)
    restored_because = _cause_of_return(topup, fact)
    join(topup, fact)
    txn_id = _credit(batch, wallet, topup)
    match_taken(batch, wallet, topup, "clawback", restored_because)
    batch.decision.touched_topups[topup.topup_id] = topup
    batch.decision.touched[wallet.wallet_id] = wallet
    if topup.status != status:
        note_step(batch, wallet, topup, _NEWS.get(topup.status))
        if topup.status == "canceled" and command.author is not None:
            act = Act("topup.canceled", f"topup:{topup.topup_id}", wallet.wallet_id)
            batch.decision.acts.append((command.author, act))
    elif clawed_back_yen(topup) != clawed_back_before_yen:
        came_again = clawed_back_yen(topup) < clawed_back_before_yen
        note_step(batch, wallet, topup, "topup.reinstated" if came_again else "topup.clawed_back")
    elif is_new:
        note_step(batch, wallet, topup, _NEWS.get(topup.status))
    _settle_payer(batch, wallet, topup, command, is_news=topup.status != status)
    return TopupSettled(
        wallet.wallet_id, topup.credited_yen * MICROS, wallet.balance_micros, txn_id, topup_id=topup.topup_id
    )


def _is_of_another(batch: Batch, topup: TopupState, fact: PaymentFact) -> bool:
    """Whether the payment belongs to another top-up. A top-up that lost its row and was found has another name; for the
    old name the provider returns the same payment to a request with the same key.
    """
    intents = {fact.payment_intent, topup.payment_intent} - {None}
    return any(
        each.topup_id != topup.topup_id and each.wallet_id == topup.wallet_id and each.payment_intent in intents
        for each in batch.snapshot.topups.values()
    )


def _credit(batch: Batch, wallet: WalletState, topup: TopupState) -> int | None:
    """Credit what was received, once. What the wallet cannot take stays succeeded, and an event says so."""
    if topup.status != "succeeded":
        return None
    txn_id = credit(batch, wallet, topup.received_yen * MICROS, "paid", None, f"top-up {topup.topup_id}", "payment")
    if isinstance(txn_id, WalletError):
        topup.reason = str(txn_id)
        return None
    topup.status, topup.credited_yen, topup.credit_txn_id = "credited", topup.received_yen, txn_id
    topup.reason, topup.action_url = mismatch_in(topup.reason), None
    return txn_id


def _emit_mismatches(batch: Batch, wallet: WalletState, command: SettleTopup) -> None:
    """Emit an event for a person, once for each amount of the payment that was not whole yen; it moves nothing."""
    fact = command.fact
    for mismatch in fact.mismatches:
        emit_once(
            batch,
            wallet,
            "topup.currency_mismatch",
            f"{command.topup_id} {mismatch}",
            topup_id=command.topup_id,
            payment_intent=fact.payment_intent,
            reason=mismatch,
        )


def _cause_of_return(topup: TopupState, fact: PaymentFact) -> Cause:
    """The cause of restored credit, if ``fact`` restores any. A failed pay-back does not count as paid back."""
    reinstated = [each for each in fact.clawbacks if each.kind == "pay_back" and each.status == "reinstated"]
    known = [topup.clawbacks.get(each.id) for each in reinstated]
    is_news = any(each is None or each.status != "reinstated" for each in known)
    return "pay_back_failed" if is_news else "reinstatement"


_NOTES: dict[Cause, str] = {
    "clawback": "clawed back from top-up",
    "reinstatement": "restored to top-up",
    "pay_back": PAID_BACK,
    "pay_back_failed": NOT_PAID_BACK,
}


def match_taken(
    batch: Batch,
    wallet: WalletState,
    topup: TopupState,
    taken_because: Cause,
    restored_because: Cause = "reinstatement",
) -> None:
    """Take back what the provider has returned to the payer, and restore what a won dispute brought back."""
    if topup.credit_txn_id is None:
        return
    difference_yen = clawed_back_yen(topup) - topup.reversed_yen
    cause = taken_because if difference_yen > 0 else restored_because
    note = f"{_NOTES[cause]} {topup.topup_id}"
    if difference_yen > 0:
        claw_back(batch, wallet, topup.credit_txn_id, difference_yen * MICROS, note, cause)
    elif difference_yen < 0:
        again_micros = give_again(batch, wallet, topup.credit_txn_id, -difference_yen * MICROS, note, cause)
        difference_yen = -whole_yen(again_micros)
    topup.reversed_yen += difference_yen


def _settle_payer(batch: Batch, wallet: WalletState, topup: TopupState, command: SettleTopup, *, is_news: bool) -> None:
    """Update the saved method from a payment: it works until it is declined.

    Later news of a payment bring nobody's method back: the wallet may have been handed over since.
    """
    fact, payer = command.fact, _payer(batch, wallet)
    before = (payer.customer, payer.payment_method, payer.failures, payer.stopped, payer.retry_at, payer.reason)
    is_theirs = is_news or (payer.customer is not None and fact.customer in (None, payer.customer))
    if is_theirs:
        payer.customer = fact.customer or payer.customer
    if is_theirs and fact.payment_method is not None and fact.payment_method != payer.payment_method:
        payer.payment_method = fact.payment_method
        _restart(batch, payer)
    if is_news and topup.status == "credited":
        _restart(batch, payer)
    elif is_news and topup.status == "failed" and topup.origin == "auto":
        _count_failure(batch, payer, fact.decline or "later", topup.reason)
    if before != (payer.customer, payer.payment_method, payer.failures, payer.stopped, payer.retry_at, payer.reason):
        batch.decision.touched_payers[wallet.wallet_id] = payer


def _restart(batch: Batch, payer: PayerState) -> None:
    if payer.stopped:
        _leave_stop(batch, payer, "auto_topup.resumed")
    payer.failures, payer.stopped, payer.retry_at, payer.reason = 0, False, None, None


def _count_failure(batch: Batch, payer: PayerState, decline: DeclineKind, reason: str | None) -> None:
    """Retry later, or stop: at once when a retry is pointless, otherwise after a few declines in a row."""
    payer.failures += 1
    payer.reason = reason
    again_at = retry_at(decline, payer.failures, batch.now)
    if again_at is None:
        payer.stopped, payer.retry_at = True, None
        _leave_stop(batch, payer, "auto_topup.stopped", reason=reason)
        emit(batch, batch.snapshot.wallets[payer.wallet_id], "auto_topup.stopped", reason=reason)
    else:
        payer.retry_at = format_instant(again_at)


def _leave_stop(batch: Batch, payer: PayerState, kind: str, **after: object) -> None:
    act = Act(kind, f"wallet:{payer.wallet_id}", payer.wallet_id, after=after or None)
    batch.decision.acts.append((WORKER, act))


def _payer(batch: Batch, wallet: WalletState) -> PayerState:
    return batch.snapshot.payers.setdefault(wallet.wallet_id, PayerState(wallet.wallet_id))


def _under_way(batch: Batch, wallet: WalletState) -> TopupInFlight | None:
    for topup in batch.snapshot.topups.values():
        if topup.wallet_id == wallet.wallet_id and is_under_way(topup):
            return TopupInFlight(
                f"{format_yen(topup.amount_yen)} of top-up {topup.topup_id} is in progress; wait for it, or cancel it",
                topup_id=topup.topup_id,
                topup_status=topup.status,
                action_url=topup.action_url,
            )
    return None


def _stopped(batch: Batch, payer: PayerState) -> TopupStopped | None:
    if not payer.stopped and (payer.retry_at is None or payer.retry_at <= batch.at):
        return None
    when = "until the owner pays once or saves another method" if payer.stopped else f"until {payer.retry_at}"
    return TopupStopped(
        f"automatic top-ups of wallet {payer.wallet_id} wait {when} ({payer.reason})",
        wallet_id=payer.wallet_id,
        reason=payer.reason,
        retry_at=payer.retry_at,
    )


def _stop(batch: Batch, payer: PayerState, reason: str, detail: str) -> TopupStopped:
    """Stop automatic top-ups and emit one event: a refusal that is recorded."""
    if payer.reason != reason:
        payer.reason = reason
        batch.decision.touched_payers[payer.wallet_id] = payer
        dedupe_key = f"{reason} {batch.at[:10]}"
        emit_once(batch, batch.snapshot.wallets[payer.wallet_id], "auto_topup.stopped", dedupe_key, reason=reason)
    return TopupStopped(
        f"automatic top-ups of wallet {payer.wallet_id} wait: {detail}", wallet_id=payer.wallet_id, reason=reason
    )


def _auto_topped_up(batch: Batch, wallet: WalletState) -> AutoToppedUp:
    return batch.snapshot.auto_topped_up.get(wallet.wallet_id, AutoToppedUp())


def _emit_runaway(batch: Batch, wallet: WalletState, topup_id: str, amount_yen: int) -> None:
    """Emit an event, at most once an hour, that automatic top-ups follow each other faster than usual spending
    explains.
    """
    count = _auto_topped_up(batch, wallet).within_an_hour + (topup_id not in batch.snapshot.topups)
    if count >= RUNAWAY_TOPUPS:
        emit_once(batch, wallet, "auto_topup.runaway_detected", batch.at[:13], topups=count, amount_yen=amount_yen)


def _limit_reached(batch: Batch, wallet: WalletState, payer: PayerState, room: Room) -> TopupLimitReached:
    limit = {"left_yen": room.left_yen, "limit_per": room.limit, "set_by": room.set_by}
    day = f"limit_reached {batch.at[:10]}"
    if payer.reason != day:
        payer.reason = day
        batch.decision.touched_payers[wallet.wallet_id] = payer
        emit_once(batch, wallet, "auto_topup.limit_reached", batch.at[:10], **limit)
    whose = "the owner" if room.set_by == "owner" else "the operator"
    return TopupLimitReached(
        f"automatic top-ups of wallet {wallet.wallet_id} have {format_yen(room.left_yen)} left of the limit a "
        f"{room.limit} that {whose} has set, less than one step; raise the limit, lower auto_topup_amount, or top up "
        "by hand",
        wallet_id=wallet.wallet_id,
        **limit,
    )


def _open(batch: Batch, wallet: WalletState, topup_id: str, amount_yen: int, how: _How) -> TopupRequested | WalletError:
    known = batch.snapshot.topups.get(topup_id)
    if known is None:
        note_step(batch, wallet, _new(batch, wallet, topup_id, amount_yen, how), None)
    elif (known.wallet_id, known.origin) != (wallet.wallet_id, how.origin):
        return TopupNotFound(f"wallet {wallet.wallet_id} has no top-up {topup_id}", topup_id=topup_id)
    else:
        amount_yen = known.amount_yen  # asked for before, longer ago than keys are remembered
    return TopupRequested(wallet.wallet_id, amount_yen * MICROS, wallet.balance_micros, topup_id=topup_id)


def _new(batch: Batch, wallet: WalletState, topup_id: str, amount_yen: int, how: _How) -> TopupState:
    topup = TopupState(
        topup_id=topup_id,
        wallet_id=wallet.wallet_id,
        amount_yen=amount_yen,
        origin=how.origin,
        flow=how.flow,
        status="requested",
        processing=False,
        payment_intent=None,
        checkout_session=None,
        observed_at=0,
        received_yen=0,
        clawbacks={},
        credited_yen=0,
        reversed_yen=0,
        credit_txn_id=None,
        reason=None,
        action_url=None,
        created_at=batch.at,
        offer=how.offer,
    )
    batch.snapshot.topups[topup_id] = topup
    batch.decision.touched_topups[topup_id] = topup
    return topup


def note_step(batch: Batch, wallet: WalletState, topup: TopupState, kind: str | None) -> None:
    """Add a line to the top-up's history, and emit an event of ``kind`` if there is one."""
    clawed_back = clawed_back_yen(topup)
    batch.decision.topup_steps.append(
        TopupStep(topup.topup_id, wallet.wallet_id, topup.status, topup.received_yen, clawed_back, topup.reason)
    )
    if kind is None:
        return
    emit(
        batch,
        wallet,
        kind,
        topup_id=topup.topup_id,
        amount_yen=topup.amount_yen,
        origin=topup.origin,
        credited_yen=topup.credited_yen,
        clawed_back_yen=clawed_back,
        reason=topup.reason,
        action_url=topup.action_url,
    )
