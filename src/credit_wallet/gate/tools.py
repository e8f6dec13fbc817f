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

from msgspec import Struct, json

from credit_wallet.errors import SpendingRefused, WalletError
from credit_wallet.gate.billing import Billing
from credit_wallet.gate.context import EXCHANGE_KEY, bought, current
from credit_wallet.gate.costs import reported_costs
from credit_wallet.gate.credentials import Credentials
from credit_wallet.gate.exchange import Exchange
from credit_wallet.gate.facts import CallFacts, FactsOf, tool_fact
from credit_wallet.gate.operations import PRICE_ATTRIBUTE
from credit_wallet.gate.payers import Payers
from credit_wallet.gate.prices import Price
from credit_wallet.gate.purchases import Purchase
from credit_wallet.gate.requests import checked_key, credentials_of, request_key

Function = Callable[..., Any]

NO_PAYER = (
    "this call has no payer: over HTTP, wrap the application in CreditGate(app, wallets); on standard input and "
    "output, give priced() wallets= and token=. Over HTTP, SDK 1.x must be release 1.8 or newer"
)

_SDK = ("mcp.server.mcpserver.", "mcp.server.runner", "mcp.server.lowlevel.", "mcp.server.fastmcp.")
"""Modules that are on the stack when an MCP server calls a tool, and not when a web framework calls a handler."""

_TOOL_MODULES = ("mcp.server.mcpserver.tools.base", "mcp.server.fastmcp.tools.base")
"""Where the SDK's class of a tool has its method ``run``."""


class LocalBilling:
    """Who pays for calls outside an HTTP request: a local MCP server has no headers, so the token is configured."""

    def __init__(self, payers: Payers, billing: Billing, token: str) -> None:
        self.payers, self.billing = payers, billing
        self.credentials = Credentials(f"Bearer {token}", None)


def paid_for(
    function: Function, price: Price, facts: FactsOf | None, local: LocalBilling | None
) -> Callable[..., Awaitable[Any]]:
    """``function`` as a coroutine function that charges ``price`` before it runs.

    In an MCP server's request it is a tool; behind a gate it answers the request, and the answer decides.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__name__} yields its answer; put the price on its route: Depends(priced(…))")

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        tool, exchange = _caller()
        if tool is not None or (exchange is None and local is not None):
            name = tool or function.__name__
            return await _paid(_Call(function, name, price, facts, local, exchange, args, kwargs))
        if exchange is None:
            raise RuntimeError(NO_PAYER)
        exchange.entered = True
        await exchange.pay(price, facts)
        return await _result(function, args, kwargs)

    setattr(call, PRICE_ATTRIBUTE, price)
    return call


class _Call(Struct, frozen=True):
    """One call of a tool. ``name`` is the tool's, which may be another than the function's."""

    function: Function
    name: str
    price: Price
    facts: FactsOf | None
    local: LocalBilling | None
    exchange: Exchange | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def _caller() -> tuple[str | None, Exchange | None]:
    """The tool that an MCP server calls, "" if it does not say which, None if none calls; and the HTTP request that
    this call came with, if it came through a gate.

    With SDK 1.x a tool of a session runs in the context of the request that opened the session, whoever sent that; the
    SDK hands over which request a call came with. SDK 2.x runs it in its own request's context.
    """
    exchange = exchange_of_call()
    if _sdk_context() is not None:
        return _tool_on_the_stack(sys._getframe()) or "", exchange
    return _tool_on_the_stack(sys._getframe()), exchange


def exchange_of_call() -> Exchange | None:
    """The HTTP request that a message to an MCP server came with, if it came through a gate."""
    context = _sdk_context()
    if context is None:
        return current.get(None)
    exchange: Exchange | None = getattr(getattr(context, "request", None), "scope", {}).get(EXCHANGE_KEY)
    return exchange


def _sdk_context() -> Any:
    """What SDK 1.x knows of the message that it handles; None with SDK 2.x."""
    running = getattr(sys.modules.get("mcp.server.lowlevel.server"), "request_ctx", None)
    return running.get(None) if running is not None else None


def _tool_on_the_stack(frame: FrameType | None) -> str | None:
    """The name under which the SDK has the tool that it calls; "" if it is the SDK's call, but of which is not seen."""
    found = None
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(_SDK):
            found = ""
            if module in _TOOL_MODULES and frame.f_code.co_name == "run":
                return str(getattr(frame.f_locals.get("self"), "name", ""))
        frame = frame.f_back
    return found


async def _paid(call: _Call) -> Any:
    """A tool's result. It is paid when it goes to the SDK, which can deliver it whenever the caller returns."""
    async with await _bought(call) as purchase:
        purchase.undo_reason = f"tool {call.name} failed"
        bought.set(purchase)
        result = await _result(call.function, call.args, call.kwargs)
        if not _is_unanswered(result):
            _report(purchase, result)
            purchase.serve()
            await purchase.deliver()
        return result


async def _bought(call: _Call) -> Purchase:
    note, key, exchange, local = f"tool {call.name}", None, call.exchange, call.local
    given = CallFacts(tool_fact(call.name))
    try:
        if exchange is not None:
            exchange.require_single_headers()
            payer = await exchange.payers.payer_of(credentials_of(exchange.scope, exchange.headers))
            facts = await exchange.facts(call.facts, given)
            sent = checked_key(exchange.headers.get(b"idempotency-key"))
            if sent:
                key = request_key(sent, note.encode(), _arguments_digest(call.function, call.args, call.kwargs))
            return await exchange.billing.buy(payer, call.price, note, key, facts)
        if local is None:
            raise _NoPayer(NO_PAYER)
        payer = await local.payers.payer_of(local.credentials)
        own = call.facts if isinstance(call.facts, Mapping) else {}
        return await local.billing.buy(payer, call.price, note, None, CallFacts({**given.seller, **own}))
    except WalletError as error:
        raise _tool_error(error, exchange) from error


def _report(purchase: Purchase, result: Any) -> None:
    """Capture what the result says that it cost. A report that is wrong fails the tool, as a wrong capture does."""
    for cost in reported_costs(result):
        purchase.capture(cost.amount_yen, item=cost.item, quantity=cost.quantity)


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
    """A refusal as the kind of error whose text the SDK shows to the model.

    What would pass, and when, is in the first line for models and in a second one, a JSON object, for programs: no
    release of the SDK hands on structured content with an error that a function raises.
    """
    kind = _tool_error_kind()
    if kind is None:
        return error
    topup_url = error.details.get("topup_url") or (exchange.options.topup_url if exchange is not None else None)
    figures = f"\n{json.encode(error.details).decode()}" if isinstance(error, SpendingRefused) else ""
    return kind(f"{error.code}: {error}" + (f"; top up at {topup_url}" if topup_url else "") + figures)


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
