"""Paying for one call of a function: a tool of an MCP server (official SDK, ``mcp``), or a route's handler."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from hashlib import sha256
from types import FrameType
from typing import Any

from msgspec import json

from credit_wallet.errors import WalletError
from credit_wallet.gate.billing import Billing
from credit_wallet.gate.exchange import EXCHANGE_KEY, Exchange, bought, current
from credit_wallet.gate.payers import Credentials, Payers
from credit_wallet.gate.purchases import Price, Purchase
from credit_wallet.gate.requests import checked_key, credentials_of, request_key

Function = Callable[..., Any]

NO_PAYER = (
    "this call has no payer: over HTTP, wrap the application in CreditGate(app, wallets); on standard input and "
    "output, give priced() wallets= and token=. Over HTTP, SDK 1.x must be release 1.8 or newer"
)

_SDK = ("mcp.server.mcpserver.", "mcp.server.runner", "mcp.server.lowlevel.", "mcp.server.fastmcp.")
"""Modules that are on the stack when an MCP server calls a tool, and not when a web framework calls a handler."""


class LocalBilling:
    """Who pays for calls outside an HTTP request: a local MCP server has no headers, so the token is configured."""

    def __init__(self, payers: Payers, billing: Billing, token: str) -> None:
        self.payers, self.billing = payers, billing
        self.credentials = Credentials(f"Bearer {token}", None)


def paid_for(function: Function, price: Price, local: LocalBilling | None) -> Callable[..., Awaitable[Any]]:
    """``function`` as a coroutine function that charges ``price`` before it runs.

    In an MCP server's request it is a tool; behind a gate it answers the request, and the answer decides.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__name__} yields its answer; put the price on its route: Depends(priced(…))")

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        is_tool, exchange = _caller()
        if is_tool or (exchange is None and local is not None):
            return await _paid(function, price, local, exchange, args, kwargs)
        if exchange is None:
            raise RuntimeError(NO_PAYER)
        exchange.entered = True
        await exchange.pay(price)
        return await _result(function, args, kwargs)

    return call


def _caller() -> tuple[bool, Exchange | None]:
    """Whether an MCP server calls, and the HTTP request that this call came with, if it came through a gate.

    With SDK 1.x a tool of a session runs in the context of the request that opened the session, whoever sent that; the
    SDK hands over which request a call came with. SDK 2.x runs it in its own request's context.
    """
    running = getattr(sys.modules.get("mcp.server.lowlevel.server"), "request_ctx", None)
    context = running.get(None) if running is not None else None
    if context is not None:
        scope = getattr(getattr(context, "request", None), "scope", {})
        return True, scope.get(EXCHANGE_KEY)
    return _is_called_by_sdk(sys._getframe()), current.get(None)


def _is_called_by_sdk(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(_SDK):
            return True
        frame = frame.f_back
    return False


async def _paid(
    function: Function,
    price: Price,
    local: LocalBilling | None,
    exchange: Exchange | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """A tool's result. It is paid when it goes to the SDK, which can deliver it whenever the caller returns."""
    async with await _bought(function, price, local, exchange, args, kwargs) as purchase:
        purchase.undo_reason = f"tool {function.__name__} failed"
        bought.set(purchase)
        result = await _result(function, args, kwargs)
        if not _is_unanswered(result):
            purchase.serve()
            await purchase.deliver()
        return result


async def _bought(
    function: Function,
    price: Price,
    local: LocalBilling | None,
    exchange: Exchange | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Purchase:
    name, key = f"tool {function.__name__}", None
    try:
        if exchange is not None:
            exchange.require_single_headers()
            payer = await exchange.payers.payer_of(credentials_of(exchange.scope, exchange.headers))
            given = checked_key(exchange.headers.get(b"idempotency-key"))
            if given:
                digest = _arguments_digest(function, args, kwargs)
                key = request_key(given, name.encode(), digest)
            return await exchange.billing.buy(payer, price, name, key)
        if local is None:
            raise _NoPayer(NO_PAYER)
        payer = await local.payers.payer_of(local.credentials)
        return await local.billing.buy(payer, price, name, None)
    except WalletError as error:
        raise _tool_error(error, exchange) from error


class _NoPayer(WalletError):
    code = "payment_required"


async def _result(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


def _is_unanswered(result: Any) -> bool:
    """Whether a tool says that it failed, or that it needs more from the caller first (MCP's result types).

    SDK 1.x spells it as the protocol does, 2.x as Python does.
    """
    failed = getattr(result, "is_error", None) or getattr(result, "isError", None)
    return failed is True or getattr(result, "result_type", None) == "input_required"


def _tool_error(error: WalletError, exchange: Exchange | None) -> Exception:
    """A refusal as the kind of error whose text the SDK shows to the model."""
    kind = _tool_error_kind()
    if kind is None:
        return error
    topup_url = error.details.get("topup_url") or (exchange.options.topup_url if exchange is not None else None)
    return kind(f"{error.code}: {error}" + (f"; top up at {topup_url}" if topup_url else ""))


def _tool_error_kind() -> type[Exception] | None:
    """The error class of the SDK that is loaded; None without one."""
    for name in ("mcp.server.mcpserver.exceptions", "mcp.server.fastmcp.exceptions", "fastmcp.exceptions"):
        if name in sys.modules:
            found: type[Exception] = sys.modules[name].ToolError
            return found
    return None


def _arguments_digest(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """SHA-256 of the arguments by name; what the SDK hands in beside them (its ``Context``) is not among them."""
    bound = inspect.signature(function).bind(*args, **kwargs).arguments
    named = {name: value for name, value in bound.items() if not type(value).__module__.startswith("mcp.")}
    return sha256(json.encode(named, enc_hook=_plain, order="sorted")).digest()


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else repr(value)
