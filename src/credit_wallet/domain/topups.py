"""Top-ups: joining a payment provider's reports on a payment into its known state. Pure.

requested → pending → requires_action → succeeded → credited | failed | canceled

Reports arrive late, twice and in any order. ``join`` applies them so that the order does not matter: a payment that
succeeded stays so, figures only grow, a refund or dispute only moves on, and of two passing states the one reported
later counts.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from credit_wallet.domain.documents import ExactOfYen
from credit_wallet.domain.topup_status import TopupStatus

PaymentStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]
Origin = Literal["owner", "auto", "found"]
Flow = Literal["intent", "checkout"]
OfferLanguage = Literal["en", "ja"]
ClawbackKind = Literal["refund", "dispute", "pay_back"]
ClawbackStatus = Literal["announced", "withdrawn", "reinstated"]
DeclineKind = Literal["soon", "later", "never", "person"]

OPEN: tuple[TopupStatus, ...] = ("requested", "pending", "requires_action", "succeeded")
"""Statuses that are not final."""

AFTER_ALL_TOPUPS = ("9999", "")
"""An instant and an id: every top-up was made before."""

PAID: tuple[TopupStatus, ...] = ("succeeded", "credited")

PAYABLE: tuple[TopupStatus, ...] = (*OPEN, "failed")
"""Statuses in which a payment may still be made, with another card after a failure."""

CLAWBACK_STATUSES: tuple[ClawbackStatus, ...] = ("announced", "withdrawn", "reinstated")
"""In the order in which a clawback goes through them, never back: no money has moved yet, the provider has taken it
back, it has returned it.
"""

_PRECEDENCE: dict[str, int] = {"pending": 0, "requires_action": 1, "failed": 2}
"""Precedence of passing states that were reported in the same second."""

MISMATCH = "currency_mismatch: "
"""Begins the reason of a top-up for which Stripe reported an amount that is not in whole yen."""

_PAY_BACK = "pb_"

RUNAWAY_TOPUPS = 4
"""Automatic top-ups of a wallet within an hour from which an event warns that they are running away."""


class Clawback(Struct, frozen=True):
    """Yen of a payment that return to the payer: by a refund, a dispute, or paid-back unused credit."""

    id: str
    kind: ClawbackKind
    amount_yen: int
    status: ClawbackStatus

    amount = ExactOfYen()


METHOD = re.compile("[a-z0-9_]{1,40}")
"""What a payment method is called, as Stripe calls it."""


class Offer(Struct, frozen=True):
    """How a payment is offered: by one ``method`` or by all that there are, saving the card or not, in a language.

    Without a language a page of Stripe's speaks the browser's.
    """

    method: str | None = None
    save_card: bool = True
    language: OfferLanguage | None = None


class TopupState(Struct):
    """A top-up's row. ``observed_at`` is when the provider reported ``status``, in Unix seconds of its clock.

    ``clawbacks`` are keyed by id.
    """

    topup_id: str
    wallet_id: int
    amount_yen: int
    origin: Origin
    flow: Flow
    status: TopupStatus
    processing: bool
    payment_intent: str | None
    checkout_session: str | None
    observed_at: int
    received_yen: int
    clawbacks: dict[str, Clawback]
    credited_yen: int
    reversed_yen: int
    credit_txn_id: int | None
    reason: str | None
    action_url: str | None
    created_at: str
    offer: Offer | None = None


class PayerState(Struct):
    """What a wallet pays its automatic top-ups with; ``stopped`` until a person acts."""

    wallet_id: int
    customer: str | None = None
    payment_method: str | None = None
    failures: int = 0
    retry_at: str | None = None
    stopped: bool = False
    reason: str | None = None


class AutoToppedUp(Struct, frozen=True):
    """What automatic top-ups of a wallet have brought, in yen: today and this month, in UTC and by the wallet's clocks;
    and how many there were within an hour.
    """

    today_yen: int = 0
    month_yen: int = 0
    own_today_yen: int = 0
    own_month_yen: int = 0
    within_an_hour: int = 0


class PaymentFact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The provider's report on a payment at ``observed_at``; fields that it did not mention are left out.

    ``processing`` means that its money may arrive without further action: see ``is_under_way``.

    Yen are totals so far. ``payment_method`` is given when it was saved for later; ``decline`` classifies a failure.
    ``mismatches`` describe, for people, amounts that were not whole yen and are not counted.
    """

    observed_at: int
    status: PaymentStatus | None = None
    processing: bool = False
    payment_intent: str | None = None
    checkout_session: str | None = None
    received_yen: int = 0
    clawbacks: tuple[Clawback, ...] = ()
    reason: str | None = None
    action_url: str | None = None
    customer: str | None = None
    payment_method: str | None = None
    decline: DeclineKind | None = None
    mismatches: tuple[str, ...] = ()


def topup_id_of(wallet_id: int, idempotency_key: str) -> str:
    """The id of the top-up that an idempotency key requests: the same for every retry."""
    return "tu_" + blake2b(f"{wallet_id}:{idempotency_key}".encode(), digest_size=15).hexdigest()


def pay_back_id_of(wallet_id: int, idempotency_key: str) -> str:
    """The name of a pay-back request to the provider: the same for every retry."""
    return _PAY_BACK + blake2b(f"{wallet_id}:{idempotency_key}".encode(), digest_size=15).hexdigest()


def join(topup: TopupState, fact: PaymentFact) -> None:
    """Join ``fact`` into ``topup``. Repeating it, or another order, gives the same result."""
    mismatches = {*_mismatches_in(topup.reason), *fact.mismatches}
    topup.payment_intent = topup.payment_intent or fact.payment_intent
    topup.checkout_session = topup.checkout_session or fact.checkout_session
    topup.received_yen = max(topup.received_yen, fact.received_yen)
    for clawback in fact.clawbacks:
        topup.clawbacks[clawback.id] = _joined(topup.clawbacks.get(clawback.id, clawback), clawback)
    _move(topup, fact)
    if mismatches:
        topup.reason = MISMATCH + "; ".join(sorted(mismatches))


def _joined(known: Clawback, said: Clawback) -> Clawback:
    """Joins two reports on one clawback, in either order."""
    status = max(known.status, said.status, key=CLAWBACK_STATUSES.index)
    return Clawback(known.id, known.kind, max(known.amount_yen, said.amount_yen), status)


def mismatch_in(reason: str | None) -> str | None:
    """The part of a top-up's reason about amounts that were not whole yen, which stays whatever is reported later."""
    return reason if _mismatches_in(reason) else None


def _mismatches_in(reason: str | None) -> list[str]:
    return reason.removeprefix(MISMATCH).split("; ") if reason is not None and reason.startswith(MISMATCH) else []


def _move(topup: TopupState, fact: PaymentFact) -> None:
    """Advance the status, if ``fact`` says so."""
    if topup.status in PAID:
        return
    if topup.received_yen:
        _become(topup, "succeeded", fact, processing=False)
    elif topup.status == "canceled":
        return
    elif fact.status == "canceled":
        _become(topup, "canceled", fact, processing=False)
    elif fact.status in _PRECEDENCE and _said_later(topup, fact):
        _become(topup, fact.status, fact, processing=fact.processing)


def _said_later(topup: TopupState, fact: PaymentFact) -> bool:
    """Of two reports in one second the further state counts; of the same state, the one whose money is on its way."""
    known = (topup.observed_at, _PRECEDENCE.get(topup.status, -1), topup.processing)
    return (fact.observed_at, _PRECEDENCE.get(fact.status or "", -1), fact.processing) >= known


def _become(topup: TopupState, status: TopupStatus, fact: PaymentFact, *, processing: bool) -> None:
    topup.status = status
    topup.processing = processing
    topup.observed_at = max(topup.observed_at, fact.observed_at)
    topup.reason = fact.reason
    topup.action_url = fact.action_url if status in ("pending", "requires_action", "failed") else None


def clawed_back_yen(topup: TopupState) -> int:
    """The yen that the provider took back of the payment. It is more than was received when a refunded payment is
    disputed as well.
    """
    if not topup.received_yen:
        return 0
    return sum(each.amount_yen for each in topup.clawbacks.values() if each.status == "withdrawn")


def is_under_way(topup: TopupState) -> bool:
    """Whether another payment must wait for this one, since its money may arrive without further action.

    These are: an automatic one from the moment it is noted, whatever its status; one that is ``processing``: paid and
    not settled, authorised, a slip that can still be paid, a bank transfer of which a part has come; and one that was
    paid and could not be credited. Not these: a card form, a page or a bank's question that waits for the owner, and a
    transfer of which nothing has come.
    """
    return topup.status in OPEN and (topup.origin == "auto" or topup.processing or topup.status == "succeeded")


def shortfall_yen(balance_yen: int, debt_yen: int, threshold_yen: int, step_yen: int, min_yen: int) -> int:
    """How much an automatic top-up must bring: whole steps that carry the wallet back to its threshold; 0 when none.

    Debt is repaid first; ``min_yen`` is the minimum payment. Nothing else may be under way.
    """
    short_yen = threshold_yen - (balance_yen - debt_yen)
    if short_yen <= 0 or not step_yen:
        return 0
    return -(-max(short_yen, min_yen) // step_yen) * step_yen
