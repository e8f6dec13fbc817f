"""A FastAPI application that sells searches at ¥3 and reports at what they come to.

python examples/fastapi_app.py [DATABASE]   calls itself and shows the ledger (default: a new wallet.db)
uvicorn --factory fastapi_app:served        serves it on the ledger that CREDIT_WALLET_DATABASE_URL names
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
from fastapi import Depends, FastAPI, Request

from credit_wallet import CreditWallet
from credit_wallet.database_urls import database_url
from credit_wallet.middleware import CreditGate, charge_for, priced


def create_app(wallets: CreditWallet) -> CreditGate:
    app = FastAPI()

    @app.get("/search", dependencies=[Depends(priced(yen=3))])
    async def search(q: str) -> dict[str, str]:
        if q == "crash":
            raise RuntimeError("the index is down")  # the caller gets its ¥3 back
        return {"found": q.upper()}

    @app.get("/reports/{subject}", dependencies=[Depends(priced(hold=100))])
    async def report(subject: str, request: Request) -> dict[str, str]:
        text = f"all about {subject}"
        charge_for(request).capture(len(text))  # ¥1 a character, and never more than the ¥100 set aside
        return {"report": text}

    @app.get("/healthz")
    async def health() -> str:
        return "free"

    return CreditGate(app, wallets, topup_url="https://example.com/topup")


def served() -> CreditGate:
    return create_app(CreditWallet.open(database_url()))


async def call(app: Any, token: str) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://example.com") as agent:
        for path in ("/healthz", "/search?q=tuna", "/search?q=crash", "/reports/tuna", "/search?q=tuna"):
            answer = await agent.get(path, headers=headers)
            print(path, answer.status_code, f"¥{answer.headers.get('x-wallet-balance', '-')} left")
        print("without a token:", (await agent.get("/search?q=tuna")).json()["code"])


def main(path: str) -> None:
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallet = wallets.create(label="agent")
        wallets.topup(wallet.wallet_id, 120, idempotency_key="start")
        asyncio.run(call(create_app(wallets), wallet.owner_token))
        for entry in reversed(wallets.history(wallet.wallet_id)):
            print(f"{entry.amount_yen:>5} {entry.txn_type:<7} {entry.note or ''}")
        print("violations:", wallets.verify())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "wallet.db")
