"""Listings of an MCP server's tools, with what each costs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from credit_wallet.errors import PriceMissing, Unauthorized
from credit_wallet.gate.offers import NOT_FOR_SALE, in_words, items_document, price_document
from credit_wallet.gate.operations import PRICE_ATTRIBUTE
from credit_wallet.gate.payers import Payers
from credit_wallet.gate.price_list import Listed, listed
from credit_wallet.gate.prices import Price
from credit_wallet.gate.requests import credentials_of
from credit_wallet.gate.tools import exchange_of_call

PRICE = "credit-wallet/price"
"""The key in a tool's ``_meta``."""


def list_with_prices(server: Any, payers: Payers) -> None:
    """Add the prices to what ``server`` answers to ``tools/list``, from now on. For SDK 1.x and 2.x."""
    list_tools = server.list_tools

    async def priced_tools() -> list[Any]:
        tools, prices = await list_tools(), _prices_of(server)
        if not prices:
            return list(tools)
        book = await _book_for_caller(payers)
        return [_shown(tool, prices[tool.name], book) if tool.name in prices else tool for tool in tools]

    server.list_tools = priced_tools
    lowlevel = getattr(server, "_mcp_server", None)  # SDK 1.x has taken the method before
    if lowlevel is not None:
        lowlevel.list_tools()(priced_tools)


async def _book_for_caller(payers: Payers) -> Listed:
    """The prices of whoever asks for the list, who need not say who it is."""
    exchange = exchange_of_call()
    if exchange is not None:
        credentials = credentials_of(exchange.scope, exchange.headers)
        if credentials.given:
            with suppress(Unauthorized):
                return await listed(payers, credentials)
    return await listed(payers)


def _prices_of(server: Any) -> dict[str, Price]:
    """The priced tools by the name that the server gives them, which may be another than the function's."""
    functions = ((tool.name, tool.fn) for tool in server._tool_manager.list_tools())
    prices = ((name, getattr(function, PRICE_ATTRIBUTE, None)) for name, function in functions)
    return {name: price for name, price in prices if isinstance(price, Price)}


def _shown(tool: Any, price: Price, book: Listed) -> Any:
    try:
        words = f"Price: {in_words(price, book)}."
        shown = {**price_document(price, book), "items": items_document(price, book)}
    except PriceMissing:
        return tool.model_copy(update={"description": _with_line(tool.description, f"Price: {NOT_FOR_SALE}.")})
    description = _with_line(tool.description, words)
    return tool.model_copy(update={"description": description, "meta": {**(tool.meta or {}), PRICE: shown}})


def _with_line(text: str | None, line: str) -> str:
    return f"{text.rstrip()}\n\n{line}" if text else line
