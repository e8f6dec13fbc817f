"""Priced tools of servers on the MCP SDK 1.x: paid by the token of the call's own request, never free.

A session of that SDK runs every call in the context of the request that opened it. Kinds looked at: sessions, stateless
servers, JSON answers, SSE; a token that changes, is bad, or is missing within a session; failures; holds; retries; the
newer SDK's client against the older server, and the same of the newer server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
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


class Servers:
    """Servers of SDK 1.x on one ledger, one of each mode, begun when it is asked for: that takes a second."""

    def __init__(self, url: str, begun: ExitStack) -> None:
        self.url = url
        self._begun = begun
        self._addresses: dict[str, str] = {}

    def __call__(self, mode: str) -> str:
        """The address of the server of a mode."""
        if mode not in self._addresses:
            self._addresses[mode] = self._begun.enter_context(serving(self.url, mode))
        return self._addresses[mode]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as begun:
        yield Servers(f"sqlite:///{tmp_path_factory.mktemp('mcp1') / 'wallet.db'}", begun)


@pytest.fixture
def ledger(servers: Servers) -> Iterator[CreditWallet]:
    """The ledger of the servers; each test has wallets of its own in it."""
    with CreditWallet.open(servers.url) as wallets:
        yield wallets
        assert wallets.verify() == []


def funded_in(wallets: CreditWallet) -> CreatedWallet:
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, CREDIT_YEN, idempotency_key=f"start-{wallet.wallet_id}")
    return wallet


def spent(wallets: CreditWallet, wallet: CreatedWallet) -> int:
    return CREDIT_YEN - wallets.balance(wallet.wallet_id)


@pytest.mark.parametrize("mode", ["sessions", "stateless", "json", "sse"])
def test_calls_are_paid_by_the_token_of_their_own_request(ledger: CreditWallet, servers: Servers, mode: str) -> None:
    first, second = funded_in(ledger), funded_in(ledger)
    empty = ledger.create()
    results = calling(
        servers(mode),
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
    assert (spent(ledger, first), spent(ledger, second)) == (24, 10)
    assert ledger.show(first.wallet_id).held_yen == 0


@pytest.mark.parametrize("mode", ["sessions", "json", "sse"])
def test_tools_report_costs_and_are_listed_with_prices(ledger: CreditWallet, servers: Servers, mode: str) -> None:
    """A session in which another token lists is told that one's prices, not those of whoever opened it."""
    price = '[[price]]\nitem = "tokens"\nunit_price_yen = "0.2"\nper = 1000\n'
    first, second = funded_in(ledger), funded_in(ledger)
    ledger.prices.apply(price + price.replace("0.2", "0.1") + f"wallet_id = {first.wallet_id}\n")
    queries = ["list:by.item", "by.item:1234", f"{second.owner_token}!", "list:by.item", "by.item:-1"]
    own, paid, everybodys, bad = calling(servers(mode), mode, first.owner_token, queries)
    description, meta = json.loads(own[1])
    assert description == "Say what it cost.\n\nPrice: up to ¥5 a call: tokens at ¥0.1 per 1,000."
    assert meta["credit-wallet/price"]["items"][0]["unit_price"] == "0.1"
    assert "tokens at ¥0.2 per 1,000" in json.loads(everybodys[1])[0]
    assert (paid, bad[0]) == ((False, "1234"), True)
    [charged, _] = ledger.history(first.wallet_id)
    assert (charged.item, charged.quantity or 0, str(charged.amount)) == ("tokens", 1_234, "-0.1234")
    assert charged.facts == {"tool": "by.item"}
    assert spent(ledger, second) == 0


def test_a_tool_that_nobody_can_pay_for_says_what_to_do(ledger: CreditWallet, servers: Servers) -> None:
    [(failed, text)] = calling(servers("ungated"), "ungated", funded_in(ledger).owner_token, ["tuna"])
    assert failed
    assert "wrap the application in CreditGate" in text


def test_the_newer_client_pays_the_older_server(ledger: CreditWallet, servers: Servers) -> None:
    wallet = funded_in(ledger)

    async def use(address: str) -> list[str]:
        headers = credentials(wallet.owner_token, "a")
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(f"{address}/mcp", http_client=http)) as client,
        ):
            return [text_of(await client.call_tool("search", {"q": q})) for q in ("tuna", "tuna", "salmon")]

    assert asyncio.run(use(servers("sessions"))) == ["TUNA", "TUNA", "SALMON"]
    assert spent(ledger, wallet) == 20, "the retry with its key is free"


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
