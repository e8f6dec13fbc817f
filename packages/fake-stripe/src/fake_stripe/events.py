"""What happened: Stripe's events."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from fake_stripe.calls import EventList
from fake_stripe.failures import missing
from fake_stripe.ids import new_id
from fake_stripe.lists import page
from fake_stripe.webhooks import Webhooks

Json = dict[str, Any]

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API whose answers these are."""


@dataclass(frozen=True)
class Cause:
    """The request that made something happen."""

    id: str
    idempotency_key: str | None


CAUSE: ContextVar[Cause | None] = ContextVar("CAUSE", default=None)
"""Set while a request is carried out."""


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    id: str
    created: int
    type: str
    content: Json


class Events:
    """All that happened, in order. Each event is delivered to the webhook endpoints of its time."""

    def __init__(self, webhooks: Webhooks, clock: Callable[[], float]) -> None:
        self._webhooks = webhooks
        self._clock = clock
        self._all: list[Event] = []

    def record(self, event_type: str, subject: Json, previous: Json | None = None) -> None:
        """Something happened to an object, which is ``subject`` now; ``previous`` are the fields that it changed."""
        cause = CAUSE.get()
        event = Event(new_id("evt"), int(self._clock()), event_type, {})
        event.content.update(
            id=event.id,
            object="event",
            api_version=API_VERSION,
            created=event.created,
            data={"object": subject} if previous is None else {"object": subject, "previous_attributes": previous},
            livemode=False,
            pending_webhooks=self._webhooks.wanting(event_type),
            request={"id": cause and cause.id, "idempotency_key": cause and cause.idempotency_key},
            type=event_type,
        )
        self._all.append(event)
        self._webhooks.send(event.content)

    def all(self) -> list[Json]:
        """The events, oldest first."""
        return [self._view(event) for event in self._all]

    def retrieve(self, event_id: str) -> Json:
        """One event."""
        for event in self._all:
            if event.id == event_id:
                return self._view(event)
        raise missing("event", event_id, status=404)

    def list(self, wanted: EventList) -> Json:
        """The events, newest first, as the API lists them."""
        chosen = [
            event
            for event in reversed(self._all)
            if wanted.includes(event.type) and wanted.delivery_success in (None, self._webhooks.delivered(event.id))
        ]
        return page("/v1/events", chosen, wanted).of(self._view)

    def _view(self, event: Event) -> Json:
        return event.content | {"pending_webhooks": self._webhooks.pending(event.id)}
