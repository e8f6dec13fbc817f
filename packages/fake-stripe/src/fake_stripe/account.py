"""Everything that one account at Stripe has, and what concerns several of its objects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fake_stripe.calls import CustomerCreate, CustomerUpdate, RefundList
from fake_stripe.charges import Charges
from fake_stripe.customers import Customer, Customers
from fake_stripe.disputes import Disputes
from fake_stripe.events import Events
from fake_stripe.failures import invalid
from fake_stripe.idempotency import IdempotencyKeys
from fake_stripe.intents import Intent, Intents
from fake_stripe.localstripe import Localstripe
from fake_stripe.methods import Methods
from fake_stripe.parameters import ListParameters
from fake_stripe.paying import Paying
from fake_stripe.refunds import Refunds
from fake_stripe.sessions import Session, Sessions
from fake_stripe.setups import Setups
from fake_stripe.webhooks import Webhooks

Json = dict[str, Any]

ACCOUNT_ID = "acct_1TestMoneyOnly000"
_MAX_EXPANSION_DEPTH = 4


class Account:
    """One account. ``busy`` is held while a request is carried out: one at a time."""

    def __init__(self, localstripe: Localstripe, webhooks: Webhooks, clock: Callable[[], float], url: str) -> None:
        self.url = url
        self.busy = asyncio.Lock()
        self.webhooks = webhooks
        self.keys = IdempotencyKeys(clock)
        self.events = Events(webhooks, clock)
        self.customers = Customers(localstripe, self.events, clock)
        self.methods = Methods(localstripe, self.events, self.customers, clock)
        self.charges = Charges(localstripe, self.methods)
        self.intents = Intents(localstripe, self.events, self.customers, self.methods, clock, self.page_of_intent)
        self.paying = Paying(localstripe, self.events, self.customers, self.methods, self.intents, self.charges, clock)
        self.setups = Setups(localstripe, self.events, self.customers, self.methods, self.intents, clock)
        self.refunds = Refunds(localstripe, self.events, self.intents, self.charges, clock)
        self.disputes = Disputes(self.events, self.charges, clock)
        self.sessions = Sessions(self.events, self.customers, self.intents, self.paying, clock, self.page_of_session)
        self._views: Mapping[str, Callable[[str], Awaitable[Json]]] = {
            "ch": lambda object_id: self.charges.view(self.charges.find(object_id)),
            "cus": self.customers.retrieve,
            "pi": lambda object_id: self.intents.view(self.intents.find(object_id)),
            "pm": lambda object_id: self.methods.view(self.methods.find(object_id)),
            "re": lambda object_id: self.refunds.view(self.refunds.find(object_id)),
            "txn": self.charges.transaction,
        }

    def page_of_intent(self, intent: Intent) -> str:
        """Where a person pays."""
        return f"{self.url}/pay/{intent.id}?client_secret={intent.client_secret}"

    def page_of_session(self, session: Session) -> str:
        """Where a person pays."""
        return f"{self.url}/checkout/{session.id}"

    async def create_customer(self, given: CustomerCreate) -> Customer:
        """Make a customer, perhaps with a card."""
        customer = await self.customers.create(given)
        if given.payment_method is not None:
            await self.methods.attach(await self.methods.resolve(given.payment_method), customer)
        await self._set_default(customer, given)
        return customer

    async def update_customer(self, customer: Customer, given: CustomerUpdate) -> None:
        """Change what is given."""
        await self._set_default(customer, given)
        await self.customers.update(customer, given)

    async def _set_default(self, customer: Customer, given: CustomerUpdate) -> None:
        settings = given.invoice_settings
        if settings is not None and settings.default_payment_method is not None:
            await self.methods.make_default(customer, settings.default_payment_method)

    def describe(self) -> Json:
        """The account itself."""
        return {
            "id": ACCOUNT_ID,
            "object": "account",
            "business_profile": {"name": "Test money", "url": None},
            "business_type": "company",
            "charges_enabled": True,
            "country": "JP",
            "default_currency": "jpy",
            "details_submitted": True,
            "email": None,
            "payouts_enabled": True,
            "settings": {"dashboard": {"display_name": "Test money", "timezone": "Asia/Tokyo"}},
            "type": "standard",
        }

    async def expand(self, answer: Json, paths: list[str]) -> None:
        """Put whole objects where an answer has ids (https://docs.stripe.com/api/expanding_objects)."""
        for path in paths:
            steps = path.split(".")
            if len(steps) > _MAX_EXPANSION_DEPTH:
                raise invalid(f"You cannot expand more than {_MAX_EXPANSION_DEPTH} levels of a property. ({path})")
            await self._expand(answer, steps, path)

    async def _expand(self, holder: Any, steps: list[str], path: str) -> None:
        if isinstance(holder, list):
            for each in holder:
                await self._expand(each, steps, path)
        elif isinstance(holder, dict) and steps:
            name = steps[0]
            await self._include(holder, name)
            if name not in holder:
                raise invalid(f"This property cannot be expanded ({path}).", "expand")
            value = holder[name]
            prefix = value.partition("_")[0] if isinstance(value, str) else ""
            if prefix in self._views:
                holder[name] = await self._views[prefix](value)
            await self._expand(holder[name], steps[1:], path)

    async def _include(self, holder: Json, name: str) -> None:
        """Add a field that an object has only on request."""
        match holder.get("object"), name:
            case "charge", "refunds":
                holder[name] = await self.refunds.list(RefundList(charge=holder["id"]))
            case "checkout.session", "line_items":
                holder[name] = self.sessions.line_items(self.sessions.find(holder["id"]), ListParameters())
