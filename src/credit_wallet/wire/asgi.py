"""ASGI's types, and what is read from a request's scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

ROUTE, REFUSED = "route", "refused"
"""In the state of a request's scope, for the figures and the log: its address with parameters in braces, and the code
of its refusal."""


GOES_ON = "goes_on"
"""There too: that the answer goes on for as long as somebody watches. Such a one counts when it begins."""


def text_of(value: bytes | None) -> str | None:
    """A header's value as text."""
    return None if value is None else value.decode("latin-1")


def address_of(scope: Scope) -> str:
    """The caller's address."""
    client = scope.get("client")
    return client[0] if client else ""
