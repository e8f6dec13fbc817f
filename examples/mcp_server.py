"""An MCP server whose tools cost ¥3 a call.

python examples/mcp_server.py [DATABASE]   calls itself and shows the ledger (default: a new wallet.db)
uvicorn --factory mcp_server:served        serves it at /mcp on the ledger that CREDIT_WALLET_DATABASE_URL names
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer

from credit_wallet import CreditWallet
from credit_wallet.database_urls import database_url
from credit_wallet.middleware import CreditGate, priced

server = MCPServer("search")


@server.tool()
@priced(yen=3)
async def search(q: str) -> str:
    """Search the index. ¥3 a call."""
    if q == "crash":
        raise RuntimeError("the index is down")  # the caller gets its ¥3 back
    return q.upper()


def create_app(wallets: CreditWallet) -> CreditGate:
    app = cast(Any, server.streamable_http_app(json_response=True))
    return CreditGate(app, wallets, topup_url="https://example.com/topup")


def served() -> CreditGate:
    return create_app(CreditWallet.open(database_url()))


async def call(app: CreditGate, token: str) -> None:
    starlette = cast(Any, app.app)
    transport = httpx2.ASGITransport(cast(Any, app))
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        starlette.router.lifespan_context(starlette),
        httpx2.AsyncClient(transport=transport, headers=headers) as http,
        Client(streamable_http_client("http://127.0.0.1:8000/mcp", http_client=http)) as agent,
    ):
        for q in ("tuna", "crash", "salmon", "squid"):
            result = await agent.call_tool("search", {"q": q})
            print(q, "failed:" if result.is_error else "found:", getattr(result.content[0], "text", ""))


def main(path: str) -> None:
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallet = wallets.create(label="agent")
        wallets.topup(wallet.wallet_id, 7, idempotency_key="start")
        asyncio.run(call(create_app(wallets), wallet.owner_token))
        for entry in reversed(wallets.history(wallet.wallet_id)):
            print(f"{entry.amount_yen:>5} {entry.txn_type:<7} {entry.note or ''}")
        print("violations:", wallets.verify())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "wallet.db")
