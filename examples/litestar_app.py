"""A Litestar application that sells everything at ¥3 but its health check.

python examples/litestar_app.py [DATABASE]   calls itself and shows the ledger (default: a new wallet.db)
uvicorn --factory litestar_app:served        serves it on the ledger that CREDIT_WALLET_DATABASE_URL names
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import httpx
from litestar import Litestar, get
from litestar.params import FromQuery

from credit_wallet import CreditWallet
from credit_wallet.database_urls import database_url
from credit_wallet.middleware import CreditGate, GatedRequest


@get("/search")
async def search(q: FromQuery[str]) -> dict[str, str]:
    if q == "crash":
        raise RuntimeError("the index is down")  # the caller gets its ¥3 back
    return {"found": q.upper()}


@get("/healthz")
async def health() -> str:
    return "free"


def price(request: GatedRequest) -> int | None:
    return None if request.path == "/healthz" else 3


def create_app(wallets: CreditWallet) -> CreditGate:
    app = cast(Any, Litestar([search, health]))
    return CreditGate(app, wallets, price_yen=price, topup_url="https://example.com/topup")


def served() -> CreditGate:
    return create_app(CreditWallet.open(database_url()))


async def call(app: Any, token: str) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://example.com") as agent:
        for path in ("/healthz", "/search?q=tuna", "/search?q=crash", "/search?q=tuna", "/search?q=tuna"):
            answer = await agent.get(path, headers=headers)
            print(path, answer.status_code, f"¥{answer.headers.get('x-wallet-balance', '-')} left")


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
