"""Payment methods: cards, which localstripe keeps, and konbini and bank transfers, which it does not know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from fake_stripe.calls import (
    BillingDetails,
    CardNumber,
    MethodData,
    MethodList,
    MethodType,
    MethodUpdate,
)
from fake_stripe.cards import TEST_METHODS, Card, Decline, card_of
from fake_stripe.customers import Customer, Customers
from fake_stripe.events import Events
from fake_stripe.failures import StripeFailure, invalid, missing
from fake_stripe.ids import new_id
from fake_stripe.lists import page
from fake_stripe.localstripe import Localstripe, LocalstripeError
from fake_stripe.parameters import merged

Json = dict[str, Any]


@dataclass
class Method:
    """What is known of a payment method beside what localstripe keeps of a card."""

    id: str
    created: int
    type: MethodType
    billing_details: Json
    metadata: dict[str, str]
    allow_redisplay: str
    card: Card | None = None
    customer: str | None = None
    set_up: bool = False
    """Its bank has authenticated the customer for charges when the customer is not there."""
    worn: bool = False
    """Used without a customer, or detached from one: it cannot be used again."""

    @property
    def email(self) -> str | None:
        email: str | None = self.billing_details["email"]
        return email


class Methods:
    """All payment methods."""

    def __init__(
        self, localstripe: Localstripe, events: Events, customers: Customers, clock: Callable[[], float]
    ) -> None:
        self._localstripe = localstripe
        self._events = events
        self._customers = customers
        self._clock = clock
        self._all: dict[str, Method] = {}

    def find(self, method_id: str, param: str = "payment_method", *, status: int = 400) -> Method:
        """A payment method that exists."""
        method = self._all.get(method_id)
        if method is None:
            raise missing("PaymentMethod", method_id, param, status=status)
        return method

    async def resolve(self, method_id: str, param: str = "payment_method", *, status: int = 400) -> Method:
        """A payment method that exists, or a new one for an id like ``pm_card_visa``."""
        if method_id in TEST_METHODS:
            number = CardNumber(number=TEST_METHODS[method_id], exp_month=12, exp_year=self._now().year + 5)
            return await self.create(MethodData(type="card", card=number))
        return self.find(method_id, param, status=status)

    async def create(self, data: MethodData) -> Method:
        """Make a payment method."""
        card = None
        method_id = new_id("pm")
        if data.card is not None:
            card = card_of(data.card.number)
            self._check_expiry(data.card)
            method_id = await self._keep(card, data.card)
        method = Method(
            method_id,
            int(self._clock()),
            data.type,
            _billing_details(data.billing_details),
            merged({}, data.metadata),
            data.allow_redisplay,
            card,
        )
        self._all[method.id] = method
        return method

    async def update(self, method: Method, given: MethodUpdate) -> None:
        """Change what is given."""
        if given.billing_details is not None:
            changes = _billing_details(given.billing_details)
            changes = {name: value for name, value in changes.items() if value is not None}
            method.billing_details = method.billing_details | changes
        method.metadata = merged(method.metadata, given.metadata)
        self._events.record("payment_method.updated", await self.view(method))

    async def attach(self, method: Method, customer: Customer) -> None:
        """Save a payment method for a customer."""
        if method.customer == customer.id:
            return
        self.check_usable(method, method.customer)
        if method.customer is not None:
            raise invalid("The payment method you provided has already been attached to a customer.")
        if method.card is None:
            raise invalid(f"Payment methods of type {method.type} cannot be saved.", "payment_method")
        try:
            await self._localstripe.post(f"/v1/payment_methods/{method.id}/attach", customer=customer.id)
        except LocalstripeError as error:
            if error.status != 402 or method.card.decline is None:
                raise
            raise card_error(method.card.decline) from None
        method.customer = customer.id
        self._events.record("payment_method.attached", await self.view(method))

    async def detach(self, method: Method) -> None:
        """Forget a customer's payment method."""
        if method.customer is None:
            raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
        customer = self._customers.find(method.customer)
        if customer.default_method == method.id:
            await self._customers.set_default_method(customer, None)
        await self._localstripe.post(f"/v1/payment_methods/{method.id}/detach")
        method.customer, method.worn = None, True
        self._events.record("payment_method.detached", await self.view(method), {"customer": customer.id})

    async def make_default(self, customer: Customer, method_id: str) -> None:
        """Make one of a customer's payment methods the default; an empty id means none."""
        if method_id and self.find(method_id).customer != customer.id:
            raise invalid(
                f"The customer does not have a payment method with the ID {method_id}. The payment method must be"
                " attached to the customer.",
                "invoice_settings[default_payment_method]",
                "resource_missing",
            )
        await self._customers.set_default_method(customer, method_id or None)

    def saved_by(self, customer_id: str | None) -> Sequence[Method]:
        """A customer's payment methods, newest first."""
        return [method for method in reversed(self._all.values()) if customer_id and method.customer == customer_id]

    def check_usable(self, method: Method, customer_id: str | None) -> None:
        """Whether a payment of this customer (None: of nobody) may use the payment method."""
        if method.worn:
            raise invalid(
                "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, or"
                " was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you"
                " must attach it to a Customer first.",
                "payment_method",
            )
        if method.customer not in (None, customer_id):
            raise invalid(
                "The payment method you provided is attached to a customer so for security purposes you must provide"
                " the customer in the request."
                if customer_id is None
                else f"The PaymentMethod {method.id} belongs to a different Customer.",
                "payment_method",
            )

    async def list(self, wanted: MethodList) -> Json:
        """Saved payment methods, newest first."""
        if wanted.customer is not None:
            self._customers.find(wanted.customer)
        chosen = [
            method
            for method in reversed(self._all.values())
            if method.customer is not None
            and wanted.customer in (None, method.customer)
            and wanted.type in (None, method.type)
        ]
        return await page("/v1/payment_methods", chosen, wanted).of_each(self.view)

    async def view(self, method: Method) -> Json:
        """The payment method as the API answers it."""
        return {
            "id": method.id,
            "object": "payment_method",
            "allow_redisplay": method.allow_redisplay,
            "billing_details": method.billing_details,
            "created": method.created,
            "customer": method.customer,
            "livemode": False,
            "metadata": method.metadata,
            "type": method.type,
            method.type: await self.details(method),
        }

    async def details(self, method: Method) -> Json:
        """The fields of a payment method's type."""
        if method.card is None:
            return {}
        kept = await self._localstripe.get(f"/v1/payment_methods/{method.id}")
        card: Json = kept["card"]
        return card | {
            "brand": method.card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": method.card.country,
            "display_brand": method.card.brand,
            "generated_from": None,
            "networks": {"available": [method.card.brand], "preferred": None},
            "wallet": None,
        }

    async def _keep(self, card: Card, given: CardNumber) -> str:
        kept = await self._localstripe.post(
            "/v1/payment_methods",
            type="card",
            card={
                "number": card.number,
                "exp_month": given.exp_month,
                "exp_year": given.exp_year,
                "cvc": given.cvc or "123",
            },
        )
        kept_id: str = kept["id"]
        return kept_id

    def _check_expiry(self, card: CardNumber) -> None:
        now = self._now()
        if not 1 <= card.exp_month <= 12:
            message, code = "Your card's expiration month is invalid.", "invalid_expiry_month"
        elif not (now.year, now.month) <= (card.exp_year, card.exp_month) <= (now.year + 50, 12):
            message, code = "Your card's expiration year is invalid.", "invalid_expiry_year"
        elif card.cvc is not None and not (len(card.cvc) == 3 and card.cvc.isdigit()):
            message, code = "Your card's security code is invalid.", "invalid_cvc"
        else:
            return
        raise StripeFailure(402, message, "card_error", code=code)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def card_error(decline: Decline, **more: Any) -> StripeFailure:
    """A bank's no as the API answers it."""
    return StripeFailure(
        402,
        decline.message,
        "card_error",
        code=decline.code,
        decline_code=decline.decline_code,
        advice_code=decline.advice_code,
        doc_url=f"https://docs.stripe.com/error-codes/{decline.code.replace('_', '-')}",
        **more,
    )


def _billing_details(given: BillingDetails | None) -> Json:
    details: Json = msgspec.to_builtins(given or BillingDetails())
    details["address"] = details["address"] or dict.fromkeys(
        ("city", "country", "line1", "line2", "postal_code", "state")
    )
    return details
