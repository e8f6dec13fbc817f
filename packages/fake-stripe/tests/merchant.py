"""What a merchant does with the official SDK, and hears by webhook."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import stripe
from aiohttp import web

from fake_stripe import FakeStripe
from fake_stripe.loop_thread import LoopThread

SECRET = "whsec_test"  # noqa: S105
RETURN_URL = "https://wallet.test/topup"
PATIENCE_SECONDS = 30
BROWSER = httpx.Client()
ASKS_UNLESS_SET_UP = "4000002500003155"
NO_REDIRECTS: dict[str, Any] = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}


class Receiver:
    """Somebody's webhook endpoint; it answers 200, or what ``answers`` says next."""

    def __init__(self) -> None:
        self.events: list[stripe.Event] = []
        self.refused: list[str] = []
        self.answers: list[int] = []
        self._arrived = threading.Condition()
        self._thread = LoopThread("receiver")
        self.url = self._thread.run(self._start())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._runner.cleanup())
        self._thread.close()

    def wait_for(self, event_type: str) -> None:
        """Return when an event of this type has arrived."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: event_type in self.types(), PATIENCE_SECONDS), event_type

    def types(self, object_id: str = "") -> list[str]:
        """The types of the events about an object, in the order in which they came."""
        return [event.type for event in self.events if object_id in ("", getattr(event.data.object, "id", None))]

    async def _start(self) -> str:
        app = web.Application()
        app.router.add_post("/", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            event = stripe.Webhook.construct_event(body, request.headers["Stripe-Signature"], SECRET)
        except stripe.SignatureVerificationError as error:
            self.refused.append(str(error))
            return web.Response(status=400)
        with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


def client_of(url: str, *, retries: int = 0) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_123", base_addresses={"api": url}, max_network_retries=retries)


def pays(
    client: stripe.StripeClient, amount: int = 1000, method: str = "pm_card_visa", **more: Any
) -> stripe.PaymentIntent:
    """A payment at once."""
    given: Any = {
        "amount": amount,
        "currency": "jpy",
        "payment_method": method,
        "confirm": True,
        **NO_REDIRECTS,
        **more,
    }
    return client.v1.payment_intents.create(given)


def kept(holder: Any) -> dict[str, str]:
    """The metadata of an object."""
    metadata: dict[str, str] = holder.metadata.to_dict()
    return metadata


def happened(fake: FakeStripe, object_id: str) -> list[str]:
    """The types of all events about an object."""
    return [event["type"] for event in fake.events() if event["data"]["object"].get("id") == object_id]


def refusal(call: Callable[[], object], status: int = 400) -> dict[str, Any]:
    """The error with which a call is answered."""
    with pytest.raises(stripe.StripeError) as caught:
        call()
    assert caught.value.http_status == status, caught.value
    body: Any = caught.value.json_body
    error: dict[str, Any] = body["error"]
    return error


def create_with_key(client: stripe.StripeClient, key: str, **more: Any) -> stripe.PaymentIntent:
    given: Any = {"amount": 1000, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True}
    given |= NO_REDIRECTS | more
    return client.v1.payment_intents.create(given, {"idempotency_key": key})


def konbini(client: stripe.StripeClient, amount: int = 1000) -> stripe.PaymentIntent:
    data = {"type": "konbini", "billing_details": {"email": "owner@example.com", "name": "Owner"}}
    given: Any = {"amount": amount, "currency": "jpy", "confirm": True, "payment_method_data": data, **NO_REDIRECTS}
    return client.v1.payment_intents.create(given)


def transfer(client: stripe.StripeClient, customer: str, amount: int = 1000) -> stripe.PaymentIntent:
    options = {"funding_type": "bank_transfer", "bank_transfer": {"type": "jp_bank_transfer"}}
    given: Any = {
        "amount": amount,
        "currency": "jpy",
        "customer": customer,
        "confirm": True,
        "payment_method_data": {"type": "customer_balance"},
        "payment_method_options": {"customer_balance": options},
        **NO_REDIRECTS,
    }
    return client.v1.payment_intents.create(given)


def cash(client: stripe.StripeClient, customer: str) -> dict[str, int]:
    """What is left of a customer's bank transfers."""
    available: Any = client.v1.customers.cash_balance.retrieve(customer).available
    left: dict[str, int] = available.to_dict() if available else {}
    return left


def checkout(client: stripe.StripeClient, amount: int = 1000, **more: Any) -> stripe.checkout.Session:
    item = {"price_data": {"currency": "jpy", "unit_amount": amount, "product_data": {"name": "Credit <b>"}}}
    given: Any = {
        "mode": "payment",
        "line_items": [{**item, "quantity": 1}],
        "success_url": f"{RETURN_URL}?session={{CHECKOUT_SESSION_ID}}",
        "cancel_url": RETURN_URL,
        "metadata": {"topup": "t1"},
        "payment_intent_data": {"metadata": {"topup": "t1"}},
        **more,
    }
    return client.v1.checkout.sessions.create(given)
