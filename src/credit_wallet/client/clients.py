"""The two clients: the same calls and the same conversation, over httpx with and without asyncio."""

from __future__ import annotations

import asyncio
import copy
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar

import httpx

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import Answer, NoAnswer
from credit_wallet.client.transport import Retries, TopupToAwait, carried_out, carried_out_after_topup
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import InsufficientFunds, WalletError
from credit_wallet.runtime import forks

P = ParamSpec("P")
T = TypeVar("T")

Hook: TypeAlias = Callable[[InsufficientFunds], TopupToAwait]
AsyncHook: TypeAlias = Callable[[InsufficientFunds], TopupToAwait | Awaitable[TopupToAwait]]

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures that come before the first byte of a request is on its way."""


class _Client:
    """What both clients are told. ``token`` is the owner's, an agent's or the operator's."""

    def __init__(self, token: str, retries: Retries, topup_seconds: float) -> None:
        self._token = token
        self._retries = retries
        self._topup_seconds = topup_seconds
        forks.leave_behind(self, "_http")

    def with_token(self, token: str) -> Self:
        """The same client for another caller, over the same connections. Close the one it was made from."""
        twin = copy.copy(self)
        twin._token = token
        forks.leave_behind(twin, "_http")
        return twin

    def _request_of(self, call: Call[Any]) -> dict[str, Any]:
        headers: dict[str, str | bytes] = {"Authorization": _bytes_of(f"Bearer {self._token}")}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.idempotency_key is not None:
            headers["Idempotency-Key"] = call.idempotency_key
        if call.payer_token is not None:
            headers["X-Payer-Token"] = _bytes_of(call.payer_token)
        return {
            "method": call.method,
            "url": call.path,
            "params": dict(call.params),
            "content": call.content(),
            "headers": headers,
        }


def _bytes_of(token: str) -> bytes:
    """A header with a token that may be a key of somebody's own: as UTF-8, or as the bytes that it came as."""
    return token.encode("utf-8", "surrogateescape")


def _answer_of(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.content)


def _no_answer(error: httpx.TransportError) -> NoAnswer:
    return NoAnswer(f"{type(error).__name__}: {error}".rstrip(": "), sent=not isinstance(error, _NEVER_SENT))


def _asked(build: Callable[P, Call[T]]) -> Callable[Concatenate[WalletClient, P], T]:
    """The method that has the call carried out, and returns or raises what comes of it."""

    @wraps(build)
    def ask(self: WalletClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._carry_out(build(*args, **kwargs))

    return ask


def _awaited(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncWalletClient, P], Awaitable[T]]:
    """The asyncio twin of ``_asked``."""

    @wraps(build)
    async def ask(self: AsyncWalletClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._carry_out(build(*args, **kwargs))

    return ask


class WalletClient(_Client):
    """Calls the service at ``base_url`` for whoever ``token`` belongs to. Thread-safe; close it, or use a with-block.

    A call answers what the service answers, or raises the ``WalletError`` that the library would have raised. It is
    sent again as ``retries`` says, always with the same idempotency key; ``timeout_seconds`` is for one attempt.

    ``on_insufficient_funds`` is called with the refusal when a charge or a hold finds the wallet empty. The top-up that
    it returns is waited for up to ``topup_seconds``, and the call is sent once more; None lets the refusal stand.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_seconds: float = 10.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        on_insufficient_funds: Hook | None = None,
        topup_seconds: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(token, retries, topup_seconds)
        self._hook = on_insufficient_funds
        self._http = httpx.Client(base_url=base_url, timeout=timeout_seconds, transport=transport)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    charge = _asked(calls.charge)
    hold = _asked(calls.hold)
    capture = _asked(calls.capture)
    release = _asked(calls.release)
    extend = _asked(calls.extend)
    buy = _asked(calls.buy)
    serve = _asked(calls.serve)
    renew = _asked(calls.renew)
    undo = _asked(calls.undo)
    refund = _asked(calls.refund)
    wallet = _asked(calls.show_wallet)
    configure = _asked(calls.configure)
    confirm_target = _asked(calls.confirm_target)
    ask_target_again = _asked(calls.ask_target_again)
    transactions = _asked(calls.transactions)
    transaction = _asked(calls.transaction)
    hold_status = _asked(calls.hold_status)
    lots = _asked(calls.lots)
    alerts = _asked(calls.alerts)
    statement = _asked(calls.statement)
    statement_text = _asked(calls.statement_text)
    forecast = _asked(calls.forecast)
    topup = _asked(calls.topup)
    topup_status = _asked(calls.topup_status)
    cancel_topup = _asked(calls.cancel_topup)
    topups = _asked(calls.topups)
    create_key = _asked(calls.create_key)
    keys = _asked(calls.keys)
    key = _asked(calls.key)
    revoke_key = _asked(calls.revoke_key)
    rotate_key = _asked(calls.rotate_key)
    whoami = _asked(calls.whoami)
    rotate_owner_token = _asked(calls.rotate_owner_token)
    replace_owner_token = _asked(calls.replace_owner_token)
    register_secret = _asked(calls.register_secret)
    secrets = _asked(calls.secrets)
    remove_secret = _asked(calls.remove_secret)
    create_seller = _asked(calls.create_seller)
    sellers = _asked(calls.sellers)
    rotate_seller = _asked(calls.rotate_seller)
    revoke_seller = _asked(calls.revoke_seller)
    create_wallet = _asked(calls.create_wallet)
    wallets = _asked(calls.wallets)
    wallet_of = _asked(calls.wallet_of)
    enable = _asked(calls.enable)
    operator_topup = _asked(calls.operator_topup)
    latest_seal = _asked(calls.latest_seal)
    operator_targets = _asked(calls.operator_targets)
    set_operator_targets = _asked(calls.set_operator_targets)
    pay_back = _asked(calls.pay_back)
    alive = _asked(calls.alive)
    ready = _asked(calls.ready)
    metrics = _asked(calls.metrics)

    def charge_many(self, charges: Iterable[tuple[int, int, str] | Charge]) -> list[Outcome | WalletError]:
        """Charge ``(wallet_id, amount_yen, idempotency_key)`` each; one outcome or refusal per item, in order.

        Up to 1,000 are one durable batch; more are several, one after the other. For the operator.
        """
        return [outcome for batch in calls.charge_batches(charges) for outcome in self._carry_out(batch)]

    def _carry_out(self, call: Call[T]) -> T:
        line = _Blocking(self._http, self._request_of, self._hook)
        if call.spends and self._hook is not None:
            return _finished(carried_out_after_topup(call, line, self._retries, self._topup_seconds))
        return _finished(carried_out(call, line, self._retries))


class AsyncWalletClient(_Client):
    """``WalletClient`` for asyncio; the hook may be a coroutine function. Close it with ``aclose``."""

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_seconds: float = 10.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        on_insufficient_funds: AsyncHook | None = None,
        topup_seconds: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(token, retries, topup_seconds)
        self._hook = on_insufficient_funds
        self._http = httpx.AsyncClient(base_url=base_url, timeout=timeout_seconds, transport=transport)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    charge = _awaited(calls.charge)
    hold = _awaited(calls.hold)
    capture = _awaited(calls.capture)
    release = _awaited(calls.release)
    extend = _awaited(calls.extend)
    buy = _awaited(calls.buy)
    serve = _awaited(calls.serve)
    renew = _awaited(calls.renew)
    undo = _awaited(calls.undo)
    refund = _awaited(calls.refund)
    wallet = _awaited(calls.show_wallet)
    configure = _awaited(calls.configure)
    confirm_target = _awaited(calls.confirm_target)
    ask_target_again = _awaited(calls.ask_target_again)
    transactions = _awaited(calls.transactions)
    transaction = _awaited(calls.transaction)
    hold_status = _awaited(calls.hold_status)
    lots = _awaited(calls.lots)
    alerts = _awaited(calls.alerts)
    statement = _awaited(calls.statement)
    statement_text = _awaited(calls.statement_text)
    forecast = _awaited(calls.forecast)
    topup = _awaited(calls.topup)
    topup_status = _awaited(calls.topup_status)
    cancel_topup = _awaited(calls.cancel_topup)
    topups = _awaited(calls.topups)
    create_key = _awaited(calls.create_key)
    keys = _awaited(calls.keys)
    key = _awaited(calls.key)
    revoke_key = _awaited(calls.revoke_key)
    rotate_key = _awaited(calls.rotate_key)
    whoami = _awaited(calls.whoami)
    rotate_owner_token = _awaited(calls.rotate_owner_token)
    replace_owner_token = _awaited(calls.replace_owner_token)
    register_secret = _awaited(calls.register_secret)
    secrets = _awaited(calls.secrets)
    remove_secret = _awaited(calls.remove_secret)
    create_seller = _awaited(calls.create_seller)
    sellers = _awaited(calls.sellers)
    rotate_seller = _awaited(calls.rotate_seller)
    revoke_seller = _awaited(calls.revoke_seller)
    create_wallet = _awaited(calls.create_wallet)
    wallets = _awaited(calls.wallets)
    wallet_of = _awaited(calls.wallet_of)
    enable = _awaited(calls.enable)
    operator_topup = _awaited(calls.operator_topup)
    latest_seal = _awaited(calls.latest_seal)
    operator_targets = _awaited(calls.operator_targets)
    set_operator_targets = _awaited(calls.set_operator_targets)
    pay_back = _awaited(calls.pay_back)
    alive = _awaited(calls.alive)
    ready = _awaited(calls.ready)
    metrics = _awaited(calls.metrics)

    async def charge_many(self, charges: Iterable[tuple[int, int, str] | Charge]) -> list[Outcome | WalletError]:
        """The asyncio twin of ``WalletClient.charge_many``."""
        return [outcome for batch in calls.charge_batches(charges) for outcome in await self._carry_out(batch)]

    async def _carry_out(self, call: Call[T]) -> T:
        line = _Suspending(self._http, self._request_of, self._hook)
        if call.spends and self._hook is not None:
            return await carried_out_after_topup(call, line, self._retries, self._topup_seconds)
        return await carried_out(call, line, self._retries)


class _Blocking:
    """A ``Line`` that waits within its methods and never suspends."""

    def __init__(
        self, http: httpx.Client, request_of: Callable[[Call[Any]], dict[str, Any]], hook: Hook | None
    ) -> None:
        self._http = http
        self._request_of = request_of
        self._hook = hook

    async def send(self, call: Call[Any]) -> Answer | NoAnswer:
        try:
            return _answer_of(self._http.request(**self._request_of(call)))
        except httpx.TransportError as error:
            return _no_answer(error)

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    async def ask_for_topup(self, refusal: InsufficientFunds) -> TopupToAwait:
        return None if self._hook is None else self._hook(refusal)


class _Suspending:
    """A ``Line`` for an event loop."""

    def __init__(
        self, http: httpx.AsyncClient, request_of: Callable[[Call[Any]], dict[str, Any]], hook: AsyncHook | None
    ) -> None:
        self._http = http
        self._request_of = request_of
        self._hook = hook

    async def send(self, call: Call[Any]) -> Answer | NoAnswer:
        try:
            return _answer_of(await self._http.request(**self._request_of(call)))
        except httpx.TransportError as error:
            return _no_answer(error)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def ask_for_topup(self, refusal: InsufficientFunds) -> TopupToAwait:
        if self._hook is None:
            return None
        topup = self._hook(refusal)
        return await topup if inspect.isawaitable(topup) else topup


def _finished(conversation: Coroutine[Any, Any, T]) -> T:
    """What a coroutine over a ``_Blocking`` line returns: it runs to its end in one step."""
    try:
        conversation.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a conversation over a blocking line suspended")
