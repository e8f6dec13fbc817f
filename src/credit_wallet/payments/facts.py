"""What Stripe's objects say, as facts about a payment. Pure; takes the objects as the API and webhooks give them.

Facts: docs.stripe.com/payments/paymentintents/lifecycle, /disputes/how-disputes-work, /declines/codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from msgspec import structs

from credit_wallet.domain.money import MAX_AMOUNT_YEN
from credit_wallet.domain.topups import Clawback, ClawbackStatus, DeclineKind, PaymentFact, PaymentStatus
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


class SaidClawback(NamedTuple):
    """A refund or a dispute as Stripe says it; with ``mismatch`` its amount is not known in yen, and takes nothing."""

    clawback: Clawback
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


def intent_fact(intent: StripeObject, observed_at: int) -> PaymentFact:
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
        observed_at=observed_at,
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


def refund_clawback(refund: StripeObject) -> SaidClawback:
    """From a Refund. One that we asked for has the id that we noted it by, so that the answer finds it."""
    status: ClawbackStatus = "reinstated" if refund.get("status") in ("failed", "canceled") else "withdrawn"
    amount = yen_of(refund, "amount")
    pay_back_id = (refund.get("metadata") or {}).get(REFUND)
    if pay_back_id:
        return SaidClawback(Clawback(pay_back_id, "pay_back", amount.amount_yen, status), amount.mismatch)
    return SaidClawback(Clawback(refund["id"], "refund", amount.amount_yen, status), amount.mismatch)


def dispute_clawback(dispute: StripeObject, event_type: str = "") -> SaidClawback:
    """From a Dispute and, where there is one, the event that reported it.

    Stripe withdraws the money when a dispute opens and reinstates it when it is won; an inquiry (``warning_…``) only
    announces one.
    """
    said = dispute.get("status", "")
    status: ClawbackStatus = "announced"
    if event_type.endswith("funds_reinstated") or said == "won":
        status = "reinstated"
    elif event_type.endswith("funds_withdrawn") or not said.startswith("warning_"):
        status = "withdrawn"
    amount = yen_of(dispute, "amount")
    return SaidClawback(Clawback(dispute["id"], "dispute", amount.amount_yen, status), amount.mismatch)


def with_clawbacks(fact: PaymentFact, said: Iterable[SaidClawback]) -> PaymentFact:
    """A fact and what was refunded or disputed of its payment."""
    said = tuple(said)
    return structs.replace(
        fact,
        clawbacks=tuple(each.clawback for each in said if each.mismatch is None),
        mismatches=fact.mismatches + tuple(text for each in said for text in _said(each.mismatch)),
    )


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
