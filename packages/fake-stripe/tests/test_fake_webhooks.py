"""Events are delivered, signed, until they are taken."""

from __future__ import annotations

import pytest
import stripe
from merchant import (
    SECRET,
    Receiver,
    pays,
)

from fake_stripe import FakeStripe


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
