"""What a person sees: Checkout, the pages of payments, and slips to pay later."""

from __future__ import annotations

import re

import httpx
import pytest
import stripe
from merchant import (
    ASKS_UNLESS_SET_UP,
    BROWSER,
    RETURN_URL,
    cash,
    checkout,
    client_of,
    happened,
    kept,
    konbini,
    pays,
    refusal,
    transfer,
)

from fake_stripe import FakeStripe


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
    assert "Declined: insufficient funds" in page.text
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
    assert "This has already been done" not in BROWSER.get(url).text
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


def test_a_person_cancels_or_comes_back_too_late(fake: FakeStripe, client: stripe.StripeClient) -> None:
    session = checkout(client)
    page = BROWSER.get(session.url or "")
    assert f'href="{RETURN_URL}">Cancel</a>' in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    client.v1.checkout.sessions.expire(session.id)
    for answer in (BROWSER.get(session.url or ""), BROWSER.post(session.url or "", data={"with": "konbini"})):
        assert "expired" in answer.text
    assert happened(fake, session.id) == ["checkout.session.expired"]


def test_a_slip_says_where_and_until_when(fake: FakeStripe, client: stripe.StripeClient) -> None:
    shown = BROWSER.get(fake.pay_url(konbini(client).id)).text
    for text in ("Payment code", "Confirmation number", "Ministop", "(Japan)"):
        assert text in shown


@pytest.mark.parametrize("typed", ["", "0", "-1", "1e3", "1.5", "９", "1" * 30])
def test_a_transfer_on_a_page_is_of_whole_yen(
    fake: FakeStripe, client: stripe.StripeClient, customer: str, typed: str
) -> None:
    url = fake.pay_url(transfer(client, customer).id)
    shown = BROWSER.post(url, data={"do": "transfer", "amount_yen": typed}).text
    assert "Type in a whole number of yen." in shown
    assert "¥1,000" in shown


def test_a_transfer_on_a_page_may_come_in_parts(fake: FakeStripe, client: stripe.StripeClient, customer: str) -> None:
    intent = transfer(client, customer)
    url = fake.pay_url(intent.id)
    part = BROWSER.post(url, data={"do": "transfer", "amount_yen": "400"}).text
    assert "¥600" in part
    assert "テスト銀行 (0000)" in part
    assert "is paid" in BROWSER.post(url, data={"do": "transfer", "amount_yen": "700"}).text
    assert fake.payment_intent(intent.id).received == 1000
    assert cash(client, customer) == {"jpy": 100}
