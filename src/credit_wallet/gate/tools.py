"""Paying for one call of a function: a tool of an MCP server (official SDK, ``mcp``), or a route's handler."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from hashlib import sha256
from typing import Any, TypeVar

from msgspec import json

from credit_wallet.errors import WalletError
from credit_wallet.gate.accounts import Accounts, Credentials
from credit_wallet.gate.attempts import request_key
from credit_wallet.gate.exchange import Exchange, bought, current
from credit_wallet.gate.purchases import Price, Purchase, Till
from credit_wallet.gate.requests import credentials_of
from credit_wallet.http.replies import Scope

R = TypeVar("R")

Function = Callable[..., Any]


class Shop:
    """Where calls outside an HTTP request are paid: a local MCP server has no headers, so it is told the token."""

    def __init__(self, accounts: Accounts, till: Till, token: str) -> None:
        self.accounts, self.till = accounts, till
        self.credentials = Credentials(f"Bearer {token}", None)


def paid_for(function: Function, price: Price, shop: Shop | None) -> Callable[..., Awaitable[Any]]:
    """``function`` as a coroutine function that charges ``price`` before it runs."""

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        exchange = current.get(None)
        if exchange is not None and _is_endpoint(function, exchange.scope):
            await exchange.pay(price)
            return await _result(function, args, kwargs)
        purchase = await _bought(function, price, shop, exchange, args, kwargs)
        try:
            return await _delivered(function, args, kwargs, purchase, exchange)
        finally:
            try:
                await purchase.fail(f"tool {function.__name__} failed")
            finally:
                purchase.close()

    return call


def _is_endpoint(function: Function, scope: Scope) -> bool:
    """Whether the function answers the HTTP request itself, and is no tool behind an MCP server's one address."""
    endpoint = scope.get("endpoint") or getattr(scope.get("route_handler"), "fn", None)
    return endpoint is not None and inspect.unwrap(endpoint) is inspect.unwrap(function)


async def _bought(
    function: Function,
    price: Price,
    shop: Shop | None,
    exchange: Exchange | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Purchase:
    name, key = f"tool {function.__name__}", None
    try:
        if exchange is not None:
            exchange.require_single_headers()
            credentials = credentials_of(exchange.scope, exchange.headers)
            account = await exchange.accounts.account_of(credentials)
            given = exchange.headers.get(b"idempotency-key")
            if given:
                digest = _arguments_digest(function, args, kwargs)
                key = request_key(given, credentials.token().encode(), name.encode(), digest)
            exchange.inbox.watch()
            return await exchange.till.sell(account, price, name, key)
        if shop is None:
            raise RuntimeError(
                "nobody pays for this call: wrap the application in CreditGate, or give priced() wallets"
            )
        account = await shop.accounts.account_of(shop.credentials)
        return await shop.till.sell(account, price, name, None)
    except WalletError as error:
        if exchange is not None:
            exchange.refused(error)
        raise _tool_error(error, exchange) from error


async def _delivered(
    function: Function,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    purchase: Purchase,
    exchange: Exchange | None,
) -> Any:
    bought.set(purchase)
    result = await _result(function, args, kwargs)
    if not _is_no_answer(result) and not (exchange is not None and exchange.inbox.left):
        await purchase.deliver()
    return result


async def _result(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


def _is_no_answer(result: Any) -> bool:
    """Whether a tool says that it failed, or that it needs more from the caller first (MCP's result types)."""
    return getattr(result, "is_error", False) is True or getattr(result, "result_type", None) == "input_required"


def _tool_error(error: WalletError, exchange: Exchange | None) -> Exception:
    """A refusal as an error whose text the SDK shows to the model; any other stays on the server."""
    try:
        from mcp.server.mcpserver.exceptions import ToolError
    except ImportError:  # no tool of an MCP server then
        return error
    topup_url = error.details.get("topup_url") or (exchange.settings.topup_url if exchange is not None else None)
    return ToolError(f"{error.code}: {error}" + (f"; top up at {topup_url}" if topup_url else ""))


def _arguments_digest(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """SHA-256 of the arguments by name; what the SDK hands in beside them (its ``Context``) is not among them."""
    bound = inspect.signature(function).bind(*args, **kwargs).arguments
    told = {name: value for name, value in bound.items() if not type(value).__module__.startswith("mcp.")}
    return sha256(json.encode(told, enc_hook=_plain, order="sorted")).digest()


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else repr(value)
