"""A FastAPI application that sells searches at ¥3.30, and texts by their tokens, in and out, while it streams them.

python examples/token_seller.py [DATABASE]   calls itself and shows the ledger (default: a new wallet.db)
uvicorn --factory token_seller:served        serves it on the ledger that CREDIT_WALLET_DATABASE_URL names

Its prices are not in the program: `credit-wallet prices apply FILE` changes them while it runs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
from fastapi import Body, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from credit_wallet import CreditWallet
from credit_wallet.database_urls import database_url
from credit_wallet.middleware import CreditGate, GatedRequest, Item, charge_for, priced

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"                   # ¥3 and 10 % tax

[[price]]
item = "tokens.input"
unit_price_yen = "0.2"
per = 1000

[[price]]
item = "tokens.output"
unit_price_yen = "0.6"
per = 1000
"""

MAX_TOKENS = 4_000
"""The most that a text can have: as much is reserved before it is written."""

TEXT = priced(
    hold=Item("tokens.output", MAX_TOKENS),
    above="up_to_balance",
    items=["tokens.input", "tokens.output"],
    facts={"tool": "write", "model": "small"},
)


def customer(request: GatedRequest) -> dict[str, str]:
    """What the seller notes beside every charge. The caller writes this header, so it may be no fact at all."""
    name = request.headers.get("x-customer", "")
    return {"customer": name if name.isprintable() and 0 < len(name) <= 64 else "unknown"}


async def written(prompt: str) -> AsyncIterator[str]:
    """What a model would write: a token at a time."""
    for number in range(min(MAX_TOKENS, 10 * len(prompt.split()))):
        yield f"{prompt.split()[0]}{number} "


def create_app(wallets: CreditWallet) -> CreditGate:
    app = FastAPI()

    @app.get("/search", dependencies=[Depends(priced("search", facts={"tool": "search"}))])
    async def search(q: str) -> dict[str, str]:
        return {"found": q.upper()}

    @app.post("/write", dependencies=[Depends(TEXT)])
    async def write(request: Request, prompt: str = Body(embed=True, min_length=1)) -> StreamingResponse:
        purchase = charge_for(request)
        purchase.capture(item="tokens.input", quantity=len(prompt.split()))

        async def text() -> AsyncIterator[str]:
            async for token in written(prompt):
                purchase.capture(item="tokens.output")  # a caller who hangs up pays for what was written until then
                yield token

        return StreamingResponse(text(), media_type="text/plain")

    return CreditGate(app, wallets, facts=customer, topup_url="https://example.com/topup")


def served() -> CreditGate:
    return create_app(CreditWallet.open(database_url()))


async def call(app: CreditGate, wallets: CreditWallet, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "X-Customer": "acme", "X-Wallet-Facts": "run=r1"}
    transport = httpx.ASGITransport(cast(Any, app))
    async with httpx.AsyncClient(transport=transport, base_url="http://example.com", headers=headers) as agent:

        async def search() -> None:
            found = await agent.get("/search?q=tuna", headers={"Idempotency-Key": "tuna"})
            print("GET /search", found.status_code, found.json()["found"])

        async def write() -> None:
            text = await agent.post("/write", json={"prompt": "a sonnet about tuna"})
            print("POST /write", text.status_code, f"{len(text.text.split())} tokens")

        await search()
        await write()
        await app.aclose()  # the last text is paid: a call costs what its items cost when its answer is over
        wallets.prices.apply(PRICES.replace('"0.6"', '"0.75"').replace('"3.30"', '"5.50"'))
        await search()  # a retry costs nothing, at whatever price
        await write()
        prices = (await agent.get("/openapi.json")).json()["paths"]["/search"]["get"]["x-payment-info"]["price"]
        print("the next search costs", f"¥{prices['amount']}")
    await app.aclose()  # a server does this when it stops


def main(path: str) -> None:
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallets.prices.apply(PRICES)
        wallet = wallets.create(label="agent")
        wallets.topup(wallet.wallet_id, 100, idempotency_key="start")
        asyncio.run(call(create_app(wallets), wallets, wallet.owner_token))
        for entry in reversed(wallets.history(wallet.wallet_id, txn_type="charge")):
            print(f"{entry.amount:>8} {entry.quantity:>4} {entry.item:<14} {entry.facts} {entry.agent_facts}")
        print(f"{wallets.balance(wallet.wallet_id).balance:>8} left; violations:", wallets.verify())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "wallet.db")
