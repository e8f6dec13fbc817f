"""Checkout Sessions: a page on which a customer pays (https://docs.stripe.com/payments/checkout)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from fake_stripe.calls import Confirmation, CustomerCreate, IntentCreate
from fake_stripe.customers import Customers
from fake_stripe.events import Events
from fake_stripe.failures import invalid, missing
from fake_stripe.ids import new_id
from fake_stripe.intents import OPEN, Intent, Intents, types_for
from fake_stripe.lists import page
from fake_stripe.parameters import ListParameters, merged
from fake_stripe.paying import Paying, Turn
from fake_stripe.session_calls import LineItem, SessionCreate, SessionIntent, SessionList

Json = dict[str, Any]

MIN_SECONDS = 30 * 60
MAX_SECONDS = 24 * 3600


@dataclass
class Session:
    """A Checkout Session."""

    id: str
    created: int
    expires_at: int
    given: SessionCreate
    types: list[str]
    customer: str | None
    metadata: dict[str, str]
    status: str = "open"
    payment_status: str = "unpaid"
    intent: Intent | None = None
    """Made when the customer first tries to pay."""

    @property
    def amount_yen(self) -> int:
        return self.given.total()

    def after_success(self) -> str:
        """Where the customer continues."""
        return self.given.success_url.replace("{CHECKOUT_SESSION_ID}", self.id)


class Sessions:
    """All Checkout Sessions."""

    def __init__(
        self,
        events: Events,
        customers: Customers,
        intents: Intents,
        paying: Paying,
        clock: Callable[[], float],
        page_of: Callable[[Session], str],
    ) -> None:
        self._events = events
        self._customers = customers
        self._intents = intents
        self._paying = paying
        self._clock = clock
        self._page_of = page_of
        self._all: dict[str, Session] = {}
        self._open: dict[str, Session] = {}
        self._by_intent: dict[str, Session] = {}
        paying.watch(self._turned)

    def find(self, session_id: str, *, status: int = 404) -> Session:
        """A Checkout Session that exists."""
        session = self._all.get(session_id)
        if session is None:
            raise missing("checkout.session", session_id, "session", status=status)
        return session

    async def create(self, given: SessionCreate) -> Session:
        """Make a page to pay on."""
        now = int(self._clock())
        expires_at = now + MAX_SECONDS if given.expires_at is None else given.expires_at
        if not now + MIN_SECONDS - 60 <= expires_at <= now + MAX_SECONDS + 60:
            raise invalid(
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
                "expires_at",
            )
        customer_id = self._customers.find(given.customer).id if given.customer else None
        types, _ = types_for(_intent(given, customer_id), customer_id)
        session = Session(new_id("cs_test", 58), now, expires_at, given, types, customer_id, merged({}, given.metadata))
        self._all[session.id] = self._open[session.id] = session
        return session

    async def submit(self, session: Session, confirmation: Confirmation) -> Intent:
        """The customer tries to pay. Raises StripeFailure when that fails; the page then stays open."""
        if session.status != "open":
            raise invalid(f"This Checkout Session is {session.status}.")
        if session.intent is None:
            await self._add_customer(session)
            session.intent = await self._paying.create(_intent(session.given, session.customer), of_session=True)
            self._by_intent[session.intent.id] = session
        await self._paying.confirm(session.intent, confirmation)
        return session.intent

    async def expire(self, session: Session) -> None:
        """Close the page for payments."""
        if session.status != "open":
            raise invalid(
                f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status'
                f" of {session.status}."
            )
        session.status = "expired"
        del self._open[session.id]
        if session.intent is not None and await self._intents.status(session.intent) in OPEN:
            session.intent.of_open_session = False
            await self._intents.give_up(session.intent, "automatic")
        self._events.record("checkout.session.expired", self.view(session))

    async def expire_due(self) -> None:
        """Close the pages that have expired."""
        for session in list(self._open.values()):
            if self._clock() >= session.expires_at:
                await self.expire(session)

    def list(self, wanted: SessionList) -> Json:
        """Checkout Sessions, newest first."""
        chosen = [
            session
            for session in reversed(self._all.values())
            if wanted.customer in (None, session.customer)
            and wanted.payment_intent in (None, session.intent and session.intent.id)
            and wanted.status in (None, session.status)
        ]
        return page("/v1/checkout/sessions", chosen, wanted).of(self.view)

    def line_items(self, session: Session, wanted: ListParameters) -> Json:
        """What is paid for."""
        items = [_Item(f"li_{session.id[-20:]}{number}", item) for number, item in enumerate(session.given.line_items)]
        return page(f"/v1/checkout/sessions/{session.id}/line_items", items, wanted).of(_Item.view)

    def view(self, session: Session) -> Json:
        """The Checkout Session as the API answers it."""
        given = session.given
        email = given.customer_email
        if session.customer is not None:
            email = self._customers.find(session.customer).email
        return {
            "id": session.id,
            "object": "checkout.session",
            "allow_promotion_codes": None,
            "amount_subtotal": session.amount_yen,
            "amount_total": session.amount_yen,
            "automatic_tax": {"enabled": False, "liability": None, "status": None},
            "billing_address_collection": None,
            "cancel_url": given.cancel_url,
            "client_reference_id": given.client_reference_id,
            "client_secret": None,
            "created": session.created,
            "currency": "jpy",
            "custom_fields": [],
            "customer": session.customer,
            "customer_creation": None if given.customer else given.customer_creation,
            "customer_details": {"address": None, "email": email, "name": None, "phone": None, "tax_ids": []},
            "customer_email": given.customer_email,
            "expires_at": session.expires_at,
            "invoice": None,
            "livemode": False,
            "locale": given.locale,
            "metadata": session.metadata,
            "mode": "payment",
            "payment_intent": session.intent and session.intent.id,
            "payment_link": None,
            "payment_method_options": msgspec.to_builtins(given.payment_method_options) or {},
            "payment_method_types": session.types,
            "payment_status": session.payment_status,
            "setup_intent": None,
            "status": session.status,
            "submit_type": given.submit_type,
            "subscription": None,
            "success_url": given.success_url,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": given.ui_mode,
            "url": self._page_of(session) if session.status == "open" else None,
        }

    def of_intent(self, intent: Intent) -> Session | None:
        """The Checkout Session that a PaymentIntent was made for."""
        return self._by_intent.get(intent.id)

    async def _add_customer(self, session: Session) -> None:
        """Create the customer, if the session asks for one."""
        if session.customer is None and session.given.customer_creation == "always":
            customer = await self._customers.create(CustomerCreate(email=session.given.customer_email))
            session.customer = customer.id

    async def _turned(self, intent: Intent, turn: Turn) -> None:
        """A payment has succeeded, has failed, or waits for a konbini or a bank."""
        session = self.of_intent(intent)
        if session is None:
            return
        if session.status == "open" and turn != "failed":
            session.status, intent.of_open_session = "complete", False
            del self._open[session.id]
            session.payment_status = "paid" if turn == "succeeded" else "unpaid"
            self._events.record("checkout.session.completed", self.view(session))
        elif session.status == "complete" and turn == "succeeded":
            session.payment_status = "paid"
            self._events.record("checkout.session.async_payment_succeeded", self.view(session))
        elif session.status == "complete" and turn == "failed":
            self._events.record("checkout.session.async_payment_failed", self.view(session))


@dataclass(frozen=True)
class _Item:
    id: str
    item: LineItem
    created: int = 0

    def view(self) -> Json:
        price = self.item.price_data
        total = price.unit_amount * self.item.quantity
        return {
            "id": self.id,
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": total,
            "amount_tax": 0,
            "amount_total": total,
            "currency": "jpy",
            "description": price.product_data.name,
            "quantity": self.item.quantity,
        }


def _intent(given: SessionCreate, customer_id: str | None) -> IntentCreate:
    """The PaymentIntent that pays for a session."""
    data = given.payment_intent_data or SessionIntent()
    return IntentCreate(
        amount=given.total(),
        currency="jpy",
        allowed_payment_method_types=given.allowed_payment_method_types or given.payment_method_types,
        customer=customer_id,
        description=data.description,
        excluded_payment_method_types=given.excluded_payment_method_types,
        metadata=data.metadata,
        payment_method_options=given.payment_method_options,
        receipt_email=data.receipt_email or given.customer_email,
        setup_future_usage=data.setup_future_usage,
        statement_descriptor_suffix=data.statement_descriptor_suffix,
    )
