"""Tools of an MCP server that cost something, over HTTP and on a pipe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from http_answers import funded
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from paid_tools import shop, text_of
from served import Served
from service import TOPUP_URL, credentials

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import CreditGate, priced

CREDIT_YEN = 10_000


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


def over_http(
    wallets: CreditWallet, token: str | None, use: Callable[[Client], Awaitable[Any]], key: str | None = None
) -> Any:
    """What ``use`` makes of a client of the shop."""

    async def connect(url: str) -> Any:
        async with (
            httpx2.AsyncClient(headers=credentials(token, key)) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            return await use(client)

    with Served(CreditGate(shop().streamable_http_app(), wallets, topup_url=TOPUP_URL)) as served:
        return asyncio.run(connect(served.url))


def entries(wallets: CreditWallet, wallet: CreatedWallet) -> list[tuple[int, str | None]]:
    history = reversed(wallets.history(wallet.wallet_id))
    return [(entry.amount_yen, entry.note) for entry in history if entry.txn_type != "topup"]


def test_tools_are_charged_and_failures_given_back(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def use(client: Client) -> None:
        assert text_of(await client.call_tool("search", {"q": "tuna"})) == "tuna True"
        assert "secret" not in text_of(await client.call_tool("search", {"q": "crash"}))
        counted = await client.call_tool("blocking", {"query": {"words": ["a", "b"]}})
        assert counted.structured_content == {"result": 2}
        assert (await client.call_tool("refuses", {})).is_error
        assert text_of(await client.call_tool("metered", {"yen": 42})) == "done"
        assert text_of(await client.call_tool("free", {})) == "free"

    over_http(wallets, wallet.owner_token, use)
    assert entries(wallets, wallet) == [
        (-3, "tool search"),
        (-3, "tool search"),
        (3, "tool search failed"),
        (-4, "tool blocking"),
        (-5, "tool refuses"),
        (5, "tool refuses failed"),
        (-42, "tool metered"),
    ]
    assert wallets.show(wallet.wallet_id).held_yen == 0
    assert wallets.verify() == []


def test_the_arguments_of_a_tool_stay_what_they_were(wallets: CreditWallet) -> None:
    async def use(client: Client) -> dict[str, Any]:
        return {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}

    schemas = over_http(wallets, None, use)
    assert set(schemas["search"]["properties"]) == {"q"}
    assert schemas["blocking"]["properties"]["query"]["$ref"].endswith("Query")


def test_a_model_is_told_why_it_may_not_call(wallets: CreditWallet) -> None:
    empty = wallets.create()

    async def use(client: Client) -> str:
        refused = await client.call_tool("search", {"q": "tuna"})
        assert refused.is_error
        assert text_of(await client.call_tool("free", {})) == "free"
        return text_of(refused)

    assert "insufficient_funds: wallet 1 has ¥0, this needs ¥3" in over_http(wallets, empty.owner_token, use)
    assert f"top up at {TOPUP_URL}" in over_http(wallets, empty.owner_token, use)
    assert "unauthorized: no token was sent; send it" in over_http(wallets, None, use)


def test_a_retry_of_a_tool_call_with_its_key_is_free(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def use(client: Client) -> None:
        for q in ("tuna", "tuna", "salmon", "crash", "crash"):
            await client.call_tool("search", {"q": q})
        for words in (["a"], ["a"], ["b"]):
            await client.call_tool("blocking", {"query": {"words": words}})

    over_http(wallets, wallet.owner_token, use, key="a")
    assert [yen for yen, _ in entries(wallets, wallet)] == [-3, -3, -3, 3, -3, 3, -4, -4]


def test_a_server_on_a_pipe_is_told_who_pays(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    server = MCPServer("local")

    @server.tool()
    @priced(yen=3, wallets=wallets, token=wallet.owner_token)
    async def search(q: str) -> str:
        if q == "crash":
            raise RuntimeError("broken")
        return q

    @server.tool()
    @priced(yen=3)
    async def unpaid() -> str:
        return "never"

    async def use() -> None:
        async with Client(server) as client:
            assert text_of(await client.call_tool("search", {"q": "tuna"})) == "tuna"
            assert (await client.call_tool("search", {"q": "crash"})).is_error
            unpaid = await client.call_tool("unpaid", {})
            assert unpaid.is_error
            assert "wrap the application in CreditGate" in text_of(unpaid)

    asyncio.run(use())
    assert [yen for yen, _ in entries(wallets, wallet)] == [-3, -3, 3]
