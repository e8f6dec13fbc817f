"""Customers and their cash balance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from fake_stripe.calls import Address, CustomerList, CustomerUpdate
from fake_stripe.events import Events
from fake_stripe.failures import missing
from fake_stripe.lists import page
from fake_stripe.localstripe import Localstripe
from fake_stripe.parameters import merged

Json = dict[str, Any]

_PLAIN = ("address", "description", "email", "name", "phone", "preferred_locales")
_SHOWN = (
    *_PLAIN,
    "default_source",
    "delinquent",
    "discount",
    "id",
    "invoice_settings",
    "livemode",
    "object",
    "shipping",
)


@dataclass
class Customer:
    """What is known of a customer beside what localstripe keeps."""

    id: str
    created: int
    metadata: dict[str, str]
    email: str | None
    default_method: str | None = None
    deleted: bool = False
    cash_yen: int = 0
    """Money that arrived by bank transfer and that no payment has used."""


class Customers:
    """All customers."""

    def __init__(self, localstripe: Localstripe, events: Events, clock: Callable[[], float]) -> None:
        self._localstripe = localstripe
        self._events = events
        self._clock = clock
        self._all: dict[str, Customer] = {}

    def find(self, customer_id: str, param: str = "customer", *, status: int = 400) -> Customer:
        """A customer that has not been deleted."""
        customer = self._all.get(customer_id)
        if customer is None or customer.deleted:
            raise missing("customer", customer_id, param, status=status)
        return customer

    async def create(self, given: CustomerUpdate) -> Customer:
        """Make a customer; its default payment method is set afterwards."""
        made = await self._localstripe.post("/v1/customers", **_fields(given))
        customer = Customer(made["id"], int(self._clock()), merged({}, given.metadata), given.email)
        self._all[customer.id] = customer
        self._events.record("customer.created", await self.view(customer))
        return customer

    async def update(self, customer: Customer, given: CustomerUpdate) -> None:
        """Change what is given."""
        if fields := _fields(given):
            await self._localstripe.post(f"/v1/customers/{customer.id}", **fields)
        if given.email is not None:
            customer.email = given.email or None
        customer.metadata = merged(customer.metadata, given.metadata)
        self._events.record("customer.updated", await self.view(customer))

    async def set_default_method(self, customer: Customer, method_id: str | None) -> None:
        """Pay invoices with this payment method, one of the customer's, or with none."""
        await self._localstripe.post(
            f"/v1/customers/{customer.id}", invoice_settings={"default_payment_method": method_id}
        )
        customer.default_method = method_id

    async def delete(self, customer: Customer) -> Json:
        """Forget a customer."""
        before = await self.view(customer)
        await self._localstripe.delete(f"/v1/customers/{customer.id}")
        customer.deleted = True
        self._events.record("customer.deleted", before)
        return await self.view(customer)

    async def retrieve(self, customer_id: str) -> Json:
        """One customer, also when it has been deleted."""
        if customer_id not in self._all:
            raise missing("customer", customer_id, status=404)
        return await self.view(self._all[customer_id])

    async def list(self, wanted: CustomerList) -> Json:
        """Customers, newest first."""
        chosen = [
            customer
            for customer in reversed(self._all.values())
            if not customer.deleted and wanted.email in (None, customer.email)
        ]
        return await page("/v1/customers", chosen, wanted).of_each(self.view)

    def cash_balance(self, customer: Customer) -> Json:
        """What is left of the customer's bank transfers."""
        return {
            "object": "cash_balance",
            "available": {"jpy": customer.cash_yen} if customer.cash_yen else None,
            "customer": customer.id,
            "livemode": False,
            "settings": {"reconciliation_mode": "automatic", "using_merchant_default": True},
        }

    def add_cash(self, customer: Customer, amount_yen: int) -> None:
        """Money has arrived that no payment is waiting for."""
        customer.cash_yen += amount_yen
        self._events.record("cash_balance.funds_available", self.cash_balance(customer))

    async def view(self, customer: Customer) -> Json:
        """The customer as the API answers it."""
        if customer.deleted:
            return {"id": customer.id, "object": "customer", "deleted": True}
        kept = await self._localstripe.get(f"/v1/customers/{customer.id}")
        return {name: kept.get(name) for name in _SHOWN} | {
            "balance": 0,
            "created": customer.created,
            "currency": None,
            "invoice_settings": {
                "custom_fields": None,
                "default_payment_method": customer.default_method,
                "footer": None,
                "rendering_options": None,
            },
            "metadata": customer.metadata,
            "tax_exempt": "none",
            "test_clock": None,
        }


def _fields(given: CustomerUpdate) -> Json:
    """The plain fields of the call; an empty one becomes None."""
    fields: Json = {}
    for name in _PLAIN:
        value = getattr(given, name)
        if isinstance(value, Address):
            value = {part: text for part, text in msgspec.to_builtins(value).items() if text is not None}
        if value is not None:
            fields[name] = None if value == "" else value
    return fields
