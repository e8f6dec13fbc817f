"""Webhooks: signed events are delivered until the endpoint accepts them (https://docs.stripe.com/webhooks)."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, repeat
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from fake_stripe.parameters import matches

Json = dict[str, Any]

_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
}


@dataclass(frozen=True, eq=False)
class Endpoint:
    """Where events are delivered to."""

    url: str
    secrets: tuple[str, ...]
    """Each of them signs, so that a receiver can rotate them."""
    types: tuple[str, ...]


@dataclass(eq=False)
class Delivery:
    """An event that is being delivered to an endpoint."""

    event: Json
    endpoint: Endpoint
    answers: list[int] = field(default_factory=list)
    """The status of each answer so far; 0 for none."""

    @property
    def done(self) -> bool:
        """Whether the endpoint has accepted it."""
        return bool(self.answers) and 200 <= self.answers[-1] < 300


class Webhooks:
    """Delivers each event at once, and again after each of ``retry_seconds``; the last interval repeats.

    Several events are delivered at a time, in no particular order.
    """

    def __init__(self, retry_seconds: Sequence[float], timeout_seconds: float) -> None:
        self._retry_seconds = tuple(retry_seconds)
        self._session = ClientSession(timeout=ClientTimeout(total=timeout_seconds))
        self._endpoints: list[Endpoint] = []
        self._deliveries: dict[str, list[Delivery]] = {}
        self._running: dict[asyncio.Task[None], Endpoint] = {}

    def add(self, endpoint: Endpoint) -> None:
        """From now on, deliver events there; this replaces an earlier endpoint with the same URL."""
        self.remove(endpoint.url)
        self._endpoints.append(endpoint)

    def remove(self, url: str) -> None:
        """Stop delivering there; events that have not arrived are dropped."""
        self._endpoints = [endpoint for endpoint in self._endpoints if endpoint.url != url]
        for task, endpoint in self._running.items():
            if endpoint.url == url:
                task.cancel()

    def wanting(self, event_type: str) -> int:
        """How many endpoints want events of a type."""
        return len(list(self._wanting(event_type)))

    def send(self, event: Json) -> None:
        """Deliver an event to all endpoints that want it, even if it was delivered before."""
        for endpoint in self._wanting(event["type"]):
            delivery = Delivery(event, endpoint)
            self._deliveries.setdefault(event["id"], []).append(delivery)
            task = asyncio.create_task(self._deliver(delivery))
            self._running[task] = endpoint
            task.add_done_callback(self._running.pop)

    def deliveries(self, event_id: str) -> list[Delivery]:
        """The deliveries of an event."""
        return self._deliveries.get(event_id, [])

    def pending(self, event_id: str) -> int:
        """How many endpoints have not accepted an event yet."""
        return sum(not delivery.done for delivery in self.deliveries(event_id))

    def delivered(self, event_id: str) -> bool:
        """Whether all endpoints that want an event have accepted it."""
        return self.pending(event_id) == 0

    async def wait_delivered(self) -> None:
        """Return when no delivery is running."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def close(self) -> None:
        """Drop what has not been delivered."""
        for endpoint in list(self._endpoints):
            self.remove(endpoint.url)
        await self.wait_delivered()
        await self._session.close()

    def _wanting(self, event_type: str) -> Iterable[Endpoint]:
        for endpoint in self._endpoints:
            if any(matches(pattern, event_type) for pattern in endpoint.types):
                yield endpoint

    async def _deliver(self, delivery: Delivery) -> None:
        content = msgspec.json.encode(delivery.event)
        for pause in chain(self._retry_seconds, repeat(self._retry_seconds[-1])):
            delivery.answers.append(await self._attempt(delivery.endpoint, content))
            if delivery.done:
                return
            await asyncio.sleep(pause)

    async def _attempt(self, endpoint: Endpoint, content: bytes) -> int:
        headers = {**_HEADERS, "Stripe-Signature": signature(content, endpoint.secrets, int(time.time()))}
        try:
            async with self._session.post(endpoint.url, data=content, headers=headers, allow_redirects=False) as answer:
                return answer.status
        except (ClientError, TimeoutError):
            return 0


def signature(content: bytes, secrets: Iterable[str], timestamp: int) -> str:
    """The header ``Stripe-Signature`` for a delivery."""
    signed = b"%d.%s" % (timestamp, content)
    digests = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])
