"""Running the service: Granian in this process, the wallets' rail, and the worker beside it."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable

import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from credit_wallet.alerts.opening import open_notifier
from credit_wallet.errors import InvalidRequest
from credit_wallet.http.app import create_app
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.mcp_routes import imported_ahead
from credit_wallet.http.metrics import Metrics
from credit_wallet.http.replies import AsgiApp
from credit_wallet.http.tracing import traced
from credit_wallet.payments.opening import open_payments
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.stores.databases import database_at
from credit_wallet.wallet import CreditWallet
from credit_wallet.worker import workers

HEADER_SECONDS = 10
"""How long a caller may take to send its headers."""

MAX_HEADER_BYTES = 65_536

COLLECT_EVERY = 100_000
"""Allocations between two garbage collections: hardly anything a request makes is cyclic, and a full collection stops
every request. Measured with 64 callers: p99 17 ms instead of 38."""

_log = structlog.get_logger("credit_wallet.http")


def serve(
    url: str,
    host: str,
    port: int,
    settings: ServiceSettings,
    ready: Callable[[CreditWallet], None],
    *,
    lanes: int | None = None,
    payments: PaymentSettings | None = None,
    fast_lane: bool = True,
) -> None:
    """Serve the wallets at ``url`` on ``host:port`` until SIGINT or SIGTERM, then finish what is under way.

    ``lanes`` is how many transactions are under way at once. ``ready`` is called with the open wallets before the first
    request is taken. ``payments`` come before those of the environment.
    """
    _require_free(host, port)
    if danger := database_at(url).network_disk():
        _log.warning("network_disk", detail=danger)
    metrics = Metrics()
    with CreditWallet.open(url, lanes=lanes, observe=metrics.batch) as wallets:
        taken = open_payments(wallets, payments)
        jobs = workers(wallets, taken, open_notifier(wallets, settings.notify))
        jobs.start()
        try:
            with traced(create_app(wallets, settings, metrics, payments=taken, fast_lane=fast_lane)) as app:
                ready(wallets)
                _collect_rarely()
                uvloop.run(_until_stopped(_server(app, host, port)))
        finally:
            jobs.stop()
            jobs.join()


def _require_free(host: str, port: int) -> None:
    """Raise ``InvalidRequest`` when the port is taken: the server would share it, and requests with it, silently."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidRequest(
                f"{host}:{port} cannot be listened on ({error.strerror}); choose another port", field="port"
            ) from error


def _server(app: AsgiApp, host: str, port: int) -> Server:
    return Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,  # to find out the version, a silent connection would be waited for without end
        backlog=1024,
        websockets=False,
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MAX_HEADER_BYTES),
    )


def _collect_rarely() -> None:
    """Leave what the service is made of out of garbage collections, and have fewer of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, *gc.get_threshold()[1:])


async def _until_stopped(server: Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    # Once the server listens, which it does before it first waits; garbage collections leave out what is imported then.
    loop.call_soon(imported_ahead(gc.freeze).start)
    await server.serve()
    _log.info("stopped")
