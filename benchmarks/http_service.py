"""The service under load, as a process of its own.

python benchmarks/http_service.py MODE PORT [DATABASE]

MODE: "service" as ``credit-wallet serve`` runs it; "documented" without the fast lane; "bare" a handler that stores
nothing and answers what a charge answers, on the same server.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.serve import serve
from credit_wallet.telemetry import log_to_stderr
from credit_wallet.wire.asgi import Receive, Scope, Send
from credit_wallet.wire.operator_keys import operator_key

SERVICE, DOCUMENTED, BARE = "service", "documented", "bare"
OPERATOR_KEY = "cw_operator_of_the_benchmark_on_loopback"

_BODY = (
    b'{"txn_id":1001,"wallet_id":1,"amount_yen":3,"balance_yen":999999997,"replayed":false,"alerts":[],'
    b'"hold_id":null,"expires_at":null}'
)
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(_BODY)),
    (b"x-request-id", b"0123456789ab-1"),
    (b"x-wallet-balance", b"999999997"),
]


def main() -> None:
    mode, port, *database = sys.argv[1:]
    if mode == BARE:
        uvloop.run(_serve_bare(int(port)))
        return
    log_to_stderr()
    settings = ServiceSettings((operator_key("benchmark", OPERATOR_KEY),), "http://127.0.0.1/credit/topup")
    serve(f"sqlite:///{database[0]}", "127.0.0.1", int(port), settings, lambda _: None, fast_lane=mode == SERVICE)


async def _bare(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


async def _serve_bare(port: int) -> None:
    server = Server(
        _bare, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, websockets=False, log_enabled=False
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()


if __name__ == "__main__":
    main()
