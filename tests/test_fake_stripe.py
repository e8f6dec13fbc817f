"""The fake of Stripe behaves as Stripe does, as the official SDK sees it; and the proxy breaks what it is told to."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from random import Random
from types import TracebackType
from typing import Any, Self

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
import stripe
from aiohttp import web
from stripe_faults import Fault, StripeFaults

from credit_wallet.payments.fake.loop_thread import LoopThread
from credit_wallet.payments.fake_stripe import FakeStripe, Payment

SECRET = "whsec_test"  # noqa: S105
RETURN_URL = "https://wallet.test/topup"
BROWSER = httpx.Client()
NO_REDIRECTS: dict[str, Any] = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
ASKS_ALWAYS = "4000002760003184"
ASKS_UNLESS_SET_UP = "4000002500003155"
DECLINES = [
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(retry_seconds=(0.01,)) as running:
        yield running


@pytest.fixture
def client(fake: FakeStripe) -> stripe.StripeClient:
    return client_of(fake.url)


@pytest.fixture
def customer(client: stripe.StripeClient) -> str:
    return client.v1.customers.create({"email": "owner@example.com"}).id


@pytest.fixture
def receiver(fake: FakeStripe) -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening
        fake.stop_webhooks_to(listening.url)


@pytest.fixture
def faults(fake: FakeStripe) -> Iterator[StripeFaults]:
    with StripeFaults(fake) as proxy:
        yield proxy


class Receiver:
    """Somebody's webhook endpoint; it answers 200, or what ``answers`` says next."""

    def __init__(self) -> None:
        self.events: list[stripe.Event] = []
        self.refused: list[str] = []
        self.answers: list[int] = []
        self._thread = LoopThread("receiver")
        self.url = self._thread.run(self._start())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._runner.cleanup())
        self._thread.close()

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
        self.events.append(event)
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


# A card


def test_a_card_pays_at_once(fake: FakeStripe, client: stripe.StripeClient, customer: str) -> None:
    paid = pays(
        client, customer=customer, metadata={"topup": "t1"}, description="Credit", receipt_email="a@example.com"
    )
    assert (paid.status, paid.amount_received, paid.currency, paid.livemode) == ("succeeded", 1000, "jpy", False)
    assert (kept(paid), paid.description, paid.receipt_email) == ({"topup": "t1"}, "Credit", "a@example.com")
    charge = client.v1.charges.retrieve(str(paid.latest_charge))
    assert (charge.paid, charge.amount, charge.payment_intent, kept(charge)) == (
        True,
        1000,
        paid.id,
        {"topup": "t1"},
    )
    assert happened(fake, paid.id) == ["payment_intent.created", "payment_intent.succeeded"]
    assert happened(fake, charge.id) == ["charge.succeeded"]
    assert fake.payment_intent(paid.id) == Payment(paid.id, "succeeded", 1000, 1000, 0, 0, customer, {"topup": "t1"})


def test_the_steps_of_a_payment_can_be_taken_one_by_one(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "jpy"})
    assert (intent.status, intent.latest_charge) == ("requires_payment_method", None)
    assert intent.automatic_payment_methods is not None
    assert intent.automatic_payment_methods.allow_redirects == "always"
    intent = client.v1.payment_intents.update(intent.id, {"amount": 600, "payment_method": "pm_card_visa"})
    assert (intent.status, intent.amount) == ("requires_confirmation", 600)
    intent = client.v1.payment_intents.confirm(intent.id, {"return_url": RETURN_URL})
    assert (intent.status, intent.amount_received) == ("succeeded", 600)


def test_answers_hold_whole_objects_where_they_are_expanded(client: stripe.StripeClient, customer: str) -> None:
    paid = pays(
        client, customer=customer, expand=["latest_charge.balance_transaction", "latest_charge.refunds", "customer"]
    )
    charge = paid.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (36, 964)
    assert charge.refunds is not None
    assert charge.refunds.data == []
    assert isinstance(paid.customer, stripe.Customer)
    assert paid.customer.email == "owner@example.com"
    assert "cannot be expanded" in refusal(lambda: pays(client, expand=["nonsense"]))["message"]


@pytest.mark.parametrize(("method", "code", "decline_code"), DECLINES)
def test_a_declined_card_is_an_error_that_carries_the_payment(
    fake: FakeStripe, client: stripe.StripeClient, method: str, code: str, decline_code: str
) -> None:
    error = refusal(lambda: pays(client, method=method), 402)
    assert (error["type"], error["code"], error["decline_code"]) == ("card_error", code, decline_code)
    intent = error["payment_intent"]
    assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
    assert intent["last_payment_error"]["decline_code"] == decline_code
    assert intent["last_payment_error"]["payment_method"]["type"] == "card"
    assert client.v1.charges.retrieve(error["charge"]).failure_code == code
    assert happened(fake, intent["id"]) == ["payment_intent.created", "payment_intent.payment_failed"]
    assert fake.payment_intent(intent["id"]).received == 0


def test_a_declined_payment_can_be_made_with_another_card(fake: FakeStripe, client: stripe.StripeClient) -> None:
    intent_id = refusal(lambda: pays(client, method="pm_card_visa_chargeDeclined"), 402)["payment_intent"]["id"]
    intent = client.v1.payment_intents.confirm(intent_id, {"payment_method": "pm_card_visa"})
    assert (intent.status, intent.last_payment_error) == ("succeeded", None)
    charges = client.v1.charges.list({"payment_intent": intent_id}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]
    assert fake.payment_intent(intent_id).received == 1000


def test_the_card_scheme_says_never_again(client: stripe.StripeClient) -> None:
    stolen = refusal(lambda: pays(client, method="pm_card_visa_chargeDeclinedStolenCard"), 402)
    empty = refusal(lambda: pays(client, method="pm_card_visa_chargeDeclinedInsufficientFunds"), 402)
    assert (stolen["advice_code"], empty["advice_code"]) == ("do_not_try_again", "try_again_later")


def test_a_card_that_is_declined_when_it_is_charged_can_be_saved(
    fake: FakeStripe, client: stripe.StripeClient, customer: str
) -> None:
    method = fake.new_card(customer, "4000000000000341")
    error = refusal(lambda: pays(client, method=method, customer=customer, off_session=True), 402)
    assert error["decline_code"] == "generic_decline"
    attach = {"customer": customer}
    error = refusal(lambda: client.v1.payment_methods.attach("pm_card_visa_chargeDeclined", attach), 402)  # type: ignore[arg-type]
    assert error["code"] == "card_declined"


def test_only_test_cards_are_taken(client: stripe.StripeClient) -> None:
    def card(number: str, year: int = 2040) -> Callable[[], object]:
        given: Any = {"type": "card", "card": {"number": number, "exp_month": 1, "exp_year": year, "cvc": "123"}}
        return lambda: client.v1.payment_methods.create(given)

    assert refusal(card("4242424242424241"), 402)["code"] == "incorrect_number"
    assert refusal(card("4111111111111111"), 402)["decline_code"] == "test_mode_live_card"
    assert refusal(card("4242424242424242", 2020), 402)["code"] == "invalid_expiry_year"


# Saved cards


def test_a_card_is_saved_when_its_payment_succeeds(
    fake: FakeStripe, client: stripe.StripeClient, customer: str
) -> None:
    paid = pays(client, customer=customer, setup_future_usage="off_session")
    [saved] = client.v1.customers.payment_methods.list(customer).data
    assert saved.id == paid.payment_method
    again = pays(client, method=saved.id, customer=customer, off_session=True)
    assert again.status == "succeeded"
    assert happened(fake, saved.id) == ["payment_method.attached"]


@pytest.mark.parametrize(
    ("whole", "own", "saved"), [(None, "off_session", True), ("off_session", "", False), (None, None, False)]
)
def test_a_card_may_be_saved_by_an_option_of_its_own(
    client: stripe.StripeClient, customer: str, whole: str | None, own: str | None, saved: bool
) -> None:
    more: dict[str, Any] = {} if whole is None else {"setup_future_usage": whole}
    if own is not None:
        more["payment_method_options"] = {"card": {"setup_future_usage": own}}
    paid = pays(client, customer=customer, **more)
    method = client.v1.payment_methods.retrieve(str(paid.payment_method))
    assert method.customer == (customer if saved else None)


def test_a_card_that_was_used_without_being_saved_cannot_be_used_again(client: stripe.StripeClient) -> None:
    used = pays(client).payment_method
    assert "may not be used again" in refusal(lambda: pays(client, method=str(used)))["message"]


def test_a_saved_card_pays_for_its_customer_only(fake: FakeStripe, client: stripe.StripeClient, customer: str) -> None:
    method = fake.new_card(customer)
    other = client.v1.customers.create().id
    assert "provide the customer" in refusal(lambda: pays(client, method=method))["message"]
    assert "belongs to a different" in refusal(lambda: pays(client, method=method, customer=other))["message"]


def test_a_default_card_must_be_the_customers(fake: FakeStripe, client: stripe.StripeClient, customer: str) -> None:
    method = fake.new_card(customer)
    updated = client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method}})
    assert updated.invoice_settings is not None
    assert updated.invoice_settings.default_payment_method == method
    client.v1.payment_methods.detach(method)
    retrieved = client.v1.customers.retrieve(customer)
    assert retrieved.invoice_settings is not None
    assert retrieved.invoice_settings.default_payment_method is None
    error = refusal(
        lambda: client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method}})
    )
    assert error["code"] == "resource_missing"


def test_a_deleted_customer_is_gone(client: stripe.StripeClient, customer: str) -> None:
    client.v1.customers.delete(customer)
    assert client.v1.customers.retrieve(customer).deleted
    assert refusal(lambda: pays(client, customer=customer))["code"] == "resource_missing"


# 3-D Secure


def test_the_bank_asks_a_customer_who_is_there(fake: FakeStripe, client: stripe.StripeClient) -> None:
    asked = pays(client, method="pm_card_authenticationRequired", return_url=RETURN_URL)
    assert (asked.status, asked.next_action and asked.next_action.type) == ("requires_action", "redirect_to_url")
    assert fake.authenticate(asked.id)["status"] == "succeeded"
    assert happened(fake, asked.id) == [
        "payment_intent.created",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
    ]


def test_a_customer_may_refuse_the_bank(fake: FakeStripe, client: stripe.StripeClient) -> None:
    asked = pays(client, method="pm_card_authenticationRequired")
    assert asked.next_action is not None
    assert asked.next_action.type == "use_stripe_sdk"
    failed = fake.authenticate(asked.id, success=False)
    assert (failed["status"], failed["payment_method"]) == ("requires_payment_method", None)
    assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert happened(fake, asked.id)[-1] == "payment_intent.payment_failed"
    assert fake.pay(asked.id)["status"] == "succeeded"


def test_a_card_may_be_declined_after_the_bank_has_asked(fake: FakeStripe, client: stripe.StripeClient) -> None:
    asked = pays(client, method="pm_card_authenticationRequiredChargeDeclinedInsufficientFunds")
    failed = fake.authenticate(asked.id)
    assert failed["status"] == "requires_payment_method"
    assert failed["last_payment_error"]["decline_code"] == "insufficient_funds"


def test_the_bank_cannot_ask_a_customer_who_is_away(
    fake: FakeStripe, client: stripe.StripeClient, customer: str
) -> None:
    method = fake.new_card(customer, ASKS_ALWAYS)
    error = refusal(lambda: pays(client, method=method, customer=customer, off_session=True), 402)
    assert (error["code"], error["decline_code"]) == ("authentication_required", "authentication_required")
    intent = error["payment_intent"]
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["payment_method"]["id"] == method
    assert happened(fake, intent["id"])[-1] == "payment_intent.payment_failed"
    assert fake.pay(intent["id"], method)["status"] == "requires_action"
    assert fake.authenticate(intent["id"])["status"] == "succeeded"
    assert fake.payment_intent(intent["id"]).received == 1000


def test_a_card_that_was_set_up_pays_without_the_customer(
    fake: FakeStripe, client: stripe.StripeClient, customer: str
) -> None:
    merely_attached = fake.new_card(customer, ASKS_UNLESS_SET_UP)
    error = refusal(lambda: pays(client, method=merely_attached, customer=customer, off_session=True), 402)
    assert error["code"] == "authentication_required"
    first = pays(
        client, method="pm_card_authenticationRequiredOnSetup", customer=customer, setup_future_usage="off_session"
    )
    assert first.status == "requires_action"
    saved = fake.authenticate(first.id)["payment_method"]
    assert pays(client, method=saved, customer=customer, off_session=True).status == "succeeded"


def test_a_payment_may_refuse_to_wait_for_the_bank(client: stripe.StripeClient) -> None:
    error = refusal(lambda: pays(client, method="pm_card_authenticationRequired", error_on_requires_action=True), 402)
    assert (error["code"], error["payment_intent"]["status"]) == ("authentication_required", "requires_payment_method")


def test_a_card_can_be_set_up_without_a_payment(fake: FakeStripe, client: stripe.StripeClient, customer: str) -> None:
    given: Any = {"customer": customer, "payment_method": "pm_card_authenticationRequiredOnSetup", "confirm": True}
    given |= NO_REDIRECTS
    setup = client.v1.setup_intents.create(given)
    assert setup.status == "requires_action"
    assert client.v1.customers.payment_methods.list(customer).data == []
    done = fake.authenticate(setup.id)
    assert done["status"] == "succeeded"
    assert pays(client, method=done["payment_method"], customer=customer, off_session=True).status == "succeeded"
    assert happened(fake, setup.id) == [
        "setup_intent.created",
        "setup_intent.requires_action",
        "setup_intent.succeeded",
    ]
    setup = client.v1.setup_intents.create(given)
    failed = fake.authenticate(setup.id, success=False)
    assert failed["last_setup_error"]["code"] == "setup_intent_authentication_failure"
    assert client.v1.setup_intents.cancel(setup.id).status == "canceled"


# What is refused


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": 100_000_000}, "amount_too_large", "amount"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": "12.5"}, "parameter_invalid_integer", "amount"),
        ({"nonsense": 1}, "parameter_unknown", "nonsense"),
        ({"automatic_payment_methods": {"nonsense": 1}}, "parameter_unknown", "automatic_payment_methods[nonsense]"),
        ({"customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"payment_method": "pm_nothing"}, "resource_missing", "payment_method"),
        ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported", "payment_method_types"),
        ({"return_url": "javascript:alert(1)"}, "url_invalid", "return_url"),
        ({"currency": "eur"}, None, "currency"),
        ({"confirm": False, "off_session": True}, None, "off_session"),
        ({"automatic_payment_methods": {"enabled": True}}, None, "return_url"),
        ({"statement_descriptor_suffix": "<b>"}, None, "statement_descriptor_suffix"),
        ({"metadata": {"key": "v" * 501}}, None, "metadata[key]"),
    ],
)
def test_bad_parameters_are_refused(
    fake: FakeStripe, client: stripe.StripeClient, change: dict[str, Any], code: str | None, param: str
) -> None:
    before = len(fake.payment_intents())
    error = refusal(lambda: pays(client, **change))
    assert (error["type"], error.get("code"), error["param"]) == ("invalid_request_error", code, param)
    assert len(fake.payment_intents()) == before


def test_versions_before_dynamic_payment_methods_take_a_list_of_types(client: stripe.StripeClient) -> None:
    given: Any = {"amount": 1000, "currency": "jpy", "payment_method_types": ["card", "konbini"]}
    intent = client.v1.payment_intents.create(given, {"stripe_version": "2025-09-30.clover"})
    assert intent.payment_method_types == ["card", "konbini"]
    given = {"amount": 1000, "currency": "jpy", "allowed_payment_method_types": ["card", "customer_balance"]}
    assert client.v1.payment_intents.create(given).payment_method_types == ["card"]


def test_metadata_is_merged_and_unset(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 100, "currency": "jpy", "metadata": {"a": "1", "b": "2"}})
    assert kept(client.v1.payment_intents.update(intent.id, {"metadata": {"b": "", "0": "x"}})) == {"a": "1", "0": "x"}
    assert kept(client.v1.payment_intents.update(intent.id, {"metadata": ""})) == {}


def test_a_payment_can_be_cancelled_until_it_is_made(fake: FakeStripe, client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 100, "currency": "jpy"})
    cancelled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    assert cancelled.canceled_at
    assert happened(fake, intent.id)[-1] == "payment_intent.canceled"
    paid = pays(client)
    for call in (
        lambda: client.v1.payment_intents.cancel(paid.id),
        lambda: client.v1.payment_intents.confirm(paid.id),
        lambda: client.v1.payment_intents.update(paid.id, {"amount": 200}),
        lambda: client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}),
    ):
        error = refusal(call)
        assert error["code"] == "payment_intent_unexpected_state"
        assert error["payment_intent"]["status"] in ("succeeded", "canceled")


def test_only_keys_for_test_money_are_taken(fake: FakeStripe) -> None:
    for key in ("sk_live_123", "pk_test_123"):
        client = stripe.StripeClient(key, base_addresses={"api": fake.url})
        with pytest.raises(stripe.AuthenticationError):
            client.v1.balance.retrieve()
    assert BROWSER.get(f"{fake.url}/v1/balance").status_code == 401
    assert BROWSER.get(f"{fake.url}/v1/balance", auth=("sk_test_123", "")).status_code == 200


def test_unknown_calls_and_objects_are_not_found(client: stripe.StripeClient) -> None:
    assert refusal(lambda: client.v1.payment_intents.retrieve("pi_nothing"), 404)["code"] == "resource_missing"
    assert refusal(lambda: client.v1.subscriptions.list(), 404)["message"].startswith("Unrecognized request URL")


# Lists


def test_lists_are_paged_newest_first(client: stripe.StripeClient, customer: str) -> None:
    made = [pays(client, customer=customer).id for _ in range(5)]
    first = client.v1.payment_intents.list({"customer": customer, "limit": 2})
    assert ([intent.id for intent in first.data], first.has_more) == (made[:2:-1], True)
    everything = first.auto_paging_iter()
    assert [intent.id for intent in everything] == made[::-1]
    last = client.v1.payment_intents.list({"customer": customer, "starting_after": made[1]})
    assert ([intent.id for intent in last.data], last.has_more) == (made[:1], False)
    newer = client.v1.payment_intents.list({"customer": customer, "ending_before": made[2], "limit": 1})
    assert ([intent.id for intent in newer.data], newer.has_more) == ([made[3]], True)
    created = client.v1.payment_intents.retrieve(made[0]).created
    assert len(client.v1.payment_intents.list({"customer": customer, "created": {"gte": created}}).data) == 5
    assert client.v1.payment_intents.list({"customer": customer, "created": {"gt": created + 60}}).data == []
    assert refusal(lambda: client.v1.payment_intents.list({"limit": 101}))["param"] == "limit"


def test_events_can_be_listed_by_type_and_time(client: stripe.StripeClient) -> None:
    paid = pays(client)
    [latest] = client.v1.events.list({"type": "payment_intent.succeeded", "limit": 1}).data
    assert latest.data.object["id"] == paid.id
    found = client.v1.events.list({"types": ["charge.*"], "created": {"gte": latest.created}}).data
    assert found[0].data.object["id"] == paid.latest_charge
    assert client.v1.events.retrieve(latest.id).type == "payment_intent.succeeded"
    assert client.v1.events.list({"type": "no.such.event"}).data == []


def test_events_name_the_request_that_caused_them(fake: FakeStripe, client: stripe.StripeClient) -> None:
    given: Any = {"amount": 100, "currency": "jpy"}
    intent = client.v1.payment_intents.create(given, {"idempotency_key": "cause-1"})
    fake.pay(intent.id)
    requests = [event["request"] for event in fake.events() if event["data"]["object"].get("id") == intent.id]
    assert intent.last_response is not None
    assert requests[0] == {"id": intent.last_response.request_id, "idempotency_key": "cause-1"}
    assert requests[-1] == {"id": None, "idempotency_key": None}


def test_the_account_and_its_balance(fake: FakeStripe, client: stripe.StripeClient) -> None:
    account = client.v1.accounts.retrieve_current()
    assert (account.country, account.default_currency) == ("JP", "jpy")
    before = client.v1.balance.retrieve().available[0].amount
    paid = pays(client, 10_000)
    fake.refund(paid.id, 1_000)
    assert client.v1.balance.retrieve().available[0].amount == before + 10_000 - 360 - 1_000


# Idempotency


def create_with_key(client: stripe.StripeClient, key: str, **more: Any) -> stripe.PaymentIntent:
    given: Any = {"amount": 1000, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True}
    given |= NO_REDIRECTS | more
    return client.v1.payment_intents.create(given, {"idempotency_key": key})


def test_a_key_replays_the_first_answer(fake: FakeStripe, client: stripe.StripeClient) -> None:
    before = len(fake.payment_intents())
    first, again = create_with_key(client, "replay"), create_with_key(client, "replay")
    assert first.id == again.id
    assert first.last_response is not None
    assert again.last_response is not None
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.request_id
    assert len(fake.payment_intents()) == before + 1


def test_a_key_replays_an_error_too(fake: FakeStripe, client: stripe.StripeClient) -> None:
    errors = [
        refusal(lambda: create_with_key(client, "declined", payment_method="pm_card_visa_chargeDeclined"), 402)
        for _ in range(2)
    ]
    assert errors[0] == errors[1]
    assert happened(fake, errors[0]["payment_intent"]["id"]).count("payment_intent.payment_failed") == 1


def test_a_key_belongs_to_its_parameters_and_its_endpoint(client: stripe.StripeClient) -> None:
    create_with_key(client, "bound")
    for call in (
        lambda: create_with_key(client, "bound", amount=2000),
        lambda: client.v1.customers.create({}, {"idempotency_key": "bound"}),
    ):
        with pytest.raises(stripe.IdempotencyError) as caught:
            call()
        assert caught.value.http_status == 400


def test_a_key_is_not_used_up_by_what_is_refused_before_it_is_tried(client: stripe.StripeClient) -> None:
    assert refusal(lambda: create_with_key(client, "fresh", amount=1))["code"] == "amount_too_small"
    assert create_with_key(client, "fresh").status == "succeeded"


def test_two_calls_with_a_key_at_once_are_a_conflict(fake: FakeStripe, client: stripe.StripeClient) -> None:
    with ThreadPoolExecutor(2) as pool:
        with fake.paused():
            calls = [pool.submit(create_with_key, client, "at once") for _ in range(2)]
            refused = next(as_completed(calls))
            error = refusal(refused.result, 409)
        assert error["code"] == "idempotency_key_in_use"
        [carried_out] = [call for call in calls if call is not refused]
        assert carried_out.result().status == "succeeded"


def test_a_key_is_forgotten_after_a_day() -> None:
    now = [1_800_000_000.0]
    with FakeStripe(clock=lambda: now[0]) as fake:
        client = client_of(fake.url)
        first = create_with_key(client, "daily")
        assert first.created == now[0]
        now[0] += 24 * 3600 - 1
        assert create_with_key(client, "daily").id == first.id
        now[0] += 1
        assert create_with_key(client, "daily").id != first.id


# Konbini and bank transfer


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


def test_a_konbini_payment_waits_for_the_customer(fake: FakeStripe, client: stripe.StripeClient) -> None:
    intent = konbini(client)
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.konbini_display_details is not None
    assert intent.next_action.konbini_display_details.expires_at > intent.created
    assert "Payment code" in BROWSER.get(intent.next_action.konbini_display_details.hosted_voucher_url or "").text
    assert fake.payment_intent(intent.id).received == 0
    paid = fake.pay_voucher(intent.id)
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 1000)
    assert happened(fake, intent.id) == [
        "payment_intent.created",
        "payment_intent.requires_action",
        "payment_intent.processing",
        "payment_intent.succeeded",
    ]


def test_a_konbini_payment_expires(fake: FakeStripe, client: stripe.StripeClient) -> None:
    intent = konbini(client)
    expired = fake.expire_voucher(intent.id)
    assert (expired["status"], expired["payment_method"]) == ("requires_payment_method", None)
    assert expired["last_payment_error"]["code"] == "payment_intent_payment_attempt_expired"
    assert happened(fake, intent.id)[-1] == "payment_intent.payment_failed"
    with pytest.raises(ValueError, match="does not wait"):
        fake.pay_voucher(intent.id)


def test_a_konbini_payment_can_be_cancelled(fake: FakeStripe, client: stripe.StripeClient) -> None:
    intent = konbini(client)
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    with pytest.raises(ValueError, match="does not wait"):
        fake.pay_voucher(intent.id)


@pytest.mark.parametrize("amount", [119, 300_001])
def test_a_konbini_has_its_own_limits(client: stripe.StripeClient, amount: int) -> None:
    assert "not allowed" in refusal(lambda: konbini(client, amount))["message"]


def test_a_bank_transfer_may_come_in_parts(fake: FakeStripe, client: stripe.StripeClient, customer: str) -> None:
    intent = transfer(client, customer)
    assert intent.next_action is not None
    assert intent.next_action.display_bank_transfer_instructions is not None
    part = fake.fund(intent.id, 400)
    assert part["status"] == "requires_action"
    assert part["next_action"]["display_bank_transfer_instructions"]["amount_remaining"] == 600
    assert fake.fund(intent.id, 750)["status"] == "succeeded"
    assert happened(fake, intent.id)[-2:] == ["payment_intent.partially_funded", "payment_intent.succeeded"]
    assert cash(client, customer) == {"jpy": 150}
    assert fake.payment_intent(intent.id).received == 1000
    assert transfer(client, customer, 150).status == "succeeded"
    assert cash(client, customer) == {}


def test_what_came_for_a_cancelled_bank_transfer_stays_the_customers(
    fake: FakeStripe, client: stripe.StripeClient, customer: str
) -> None:
    intent = transfer(client, customer)
    fake.fund(intent.id, 400)
    client.v1.payment_intents.cancel(intent.id)
    assert cash(client, customer) == {"jpy": 400}


# Checkout


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


def test_a_checkout_session_is_paid_by_a_person(fake: FakeStripe, client: stripe.StripeClient, customer: str) -> None:
    session = checkout(
        client, customer=customer, payment_intent_data={"setup_future_usage": "off_session", "metadata": {"a": "b"}}
    )
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    page = BROWSER.get(session.url or "")
    assert "TEST MONEY" in page.text
    assert "Pay ¥1,000" in page.text
    assert "Credit &lt;b&gt;" in page.text
    answer = BROWSER.post(session.url or "", data={"with": "4242424242424242"})
    assert answer.headers["Location"] == f"{RETURN_URL}?session={session.id}"
    session = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent", "line_items"]})
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert (session.payment_intent.status, kept(session.payment_intent)) == ("succeeded", {"a": "b"})
    assert session.line_items is not None
    assert session.line_items.data[0].amount_total == 1000
    assert happened(fake, session.id) == ["checkout.session.completed"]
    assert len(client.v1.customers.payment_methods.list(customer).data) == 1
    [found] = client.v1.checkout.sessions.list({"payment_intent": session.payment_intent.id}).data
    assert found.id == session.id


def test_a_declined_card_leaves_the_checkout_session_open(fake: FakeStripe, client: stripe.StripeClient) -> None:
    session = checkout(client)
    page = BROWSER.post(session.url or "", data={"with": "4000000000000002"})
    assert "Your card was declined." in page.text
    opened = client.v1.checkout.sessions.retrieve(session.id)
    assert opened.status == "open"
    assert happened(fake, str(opened.payment_intent)) == ["payment_intent.created", "payment_intent.payment_failed"]
    assert refusal(lambda: client.v1.payment_intents.cancel(str(opened.payment_intent)))["type"]
    assert fake.pay(session.id)["id"] == opened.payment_intent
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_the_bank_asks_on_a_page(fake: FakeStripe, client: stripe.StripeClient) -> None:
    session = checkout(client)
    answer = BROWSER.post(session.url or "", data={"with": ASKS_UNLESS_SET_UP})
    assert "Your bank asks" in BROWSER.get(answer.headers["Location"]).text
    done = BROWSER.post(answer.headers["Location"], data={"do": "authenticate"})
    assert done.headers["Location"] == f"{RETURN_URL}?session={session.id}"
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert happened(fake, session.id) == ["checkout.session.completed"]


@pytest.mark.parametrize("paid", [True, False])
def test_a_checkout_session_by_konbini_is_complete_before_it_is_paid(
    fake: FakeStripe, client: stripe.StripeClient, *, paid: bool
) -> None:
    session = checkout(client)
    intent = fake.pay(session.id, "konbini")
    assert intent["status"] == "requires_action"
    complete = client.v1.checkout.sessions.retrieve(session.id)
    assert (complete.status, complete.payment_status) == ("complete", "unpaid")
    (fake.pay_voucher if paid else fake.expire_voucher)(intent["id"])
    settled = client.v1.checkout.sessions.retrieve(session.id)
    assert settled.payment_status == ("paid" if paid else "unpaid")
    last = "succeeded" if paid else "failed"
    assert happened(fake, session.id) == ["checkout.session.completed", f"checkout.session.async_payment_{last}"]


def test_a_checkout_session_expires(fake: FakeStripe, client: stripe.StripeClient) -> None:
    session = checkout(client)
    page = session.url or ""
    session = client.v1.checkout.sessions.expire(session.id)
    assert (session.status, session.url) == ("expired", None)
    assert happened(fake, session.id) == ["checkout.session.expired"]
    assert "expired" in BROWSER.get(page).text


def test_a_checkout_session_expires_by_itself_and_takes_its_payment_along() -> None:
    now = [1_800_000_000.0]
    with FakeStripe(clock=lambda: now[0]) as fake:
        client = client_of(fake.url)
        session = checkout(client, expires_at=int(now[0]) + 1800)
        intent = fake.pay(session.id, "4000000000000002")
        now[0] += 1800
        assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
        cancelled = client.v1.payment_intents.retrieve(intent["id"])
        assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "automatic")
        assert refusal(lambda: checkout(client, expires_at=int(now[0]) + 60))["param"] == "expires_at"


def test_a_checkout_session_may_make_a_customer(fake: FakeStripe, client: stripe.StripeClient) -> None:
    session = checkout(client, customer_creation="always", customer_email="new@example.com")
    assert session.customer is None
    made = fake.pay(session.id)["customer"]
    assert client.v1.customers.retrieve(made).email == "new@example.com"


# Pages


def test_a_person_pays_a_payment_intent_on_its_page(
    fake: FakeStripe, client: stripe.StripeClient, customer: str
) -> None:
    fake.new_card(customer)
    intent = client.v1.payment_intents.create({"amount": 1500, "currency": "jpy", "customer": customer})
    url = fake.pay_url(intent.id)
    page = BROWSER.get(url)
    assert "TEST MONEY" in page.text
    assert "Pay ¥1,500 with test money" in page.text
    assert "Saved card •••• 4242" in page.text
    assert "Bank transfer" in page.text
    assert "has insufficient funds" in page.text
    declined = BROWSER.post(url, data={"with": "4000000000009995"})
    assert "insufficient funds" in declined.text
    saved = re.search(r'value="(pm_\w+)"', page.text)
    assert saved is not None
    assert "¥1,500 is paid" in BROWSER.post(url, data={"with": saved[1]}).text
    assert fake.payment_intent(intent.id).received == 1500


def test_a_page_returns_to_where_the_payment_came_from(fake: FakeStripe, client: stripe.StripeClient) -> None:
    asked = pays(client, method="pm_card_authenticationRequired", return_url=f"{RETURN_URL}?a=b")
    assert asked.next_action is not None
    assert asked.next_action.redirect_to_url is not None
    url = asked.next_action.redirect_to_url.url or ""
    assert "This has been done already" not in BROWSER.get(url).text
    back = httpx.URL(BROWSER.post(url, data={"do": "authenticate"}).headers["Location"])
    assert (back.host, back.params["a"], back.params["payment_intent"]) == ("wallet.test", "b", asked.id)
    assert back.params["redirect_status"] == "succeeded"
    assert fake.payment_intent(asked.id).received == 1000


def test_a_page_needs_the_client_secret(fake: FakeStripe, client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 1500, "currency": "jpy"})
    assert BROWSER.get(f"{fake.url}/pay/{intent.id}?client_secret=guess").status_code == 404
    assert BROWSER.post(f"{fake.url}/pay/{intent.id}", data={"with": "4242424242424242"}).status_code == 404
    assert BROWSER.get(f"{fake.url}/checkout/cs_test_nothing").status_code == 404
    assert fake.payment_intent(intent.id).received == 0


def test_a_slip_is_paid_on_its_page(fake: FakeStripe, client: stripe.StripeClient) -> None:
    intent = konbini(client)
    assert "is paid" in BROWSER.post(fake.pay_url(intent.id), data={"do": "pay-voucher"}).text
    assert "is paid" in BROWSER.post(fake.pay_url(intent.id), data={"do": "pay-voucher"}).text
    assert fake.payment_intent(intent.id).received == 1000


# Refunds


def test_a_payment_is_refunded_in_parts(fake: FakeStripe, client: stripe.StripeClient) -> None:
    paid = pays(client)
    first = client.v1.refunds.create({"payment_intent": paid.id, "amount": 300, "reason": "requested_by_customer"})
    assert (first.status, first.amount, first.charge) == ("succeeded", 300, paid.latest_charge)
    charge = client.v1.charges.retrieve(str(paid.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (300, False)
    second = client.v1.refunds.create({"charge": charge.id})
    assert second.amount == 700
    charge = client.v1.charges.retrieve(charge.id)
    assert (charge.amount_refunded, charge.refunded) == (1000, True)
    assert refusal(lambda: client.v1.refunds.create({"charge": charge.id}))["code"] == "charge_already_refunded"
    assert [refund.id for refund in client.v1.refunds.list({"charge": charge.id}).data] == [second.id, first.id]
    refunded = [event for event in fake.events("charge.refunded") if event["data"]["object"]["id"] == charge.id]
    assert [event["data"]["object"]["amount_refunded"] for event in refunded] == [300, 1000]
    assert [event["data"]["previous_attributes"]["amount_refunded"] for event in refunded] == [0, 300]
    assert happened(fake, first.id) == ["refund.created", "refund.updated"]
    assert fake.payment_intent(paid.id).refunded == 1000


def test_no_more_is_refunded_than_was_paid(client: stripe.StripeClient) -> None:
    paid = pays(client)
    error = refusal(lambda: client.v1.refunds.create({"payment_intent": paid.id, "amount": 1001}))
    assert "greater than unrefunded amount" in error["message"]


@pytest.mark.parametrize("success", [True, False])
def test_a_konbini_refund_takes_a_while_and_may_fail(
    fake: FakeStripe, client: stripe.StripeClient, *, success: bool
) -> None:
    intent = konbini(client)
    fake.pay_voucher(intent.id)
    refund_id = fake.refund(intent.id, 400)
    assert client.v1.refunds.retrieve(refund_id).status == "requires_action"
    assert fake.payment_intent(intent.id).refunded == 400
    settled = fake.settle_refund(refund_id, success=success)
    assert settled["status"] == ("succeeded" if success else "failed")
    assert fake.payment_intent(intent.id).refunded == (400 if success else 0)
    charge = client.v1.charges.retrieve(settled["charge"])
    assert charge.amount_refunded == (400 if success else 0)
    assert ("refund.failed" in happened(fake, refund_id)) is not success


# Disputes


def test_a_dispute_takes_the_money_and_may_give_it_back(fake: FakeStripe, client: stripe.StripeClient) -> None:
    paid = pays(client)
    dispute = client.v1.disputes.retrieve(fake.dispute(paid.id, 800))
    assert (dispute.status, dispute.amount, dispute.payment_intent) == ("needs_response", 800, paid.id)
    assert client.v1.charges.retrieve(str(paid.latest_charge)).disputed
    assert fake.payment_intent(paid.id).disputed == 800
    assert refusal(lambda: client.v1.refunds.create({"payment_intent": paid.id}))["code"] == "charge_disputed"
    [found] = client.v1.disputes.list({"payment_intent": paid.id, "created": {"gte": dispute.created}}).data
    assert found.id == dispute.id
    fake.close_dispute(dispute.id, won=True)
    assert client.v1.disputes.retrieve(dispute.id).status == "won"
    assert fake.payment_intent(paid.id).disputed == 0
    assert happened(fake, dispute.id) == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]


def test_a_lost_dispute_keeps_the_money(fake: FakeStripe, client: stripe.StripeClient) -> None:
    paid = pays(client)
    dispute_id = fake.dispute(str(paid.latest_charge))
    fake.close_dispute(dispute_id, won=False)
    assert client.v1.disputes.retrieve(dispute_id).status == "lost"
    assert fake.payment_intent(paid.id).disputed == 1000
    with pytest.raises(ValueError, match="is closed"):
        fake.close_dispute(dispute_id, won=True)


def test_an_inquiry_takes_no_money_unless_it_becomes_a_dispute(fake: FakeStripe, client: stripe.StripeClient) -> None:
    paid = pays(client)
    inquiry = client.v1.disputes.retrieve(fake.dispute(paid.id, inquiry=True))
    assert (inquiry.status, inquiry.is_charge_refundable) == ("warning_needs_response", True)
    assert (fake.payment_intent(paid.id).disputed, happened(fake, inquiry.id)) == (0, ["charge.dispute.created"])
    fake.escalate_dispute(inquiry.id)
    assert fake.payment_intent(paid.id).disputed == 1000
    other = pays(client)
    closed = fake.dispute(other.id, inquiry=True)
    fake.close_dispute(closed, won=True)
    assert client.v1.disputes.retrieve(closed).status == "warning_closed"
    assert happened(fake, closed) == ["charge.dispute.created", "charge.dispute.closed"]


# Webhooks


def test_events_are_delivered_signed(fake: FakeStripe, client: stripe.StripeClient, receiver: Receiver) -> None:
    fake.send_webhooks_to(receiver.url, SECRET)
    paid = pays(client)
    fake.wait_delivered()
    assert set(receiver.types(paid.id)) == {"payment_intent.created", "payment_intent.succeeded"}
    assert receiver.refused == []
    event = next(event for event in receiver.events if event.type == "payment_intent.succeeded")
    assert event.api_version == stripe.api_version
    assert client.v1.events.retrieve(event.id).pending_webhooks == 0


def test_an_endpoint_gets_the_types_that_it_wants(
    fake: FakeStripe, client: stripe.StripeClient, receiver: Receiver
) -> None:
    fake.send_webhooks_to(receiver.url, SECRET, types=["charge.*", "payment_intent.succeeded"])
    pays(client)
    fake.wait_delivered()
    assert sorted(receiver.types()) == ["charge.succeeded", "payment_intent.succeeded"]


def test_an_event_is_delivered_until_it_is_taken(
    fake: FakeStripe, client: stripe.StripeClient, receiver: Receiver
) -> None:
    receiver.answers = [500, 302, 404]
    fake.send_webhooks_to(receiver.url, SECRET, types=["payment_intent.succeeded"])
    paid = pays(client)
    fake.wait_delivered()
    assert receiver.types(paid.id) == ["payment_intent.succeeded"] * 4
    assert len({event.id for event in receiver.events}) == 1


def test_an_event_may_be_delivered_again(fake: FakeStripe, client: stripe.StripeClient, receiver: Receiver) -> None:
    fake.send_webhooks_to(receiver.url, SECRET, types=["payment_intent.succeeded"])
    paid = pays(client)
    fake.wait_delivered()
    fake.deliver_again(receiver.events[0].id)
    fake.wait_delivered()
    assert receiver.types(paid.id) == ["payment_intent.succeeded"] * 2


def test_what_a_dead_endpoint_missed_can_be_listed(fake: FakeStripe, client: stripe.StripeClient) -> None:
    dead = "http://127.0.0.1:9/"
    fake.send_webhooks_to(dead, SECRET, types=["payment_intent.succeeded"])
    paid = pays(client)
    with pytest.raises(TimeoutError):
        fake.wait_delivered(0.05)
    missed = client.v1.events.list({"type": "payment_intent.succeeded", "delivery_success": False}).data
    assert [event.data.object["id"] for event in missed] == [paid.id]
    fake.stop_webhooks_to(dead)
    fake.wait_delivered()


def test_secrets_rotate(fake: FakeStripe, client: stripe.StripeClient, receiver: Receiver) -> None:
    fake.send_webhooks_to(receiver.url, "whsec_next", SECRET)
    pays(client)
    fake.wait_delivered()
    assert receiver.events
    fake.send_webhooks_to(receiver.url, "whsec_next")
    pays(client)
    with pytest.raises(TimeoutError):
        fake.wait_delivered(0.05)
    assert receiver.refused


# The fake itself


def test_the_fake_ends_with_its_process() -> None:
    program = (
        "from credit_wallet.payments.fake_stripe import FakeStripe\n"
        "import psutil, time\n"
        "fake = FakeStripe()\n"
        "print(*(child.pid for child in psutil.Process().children()), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(children) == 1
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert (len(gone), alive) == (1, [])


def test_two_fakes_know_nothing_of_each_other(fake: FakeStripe, client: stripe.StripeClient) -> None:
    with FakeStripe() as other:
        assert other.url != fake.url
        paid = pays(client)
        missing = refusal(lambda: client_of(other.url).v1.payment_intents.retrieve(paid.id), 404)
        assert missing["code"] == "resource_missing"
        assert other.payment_intents() == []


def test_it_may_be_called_from_many_threads(fake: FakeStripe, customer: str) -> None:
    def pay_and_refund(number: int) -> int:
        paid = pays(client_of(fake.url), 1000 + number, customer=customer)
        fake.refund(paid.id, number + 1)
        return fake.payment_intent(paid.id).refunded

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(pay_and_refund, range(16))) == list(range(1, 17))


# The proxy: calls


@pytest.mark.parametrize("stall", [False, True])
def test_an_answer_is_lost_after_the_payment_was_made(fake: FakeStripe, faults: StripeFaults, *, stall: bool) -> None:
    before = len(fake.payment_intents())
    http = stripe.RequestsClient(timeout=0.5)
    client = stripe.StripeClient(
        "sk_test_123", base_addresses={"api": faults.url}, max_network_retries=0, http_client=http
    )
    faults.timeout_after_processing(path=r"/v1/payment_intents$", stall=stall)
    with pytest.raises(stripe.APIConnectionError):
        create_with_key(client, f"lost {stall}")
    again = create_with_key(client, f"lost {stall}")
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(fake.payment_intents()) == before + 1


def test_a_call_is_lost_before_the_payment_was_made(fake: FakeStripe, faults: StripeFaults) -> None:
    before = len(fake.payment_intents())
    faults.timeout_before_processing()
    with pytest.raises(stripe.APIConnectionError):
        pays(client_of(faults.url))
    assert len(fake.payment_intents()) == before


@pytest.mark.parametrize(("after_processing", "made"), [(False, 0), (True, 1)])
def test_a_call_is_answered_with_an_error(
    fake: FakeStripe, faults: StripeFaults, *, after_processing: bool, made: int
) -> None:
    before = len(fake.payment_intents())
    faults.error(503, after_processing=after_processing)
    with pytest.raises(stripe.APIError) as caught:
        pays(client_of(faults.url))
    assert caught.value.http_status == 503
    assert len(fake.payment_intents()) == before + made
    assert [(fired.method, fired.path) for fired in faults.fired] == [("POST", "/v1/payment_intents")]


def test_the_sdk_tries_again_by_itself_and_pays_once(fake: FakeStripe, faults: StripeFaults) -> None:
    before = len(fake.payment_intents())
    faults.timeout_after_processing()
    assert pays(client_of(faults.url, retries=1)).status == "succeeded"
    assert len(fake.payment_intents()) == before + 1


def test_a_call_may_come_twice(fake: FakeStripe, faults: StripeFaults) -> None:
    before = len(fake.payment_intents())
    faults.duplicate()
    given: Any = {"amount": 100, "currency": "jpy"}
    BROWSER.post(f"{faults.url}/v1/payment_intents", data=given, auth=("sk_test_123", "")).raise_for_status()
    assert len(fake.payment_intents()) == before + 2
    faults.duplicate()
    headers = {"Idempotency-Key": "twice"}
    BROWSER.post(f"{faults.url}/v1/payment_intents", data=given, headers=headers, auth=("sk_test_123", ""))
    assert len(fake.payment_intents()) == before + 3


def test_a_fault_waits_for_its_call(faults: StripeFaults) -> None:
    client = client_of(faults.url)
    faults.error(500, method="GET", path="/v1/balance", times=2)
    faults.delay(0.01)
    assert pays(client).status == "succeeded"
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            client.v1.balance.retrieve()
    assert client.v1.balance.retrieve().available
    assert [fired.fault for fired in faults.fired] == [Fault.DELAY, Fault.ERROR_BEFORE, Fault.ERROR_BEFORE]


def test_random_faults_are_those_of_their_seed(faults: StripeFaults) -> None:
    client = client_of(faults.url)

    def run(seed: int) -> list[Fault]:
        before = len(faults.fired)
        faults.at_random(Random(seed), chance=0.5)
        for _ in range(12):
            try:
                client.v1.customers.create()
            except stripe.StripeError:
                continue
        faults.clear()
        return [fired.fault for fired in faults.fired[before:]]

    first = run(1)
    assert first
    assert run(1) == first
    assert client.v1.customers.create().id


# The proxy: webhooks


def test_webhooks_are_dropped_and_come_again(
    client: stripe.StripeClient, fake: FakeStripe, faults: StripeFaults, receiver: Receiver
) -> None:
    faults.drop_webhooks(2)
    faults.webhooks_to(receiver.url, SECRET, types=["payment_intent.succeeded"])
    paid = pays(client)
    fake.wait_delivered()
    assert receiver.types(paid.id) == ["payment_intent.succeeded"]


def test_webhooks_are_lost(
    client: stripe.StripeClient, fake: FakeStripe, faults: StripeFaults, receiver: Receiver
) -> None:
    faults.lose_webhooks(types=["payment_intent.succeeded"])
    faults.webhooks_to(receiver.url, SECRET, types=["payment_intent.*"])
    paid = pays(client)
    fake.wait_delivered()
    assert receiver.types(paid.id) == ["payment_intent.created"]


def test_webhooks_come_twice_and_late(
    client: stripe.StripeClient, fake: FakeStripe, faults: StripeFaults, receiver: Receiver
) -> None:
    faults.duplicate_webhooks(types=["payment_intent.succeeded"])
    faults.delay_webhooks(0.01, types=["payment_intent.created"])
    faults.webhooks_to(receiver.url, SECRET, types=["payment_intent.*"])
    paid = pays(client)
    fake.wait_delivered()
    assert sorted(receiver.types(paid.id)) == ["payment_intent.created", *["payment_intent.succeeded"] * 2]


def test_webhooks_come_in_another_order(
    client: stripe.StripeClient, fake: FakeStripe, faults: StripeFaults, receiver: Receiver
) -> None:
    faults.webhooks_to(receiver.url, SECRET, types=["payment_intent.*"])
    faults.hold_webhooks()
    pays(client)
    pays(client)
    held = faults.wait_held(4)
    assert receiver.events == []
    faults.release_webhooks(held[::-1])
    assert [event.id for event in receiver.events] == held[::-1]
    fake.wait_delivered()
    faults.hold_webhooks()
    pays(client)
    held = faults.wait_held(2)
    faults.release_webhooks(Random(7))
    assert sorted(event.id for event in receiver.events[4:]) == sorted(held)


def test_forged_and_replayed_webhooks_do_not_verify(
    client: stripe.StripeClient, fake: FakeStripe, faults: StripeFaults, receiver: Receiver
) -> None:
    faults.webhooks_to(receiver.url, SECRET, types=["payment_intent.succeeded"])
    pays(client)
    fake.wait_delivered()
    [event] = fake.events("payment_intent.succeeded")[-1:]
    assert faults.forge(event) == 400
    assert faults.replay(event["id"]) == 400
    assert faults.replay(event["id"], age_seconds=10) == 200
    assert len(receiver.refused) == 2
    assert [delivered.status for delivered in faults.delivered] == [200, 400, 400, 200]
