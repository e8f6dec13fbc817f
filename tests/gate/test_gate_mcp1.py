"""Priced tools of servers on the MCP SDK 1.x: paid by the token of the call's own request, never free.

A session of that SDK runs every call in the context of the request that opened it. Kinds looked at: sessions, stateless
servers, JSON answers, SSE; a token that changes, is bad, or is missing within a session; failures; holds; retries; the
newer SDK's client against the older server, and the same of the newer server.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp1 import calling, serving
from paid_tools import shop, text_of
from served import Served
from service import credentials

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import CreditGate

CREDIT_YEN = 1_000


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mcp1.db'}"


def funded_in(wallets: CreditWallet) -> CreatedWallet:
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, CREDIT_YEN, idempotency_key=f"start-{wallet.wallet_id}")
    return wallet


def spent(wallets: CreditWallet, wallet: CreatedWallet) -> int:
    return CREDIT_YEN - wallets.balance(wallet.wallet_id)


@pytest.mark.parametrize("mode", ["sessions", "stateless", "json", "sse"])
def test_calls_are_paid_by_the_token_of_their_own_request(url: str, mode: str) -> None:
    with CreditWallet.open(url) as wallets:
        first, second = funded_in(wallets), funded_in(wallets)
        empty = wallets.create()
    with serving(url, mode) as address:
        results = calling(
            address,
            mode,
            first.owner_token,
            [
                *("tuna", "tuna", "crash", "refuses:no", "metered:four"),
                *(f"{second.owner_token}!", "tuna"),
                *(f"{empty.owner_token}!", "tuna"),
                *("nonsense!", "tuna"),
            ],
        )
    assert [failed for failed, _ in results] == [False, False, True, True, False, False, True, True]
    assert [text for _, text in results[:2]] == ["TUNA", "TUNA"]
    assert "insufficient_funds" in results[6][1]
    assert "unauthorized" in results[7][1]
    with CreditWallet.open(url) as wallets:
        assert (spent(wallets, first), spent(wallets, second)) == (24, 10)
        assert wallets.show(first.wallet_id).held_yen == 0
        assert wallets.verify() == []


@pytest.mark.parametrize("mode", ["sessions", "json", "sse"])
def test_tools_report_costs_and_are_listed_with_prices(url: str, mode: str) -> None:
    """A session in which another token lists is told that one's prices, not those of whoever opened it."""
    price = '[[price]]\nitem = "tokens"\nunit_price_yen = "0.2"\nper = 1000\n'
    with CreditWallet.open(url) as wallets:
        first, second = funded_in(wallets), funded_in(wallets)
        wallets.prices.apply(price + price.replace("0.2", "0.1") + f"wallet_id = {first.wallet_id}\n")
    queries = ["list:by.item", "by.item:1234", f"{second.owner_token}!", "list:by.item", "by.item:-1"]
    with serving(url, mode) as address:
        own, paid, everybodys, bad = calling(address, mode, first.owner_token, queries)
    description, meta = json.loads(own[1])
    assert description == "Say what it cost.\n\nPrice: up to ¥5 a call: tokens at ¥0.1 per 1,000."
    assert meta["credit-wallet/price"]["items"][0]["unit_price"] == "0.1"
    assert "tokens at ¥0.2 per 1,000" in json.loads(everybodys[1])[0]
    assert (paid, bad[0]) == ((False, "1234"), True)
    with CreditWallet.open(url) as wallets:
        [charged, _] = wallets.history(first.wallet_id)
        assert (charged.item, charged.quantity or 0, str(charged.amount)) == ("tokens", 1_234, "-0.1234")
        assert charged.facts == {"tool": "by.item"}
        assert spent(wallets, second) == 0
        assert wallets.verify() == []


def test_a_tool_that_nobody_can_pay_for_says_what_to_do(url: str) -> None:
    with CreditWallet.open(url) as wallets:
        wallet = funded_in(wallets)
    with serving(url, "ungated") as address:
        [(failed, text)] = calling(address, "ungated", wallet.owner_token, ["tuna"])
    assert failed
    assert "wrap the application in CreditGate" in text


def test_the_newer_client_pays_the_older_server(url: str) -> None:
    with CreditWallet.open(url) as wallets:
        wallet = funded_in(wallets)

    async def use(address: str) -> list[str]:
        headers = credentials(wallet.owner_token, "a")
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(f"{address}/mcp", http_client=http)) as client,
        ):
            return [text_of(await client.call_tool("search", {"q": q})) for q in ("tuna", "tuna", "salmon")]

    with serving(url, "sessions") as address:
        assert asyncio.run(use(address)) == ["TUNA", "TUNA", "SALMON"]
    with CreditWallet.open(url) as wallets:
        assert spent(wallets, wallet) == 20, "the retry with its key is free"


@pytest.mark.parametrize("stateless", [True, False])
def test_the_newer_server_takes_the_token_of_each_request(wallets: CreditWallet, stateless: bool) -> None:
    first, second = funded_in(wallets), funded_in(wallets)
    bearer = [first.owner_token]

    class Bearer(httpx2.Auth):
        def auth_flow(self, request: httpx2.Request) -> Any:
            request.headers["Authorization"] = f"Bearer {bearer[0]}"
            yield request

    async def use(address: str) -> list[bool]:
        failed = []
        async with (
            httpx2.AsyncClient(auth=Bearer()) as http,
            Client(streamable_http_client(f"{address}/mcp", http_client=http)) as client,
        ):
            for token in (first.owner_token, second.owner_token, "nonsense"):
                bearer[0] = token
                failed.append(bool((await client.call_tool("search", {"q": "tuna"})).is_error))
        return failed

    app = shop().streamable_http_app(stateless_http=stateless)
    with Served(CreditGate(app, wallets)) as served:
        assert asyncio.run(use(served.url)) == [False, False, True]
    assert (spent(wallets, first), spent(wallets, second)) == (3, 3)
