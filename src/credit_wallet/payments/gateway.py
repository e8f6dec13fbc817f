"""Stripe, as the few things that top-ups ask of it. The only place that calls the ``stripe`` SDK.

Every request that makes something carries an idempotency key made from the top-up's own id, so that asking again after
a lost answer makes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar, cast

import stripe
from stripe.params import PaymentIntentCreateParams, RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from credit_wallet.domain.outcomes import TopupView
from credit_wallet.domain.retry_after import retry_after_seconds, whole_seconds
from credit_wallet.domain.topups import RETURNED, PaymentFact
from credit_wallet.errors import PaymentProviderError
from credit_wallet.payments.bounded_client import BoundedClient
from credit_wallet.payments.deliveries import event_of, refused
from credit_wallet.payments.facts import (
    INSTALLATION,
    REFUND,
    TOPUP,
    WALLET,
    StripeObject,
    Taking,
    dispute_taking,
    id_of,
    intent_fact,
    refund_taking,
    taking_fact,
    with_takings,
    yen_of,
)
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.payments.shapes import (
    NotOfStripe,
    Session,
    Subject,
    Taken,
    checked,
    checked_intent,
    is_live,
    owner_of,
    require_mode,
)
from credit_wallet.runtime import forks

RETRIES = 2
"""Of a request that Stripe did not answer or answered with 409 or 5xx; with the same idempotency key."""

PAGE = 100

TAKING_EVENTS = (
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
"""What tells of refunds and disputes; Stripe lists events for 30 days."""

METHOD_GONE = "payment_method_gone"
"""Reason of an automatic top-up whose saved method Stripe does not have any more, or not of this customer."""

REASON_CHARACTERS = 200
"""Of what Stripe says of a refusal that has no code."""

_REFUND_EVENTS = ("refund.", "charge.refund.", "charge.refunded")
_REFUSALS = (stripe.CardError, stripe.InvalidRequestError)
_BANK_TRANSFER = {"funding_type": "bank_transfer", "bank_transfer": {"type": "jp_bank_transfer"}}

T = TypeVar("T")


class UnknownToStripe(PaymentProviderError):
    """Stripe does not know what it was asked about: it was deleted there, or belongs to another account."""


class StripeSilent(PaymentProviderError):
    """Stripe could not be reached, or did not answer in time."""


class Asked(NamedTuple):
    """What came of asking for a payment; ``client_secret`` lets the owner's browser confirm it."""

    fact: PaymentFact
    client_secret: str | None = None


class Payment(NamedTuple):
    """A payment that carries this ledger's metadata; ``amount_yen`` is 0 when it was not asked for in yen."""

    wallet_id: int
    topup_id: str
    amount_yen: int
    fact: PaymentFact


class StripeGateway:
    """Stripe's API for one ledger, named ``installation``. Thread-safe."""

    def __init__(self, settings: PaymentSettings, installation: str, now: Callable[[], int]) -> None:
        """``now`` gives Unix seconds."""
        self._settings = settings
        self._installation = installation
        self._now = now
        self._is_live = is_live(settings.secret_key)
        self._client = BoundedClient()
        bases = cast(Any, {"api": settings.api_url} if settings.api_url else {})
        client = stripe.StripeClient(
            settings.secret_key,
            base_addresses=bases,
            max_network_retries=RETRIES,
            http_client=self._client,
        )
        self._stripe = client.v1
        forks.leave_behind(self, "_stripe")

    def end_retries(self) -> None:
        """Try nothing again from now on: the process ends."""
        self._client.end_retries()

    def new_customer(self, wallet_id: int, instead_of: str = "") -> str:
        """The customer that stands for a wallet at Stripe; the same one however often it is asked for within a day.

        ``instead_of`` is one that is gone.
        """
        metadata = {INSTALLATION: self._installation, WALLET: str(wallet_id)}
        once: Any = {"idempotency_key": f"{self._installation}-customer-{wallet_id}{instead_of and '-' + instead_of}"}
        return _asking(lambda: self._stripe.customers.create({"metadata": metadata}, once).id)

    def new_intent(self, topup: TopupView, customer: str) -> Asked:
        """A PaymentIntent that the owner confirms; a card is saved for later.

        Raises ``UnknownToStripe`` when ``customer`` is gone.
        """
        params: PaymentIntentCreateParams = {**self._intent(topup, customer), **self._offer()}
        if not self._settings.methods:
            params["automatic_payment_methods"] = {"enabled": True}
        if self._saves_whatever_pays():
            params["setup_future_usage"] = "off_session"
        once = self._once(topup, customer)
        intent = self._readable(_asking(lambda: self._stripe.payment_intents.create(params, once).to_dict()))
        return Asked(self._said(intent), intent.get("client_secret"))

    def new_checkout(self, topup: TopupView, customer: str) -> Asked:
        """A page of Stripe's where the owner pays; ``action_url`` of the fact is its address.

        Raises ``UnknownToStripe`` when ``customer`` is gone.
        """
        back = f"{self._settings.return_url}{'&' if '?' in self._settings.return_url else '?'}topup_id={topup.topup_id}"
        params: SessionCreateParams = {
            "mode": "payment",
            "customer": customer,
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "jpy",
                        "unit_amount": topup.amount_yen,
                        "product_data": {"name": f"Credit of ¥{topup.amount_yen:,}"},
                    },
                }
            ],
            "payment_intent_data": {"metadata": self._metadata(topup)},
            "metadata": self._metadata(topup),
            "adaptive_pricing": {"enabled": False},  # pages that offer the currency of the payer's country
            "success_url": back,
            "cancel_url": back,
        }
        params.update(self._offer())
        if self._saves_whatever_pays():
            params["payment_intent_data"]["setup_future_usage"] = "off_session"
        session = _asking(lambda: self._stripe.checkout.sessions.create(params, self._once(topup, customer)))
        return Asked(
            PaymentFact(
                told_at=self._now(),
                status="pending",
                checkout_session=session.id,
                action_url=session.url,
                customer=customer,
            )
        )

    def charge_saved(self, topup: TopupView, customer: str, payment_method: str) -> Asked:
        """Charge the saved method while nobody is there; a decline is a fact like another, and so is a lost method."""
        params: PaymentIntentCreateParams = {
            **self._intent(topup, customer),
            "payment_method": payment_method,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
            "off_session": True,
        }
        try:
            once = self._once(topup)
            intent = self._readable(
                _asking(lambda: self._stripe.payment_intents.create(params, once).to_dict(), but=_REFUSALS)
            )
        except _REFUSALS as error:
            declined = error.error.payment_intent if error.error is not None else None
            if declined is None:  # no payment was made; nor will be, with this method
                reason = self._why_not(error, customer, payment_method)
                return Asked(PaymentFact(told_at=self._now(), status="failed", reason=reason, decline="never"))
            intent = self._intent_named(declined.id)
        return Asked(self._said(intent), intent.get("client_secret"))

    def _why_not(self, error: stripe.StripeError, customer: str, payment_method: str) -> str:
        """Why a saved method was not even tried. That it is gone has many words, so Stripe is asked for it."""
        if isinstance(error, stripe.InvalidRequestError) and self._is_gone(error, customer, payment_method):
            return METHOD_GONE
        return error.code or f"invalid_request: {error.user_message or error}"[:REASON_CHARACTERS]

    def _is_gone(self, error: stripe.InvalidRequestError, customer: str, payment_method: str) -> bool:
        """Whether the method, or its customer, was deleted, or the one was detached from the other."""
        if error.code == "resource_missing":
            return True
        try:
            method = self._stripe.payment_methods.retrieve(payment_method)
        except stripe.InvalidRequestError as missing:
            return bool(missing.code == "resource_missing")
        except stripe.StripeError:
            return bool(error.param == "payment_method")
        return id_of(method.customer) != customer

    def ask_again(self, topup: TopupView) -> Asked:
        """How a payment that was asked for before stands. Raises ``PaymentProviderError``.

        One that Stripe does not know, as when the key is another account's, is given up; should it be paid, it counts.
        """
        try:
            return self._ask_again(topup)
        except UnknownToStripe:
            return Asked(PaymentFact(told_at=self._now(), status="canceled", reason="unknown_to_stripe"))

    def _ask_again(self, topup: TopupView) -> Asked:
        if topup.payment_intent is not None:
            intent = self._intent_named(topup.payment_intent)
            return Asked(self._whole_truth(intent), intent.get("client_secret"))
        if topup.checkout_session is None:
            return Asked(PaymentFact(told_at=self._now()))
        session = self._session_named(topup.checkout_session)
        if session.payment_intent is not None:
            intent = self._intent_named(str(id_of(session.payment_intent)))
            return Asked(self._whole_truth(intent), intent.get("client_secret"))
        status = "canceled" if session.status == "expired" else "pending"
        reason = "expired" if status == "canceled" else None
        return Asked(
            PaymentFact(
                told_at=self._now(),
                status=status,  # type: ignore[arg-type]
                checkout_session=session.id,
                action_url=session.url,
                reason=reason,
            )
        )

    def cancel(self, topup: TopupView) -> PaymentFact:
        """Give up a payment that nobody has made; when it was made meanwhile, the fact says so."""
        session, intent = topup.checkout_session, topup.payment_intent
        if session is not None:  # as long as its page is open, its payment cannot be canceled
            self._end(lambda: self._stripe.checkout.sessions.expire(session))
        if intent is not None:
            self._end(lambda: self._stripe.payment_intents.cancel(intent))
        return self.ask_again(topup).fact

    def refund(self, payment_intent: str, amount_yen: int, name: str) -> PaymentFact:
        """Give ``amount_yen`` of a payment back to where it came from, as the taking ``name``.

        When Stripe refuses, the fact says that it came again. Raises ``PaymentProviderError`` when that is not known.
        """
        params: RefundCreateParams = {
            "payment_intent": payment_intent,
            "amount": amount_yen,
            "metadata": {INSTALLATION: self._installation, REFUND: name},
        }
        once: Any = {"idempotency_key": f"{self._installation}-{name}"}
        try:
            refund = _asking(
                lambda: self._stripe.refunds.create(params, once).to_dict(), but=(stripe.InvalidRequestError,)
            )
        except stripe.InvalidRequestError as error:
            reason = error.user_message or str(error)
            return taking_fact([Taking(name, amount_yen, RETURNED)], payment_intent, self._now(), reason)
        return taking_fact([refund_taking(refund)], payment_intent, self._now())

    def refund_asked_for(self, payment_intent: str, name: str) -> PaymentFact | None:
        """What became of the refund ``name``; None when it never got to Stripe, which forgets its key after a day."""
        takings = [taking for taking in map(refund_taking, self._refunds(payment_intent)) if taking.name == name]
        return taking_fact(takings, payment_intent, self._now()) if takings else None

    def truth(self, payment_intent: str) -> Payment | None:
        """All that Stripe knows of a payment, refunds and disputes included; None when it is not this ledger's."""
        intent = self._intent_named(payment_intent)
        with _said_by_stripe():
            return self._own(intent, self._whole_truth)

    def payments_since(self, since: int) -> Iterator[Payment]:
        """This ledger's payments that were made since, in short: what came back of them is not looked up."""
        window: Any = {"created": {"gte": since}, "limit": PAGE, "expand": ["data.payment_method"]}
        for intent in _pages(_asking(lambda: self._stripe.payment_intents.list(window))):
            with _said_by_stripe():
                payment = self._own(self._readable(intent), self._said)
            if payment:
                yield payment

    def payments_received_since(self, since: int) -> Iterator[str]:
        """Ids of this ledger's payments that have succeeded since, whenever they were made."""
        for intent in self._subjects(since, "payment_intent.succeeded"):
            if self._is_own(intent):
                yield intent["id"]

    def payments_taken_since(self, since: int) -> Iterator[str]:
        """Ids of payments of which a refund or dispute has turned since, whenever it began."""
        for subject in self._subjects(since, *TAKING_EVENTS):
            if intent := id_of(subject.get("payment_intent")):
                yield intent

    def check(self) -> str:
        """That Stripe answers, and which money its key moves. Raises ``PaymentProviderError``."""
        balance = _asking(lambda: self._stripe.balance.retrieve())
        return "Stripe answers, with live money" if balance.livemode else "Stripe answers, with test money"

    def payment_of(self, event: StripeObject) -> Payment | None:
        """What a webhook event says; None when it is not about a payment of this ledger's. Raises ``InvalidEvent``."""
        try:
            return self._payment_of(event["type"], event["created"], event["data"]["object"])
        except NotOfStripe as problem:
            raise refused(event, problem) from problem

    def _payment_of(self, kind: str, told_at: int, subject: StripeObject) -> Payment | None:
        if kind.startswith(("payment_intent.", "checkout.session.", "charge.dispute.", *_REFUND_EVENTS)):
            require_mode(checked(Subject, subject).livemode, self._is_live)
        if kind.startswith("payment_intent."):
            return self._own(subject, lambda intent: self._of_intent(intent, kind, told_at))
        if kind.startswith("checkout.session."):
            return self._of_session(subject, told_at)
        if kind.startswith("charge.dispute."):
            checked(Taken, subject)
            return self._of_taking(subject, [dispute_taking(subject, kind)], told_at)
        if kind.startswith(("refund.", "charge.refund.")):
            checked(Taken, subject)
            return self._of_taking(subject, [refund_taking(subject)], told_at)
        if kind == "charge.refunded" and (intent := id_of(subject.get("payment_intent"))):
            return self.truth(intent)
        return None

    def event(self, payload: bytes, signature: str | None) -> StripeObject:
        """The event of a delivery. Raises ``InvalidSignature`` and ``InvalidEvent``."""
        return event_of(payload, signature, self._settings.webhook_secrets, live=self._is_live)

    # Inside

    def _once(self, topup: TopupView, *customer: str) -> Any:
        """The key of a request, which is another for another ``customer``; a saved method is charged under one only."""
        return {"idempotency_key": "-".join((self._installation, topup.topup_id, *customer))}

    def _metadata(self, topup: TopupView) -> dict[str, str]:
        return {INSTALLATION: self._installation, WALLET: str(topup.wallet_id), TOPUP: topup.topup_id}

    def _intent(self, topup: TopupView, customer: str) -> PaymentIntentCreateParams:
        return {
            "amount": topup.amount_yen,
            "currency": "jpy",
            "customer": customer,
            "description": f"Credit of ¥{topup.amount_yen:,}",
            "metadata": self._metadata(topup),
        }

    def _offer(self) -> Any:
        """Which methods may pay. A card among others is saved by an option of its own: asked of the whole payment,
        methods that cannot be saved would not be offered.
        """
        methods = self._settings.methods
        options: dict[str, Any] = {}
        if "card" in methods and not self._saves_whatever_pays():
            options["card"] = {"setup_future_usage": "off_session"}
        if "customer_balance" in methods:
            options["customer_balance"] = _BANK_TRANSFER
        offer = {"allowed_payment_method_types": list(methods), "payment_method_options": options}
        return {name: value for name, value in offer.items() if value}

    def _saves_whatever_pays(self) -> bool:
        return set(self._settings.methods) <= {"card"}

    def _intent_named(self, name: str) -> dict[str, Any]:
        params: Any = {"expand": ["payment_method"]}
        return self._readable(_asking(lambda: self._stripe.payment_intents.retrieve(name, params).to_dict()))

    def _readable(self, intent: dict[str, Any]) -> dict[str, Any]:
        """A payment that was asked for, if it is one and of this key's money. Raises ``PaymentProviderError``."""
        with _said_by_stripe():
            require_mode(intent.get("livemode"), self._is_live)
            if self._is_own(intent):
                checked_intent(intent)
        return intent

    @staticmethod
    def _end(what: Callable[[], object]) -> None:
        with suppress(stripe.InvalidRequestError):  # it has been paid, or has ended otherwise
            _asking(what, but=(stripe.InvalidRequestError,))

    def _of_intent(self, intent: StripeObject, kind: str, told_at: int) -> PaymentFact:
        """What an event says of a payment. That it was made is no news, and may be heard after what came of it."""
        if kind == "payment_intent.created":
            return PaymentFact(told_at=told_at, payment_intent=intent["id"], customer=id_of(intent.get("customer")))
        if kind == "payment_intent.succeeded" and not self._saves_whatever_pays():
            intent = self._intent_named(intent["id"])  # events do not say what kind of method paid
        return intent_fact(intent, told_at)

    def _session_named(self, name: str) -> stripe.checkout.Session:
        session = _asking(lambda: self._stripe.checkout.sessions.retrieve(name))
        with _said_by_stripe():
            require_mode(session.livemode, self._is_live)
        return session

    def _said(self, intent: StripeObject) -> PaymentFact:
        return intent_fact(intent, self._now())

    def _whole_truth(self, intent: StripeObject) -> PaymentFact:
        fact = self._said(intent)
        if not fact.received_yen:
            return fact
        this: Any = {"payment_intent": intent["id"], "limit": PAGE}
        disputes = _pages(_asking(lambda: self._stripe.disputes.list(this)))
        takings = [*map(refund_taking, self._refunds(intent["id"])), *map(dispute_taking, disputes)]
        return with_takings(fact, takings)

    def _refunds(self, payment_intent: str) -> Iterator[dict[str, Any]]:
        this: Any = {"payment_intent": payment_intent, "limit": PAGE}
        return _pages(_asking(lambda: self._stripe.refunds.list(this)))

    def _subjects(self, since: int, *types: str) -> Iterator[dict[str, Any]]:
        """What the events of these types are about."""
        window: Any = {"created": {"gte": since}, "types": list(types), "limit": PAGE}
        for event in _pages(_asking(lambda: self._stripe.events.list(window))):
            yield event["data"]["object"]

    def _is_own(self, intent: StripeObject) -> bool:
        metadata = intent.get("metadata") or {}
        return isinstance(metadata, Mapping) and metadata.get(INSTALLATION) == self._installation and TOPUP in metadata

    def _own(self, intent: StripeObject, say: Callable[[Any], PaymentFact]) -> Payment | None:
        if not self._is_own(intent):
            return None
        checked_intent(intent)
        return Payment(*owner_of(intent["metadata"]), yen_of(intent, "amount").amount_yen, say(intent))

    def _of_session(self, session: StripeObject, told_at: int) -> Payment | None:
        intent = id_of(session.get("payment_intent"))
        if intent is not None:
            return self.truth(intent)
        metadata = session.get("metadata") or {}
        if metadata.get(INSTALLATION) != self._installation:
            return None
        shape = checked(Session, session)
        canceled = shape.status == "expired"
        total = yen_of(session, "amount_total")
        fact = PaymentFact(
            told_at=told_at,
            status="canceled" if canceled else None,
            checkout_session=session["id"],
            reason="expired" if canceled else None,
            mismatches=() if total.mismatch is None else (total.mismatch,),
        )
        return Payment(*owner_of(shape.metadata), total.amount_yen, fact)

    def _of_taking(self, subject: StripeObject, takings: list[Taking], told_at: int) -> Payment | None:
        """Refunds and disputes name a payment; whose it is, its metadata says."""
        name = id_of(subject.get("payment_intent"))
        if name is None:
            return None
        return self._own(self._intent_named(name), lambda intent: with_takings(intent_fact(intent, told_at), takings))


@contextmanager
def _said_by_stripe() -> Iterator[None]:
    """What cannot be read of an answer is Stripe's failure. Raises ``PaymentProviderError``."""
    try:
        yield
    except NotOfStripe as problem:
        raise PaymentProviderError(f"Stripe's answer cannot be taken: {problem}") from problem


def _asking(ask: Callable[[], T], *, but: tuple[type[stripe.StripeError], ...] = ()) -> T:
    """Call Stripe. Raises ``PaymentProviderError``, and errors of the kinds ``but`` as they are."""
    try:
        return ask()
    except stripe.StripeError as error:
        if isinstance(error, but):
            raise
        raise _provider_error(error) from error


def _provider_error(error: stripe.StripeError) -> PaymentProviderError:
    unreachable = isinstance(error, stripe.APIConnectionError)  # its own words have addresses of objects in them
    kind: type[PaymentProviderError] = StripeSilent if unreachable else PaymentProviderError
    if error.code == "resource_missing":
        kind = UnknownToStripe
    reason = "no connection" if unreachable else error.user_message or error
    details: dict[str, Any] = {"request_id": error.request_id}
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if asked_seconds := retry_after_seconds(headers.get("retry-after"), datetime.now(UTC)):
        details["retry_after_seconds"] = whole_seconds(asked_seconds)
    return kind(f"Stripe could not be asked ({reason}); try again with the same idempotency key", **details)


def _pages(listed: Any) -> Iterator[dict[str, Any]]:
    """Every object of a list that comes in pages."""
    pages = listed.auto_paging_iter()
    while True:
        each = _asking(lambda: next(pages, None))
        if each is None:
            return
        yield each.to_dict()
