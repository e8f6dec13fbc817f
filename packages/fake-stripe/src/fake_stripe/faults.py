"""What may go wrong between a service and Stripe, and what has gone wrong."""

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
    """What may go wrong with a call."""

    CUT_BEFORE = auto()
    """Stripe never hears of the call; the connection is closed, or stalls."""
    CUT_AFTER = auto()
    """Stripe has carried the call out; its answer never comes."""
    ERROR_BEFORE = auto()
    """Stripe never hears of the call; the answer is an error."""
    ERROR_AFTER = auto()
    """Stripe has carried the call out; the answer is an error."""
    DELAY = auto()
    """The answer comes late."""
    DUPLICATE = auto()
    """Stripe gets the call twice at once; the first answer is passed on."""
    OTHER = auto()
    """Stripe has carried the call out; its answer says something else."""


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
    """A fault has happened to a call."""

    fault: Fault
    method: str
    path: str


@dataclass(frozen=True)
class Delivered:
    """A webhook was passed on; ``status`` is the service's answer, 0 when there was none."""

    event_id: str
    event_type: str
    status: int


class WebhookFault(Enum):
    """What may go wrong with a webhook."""

    DROP = auto()
    """It is not passed on, and Stripe hears so: it will deliver again."""
    LOSE = auto()
    """It is not passed on, and Stripe believes that it was."""
    DUPLICATE = auto()
    """It is passed on twice at once."""
    DELAY = auto()
    """It is passed on late."""


@dataclass(eq=False)
class WebhookOrder:
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
