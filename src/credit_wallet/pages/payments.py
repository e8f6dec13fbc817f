"""What pages say of payments: methods, standings, and why one was not made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from credit_wallet.domain.topups import MISMATCH
from credit_wallet.pages.words import text


class Method(NamedTuple):
    """A way to pay: its icon, its name, and what to know before choosing it."""

    icon: str
    name: str
    hint: str


METHODS: Final[dict[str, Method]] = {
    "card": Method(
        "card", text("Card"), text("Credited at once. The card's number is typed in at Stripe, never here.")
    ),
    "konbini": Method(
        "store",
        text("Convenience store"),
        text("Cash at FamilyMart, Lawson, Ministop or Seicomart. Credited soon after you have paid there."),
    ),
    "customer_balance": Method(
        "bank", text("Bank transfer"), text("To an account at a Japanese bank. Credited when the money has arrived.")
    ),
}
"""By Stripe's names."""

SAVED: Final = Method("card", text("Saved card"), "")
"""Of automatic top-ups."""

ANY: Final = Method("card", text("At Stripe"), "")
"""Where the method was left to whoever pays, or is one that has no name here."""

STORES: Final[dict[str, str]] = {
    "familymart": text("FamilyMart"),
    "lawson": text("Lawson"),
    "ministop": text("Ministop"),
    "seicomart": text("Seicomart"),
}

ACCOUNT_TYPES: Final[dict[str, str]] = {"futsu": text("Ordinary account"), "toza": text("Current account")}


class Standing(NamedTuple):
    """How a payment stands: the kind of badge, and its words."""

    kind: str
    name: str


STANDINGS: Final[dict[str, Standing]] = {
    "requested": Standing("", text("Not begun")),
    "pending": Standing("warn", text("Not paid yet")),
    "requires_action": Standing("warn", text("Waits for you")),
    "succeeded": Standing("warn", text("Paid, not credited yet")),
    "credited": Standing("good", text("Credited")),
    "failed": Standing("bad", text("Declined")),
    "canceled": Standing("", text("Canceled")),
}

ORIGINS: Final[dict[str, str]] = {
    "owner": text("by hand"),
    "auto": text("automatic"),
    "found": text("found at Stripe"),
}

_NOT_THIS_CARD = text("The card's bank does not take it for this. Pay with another card.")
_BANK_BUSY = text("The card's bank could not be reached. Nothing was taken; try again in a while.")
_NOT_YOU = text("The bank wanted to know that it is you, and the answer did not come. Try again and confirm it.")
_LIMIT = text("The card's limit is reached. Pay with another card, or ask your bank.")
_TYPED = text("A figure of the card was mistyped, or the card has expired. Check it and try again.")
_LATE = text("It was not paid in time. Begin again.")
_GIVEN_UP = text("It was given up, or its time was over, before anything was paid.")
_NOT_SENT = text("It did not reach Stripe, so nothing was taken. Begin again.")

REASONS: Final[dict[str, str]] = {
    "insufficient_funds": text("There was not enough money for it. Pay a smaller amount, or in another way."),
    "card_declined": text(
        "The card was declined, and its bank does not say why. Pay with another card, or ask the bank."
    ),
    "no_payment_method": text("No card is saved. Pay once and save the card."),
    "payment_method_gone": text("The saved card is gone. Pay once and save another."),
    **dict.fromkeys(("expired_card", "incorrect_cvc", "incorrect_number", "invalid_number", "invalid_cvc"), _TYPED),
    **dict.fromkeys(("invalid_expiry_month", "invalid_expiry_year", "incorrect_zip"), _TYPED),
    **dict.fromkeys(("lost_card", "stolen_card", "pickup_card", "restricted_card", "fraudulent"), _NOT_THIS_CARD),
    **dict.fromkeys(("card_not_supported", "currency_not_supported", "transaction_not_allowed"), _NOT_THIS_CARD),
    **dict.fromkeys(("invalid_account", "merchant_blacklist", "stop_payment_order"), _NOT_THIS_CARD),
    **dict.fromkeys(("issuer_not_available", "processing_error", "reenter_transaction", "try_again_later"), _BANK_BUSY),
    **dict.fromkeys(("authentication_required", "authentication_not_handled"), _NOT_YOU),
    **dict.fromkeys(("payment_intent_authentication_failure", "approve_with_id"), _NOT_YOU),
    **dict.fromkeys(("card_velocity_exceeded", "withdrawal_count_limit_exceeded"), _LIMIT),
    **dict.fromkeys(("payment_intent_payment_attempt_expired", "abandoned"), _LATE),
    **dict.fromkeys(("expired", "requested_by_customer", "duplicate", "automatic", "void_invoice"), _GIVEN_UP),
    **dict.fromkeys(("unknown_to_stripe", "never_sent"), _NOT_SENT),
    "generic_decline": text(
        "The card was declined, and its bank does not say why. Pay with another card, or ask the bank."
    ),
    "do_not_honor": text(
        "The card was declined, and its bank does not say why. Pay with another card, or ask the bank."
    ),
    "payment_intent_payment_attempt_failed": _LATE,
}
"""By Stripe's codes and our own; a lost or stolen card is not called so, since a thief may be reading."""


def method_of(payment: Mapping[str, Any]) -> Method:
    """How a top-up was paid, or is to be paid."""
    if payment["origin"] == "auto":
        return SAVED
    offer = payment.get("offer") or {}
    return METHODS.get(payment.get("method") or offer.get("method") or "", ANY)


def reason_of(payment: Mapping[str, Any]) -> str | None:
    """Why a top-up was not made or not credited, where we have words for it."""
    reason = str(payment["reason"] or "")
    if reason.startswith(MISMATCH):
        return text("Stripe reports an amount that is not in yen. Whoever runs this service knows.")
    return REASONS.get(reason.partition(":")[0])


PAYMENT_WORDS: Final[dict[str, Any]] = {
    "METHODS": METHODS,
    "STANDINGS": STANDINGS,
    "STORES": STORES,
    "ACCOUNT_TYPES": ACCOUNT_TYPES,
    "ORIGINS": ORIGINS,
    "method_of": method_of,
    "reason_of": reason_of,
}
"""What templates of payments call."""
