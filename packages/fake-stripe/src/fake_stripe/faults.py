"""What can go wrong between a service and Stripe, and what has gone wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from aiohttp import web

Json = dict[str, Any]


class Fault(Enum):
    """What can go wrong with a call."""

    CUT_BEFORE = auto()
    """Stripe never receives the call; the connection is closed, or stalls."""
    CUT_AFTER = auto()
    """Stripe has carried out the call; its answer never arrives."""
    ERROR_BEFORE = auto()
    """Stripe never receives the call; the answer is an error."""
    ERROR_AFTER = auto()
    """Stripe has carried out the call; the answer is an error."""
    DELAY = auto()
    """The answer is late."""
    DUPLICATE = auto()
    """Stripe receives the call twice at once; the first answer is passed on."""
    CHANGE = auto()
    """Stripe has carried out the call; its answer is changed."""


@dataclass(eq=False)
class CallOrder:
    """A fault that waits for its calls."""

    fault: Fault
    method: str | None
    path: re.Pattern[str]
    left: int
    status: int = 500
    seconds: float = 0
    stall: bool = False
    retry_after: str | None = None
    change: Callable[[Json], None] | None = None

    def fits(self, request: web.Request) -> bool:
        return self.left > 0 and self.method in (None, request.method) and self.path.search(request.path) is not None


@dataclass(frozen=True)
class Fired:
    """A fault that has happened to a call."""

    fault: Fault
    method: str
    path: str


@dataclass(frozen=True)
class Delivered:
    """A webhook that was passed on; ``status`` is the service's answer, or 0 for none."""

    event_id: str
    event_type: str
    status: int


class WebhookFault(Enum):
    """What can go wrong with a webhook."""

    DROP = auto()
    """It is not passed on, and Stripe knows: it will deliver it again."""
    LOSE = auto()
    """It is not passed on, and Stripe believes that it was."""
    DUPLICATE = auto()
    """It is passed on twice at once."""
    DELAY = auto()
    """It is passed on late."""


@dataclass(eq=False)
class WebhookOrder:
    """A fault that waits for its webhooks."""

    fault: WebhookFault
    types: tuple[str, ...]
    left: int
    seconds: float = 0


@dataclass(eq=False)
class HeldWebhook:
    """A webhook that waits to be passed on."""

    event: Json
    released: asyncio.Event = field(default_factory=asyncio.Event)
    passed: asyncio.Event = field(default_factory=asyncio.Event)
