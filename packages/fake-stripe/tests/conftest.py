"""One fake for all tests of a file, and a merchant at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe
from merchant import Receiver, client_of

from fake_stripe import FakeStripe, StripeFaults


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
