"""What Stripe's objects say, as facts about a payment. Pure; takes the objects as the API and webhooks give them.

Facts: docs.stripe.com/payments/paymentintents/lifecycle, /disputes/how-disputes-work, /declines/codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from msgspec import structs

from credit_wallet.domain.money import MAX_AMOUNT_YEN
from credit_wallet.domain.topups import ANNOUNCED, RETURNED, TAKEN, DeclineKind, PaymentFact, PaymentStatus
from credit_wallet.rules.declines import decline_kind

StripeObject: TypeAlias = Mapping[str, Any]

INSTALLATION, WALLET, TOPUP, REFUND = "credit_installation", "credit_wallet_id", "credit_topup_id", "credit_refund"
"""Metadata that payments and refunds carry."""

_STATUSES: dict[str, PaymentStatus] = {
    "requires_payment_method": "pending",
    "requires_confirmation": "pending",
    "requires_capture": "pending",
    "processing": "pending",
    "requires_action": "requires_action",
    "succeeded": "succeeded",
    "canceled": "canceled",
}
_SHOWN = 80
"""Characters that are shown of what is not understood."""


class Yen(NamedTuple):
    """An amount as Stripe says it, 0 to ``MAX_AMOUNT_YEN``; when it is not a whole number of yen, 0 and why not."""

    amount_yen: int
    mismatch: str | None = None


class Taking(NamedTuple):
    """A refund or a dispute; with ``mismatch`` its amount is not known in yen, and it takes nothing."""

    name: str
    amount_yen: int
    stage: int
    mismatch: str | None = None


def yen_of(subject: StripeObject, *names: str) -> Yen:
    """The amount under the first of ``names`` that ``subject`` has, if its currency is the yen.

    Stripe counts in the currency's smallest unit, which is the cent of a dollar and the yen itself
    (docs.stripe.com/currencies), so a number without its currency says nothing.
    """
    name = next((each for each in names if subject.get(each) is not None), names[-1])
    amount, currency = subject.get(name), subject.get("currency")
    if (
        isinstance(currency, str)
        and currency.lower() == "jpy"
        and type(amount) is int
        and 0 <= amount <= MAX_AMOUNT_YEN
    ):
        return Yen(amount)
    said = f"{name} {_plain(amount)} of {_plain(subject.get('id'))}, currency {_plain(currency)}"
    return Yen(0, f"{said}: not a whole number of yen")


def _plain(value: object) -> str:
    """What Stripe said where a number, an id or a currency belongs, for people."""
    return "missing" if value is None else re.sub(r"[^A-Za-z0-9_.+-]", "?", str(value)[:_SHOWN])


def intent_fact(intent: StripeObject, told_at: int) -> PaymentFact:
    """From a PaymentIntent."""
    status = _STATUSES.get(intent["status"])
    error = intent.get("last_payment_error")
    reason: str | None = None
    decline: DeclineKind | None = None
    if intent["status"] == "requires_payment_method" and error:
        status = "failed"
        reason = error.get("decline_code") or error.get("code")
        decline = decline_kind(reason, error.get("network_advice_code"))
    elif intent["status"] == "canceled":
        reason = intent.get("cancellation_reason")
    paid = intent["status"] == "succeeded"
    received = yen_of(intent, *(("amount_received",) if paid else ()), "amount")
    if paid and received.mismatch is not None:  # with money that is not counted here, so not in this status
        paid, status, decline = False, "failed", "never"
    remaining = _remaining(intent)
    return PaymentFact(
        told_at=told_at,
        status=status,
        processing=_is_on_its_way(intent, remaining),
        payment_intent=intent["id"],
        received_yen=received.amount_yen if paid else 0,
        reason=reason,
        action_url=_action_url(intent.get("next_action")),
        customer=id_of(intent.get("customer")),
        payment_method=_saved_method(intent) if paid else None,
        decline=decline,
        mismatches=_said(received.mismatch) + _said(remaining.mismatch if remaining else None),
    )


def refund_taking(refund: StripeObject) -> Taking:
    """From a Refund. One that we asked for goes by our own name for it, so that its answer finds what we noted."""
    stage = RETURNED if refund.get("status") in ("failed", "canceled") else TAKEN
    amount = yen_of(refund, "amount")
    name = (refund.get("metadata") or {}).get(REFUND) or refund["id"]
    return Taking(name, amount.amount_yen, stage, amount.mismatch)


def dispute_taking(dispute: StripeObject, event_type: str = "") -> Taking:
    """From a Dispute and, where there is one, the event that told of it.

    Stripe takes the money when a dispute opens and gives it again when it is won; an inquiry (``warning_…``) takes
    none.
    """
    status = dispute.get("status", "")
    if event_type.endswith("funds_reinstated") or status == "won":
        stage = RETURNED
    elif event_type.endswith("funds_withdrawn") or not status.startswith("warning_"):
        stage = TAKEN
    else:
        stage = ANNOUNCED
    amount = yen_of(dispute, "amount")
    return Taking(dispute["id"], amount.amount_yen, stage, amount.mismatch)


def with_takings(fact: PaymentFact, takings: Iterable[Taking]) -> PaymentFact:
    """A fact and what was refunded or disputed of its payment."""
    taken = tuple(takings)
    return structs.replace(
        fact,
        takings=tuple((each.name, each.amount_yen, each.stage) for each in taken if each.mismatch is None),
        mismatches=fact.mismatches + tuple(text for each in taken for text in _said(each.mismatch)),
    )


def taking_fact(
    takings: Iterable[Taking], payment_intent: str | None, told_at: int, reason: str | None = None
) -> PaymentFact:
    """What refunds and disputes say of a payment."""
    return with_takings(PaymentFact(told_at=told_at, payment_intent=payment_intent, reason=reason), takings)


def id_of(value: Any) -> str | None:
    """The id of an object that may be expanded."""
    if value is None or isinstance(value, str):
        return value
    return str(value["id"])


def _said(mismatch: str | None) -> tuple[str, ...]:
    return () if mismatch is None else (mismatch,)


def _saved_method(intent: StripeObject) -> str | None:
    """The method that paid, if it was saved: as all of the payment's are, or as those of its type."""
    method = intent.get("payment_method")
    options = intent.get("payment_method_options") or {}
    asked = [intent, options.get(method["type"]) or {}] if isinstance(method, Mapping) else [intent]
    saved = any(each.get("setup_future_usage") == "off_session" for each in asked)
    return id_of(method) if saved else None


def _is_on_its_way(intent: StripeObject, remaining: Yen | None) -> bool:
    """Whether money may come without anybody doing more on a page of ours or Stripe's: the payer has paid and it is not
    settled, an amount is authorised, a slip can be paid at any time, or a part of a transfer has come.

    A transfer of which nothing has come is not: it has no end, and may never be made.
    """
    if intent["status"] in ("processing", "requires_capture"):
        return True
    if intent["status"] != "requires_action":
        return False
    has_part = (
        remaining is not None
        and remaining.mismatch is None
        and remaining.amount_yen < yen_of(intent, "amount").amount_yen
    )
    return has_part or "hosted_voucher_url" in _details(intent.get("next_action"))


def _remaining(intent: StripeObject) -> Yen | None:
    """What is missing of a bank transfer that is waited for."""
    details = _details(intent.get("next_action"))
    if details.get("amount_remaining") is None:
        return None
    return yen_of({**details, "id": intent["id"]}, "amount_remaining")


def _details(action: StripeObject | None) -> StripeObject:
    """What there is to do for a person, of whatever kind it is."""
    return (action.get(action["type"]) or {}) if action else {}


def _action_url(action: StripeObject | None) -> str | None:
    """Where a person goes on: a bank's page, a voucher, the details of a transfer."""
    details = _details(action)
    for name in ("url", "hosted_voucher_url", "hosted_instructions_url"):
        if details.get(name):
            return str(details[name])
    return None
