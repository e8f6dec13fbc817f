"""SetupIntents: a card is saved, and its bank may ask the customer, without a payment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_stripe.calls import SetupCancel, SetupConfirmation, SetupCreate, SetupList
from fake_stripe.cards import ASKING, PAYING, Asks
from fake_stripe.customers import Customers
from fake_stripe.events import Events
from fake_stripe.failures import StripeFailure, invalid, missing, unexpected_state
from fake_stripe.intents import Intents
from fake_stripe.lists import page
from fake_stripe.localstripe import Localstripe
from fake_stripe.methods import Method, Methods, card_error
from fake_stripe.parameters import merged

Json = dict[str, Any]

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_AUTHENTICATION_FAILED = {
    "code": "setup_intent_authentication_failure",
    "message": "The latest attempt to set up the payment method has failed because authentication failed.",
    "type": "invalid_request_error",
}


@dataclass
class Setup:
    """What is known of a SetupIntent beside what localstripe keeps."""

    id: str
    created: int
    client_secret: str
    customer: str | None
    usage: str
    description: str | None
    metadata: dict[str, str]
    automatic: Json | None
    method: Method | None
    failure: Json | None = None
    failed: bool = False
    """The last attempt has failed, and another payment method is needed."""
    cancellation_reason: str | None = None

    @property
    def chosen_method(self) -> Method:
        """The payment method that is being saved."""
        if self.method is None:
            raise ValueError(f"{self.id} has no payment method")
        return self.method


class Setups:
    """All SetupIntents."""

    def __init__(
        self,
        localstripe: Localstripe,
        events: Events,
        customers: Customers,
        methods: Methods,
        intents: Intents,
        clock: Callable[[], float],
    ) -> None:
        self._localstripe = localstripe
        self._events = events
        self._customers = customers
        self._methods = methods
        self._intents = intents
        self._clock = clock
        self._all: dict[str, Setup] = {}

    def find(self, setup_id: str, *, status: int = 404) -> Setup:
        """A SetupIntent that exists."""
        setup = self._all.get(setup_id)
        if setup is None:
            raise missing("setupintent", setup_id, "intent", status=status)
        return setup

    async def create(self, given: SetupCreate) -> Setup:
        """Make a SetupIntent, and confirm it when asked to."""
        customer_id = self._customers.find(given.customer).id if given.customer else None
        method = await self._intents.method_given(given.payment_method, given.payment_method_data)
        automatic = given.automatic_payment_methods
        redirects = automatic.allow_redirects if automatic else "always"
        chosen = given.allowed_payment_method_types or given.payment_method_types
        setup = Setup(
            "",
            int(self._clock()),
            "",
            customer_id,
            given.usage,
            given.description,
            merged({}, given.metadata),
            None if chosen else {"allow_redirects": redirects, "enabled": True},
            method,
        )
        if method is not None or given.confirm:
            self._check(setup, method, given, confirming=given.confirm)
        kept = await self._localstripe.post(
            "/v1/setup_intents", customer=customer_id, usage=given.usage, payment_method_types=["card"]
        )
        setup.id, setup.client_secret = kept["id"], kept["client_secret"]
        self._all[setup.id] = setup
        self._events.record("setup_intent.created", await self.view(setup))
        if given.confirm:
            await self._confirm(setup)
        return setup

    async def confirm(self, setup: Setup, given: SetupConfirmation) -> None:
        """Try to save the card."""
        if await self.status(setup) not in _OPEN:
            raise await self._refusal(setup, "confirm")
        method = await self._intents.method_given(given.payment_method, given.payment_method_data) or setup.method
        self._check(setup, method, given, confirming=True)
        setup.method = method
        await self._confirm(setup)

    async def authenticate(self, setup: Setup, *, success: bool) -> None:
        """The customer answers the bank's question."""
        status = await self.status(setup)
        if status != "requires_action":
            raise ValueError(f"{setup.id} does not wait for authentication; its status is {status}")
        if success:
            await self._localstripe.post(f"/v1/setup_intents/{setup.id}/confirm")
            await self._succeed(setup)
        else:
            await self._fail(setup, _AUTHENTICATION_FAILED)

    async def cancel(self, setup: Setup, given: SetupCancel) -> None:
        """Make sure that nothing is saved."""
        if await self.status(setup) not in _OPEN:
            raise await self._refusal(setup, "cancel")
        await self._localstripe.post(f"/v1/setup_intents/{setup.id}/cancel")
        setup.failed, setup.cancellation_reason = False, given.cancellation_reason
        self._events.record("setup_intent.canceled", await self.view(setup))

    async def list(self, wanted: SetupList) -> Json:
        """SetupIntents, newest first."""
        chosen = [
            setup
            for setup in reversed(self._all.values())
            if wanted.customer in (None, setup.customer)
            and wanted.payment_method in (None, setup.method and setup.method.id)
        ]
        return await page("/v1/setup_intents", chosen, wanted).of_each(self.view)

    async def status(self, setup: Setup) -> str:
        """Where it stands."""
        if setup.failed:
            return "requires_payment_method"
        kept = await self._localstripe.get(f"/v1/setup_intents/{setup.id}")
        status: str = kept["status"]
        if status == "requires_payment_method" and setup.method is not None:
            return "requires_confirmation"
        return status

    async def view(self, setup: Setup) -> Json:
        """The SetupIntent as the API answers it."""
        status = await self.status(setup)
        waits = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        return {
            "id": setup.id,
            "object": "setup_intent",
            "application": None,
            "automatic_payment_methods": setup.automatic,
            "cancellation_reason": setup.cancellation_reason,
            "client_secret": setup.client_secret,
            "created": setup.created,
            "customer": setup.customer,
            "description": setup.description,
            "last_setup_error": setup.failure,
            "latest_attempt": None,
            "livemode": False,
            "mandate": None,
            "metadata": setup.metadata,
            "next_action": waits if status == "requires_action" else None,
            "on_behalf_of": None,
            "payment_method": setup.method and setup.method.id,
            "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
            "payment_method_types": ["card"],
            "single_use_mandate": None,
            "status": status,
            "usage": setup.usage,
        }

    def _check(self, setup: Setup, method: Method | None, given: SetupConfirmation, *, confirming: bool) -> None:
        if method is None:
            raise invalid(
                "You cannot confirm this SetupIntent because it's missing a payment method.",
                "payment_method",
                "setup_intent_unexpected_state",
            )
        if method.card is None:
            raise invalid(f"Payment methods of type {method.type} cannot be saved.", "payment_method")
        self._methods.check_usable(method, setup.customer)
        redirects = setup.automatic is not None and setup.automatic["allow_redirects"] == "always"
        if confirming and redirects and given.return_url is None and not given.use_stripe_sdk:
            raise invalid(
                "This SetupIntent accepts payment methods that might redirect your customer; provide a `return_url`, or"
                " set `automatic_payment_methods[allow_redirects]` to `never`.",
                "return_url",
            )

    async def _confirm(self, setup: Setup) -> None:
        card = setup.chosen_method.card
        setup.failed = False
        if card is not None and not card.attaches and card.decline is not None:
            failure = card_error(card.decline, payment_method=await self._methods.view(setup.chosen_method))
            await self._fail(setup, failure.error)
            failure.error["setup_intent"] = await self.view(setup)
            raise failure
        asks = card is not None and card.asks is not Asks.NEVER
        stand_in = self._intents.stand_in(ASKING if asks else PAYING)
        await self._localstripe.post(f"/v1/setup_intents/{setup.id}/confirm", payment_method=stand_in)
        if asks:
            self._events.record("setup_intent.requires_action", await self.view(setup))
        else:
            await self._succeed(setup)

    async def _succeed(self, setup: Setup) -> None:
        method = setup.chosen_method
        setup.failure = None
        method.set_up = method.set_up or setup.usage == "off_session"
        if setup.customer is not None:
            await self._methods.attach(method, self._customers.find(setup.customer))
        self._events.record("setup_intent.succeeded", await self.view(setup))

    async def _fail(self, setup: Setup, failure: Json) -> None:
        setup.failure = {"payment_method": await self._methods.view(setup.chosen_method), **failure}
        setup.failed, setup.method = True, None
        self._events.record("setup_intent.setup_failed", await self.view(setup))

    async def _refusal(self, setup: Setup, verb: str) -> StripeFailure:
        return unexpected_state(
            f"You cannot {verb} this SetupIntent because it has a status of {await self.status(setup)}.",
            "setup_intent_unexpected_state",
            setup_intent=await self.view(setup),
        )
