"""CPU time that a gate adds to a request, with everything that it does: ledger, threads and all.

    python benchmarks/gate.py [--smoke] [--json FILE] [--seconds S]

An application that answers at once is called in this process by 64 callers, with and without a gate, in turns. What is
measured is the processor's time of the whole process; the network and a server come on top, with a gate or without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from reporting import Figure, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import ROUNDS, durability
from credit_wallet.cli.workloads import CALLERS
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.middleware import CreditGate

US = 1_000_000
CHARGED, KEYED = "gate, ¥3", "gate, ¥3, key and body of 1,000 bytes"
TARGETS = {CHARGED: "< 100 µs", KEYED: "< 140 µs"}
BODY = b"x" * 1_000

Request = Callable[[], Awaitable[None]]


async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def request_to(app: Any, token: str, *, keyed: bool = False) -> Request:
    """One request as a server hands it over; it stays connected until it is answered."""
    headers = [(b"host", b"api.test"), (b"authorization", f"Bearer {token}".encode()), (b"accept", b"*/*")]

    async def request() -> None:
        waiting = [{"type": "http.request", "body": BODY if keyed else b"", "more_body": False}]

        async def receive() -> Any:
            return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            pass

        key = [(b"idempotency-key", new_idempotency_key().encode())] if keyed else []
        scope = {
            "type": "http",
            "method": "POST" if keyed else "GET",
            "path": "/search",
            "query_string": b"q=tuna",
            "headers": [*headers, *key],
            "client": ("192.0.2.1", 50_000),
        }
        await app(scope, receive, send)

    return request


async def cpu_us(request: Request, seconds: float) -> float:
    """Microseconds of CPU time a request, made by ``CALLERS`` callers for ``seconds``."""
    until, made = perf_counter() + seconds, 0

    async def call() -> None:
        nonlocal made
        while perf_counter() < until:
            await request()
            made += 1

    started = process_time()
    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return (process_time() - started) / made * US


async def measured(requests: dict[str, Request], seconds: float) -> dict[str, float]:
    """The median of ``ROUNDS`` rounds, in which the cases take turns in alternating order."""
    rounds: dict[str, list[float]] = {name: [] for name in requests}
    for number in range(ROUNDS):
        for name in list(requests)[:: -1 if number % 2 else 1]:
            rounds[name].append(await cpu_us(requests[name], seconds / ROUNDS))
    return {name: median(each) for name, each in rounds.items()}


def requests_on(wallets: CreditWallet, wallet: CreatedWallet) -> dict[str, Request]:
    """Every case by its name; the bare application comes first."""
    token = wallet.owner_token

    async def charge_alone() -> None:
        await wallets.acharge(wallet.wallet_id, 3, idempotency_key=new_idempotency_key(), note="GET /search")

    return {
        "no gate": request_to(application, token),
        "the charge alone": charge_alone,
        "gate, free path": request_to(CreditGate(application, wallets, price_yen=lambda _: None), token),
        CHARGED: request_to(CreditGate(application, wallets, price_yen=3), token),
        KEYED: request_to(CreditGate(application, wallets, price_yen=3), token, keyed=True),
        "gate, hold and capture": request_to(CreditGate(application, wallets, hold=5), token),
    }


def main() -> None:
    given = parser("CPU time that a gate adds to a request.").parse_args()
    seconds = 0.5 if given.smoke else given.seconds or 10.0
    with TemporaryDirectory(prefix="credit-wallet-bench-") as folder:
        path = Path(folder) / "gate.db"
        with CreditWallet.open(f"sqlite:///{path}") as wallets:
            wallet = wallets.create()
            wallets.topup(wallet.wallet_id, 10**9, idempotency_key="start")
            cpu = asyncio.run(measured(requests_on(wallets, wallet), seconds))
            if given.smoke:
                assert not wallets.verify()
        settings = durability(path)
    bare_us, alone_us = cpu["no gate"], cpu["the charge alone"]
    figures = [Figure("no gate", round(bare_us, 1), "µs of CPU a request")]
    for name in list(cpu)[1:]:
        added_us = cpu[name] - (0 if name == "the charge alone" else bare_us)
        detail = "" if name == "the charge alone" else f"{added_us / alone_us:.1f} × the charge alone"
        figures.append(Figure(name, round(added_us, 1), "µs of CPU added", TARGETS.get(name, ""), detail=detail))
    publish("Gate, 64 callers at once", settings, figures, given.json)


if __name__ == "__main__":
    main()
