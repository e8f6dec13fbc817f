"""Stripe's test cards (https://docs.stripe.com/testing) and how a payment with each ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from fake_stripe.failures import StripeFailure


@dataclass(frozen=True)
class Decline:
    """Why a bank declines (https://docs.stripe.com/declines/codes)."""

    decline_code: str
    message: str = "Your card was declined."
    code: str = "card_declined"
    advice_code: str | None = None
    """What the card scheme advises: ``do_not_try_again`` means never with this card."""


class Asks(Enum):
    """When a card's bank wants the customer to authenticate (3-D Secure)."""

    NEVER = auto()
    ON_SESSION = auto()
    """Whenever the customer is there, and never otherwise."""
    UNLESS_SET_UP = auto()
    """Whenever the customer is there; otherwise unless it was authenticated when it was saved."""
    ALWAYS = auto()


class Verdict(Enum):
    """What a bank answers when it does not decline."""

    PAYS = auto()
    ASKS = auto()


_LATER, _NEVER_AGAIN, _CHECK = "try_again_later", "do_not_try_again", "confirm_card_data"

GENERIC = Decline("generic_decline", advice_code=_LATER)
INSUFFICIENT_FUNDS = Decline("insufficient_funds", "Your card has insufficient funds.", advice_code=_LATER)
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    code="authentication_required",
)
AUTHENTICATION_NOT_HANDLED = Decline(
    "authentication_not_handled", AUTHENTICATION_REQUIRED.message, AUTHENTICATION_REQUIRED.code
)
"""The customer is there, but the merchant said that nobody would ask (``error_on_requires_action``)."""
_LOST = Decline("lost_card", advice_code=_NEVER_AGAIN)
_STOLEN = Decline("stolen_card", advice_code=_NEVER_AGAIN)
_FRAUDULENT = Decline("fraudulent", advice_code=_NEVER_AGAIN)
_EXPIRED = Decline("expired_card", "Your card has expired.", "expired_card", _CHECK)
_WRONG_CVC = Decline("incorrect_cvc", "Your card's security code is incorrect.", "incorrect_cvc", _CHECK)
_TOO_OFTEN = Decline(
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    advice_code=_LATER,
)
_PROCESSING = Decline(
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
    "processing_error",
    _LATER,
)


@dataclass(frozen=True)
class Card:
    """A test card."""

    number: str
    asks: Asks = Asks.NEVER
    decline: Decline | None = None
    """How its charges fail, if they do; with ``asks``, after the customer has authenticated."""
    attaches: bool = True
    """Whether it can be saved for a customer."""
    brand: str = "visa"
    country: str = "US"

    def verdict(self, *, off_session: bool, set_up: bool) -> Verdict | Decline:
        """What the bank answers to a charge; ``set_up``: the card was authenticated for charges off session."""
        if self._asks(off_session=off_session, set_up=set_up):
            return AUTHENTICATION_REQUIRED if off_session else Verdict.ASKS
        return self.decline or Verdict.PAYS

    def _asks(self, *, off_session: bool, set_up: bool) -> bool:
        if not off_session:
            return self.asks is not Asks.NEVER
        return self.asks is Asks.ALWAYS or (self.asks is Asks.UNLESS_SET_UP and not set_up)


_ALL = (
    Card("4242424242424242"),
    Card("4000003920000003", country="JP"),
    Card("5555555555554444", brand="mastercard"),
    Card("3530111333300000", brand="jcb", country="JP"),
    Card("4000000000000341", decline=GENERIC),
    Card("4000000000000002", decline=GENERIC, attaches=False),
    Card("4000000000009995", decline=INSUFFICIENT_FUNDS, attaches=False),
    Card("4000000000009987", decline=_LOST, attaches=False),
    Card("4000000000009979", decline=_STOLEN, attaches=False),
    Card("4000000000000069", decline=_EXPIRED, attaches=False),
    Card("4000000000000127", decline=_WRONG_CVC, attaches=False),
    Card("4000000000000119", decline=_PROCESSING, attaches=False),
    Card("4000000000006975", decline=_TOO_OFTEN),
    Card("4100000000000019", decline=_FRAUDULENT),
    Card("4000002500003155", Asks.UNLESS_SET_UP),
    Card("4000002760003184", Asks.ALWAYS),
    Card("4000003800000446", Asks.ON_SESSION),
    Card("4000008260003178", Asks.ON_SESSION, decline=INSUFFICIENT_FUNDS),
    Card("4000000000003220", Asks.ALWAYS),
    Card("4000008400001629", Asks.ALWAYS, decline=GENERIC),
)
CARDS = {card.number: card for card in _ALL}

PAYING = "4242424242424242"
DECLINED = "4000000000000341"
ASKING = "4000002760003184"
ASKING_THEN_DECLINED = "4000008400001629"

TEST_METHODS = {
    "pm_card_visa": PAYING,
    "pm_card_jp": "4000003920000003",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_jcb": "3530111333300000",
    "pm_card_chargeCustomerFail": DECLINED,
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_visa_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
    "pm_card_chargeDeclinedProcessingError": "4000000000000119",
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "pm_card_chargeDeclinedFraudulent": "4100000000000019",
    "pm_card_authenticationRequired": ASKING,
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequiredSetupForOffSession": "4000003800000446",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "pm_card_threeDSecure2Required": "4000000000003220",
}
"""The ids that stand for a new payment method with a test card."""


def card_of(number: str) -> Card:
    """The test card with a number, which may be written with spaces."""
    digits = number.replace(" ", "")
    if digits in CARDS:
        return CARDS[digits]
    if not _has_check_digit(digits):
        message, code, decline_code = "Your card number is incorrect.", "incorrect_number", None
    else:
        message = "Your card was declined. Your request was in test mode, but used a non test card."
        code, decline_code = "card_declined", "test_mode_live_card"
    raise StripeFailure(402, message, "card_error", code=code, decline_code=decline_code, param="number")


def _has_check_digit(digits: str) -> bool:
    """Whether the last of the digits fits the others (ISO/IEC 7812-1, annex B)."""
    if not (digits.isascii() and digits.isdigit()):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0
