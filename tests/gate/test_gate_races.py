"""The three examples under many callers at once, with handlers that crash: every yen is accounted for."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from gated import Application, answer, gated
from http_answers import funded
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from served import Served
from service import credentials
from width import WIDE

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.wire.asgi import Receive, Scope, Send

pytestmark = pytest.mark.slow

CALLERS = 64
CALLS_EACH = 6 if WIDE else 3
TIMEOUT_SECONDS = 60.0
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

Questions = list[str]


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[CreditWallet], Any]:
    """``create_app`` of an example."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    found: Callable[[CreditWallet], Any] = importlib.import_module(name).create_app
    return found


def questions(caller: int) -> Questions:
    """What a caller asks; every third question crashes the handler."""
    return ["crash" if (caller + call) % 3 == 0 else "tuna" for call in range(CALLS_EACH)]


async def ask_over_http(url: str, token: str, asked: Questions, key: str) -> int:
    """How many answers arrived; every call that failed is retried once with its key."""
    delivered = 0
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        for number, question in enumerate(asked):
            headers = credentials(token, f"{key}-{number}") | {"Connection": "close"}
            for _ in range(2):
                while True:
                    answer = await client.get(f"{url}/search", params={"q": question}, headers=headers)
                    if answer.status_code != 409:  # it has waited for an attempt that is slow to be undone
                        break
                assert answer.status_code == (500 if question == "crash" else 200), answer.text
            delivered += question != "crash"
    return delivered


async def ask_over_mcp(url: str, token: str, asked: Questions, key: str) -> int:  # noqa: ARG001
    """The same through tool calls, without retries."""
    delivered = 0
    async with (
        httpx2.AsyncClient(headers=credentials(token), timeout=TIMEOUT_SECONDS) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        for question in asked:
            result = await client.call_tool("search", {"q": question})
            assert result.is_error == (question == "crash")
            delivered += not result.is_error
    return delivered


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of handlers crash here; printing each (prettily, once an MCP server was made) takes minutes."""
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


@pytest.mark.parametrize(
    ("name", "ask"),
    [("fastapi_app", ask_over_http), ("litestar_app", ask_over_http), ("mcp_server", ask_over_mcp)],
)
def test_every_charge_is_an_answer_or_was_given_back(
    wallets: CreditWallet,
    wallet: CreatedWallet,
    name: str,
    ask: Callable[[str, str, Questions, str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def all_ask(url: str) -> int:
        token = wallet.owner_token
        return sum(await asyncio.gather(*(ask(url, token, questions(n), f"caller-{n}") for n in range(CALLERS))))

    before_yen = wallets.balance(wallet.wallet_id)
    with Served(example(name, monkeypatch)(wallets)) as served:
        delivered = asyncio.run(all_ask(served.url))
    entries = wallets.history(wallet.wallet_id, limit=1_000)
    refunded = {entry.related_txn_id for entry in entries if entry.txn_type == "refund"}
    kept = [entry for entry in entries if entry.txn_type == "charge" and entry.txn_id not in refunded]
    assert delivered == sum(question != "crash" for n in range(CALLERS) for question in questions(n))
    assert len(kept) == delivered
    assert wallets.balance(wallet.wallet_id) == before_yen - 3 * delivered
    assert wallets.verify() == []


def test_the_same_with_wallets_behind_the_service(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send, 500 if scope["query_string"] == b"q=crash" else 200)

    async def all_ask(url: str) -> int:
        token = wallet.owner_token
        asked = (ask_over_http(url, token, questions(n)[:3], f"caller-{n}") for n in range(CALLERS))
        return sum(await asyncio.gather(*asked))

    with gated(Application(handler), wallets, wallet, "remote", price_yen=3) as front:
        delivered = asyncio.run(all_ask(front.url))
    assert delivered == CALLERS * 2
    assert wallets.balance(wallet.wallet_id) == 10_000 - 3 * delivered
    assert wallets.verify() == []


@pytest.mark.parametrize("name", ["fastapi_app", "litestar_app"])
def test_the_last_yen_buys_one_answer(wallets: CreditWallet, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, 3 * 10 + 2, idempotency_key="start")

    async def all_ask(url: str) -> list[int]:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            headers = credentials(wallet.owner_token)
            calls = (client.get(f"{url}/search", params={"q": "tuna"}, headers=headers) for _ in range(CALLERS))
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    with Served(example(name, monkeypatch)(wallets)) as served:
        statuses = asyncio.run(all_ask(served.url))
    assert sorted(statuses) == [200] * 10 + [402] * (CALLERS - 10)
    assert wallets.balance(wallet.wallet_id) == 2
