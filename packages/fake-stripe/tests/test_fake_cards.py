"""Cards: charged, declined, saved, and asked about by their bank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import stripe
from merchant import (
    ASKS_UNLESS_SET_UP,
    NO_REDIRECTS,
    RETURN_URL,
    happened,
    kept,
    pays,
    refusal,
)

from fake_stripe import FakeStripe, Payment

DECLINES = [
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
]
ASKS_ALWAYS = "4000002760003184"


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
