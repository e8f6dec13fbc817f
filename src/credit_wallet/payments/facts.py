"""What Stripe's objects say, as facts about a payment. Pure; takes the objects as the API and webhooks give them.

Facts: docs.stripe.com/payments/paymentintents/lifecycle, /disputes/how-disputes-work, /declines/codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from msgspec import structs

from credit_wallet.topups import ANNOUNCED, RETURNED, TAKEN, DeclineKind, PaymentFact, PaymentStatus

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
_DECLINES: dict[DeclineKind, str] = {
    "never": """
        expired_card incorrect_number invalid_account lost_card pickup_card restricted_card
        revocation_of_all_authorizations revocation_of_authorization stolen_card stop_payment_order fraudulent
        merchant_blacklist card_not_supported currency_not_supported invalid_expiry_year invalid_expiry_month
        """,
    "soon": "issuer_not_available processing_error reenter_transaction try_again_later",
    "person": """
        authentication_required authentication_not_handled payment_intent_authentication_failure
        offline_pin_required online_or_offline_pin_required approve_with_id call_issuer
        """,
}
_KIND_OF_DECLINE = {code: kind for kind, codes in _DECLINES.items() for code in codes.split()}


def decline_kind(code: str | None, advice: str | None = None) -> DeclineKind:
    """Whether a declined charge may be tried again: soon, later, never, or not without a person.

    ``advice`` is the network's, where it gave one (Mastercard 03 and 21: never).
    """
    if advice in ("03", "21"):
        return "never"
    return _KIND_OF_DECLINE.get(code or "", "later")


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
    return PaymentFact(
        told_at=told_at,
        status=status,
        processing=intent["status"] == "processing",
        payment_intent=intent["id"],
        received_yen=int(intent.get("amount_received") or intent["amount"]) if paid else 0,
        reason=reason,
        action_url=_action_url(intent.get("next_action")),
        customer=id_of(intent.get("customer")),
        payment_method=_saved_method(intent) if paid else None,
        decline=decline,
    )


def refund_taking(refund: StripeObject) -> tuple[str, int, int]:
    """From a Refund. One that we asked for goes by our own name for it, so that its answer finds what we noted."""
    stage = RETURNED if refund.get("status") in ("failed", "canceled") else TAKEN
    return (refund.get("metadata") or {}).get(REFUND) or refund["id"], int(refund["amount"]), stage


def dispute_taking(dispute: StripeObject, event_type: str = "") -> tuple[str, int, int]:
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
    return dispute["id"], int(dispute["amount"]), stage


def with_takings(fact: PaymentFact, takings: Iterable[tuple[str, int, int]]) -> PaymentFact:
    """A fact and what was refunded or disputed of its payment."""
    return structs.replace(fact, takings=tuple(takings))


def taking_fact(
    takings: Iterable[tuple[str, int, int]], payment_intent: str | None, told_at: int, reason: str | None = None
) -> PaymentFact:
    """What refunds and disputes say of a payment."""
    return PaymentFact(told_at=told_at, payment_intent=payment_intent, takings=tuple(takings), reason=reason)


def id_of(value: Any) -> str | None:
    """The id of an object that may be expanded."""
    if value is None or isinstance(value, str):
        return value
    return str(value["id"])


def _saved_method(intent: StripeObject) -> str | None:
    """The method that paid, if it was saved: as all of the payment's are, or as those of its type."""
    method = intent.get("payment_method")
    options = intent.get("payment_method_options") or {}
    asked = [intent, options.get(method["type"]) or {}] if isinstance(method, Mapping) else [intent]
    saved = any(each.get("setup_future_usage") == "off_session" for each in asked)
    return id_of(method) if saved else None


def _action_url(action: StripeObject | None) -> str | None:
    """Where a person goes on: a bank's page, a voucher, the details of a transfer."""
    if not action:
        return None
    details = action.get(action["type"]) or {}
    for name in ("url", "hosted_voucher_url", "hosted_instructions_url"):
        if details.get(name):
            return str(details[name])
    return None
