"""Tools of an MCP server that are sold by the price book: what they report, what is told about them, and to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from http_answers import funded
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp_types import CallToolResult, TextContent
from paid_tools import text_of
from served import Served
from service import credentials

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet, Transaction
from credit_wallet.middleware import CreditGate, Item, charge_for, priced, show_prices

CREDIT_YEN = 10_000
COST = "credit-wallet/cost"

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "tokens"
unit_price_yen = "0.2"
per = 1000

[[price]]
item = "pages"
tiers = [{up_to = 10, unit_price_yen = "0"}, {unit_price_yen = "1.5"}]
"""


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    wallets.prices.apply(PRICES)
    return funded(wallets)


def said(cost: Any, text: str = "done", **others: Any) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], _meta={COST: cost}, **others)


def shop(reported: dict[str, Any]) -> MCPServer:
    """A server with tools that are sold in every way; ``report`` says that it cost ``reported[which]``."""
    server = MCPServer("shop")

    @server.tool(name="web.search")
    @priced("search")
    async def search(q: str) -> str:
        """Search the web."""
        return q

    @server.tool()
    @priced(hold=Item("tokens", 10_000), items=["tokens"])
    async def report(which: str) -> CallToolResult:
        """Write a report."""
        return said(reported[which])

    @server.tool()
    @priced(hold="2", above="up_to_balance", items=["tokens", "search"])
    async def long_report(which: str) -> CallToolResult:
        return said(reported[which])

    @server.tool()
    @priced("search", facts={"tool": "mine", "kind": "paper"})
    async def named() -> CallToolResult:
        return said({"amount_yen": "1"})

    @server.tool()
    @priced("pages")
    def read() -> str:
        """Read a page."""
        return "page"

    @server.tool()
    @priced(yen="0.5")
    async def cheap() -> str:
        return "cheap"

    @server.tool()
    @priced(hold=5)
    async def counted() -> str:
        charge_for().capture(item="tokens", quantity=250)
        charge_for().capture(item="search")
        return "counted"

    @server.tool()
    async def free() -> str:
        return "free"

    return server


def using(
    wallets: CreditWallet,
    token: str | None,
    use: Callable[[Client], Awaitable[Any]],
    server: MCPServer,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> Any:
    """What ``use`` makes of a client of the server, behind a gate."""

    async def connect(url: str) -> Any:
        async with (
            httpx2.AsyncClient(headers=credentials(token) | (headers or {})) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            return await use(client)

    with Served(CreditGate(server.streamable_http_app(), wallets, **options)) as served:
        return asyncio.run(connect(served.url))


def charges(wallets: CreditWallet, wallet: CreatedWallet) -> list[Transaction]:
    assert wallets.verify() == []
    assert wallets.show(wallet.wallet_id).held_micros == 0
    return [each for each in reversed(wallets.history(wallet.wallet_id)) if each.txn_type == "charge"]


GOOD: dict[str, tuple[Any, list[tuple[str | None, Any, str]]]] = {
    "a quantity": ({"item": "tokens", "quantity": 1_234}, [("tokens", 1_234, "-0.2468")]),
    "a decimal quantity": ({"item": "tokens", "quantity": "2.5"}, [("tokens", Decimal("2.5"), "-0.0005")]),
    "one": ({"item": "tokens"}, [("tokens", 1, "-0.0002")]),
    "an amount": ({"amount_yen": "0.2"}, [(None, 0, "-0.2")]),
    "whole yen": ({"amount_yen": 1}, [(None, 0, "-1")]),
    "several": (
        [{"item": "tokens", "quantity": 1_000}, {"item": "tokens", "quantity": 500}, {"amount_yen": "1"}],
        [("tokens", 1_500, "-0.3"), (None, 0, "-1")],
    ),
    "nothing": ({"item": "tokens", "quantity": 0}, []),
    "more than the hold": ({"item": "tokens", "quantity": 50_000}, [("tokens", 10_000, "-2")]),
    "no such item": ({"item": "gold", "quantity": 1}, [("tokens", 10_000, "-2")]),
}


@pytest.mark.parametrize("which", GOOD)
def test_a_tool_reports_what_it_cost(wallets: CreditWallet, wallet: CreatedWallet, which: str) -> None:
    reported, expected = GOOD[which]

    async def use(client: Client) -> Any:
        return await client.call_tool("report", {"which": which})

    result = using(wallets, wallet.owner_token, use, shop({which: reported}))
    assert (result.is_error, text_of(result)) == (False, "done")
    assert result.meta[COST] == reported
    found = charges(wallets, wallet)
    assert [(each.item, each.quantity or 0, str(each.amount)) for each in found] == expected
    assert all(each.facts == {"tool": "report"} for each in found)


def test_what_a_tool_reports_above_the_hold_is_taken_of_the_balance(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    costs = [{"item": "tokens", "quantity": 50_000}, {"item": "search"}]

    async def use(client: Client) -> Any:
        return await client.call_tool("long_report", {"which": "it"})

    assert not using(wallets, wallet.owner_token, use, shop({"it": costs})).is_error
    found = [(each.item, each.amount) for each in charges(wallets, wallet)]
    assert found == [("tokens", Decimal(-10)), ("search", Decimal("-3.3"))]


BAD: dict[str, Any] = {
    "below zero": {"item": "tokens", "quantity": -1},
    "a float": {"item": "tokens", "quantity": 1.5},
    "NaN": {"item": "tokens", "quantity": float("nan")},
    "endless": {"item": "tokens", "quantity": float("inf")},
    "NaN in words": {"item": "tokens", "quantity": "NaN"},
    "true": {"item": "tokens", "quantity": True},
    "null": {"item": "tokens", "quantity": None},
    "a list": {"item": "tokens", "quantity": [1]},
    "too many": {"item": "tokens", "quantity": 10**13},
    "no name": {"item": "Tokens!", "quantity": 1},
    "a negative amount": {"amount_yen": "-1"},
    "a float amount": {"amount_yen": 0.1},
    "an amount above the hold": {"amount_yen": "2.000001"},
    "both": {"item": "tokens", "quantity": 1, "amount_yen": 1},
    "unknown members": {"item": "tokens", "quantity": 1, "facts": {"tool": "x"}},
    "empty": {},
    "an empty list": [],
    "text": "3 tokens",
    "a thousand": [{"item": "tokens", "quantity": 1}] * 1_000,
}


@pytest.mark.parametrize("which", BAD)
def test_a_tool_whose_report_cannot_be_has_failed(wallets: CreditWallet, wallet: CreatedWallet, which: str) -> None:
    """Its result does not reach the caller, who pays nothing; the seller sees it at once."""

    async def use(client: Client) -> Any:
        return await client.call_tool("report", {"which": which})

    assert using(wallets, wallet.owner_token, use, shop({which: BAD[which]})).is_error
    assert charges(wallets, wallet) == []
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN


def test_a_tool_that_reports_what_it_does_not_hold_has_failed(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def use(client: Client) -> Any:
        return await client.call_tool("named", {})

    assert using(wallets, wallet.owner_token, use, shop({})).is_error
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN


def test_each_charge_names_its_tool(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def use(client: Client) -> None:
        await client.call_tool("web.search", {"q": "tuna"})
        await client.call_tool("counted", {})
        await client.call_tool("read", {})

    using(wallets, wallet.owner_token, use, shop({}), {"X-Wallet-Facts": "run=r1, tool=mine"}, facts={"seller": "acme"})
    found = charges(wallets, wallet)
    assert [(each.note, each.item, each.quantity or 0, each.facts["tool"]) for each in found] == [
        ("tool web.search", "search", 1, "web.search"),
        ("tool counted", "tokens", 250, "counted"),
        ("tool counted", "search", 1, "counted"),
        ("tool read", "pages", 1, "read"),
    ]
    assert all(each.agent_facts == {"run": "r1", "tool": "mine"} for each in found)
    assert all(each.facts["seller"] == "acme" for each in found)


def test_bad_facts_refuse_the_tool_and_name_the_header(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def use(client: Client) -> Any:
        return await client.call_tool("web.search", {"q": "tuna"})

    many = ", ".join(f"k{number}=v" for number in range(8))  # the tool's own is the ninth
    result = using(wallets, wallet.owner_token, use, shop({}), {"X-Wallet-Facts": many})
    assert result.is_error
    assert "X-Wallet-Facts has more than 7 facts" in text_of(result)
    assert charges(wallets, wallet) == []


def test_a_tool_without_a_price_in_the_book_is_refused(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def use(client: Client) -> Any:
        wallets.prices.apply(PRICES.replace('"search"', '"find"'))
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        return listed["web.search"], await client.call_tool("web.search", {"q": "tuna"})

    server = shop({})
    show_prices(server, wallets)
    tool, result = using(wallets, wallet.owner_token, use, server)
    assert result.is_error
    assert "price_missing: the seller has no price for 'search'; nothing was charged" in text_of(result)
    assert tool.description == "Search the web.\n\nPrice: not set by the seller yet; calls fail."
    assert tool.meta is None
    assert charges(wallets, wallet) == []


# What is told about them


def test_tools_are_listed_with_their_prices_as_the_book_has_them(wallets: CreditWallet) -> None:
    wallets.prices.apply(PRICES)

    async def use(client: Client) -> list[dict[str, Any]]:
        lists = [(await client.list_tools()).tools]
        wallets.prices.apply(PRICES.replace("3.30", "4"))
        lists.append((await client.list_tools()).tools)
        return [
            {tool.name: (tool.description, (tool.meta or {}).get("credit-wallet/price")) for tool in each}
            for each in lists
        ]

    server = shop({})
    show_prices(server, wallets)
    before, after = using(wallets, None, use, server)
    assert before["web.search"] == (
        "Search the web.\n\nPrice: ¥3.3 a call.",
        {
            "mode": "fixed",
            "currency": "JPY",
            "amount": "3.3",
            "items": [{"item": "search", "per": 1, "price_version": 1, "unit_price": "3.3"}],
        },
    )
    assert after["web.search"][0] == "Search the web.\n\nPrice: ¥4 a call."
    assert (after["web.search"][1]["amount"], after["web.search"][1]["items"][0]["price_version"]) == ("4", 2)
    assert before["report"] == (
        "Write a report.\n\nPrice: up to ¥2 a call: tokens at ¥0.2 per 1,000.",
        {
            "mode": "dynamic",
            "currency": "JPY",
            "min": "0",
            "max": "2",
            "items": [{"item": "tokens", "per": 1_000, "price_version": 1, "unit_price": "0.2"}],
        },
    )
    assert before["read"][0] == "Read a page.\n\nPrice: pages at ¥0 up to 10, then ¥1.5."
    assert before["read"][1]["items"][0]["tiers"] == [
        {"up_to": "10", "unit_price": "0"},
        {"up_to": None, "unit_price": "1.5"},
    ]
    assert before["cheap"] == (
        "Price: ¥0.5 a call.",
        {"mode": "fixed", "currency": "JPY", "amount": "0.5", "items": []},
    )
    assert before["long_report"][0] == ("Price: ¥2 are reserved for a call: tokens at ¥0.2 per 1,000, search at ¥3.3.")
    assert before["free"] == ("", None)


def test_a_caller_is_told_its_own_prices(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    wallets.prices.apply(
        f'{PRICES}\n[[price]]\nitem = "search"\nunit_price_yen = "2"\nwallet_id = {wallet.wallet_id}\n'
    )
    server = shop({})
    show_prices(server, wallets)

    async def use(client: Client) -> str | None:
        return {tool.name: tool.description for tool in (await client.list_tools()).tools}["web.search"]

    assert using(wallets, wallet.owner_token, use, server) == "Search the web.\n\nPrice: ¥2 a call."
    assert using(wallets, None, use, server) == "Search the web.\n\nPrice: ¥3.3 a call."
    assert using(wallets, "cw_live_unknown", use, server) == "Search the web.\n\nPrice: ¥3.3 a call."


def test_a_server_on_a_pipe_sells_by_the_book_too(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    server = MCPServer("local")

    @server.tool()
    @priced("search", facts={"model": "small"}, wallets=wallets, token=wallet.owner_token)
    async def search(q: str) -> str:
        return q

    show_prices(server, wallets)

    async def use() -> None:
        async with Client(server) as client:
            assert text_of(await client.call_tool("search", {"q": "tuna"})) == "tuna"
            assert (await client.list_tools()).tools[0].description == "Price: ¥3.3 a call."

    asyncio.run(use())
    assert [(each.item, each.facts) for each in charges(wallets, wallet)] == [
        ("search", {"model": "small", "tool": "search"})
    ]
    with pytest.raises(ValueError, match="no request"):
        priced("search", facts=lambda _: {}, wallets=wallets, token=wallet.owner_token)
