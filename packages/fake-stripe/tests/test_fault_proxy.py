"""The proxy breaks what it is told to."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import stripe
from merchant import (
    BROWSER,
    SECRET,
    Receiver,
    client_of,
    create_with_key,
    pays,
)

from fake_stripe import FakeStripe, Fault, StripeFaults

# Calls


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


# Webhooks


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
