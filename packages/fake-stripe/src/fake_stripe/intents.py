"""PaymentIntents: their state, and the calls that move no money. ``paying`` has the calls that do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from fake_stripe.calls import (
    IntentCancel,
    IntentCreate,
    IntentList,
    IntentUpdate,
    MethodData,
    MethodOptions,
)
from fake_stripe.cards import ASKING, ASKING_THEN_DECLINED, DECLINED, PAYING
from fake_stripe.charges import Charge
from fake_stripe.customers import Customers
from fake_stripe.events import Events
from fake_stripe.failures import StripeFailure, invalid, missing, unexpected_state
from fake_stripe.lists import page
from fake_stripe.localstripe import Localstripe
from fake_stripe.methods import Method, Methods
from fake_stripe.parameters import merged
from fake_stripe.vouchers import MAX_KONBINI_YEN, MIN_KONBINI_YEN, Voucher

Json = dict[str, Any]

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
"""A payment in one of these states has not been made and can still be."""

_LAST = ("succeeded", "canceled")
_KEPT = ("description", "receipt_email", "statement_descriptor_suffix")
_STAND_INS = (PAYING, DECLINED, ASKING, ASKING_THEN_DECLINED)


@dataclass
class Intent:
    """What is known of a PaymentIntent beside what localstripe keeps."""

    id: str
    created: int
    client_secret: str
    amount_yen: int
    customer: str | None
    metadata: dict[str, str]
    types: list[str]
    automatic: Json | None
    options: MethodOptions
    capture_method: str
    shown: Json
    """Fields that are kept as they were given."""
    usage: str | None = None
    """``setup_future_usage``."""
    method: Method | None = None
    voucher: Voucher | None = None
    """Set while a konbini or bank transfer payment is waited for."""
    failure: Json | None = None
    latest_charge: Charge | None = None
    return_url: str | None = None
    by_sdk: bool = False
    """A client has confirmed it, and needs no redirect for the bank's question."""
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    of_open_session: bool = False
    last_status: str | None = None
    """Set once localstripe has said that nothing changes any more."""

    @property
    def chosen_method(self) -> Method:
        """The payment method of a payment that is being made."""
        if self.method is None:
            raise ValueError(f"{self.id} has no payment method")
        return self.method

    @property
    def card_usage(self) -> str | None:
        """The usage for which the card is saved: that of the card's options, otherwise that of the whole payment."""
        of_card = self.options.card.setup_future_usage if self.options.card else None
        return self.usage if of_card is None else of_card or None


class Intents:
    """All PaymentIntents.

    localstripe decides by the number of a PaymentIntent's card, so each PaymentIntent there gets one of four cards,
    which stand for the outcomes: pay, decline, ask for authentication, or ask and then decline.
    """

    def __init__(
        self,
        localstripe: Localstripe,
        events: Events,
        customers: Customers,
        methods: Methods,
        clock: Callable[[], float],
        page_of: Callable[[Intent], str],
    ) -> None:
        self._localstripe = localstripe
        self._events = events
        self._customers = customers
        self._methods = methods
        self._clock = clock
        self._page_of = page_of
        self._all: dict[str, Intent] = {}
        self._stand_ins: dict[str, str] = {}

    async def open(self) -> None:
        """Create the cards that stand for the outcomes."""
        for number in _STAND_INS:
            card = {"number": number, "exp_month": 12, "exp_year": 2099, "cvc": "123"}
            made = await self._localstripe.post("/v1/payment_methods", type="card", card=card)
            self._stand_ins[number] = made["id"]

    def stand_in(self, number: str) -> str:
        """localstripe's id of one of these cards."""
        return self._stand_ins[number]

    def find(self, intent_id: str, param: str = "payment_intent", *, status: int = 400) -> Intent:
        """A PaymentIntent that exists."""
        intent = self._all.get(intent_id)
        if intent is None:
            raise missing("payment_intent", intent_id, param, status=status)
        return intent

    def all(self) -> Sequence[Intent]:
        """All of them, oldest first."""
        return list(self._all.values())

    async def method_given(self, method_id: str | None, data: MethodData | None) -> Method | None:
        """The payment method that a call names or describes, if any."""
        if data is not None:
            return await self._methods.create(data)
        return await self._methods.resolve(method_id) if method_id else None

    async def create(self, given: IntentCreate, method: Method | None, *, of_session: bool = False) -> Intent:
        """Make a PaymentIntent with a payment method; it is confirmed afterwards."""
        customer_id = self._customers.find(given.customer).id if given.customer else None
        types, automatic = types_for(given, customer_id)
        if method is not None:
            self.check_method(types, customer_id, method)
        kept = await self._localstripe.post(
            "/v1/payment_intents",
            amount=given.amount,
            currency="jpy",
            customer=customer_id,
            payment_method=method and self._stand_ins[PAYING],
        )
        intent = Intent(
            kept["id"],
            int(self._clock()),
            kept["client_secret"],
            given.amount,
            customer_id,
            merged({}, given.metadata),
            types,
            automatic,
            given.payment_method_options or MethodOptions(),
            given.capture_method,
            {name: getattr(given, name) or None for name in _KEPT},
            given.setup_future_usage or None,
            method,
            of_open_session=of_session,
        )
        self._all[intent.id] = intent
        self._events.record("payment_intent.created", await self.view(intent))
        return intent

    async def update(self, intent: Intent, given: IntentUpdate) -> None:
        """Change what is given."""
        method = await self.method_given(given.payment_method, given.payment_method_data)
        customer = self._customers.find(given.customer) if given.customer else None
        if given.amount is not None or method is not None or customer is not None:
            await self._check_updatable(intent)
        if method is not None:
            self.check_method(intent.types, customer.id if customer else intent.customer, method)
            intent.method = method
            await self.point(intent, PAYING)
        if given.amount is not None:
            await self._localstripe.post(f"/v1/payment_intents/{intent.id}", amount=given.amount)
            intent.amount_yen = given.amount
        if customer is not None:
            await self._localstripe.post(f"/v1/payment_intents/{intent.id}", customer=customer.id)
            intent.customer = customer.id
        if given.setup_future_usage is not None:
            intent.usage = given.setup_future_usage or None
        if given.payment_method_options is not None:
            intent.options = given.payment_method_options
        intent.metadata = merged(intent.metadata, given.metadata)
        for name in _KEPT:
            if getattr(given, name) is not None:
                intent.shown[name] = getattr(given, name) or None

    async def cancel(self, intent: Intent, given: IntentCancel) -> None:
        """Cancel it, if that is still possible."""
        status = await self.status(intent)
        if intent.of_open_session:
            raise invalid(
                "You cannot cancel the PaymentIntent of a Checkout Session. Expire the Checkout Session instead."
            )
        if status not in OPEN:
            raise await self.refusal(intent, "cancel")
        await self.give_up(intent, given.cancellation_reason)

    async def give_up(self, intent: Intent, reason: str | None) -> None:
        """Cancel it, also when a Checkout Session created it."""
        self._drop_voucher(intent)
        await self._localstripe.post(f"/v1/payment_intents/{intent.id}/cancel")
        intent.canceled_at, intent.cancellation_reason = int(self._clock()), reason
        self._events.record("payment_intent.canceled", await self.view(intent))

    async def point(self, intent: Intent, number: str | None) -> None:
        """Let localstripe start over with the card that has this number; with None, wait for another one."""
        self._drop_voucher(intent)
        await self._localstripe.post(
            f"/v1/payment_intents/{intent.id}",
            payment_method=number and self._stand_ins[number],
            latest_charge=None,
            next_action=None,
        )

    def check_method(self, types: Sequence[str], customer_id: str | None, method: Method) -> None:
        """Whether a PaymentIntent may be paid with a payment method."""
        self._methods.check_usable(method, customer_id)
        if method.type not in types:
            raise invalid(
                f"The PaymentMethod provided ({method.type}) is not allowed for this PaymentIntent. Please attach a"
                f" payment method of one of the following types: {', '.join(types)}.",
                "payment_method",
            )

    async def refusal(self, intent: Intent, verb: str) -> StripeFailure:
        """The error of a call that comes too late."""
        return unexpected_state(
            f"You cannot {verb} this PaymentIntent because it has a status of {await self.status(intent)}. Only a"
            f" PaymentIntent with one of the following statuses allows it: {', '.join(OPEN)}.",
            "payment_intent_unexpected_state",
            payment_intent=await self.view(intent),
        )

    async def list(self, wanted: IntentList) -> Json:
        """PaymentIntents, newest first."""
        chosen = [intent for intent in reversed(self._all.values()) if wanted.customer in (None, intent.customer)]
        return await page("/v1/payment_intents", chosen, wanted).of_each(self.view)

    async def status(self, intent: Intent) -> str:
        """Where a payment stands."""
        if intent.voucher is not None:
            return "processing" if intent.voucher.processing else "requires_action"
        if intent.last_status is not None:
            return intent.last_status
        kept = await self._localstripe.get(f"/v1/payment_intents/{intent.id}")
        status: str = kept["status"]
        if status in _LAST:
            intent.last_status = status
        return status

    async def view(self, intent: Intent) -> Json:
        """The PaymentIntent as the API answers it."""
        status = await self.status(intent)
        return {
            "id": intent.id,
            "object": "payment_intent",
            "amount": intent.amount_yen,
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": intent.amount_yen if status == "succeeded" else 0,
            "application": None,
            "application_fee_amount": None,
            "automatic_payment_methods": intent.automatic,
            "canceled_at": intent.canceled_at,
            "cancellation_reason": intent.cancellation_reason,
            "capture_method": intent.capture_method,
            "client_secret": intent.client_secret,
            "confirmation_method": "automatic",
            "created": intent.created,
            "currency": "jpy",
            "customer": intent.customer,
            "last_payment_error": intent.failure,
            "latest_charge": intent.latest_charge and intent.latest_charge.id,
            "livemode": False,
            "metadata": intent.metadata,
            "next_action": self._next_action(intent) if status == "requires_action" else None,
            "on_behalf_of": None,
            "payment_method": intent.method and intent.method.id,
            "payment_method_configuration_details": None,
            "payment_method_options": msgspec.to_builtins(intent.options),
            "payment_method_types": intent.types,
            "processing": None,
            "review": None,
            "setup_future_usage": intent.usage,
            "shipping": None,
            "source": None,
            "statement_descriptor": None,
            "status": status,
            "transfer_data": None,
            "transfer_group": None,
        } | intent.shown

    def _next_action(self, intent: Intent) -> Json:
        url = self._page_of(intent)
        if intent.voucher is not None:
            return intent.voucher.next_action(url)
        if intent.return_url is not None and not intent.by_sdk:
            return {"type": "redirect_to_url", "redirect_to_url": {"return_url": intent.return_url, "url": url}}
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url}}

    def _drop_voucher(self, intent: Intent) -> None:
        """Stop waiting for a konbini payment or a bank transfer; money already transferred stays the customer's."""
        if intent.voucher is not None and intent.voucher.funded_yen and intent.customer is not None:
            self._customers.add_cash(self._customers.find(intent.customer), intent.voucher.funded_yen)
        intent.voucher = None

    async def _check_updatable(self, intent: Intent) -> None:
        status = await self.status(intent)
        if status not in OPEN or intent.voucher is not None:
            raise await self.refusal(intent, "update the amount, customer or payment method of")


def types_for(given: IntentCreate, customer_id: str | None) -> tuple[list[str], Json | None]:
    """The types of payment methods that may pay, and ``automatic_payment_methods``."""
    if given.payment_method_types is not None:
        return list(given.payment_method_types), None
    fitting = ["card"]
    if MIN_KONBINI_YEN <= given.amount <= MAX_KONBINI_YEN and not given.setup_future_usage:
        fitting.append("konbini")
    if customer_id is not None and not given.setup_future_usage:
        fitting.append("customer_balance")
    allowed = given.allowed_payment_method_types
    excluded = given.excluded_payment_method_types or []
    types = [kind for kind in fitting if (allowed is None or kind in allowed) and kind not in excluded]
    if not types:
        raise invalid("No payment method type that is allowed fits the amount, the customer and the other parameters.")
    if allowed is not None:
        return types, None
    automatic = given.automatic_payment_methods
    redirects = automatic.allow_redirects if automatic else "always"
    return types, {"allow_redirects": redirects, "enabled": True}
