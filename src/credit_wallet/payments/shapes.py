"""What Stripe's objects must look like for a fact to be read from them, and of which account they must be.

Only what is read is looked at: Stripe adds fields and values as it likes. Amounts have a rule of their own
(``facts.yen_of``): what is not a whole number of yen moves nothing, and an event calls for a person.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

from msgspec import Meta, Struct, ValidationError, convert

from credit_wallet.payments.facts import INSTALLATION, TOPUP, WALLET, StripeObject

LIVE_PREFIXES, TEST_PREFIXES = ("sk_live_", "rk_live_"), ("sk_test_", "rk_test_")

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]


class NotOfStripe(Exception):
    """An object is not as Stripe makes them, or is not this account's; the message says what is wrong."""


class Named(Struct):
    """An object that stands in the place of its id."""

    id: Id


Reference: TypeAlias = Id | Named | None


class _Data(Struct):
    object: dict[str, Any]


class Event(Struct):
    """What is delivered: something happened to ``data.object``. ``account`` is another one's, of a platform."""

    type: str
    created: Annotated[int, Meta(ge=0, le=253_402_300_799)]
    data: _Data
    livemode: bool | None = None
    account: str | None = None


class Subject(Struct):
    """What may be of this ledger: a payment, or something about one."""

    id: Id | None = None
    metadata: dict[str, Any] | None = None
    payment_intent: Reference = None
    livemode: bool | None = None


class Error(Struct):
    """Why a payment failed."""

    code: str | None = None
    decline_code: str | None = None
    network_advice_code: str | None = None


class PaidBy(Struct):
    """The method of a payment."""

    id: Id
    type: str


class Intent(Struct):
    """A PaymentIntent of this ledger."""

    id: Id
    status: str
    metadata: dict[str, str]
    customer: Reference = None
    payment_method: Id | PaidBy | None = None
    payment_method_options: dict[str, dict[str, Any] | None] | None = None
    setup_future_usage: str | None = None
    last_payment_error: Error | None = None
    cancellation_reason: str | None = None
    next_action: dict[str, Any] | None = None


class Action(Struct):
    """What a person does next; the details are under the name that ``type`` gives."""

    type: str


class Session(Struct):
    """A Checkout Session of this ledger."""

    id: Id
    metadata: dict[str, str]
    status: str | None = None


class Taken(Struct):
    """A refund or a dispute."""

    id: Id
    status: str = ""
    metadata: dict[str, str] | None = None
    payment_intent: Reference = None


T = TypeVar("T")


def checked(shape: type[T], subject: object) -> T:
    """``subject`` as a ``shape``. Raises ``NotOfStripe``."""
    try:
        return convert(subject, shape)
    except ValidationError as error:
        raise NotOfStripe(str(error)) from error


def checked_event(event: object, live: bool | None) -> None:
    """Raise ``NotOfStripe`` unless it is an event of this account, and of the key's kind of money."""
    head = checked(Event, event)
    require_mode(head.livemode, live)
    if head.account is not None:
        raise NotOfStripe(f"it belongs to another account, {head.account[:80]!r}")


def checked_intent(subject: StripeObject) -> None:
    """Raise ``NotOfStripe`` unless everything that is read of a payment can be."""
    action = checked(Intent, subject).next_action
    if action is not None:
        details = action.get(checked(Action, action).type)
        if details is not None and not isinstance(details, dict):
            raise NotOfStripe("next_action has no details where its type says so")


def owner_of(metadata: dict[str, str]) -> tuple[int, str]:
    """Wallet and top-up that the metadata of an object name. Raises ``NotOfStripe``."""
    wallet_id, topup_id = metadata.get(WALLET, ""), metadata.get(TOPUP, "")
    if not (wallet_id.isascii() and wallet_id.isdecimal() and len(wallet_id) < 19 and topup_id):
        raise NotOfStripe(f"its metadata has {INSTALLATION} but names no wallet or top-up")
    return int(wallet_id), topup_id


def is_live(secret_key: str) -> bool | None:
    """Whether a key moves live money; None when it does not say so."""
    if secret_key.startswith(LIVE_PREFIXES):
        return True
    return False if secret_key.startswith(TEST_PREFIXES) else None


def require_mode(said: bool | None, live: bool | None) -> None:
    """Raise ``NotOfStripe`` when an object is of test money and the key of live money, or the other way round."""
    if said is not None and live is not None and said is not live:
        raise NotOfStripe(f"it is of {_money(said)} money, and this installation's key moves {_money(live)} money")


def _money(live: bool) -> str:
    return "live" if live else "test"
