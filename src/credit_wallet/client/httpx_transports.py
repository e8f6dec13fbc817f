"""Sends calls with httpx, for one token: ``HttpxTransport``, and ``AsyncHttpxTransport`` for asyncio."""

from __future__ import annotations

import asyncio
import copy
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeAlias, TypeVar

import httpx
from msgspec import Struct

from credit_wallet.client.calls import Call
from credit_wallet.client.responses import NoResponse, Response
from credit_wallet.client.transport import PendingTopup, Retries, carry_out
from credit_wallet.errors import InsufficientFunds
from credit_wallet.runtime import forks

T = TypeVar("T")

Hook: TypeAlias = Callable[[InsufficientFunds], PendingTopup]
AsyncHook: TypeAlias = Callable[[InsufficientFunds], PendingTopup | Awaitable[PendingTopup]]

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures that come before the first byte of a request is sent."""


class Patience(Struct, frozen=True):
    """When a call is sent again, and how long a top-up is waited for."""

    retries: Retries
    topup_seconds: float


class HttpxTransport:
    """A ``Transport`` that waits inside its methods and never suspends."""

    def __init__(self, http: httpx.Client, token: str, patience: Patience, hook: Hook | None) -> None:
        self._http = http
        self._token = token
        self._patience = patience
        self._hook = hook
        forks.leave_behind(self, "_http")

    def with_token(self, token: str) -> Self:
        """The same connections for another token."""
        twin = copy.copy(self)
        twin._token = token
        forks.leave_behind(twin, "_http")
        return twin

    def carry_out(self, call: Call[T]) -> T:
        """Send a call, and return or raise what follows from it."""
        return _finished(carry_out(call, self, self._patience.retries, self._patience.topup_seconds))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    async def send(self, call: Call[Any]) -> Response | NoResponse:
        """As ``Transport`` says."""
        try:
            return _response(self._http.request(**_request(call, self._token)))
        except httpx.TransportError as error:
            return _no_response(error)

    async def pause(self, seconds: float) -> None:
        """As ``Transport`` says."""
        time.sleep(seconds)

    async def ask_for_topup(self, refusal: InsufficientFunds) -> PendingTopup:
        """As ``Transport`` says."""
        return None if self._hook is None else self._hook(refusal)


class AsyncHttpxTransport:
    """A ``Transport`` for an event loop."""

    def __init__(self, http: httpx.AsyncClient, token: str, patience: Patience, hook: AsyncHook | None) -> None:
        self._http = http
        self._token = token
        self._patience = patience
        self._hook = hook
        forks.leave_behind(self, "_http")

    def with_token(self, token: str) -> Self:
        """The same connections for another token."""
        twin = copy.copy(self)
        twin._token = token
        forks.leave_behind(twin, "_http")
        return twin

    async def carry_out(self, call: Call[T]) -> T:
        """Send a call, and return or raise what follows from it."""
        return await carry_out(call, self, self._patience.retries, self._patience.topup_seconds)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[Any]) -> Response | NoResponse:
        """As ``Transport`` says."""
        try:
            return _response(await self._http.request(**_request(call, self._token)))
        except httpx.TransportError as error:
            return _no_response(error)

    async def pause(self, seconds: float) -> None:
        """As ``Transport`` says."""
        await asyncio.sleep(seconds)

    async def ask_for_topup(self, refusal: InsufficientFunds) -> PendingTopup:
        """As ``Transport`` says."""
        if self._hook is None:
            return None
        topup = self._hook(refusal)
        return await topup if inspect.isawaitable(topup) else topup


def _request(call: Call[Any], token: str) -> dict[str, Any]:
    headers: dict[str, str | bytes] = {"Authorization": _encoded(f"Bearer {token}")}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    if call.idempotency_key is not None:
        headers["Idempotency-Key"] = call.idempotency_key
    if call.request_id is not None:
        headers["X-Request-ID"] = call.request_id
    if call.payer_token is not None:
        headers["X-Payer-Token"] = _encoded(call.payer_token)
    return {
        "method": call.method,
        "url": call.path,
        "params": dict(call.params),
        "content": call.content(),
        "headers": headers,
    }


def _encoded(token: str) -> bytes:
    """A header with a token, which may be a host's key in any encoding: as UTF-8, or as the bytes that it came as."""
    return token.encode("utf-8", "surrogateescape")


def _response(response: httpx.Response) -> Response:
    return Response(response.status_code, response.headers, response.content)


def _no_response(error: httpx.TransportError) -> NoResponse:
    return NoResponse(f"{type(error).__name__}: {error}".rstrip(": "), sent=not isinstance(error, _NEVER_SENT))


def _finished(carried_out: Coroutine[Any, Any, T]) -> T:
    """What a coroutine over an ``HttpxTransport`` returns: it runs to its end in one step."""
    try:
        carried_out.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a call over a blocking transport suspended")
