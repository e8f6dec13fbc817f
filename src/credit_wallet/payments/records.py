"""What Stripe has on record of this ledger's payments: looked up by name, listed by time, or named by an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import stripe
from msgspec import structs

from credit_wallet.domain.topups import PaymentFact
from credit_wallet.domain.views import TopupView
from credit_wallet.payments.api import PAGE, StripeApi, UnknownToStripe, asking, pages, reading_answer
from credit_wallet.payments.facts import (
    INSTALLATION,
    TOPUP,
    SaidClawback,
    StripeObject,
    dispute_clawback,
    id_of,
    intent_fact,
    refund_clawback,
    with_clawbacks,
    yen_of,
)
from credit_wallet.payments.next_steps import at_checkout, next_action_of
from credit_wallet.payments.replies import NextAction
from credit_wallet.payments.shapes import Session, Subject, Taken, checked, checked_intent, owner_of, require_mode

CLAWBACK_EVENTS = (
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
"""Types of events about refunds and disputes; Stripe lists events for 30 days."""

_OF_PAYMENTS = (
    "payment_intent.",
    "checkout.session.",
    "charge.dispute.",
    "refund.",
    "charge.refund.",
    "charge.refunded",
)


class Payment(NamedTuple):
    """What Stripe says of a payment of this ledger's.

    ``amount_yen`` is what it was asked for; 0 when that is known already, or was not in yen.
    """

    wallet_id: int
    topup_id: str
    amount_yen: int
    fact: PaymentFact


class Asked(NamedTuple):
    """A payment that was asked for.

    ``client_secret`` lets the owner's browser confirm it, ``next_action`` is what a person does next.
    """

    fact: PaymentFact
    client_secret: str | None = None
    next_action: NextAction | None = None


class StripeRecords:
    """Stripe's records of one ledger, named ``installation``. Thread-safe; changes nothing."""

    def __init__(
        self, api: StripeApi, installation: str, now: Callable[[], int], *, live: bool | None, saves_methods: bool
    ) -> None:
        """``now`` gives Unix seconds; ``live`` says whether the key moves live money, if that is known.

        ``saves_methods`` says that whatever pays is saved, so that events need not say what did.
        """
        self._api = api
        self._installation = installation
        self._now = now
        self._is_live = live
        self._saves_methods = saves_methods

    def status_of(self, topup: TopupView) -> Asked:
        """How a top-up's payment stands. Raises ``PaymentProviderError``.

        One that Stripe does not know, as when the key is another account's, is given up; should it be paid, it counts.
        """
        try:
            if topup.checkout_session is not None:
                return self._status_of_session(topup.checkout_session, topup.payment_intent)
            if topup.payment_intent is not None:
                return self._status_of_intent(topup.payment_intent)
        except UnknownToStripe:
            return Asked(PaymentFact(observed_at=self._now(), status="canceled", reason="unknown_to_stripe"))
        return Asked(PaymentFact(observed_at=self._now()))

    def payment(self, payment_intent: str) -> Payment | None:
        """A payment with its refunds and disputes; None when it is not this ledger's."""
        intent = self.intent(payment_intent)
        with reading_answer():
            return self._own(intent, self._whole_fact)

    def payments_since(self, since: int) -> Iterator[Payment]:
        """This ledger's payments that were made since, without their refunds and disputes."""
        window: Any = {"created": {"gte": since}, "limit": PAGE, "expand": ["data.payment_method"]}
        for intent in pages(asking(lambda: self._api.v1.payment_intents.list(window))):
            with reading_answer():
                payment = self._own(self.readable(intent), self.fact_of)
            if payment:
                yield payment

    def received_since(self, since: int) -> Iterator[str]:
        """Ids of this ledger's payments that have succeeded since, whenever they were made."""
        for intent in self._subjects(since, "payment_intent.succeeded"):
            if self._is_own(intent):
                yield intent["id"]

    def clawed_back_since(self, since: int) -> Iterator[str]:
        """Ids of payments of which a refund or dispute has changed since, whenever it began."""
        for subject in self._subjects(since, *CLAWBACK_EVENTS):
            if intent := id_of(subject.get("payment_intent")):
                yield intent

    def pay_back(self, payment_intent: str, pay_back_id: str) -> PaymentFact | None:
        """How the refund that pays credit back stands; None when it never reached Stripe."""
        found = [
            each for each in map(refund_clawback, self._refunds(payment_intent)) if each.clawback.id == pay_back_id
        ]
        fact = PaymentFact(observed_at=self._now(), payment_intent=payment_intent)
        return with_clawbacks(fact, found) if found else None

    def payment_in(self, kind: str, observed_at: int, subject: StripeObject) -> Payment | None:
        """What an event of type ``kind`` says of ``subject``; None when that is not a payment of this ledger's.

        Raises ``NotOfStripe`` for what cannot be read, ``PaymentProviderError`` when the rest cannot be looked up.
        """
        if kind.startswith(_OF_PAYMENTS):
            require_mode(checked(Subject, subject).livemode, self._is_live)
        if kind.startswith("payment_intent."):
            return self._own(subject, lambda intent: self._fact_in(intent, kind, observed_at))
        if kind.startswith("checkout.session."):
            return self._of_session(subject, observed_at)
        if kind.startswith("charge.dispute."):
            checked(Taken, subject)
            return self._of_clawback(subject, dispute_clawback(subject, kind), observed_at)
        if kind.startswith(("refund.", "charge.refund.")):
            checked(Taken, subject)
            return self._of_clawback(subject, refund_clawback(subject), observed_at)
        if kind == "charge.refunded" and (intent := id_of(subject.get("payment_intent"))):
            return self.payment(intent)
        return None

    def intent(self, name: str) -> dict[str, Any]:
        """A PaymentIntent with the method that pays it. Raises ``PaymentProviderError``."""
        params: Any = {"expand": ["payment_method"]}
        return self.readable(asking(lambda: self._api.v1.payment_intents.retrieve(name, params).to_dict()))

    def readable(self, intent: dict[str, Any]) -> dict[str, Any]:
        """A PaymentIntent that Stripe answered, if it can be read and is of this key's money.

        Raises ``PaymentProviderError``.
        """
        with reading_answer():
            require_mode(intent.get("livemode"), self._is_live)
            if self._is_own(intent):
                checked_intent(intent)
        return intent

    def fact_of(self, intent: StripeObject) -> PaymentFact:
        """What a PaymentIntent that was just answered says."""
        return intent_fact(intent, self._now())

    # Inside

    def _status_of_intent(self, name: str) -> Asked:
        intent = self.intent(name)
        return Asked(self._whole_fact(intent), intent.get("client_secret"), next_action_of(intent))

    def _status_of_session(self, name: str, known_intent: str | None) -> Asked:
        """How a page of Stripe's stands. It has no payment until somebody first tries to pay on it."""
        session = self._session(name)
        intent = known_intent or id_of(session.payment_intent)
        page = self._page(session) if session.status == "open" else None
        if intent is not None:
            asked = self._status_of_intent(intent)
            if page is None or asked.fact.status not in ("pending", "requires_action", "failed"):
                return asked
            fact = structs.replace(asked.fact, checkout_session=name, action_url=page.url)
            return Asked(fact, None, page)
        expired = session.status == "expired"
        return Asked(
            PaymentFact(
                observed_at=self._now(),
                status="canceled" if expired else "pending",
                checkout_session=name,
                action_url=session.url,
                reason="expired" if expired else None,
            ),
            None,
            page,
        )

    def _page(self, session: stripe.checkout.Session) -> NextAction:
        return at_checkout(session.url, session.expires_at, session.amount_total or 0)

    def _session(self, name: str) -> stripe.checkout.Session:
        session = asking(lambda: self._api.v1.checkout.sessions.retrieve(name))
        with reading_answer():
            require_mode(session.livemode, self._is_live)
        return session

    def _whole_fact(self, intent: StripeObject) -> PaymentFact:
        """A payment's fact with its refunds and disputes, which are looked up once there is money to go back."""
        fact = self.fact_of(intent)
        if not fact.received_yen:
            return fact
        this: Any = {"payment_intent": intent["id"], "limit": PAGE}
        disputes = pages(asking(lambda: self._api.v1.disputes.list(this)))
        refunds = self._refunds(intent["id"])
        return with_clawbacks(fact, [*map(refund_clawback, refunds), *map(dispute_clawback, disputes)])

    def _refunds(self, payment_intent: str) -> Iterator[dict[str, Any]]:
        this: Any = {"payment_intent": payment_intent, "limit": PAGE}
        return pages(asking(lambda: self._api.v1.refunds.list(this)))

    def _subjects(self, since: int, *types: str) -> Iterator[dict[str, Any]]:
        """What the events of these types are about."""
        window: Any = {"created": {"gte": since}, "types": list(types), "limit": PAGE}
        for event in pages(asking(lambda: self._api.v1.events.list(window))):
            yield event["data"]["object"]

    def _is_own(self, intent: StripeObject) -> bool:
        metadata = intent.get("metadata") or {}
        return isinstance(metadata, Mapping) and metadata.get(INSTALLATION) == self._installation and TOPUP in metadata

    def _own(self, intent: StripeObject, say: Callable[[Any], PaymentFact]) -> Payment | None:
        if not self._is_own(intent):
            return None
        checked_intent(intent)
        return Payment(*owner_of(intent["metadata"]), yen_of(intent, "amount").amount_yen, say(intent))

    def _fact_in(self, intent: StripeObject, kind: str, observed_at: int) -> PaymentFact:
        """What an event says of a payment. That it was made says nothing of its status, and may be delivered late."""
        if kind == "payment_intent.created":
            customer = id_of(intent.get("customer"))
            return PaymentFact(observed_at=observed_at, payment_intent=intent["id"], customer=customer)
        if kind == "payment_intent.succeeded" and not self._saves_methods:
            intent = self.intent(intent["id"])  # events do not say what kind of method paid
        return intent_fact(intent, observed_at)

    def _of_session(self, session: StripeObject, observed_at: int) -> Payment | None:
        intent = id_of(session.get("payment_intent"))
        if intent is not None:
            return self.payment(intent)
        metadata = session.get("metadata") or {}
        if metadata.get(INSTALLATION) != self._installation:
            return None
        shape = checked(Session, session)
        canceled = shape.status == "expired"
        total = yen_of(session, "amount_total")
        fact = PaymentFact(
            observed_at=observed_at,
            status="canceled" if canceled else None,
            checkout_session=session["id"],
            reason="expired" if canceled else None,
            mismatches=() if total.mismatch is None else (total.mismatch,),
        )
        return Payment(*owner_of(shape.metadata), total.amount_yen, fact)

    def _of_clawback(self, subject: StripeObject, said: SaidClawback, observed_at: int) -> Payment | None:
        """Refunds and disputes name a payment; whose it is, its metadata says."""
        name = id_of(subject.get("payment_intent"))
        if name is None:
            return None
        return self._own(self.intent(name), lambda intent: with_clawbacks(intent_fact(intent, observed_at), [said]))
