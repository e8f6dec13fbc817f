"""Running the service: Granian in this process, the wallets' rail, and the worker beside it."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from credit_wallet.config import ACCESS_LOG
from credit_wallet.database_urls import is_postgres
from credit_wallet.delivery.factory import open_notifier
from credit_wallet.errors import InvalidRequest
from credit_wallet.http.app import create_app
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.hand_over import spawner
from credit_wallet.http.mcp_routes import import_ahead
from credit_wallet.http.metrics import Metrics
from credit_wallet.http.tracing import traced
from credit_wallet.http.traffic import Traffic
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.pages.live import Live
from credit_wallet.pages.rendering import compile_templates
from credit_wallet.payments.factory import open_payments
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.runtime.deadlines import CANCEL_SECONDS, DRAIN_SECONDS, UNREAD_SECONDS
from credit_wallet.runtime.stopping import Stop, closing_in_time
from credit_wallet.stores.databases import database_at
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import AsgiApp
from credit_wallet.worker import workers, working

HEADER_SECONDS = 10
"""How long a caller may take to send its headers."""

MAX_HEADER_BYTES = 65_536

COLLECT_EVERY = 100_000
"""Allocations between two garbage collections: hardly anything a request makes is cyclic, and a full collection stops
every request. Measured with 64 callers: p99 17 ms instead of 38."""

_log = Logger("credit_wallet.http")


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
    """Serve the wallets at ``url`` on ``host:port`` until SIGINT or SIGTERM, then finish what is under way, in time.

    ``lanes`` is how many transactions are under way at once. ``ready`` is called with the open wallets before the first
    request is taken. ``payments`` come before those of the environment.
    """
    _require_free(host, port)
    if danger := database_at(url).network_disk():
        _log.warning("network_disk", detail=danger)
    with Stop() as stop, closing(Traffic(ACCESS_LOG.read(), writes=True)) as traffic:
        metrics = Metrics(traffic)
        with closing_in_time(stop, CreditWallet.open(url, lanes=lanes, observe=metrics.batch)) as wallets:
            wallets.clock.log_problem()
            taken = open_payments(wallets, payments)
            live = Live(wallets)
            stop.on_stop(live.end)
            jobs = workers(wallets, taken, open_notifier(wallets, settings.notify))
            metrics.watch("postgresql" if is_postgres(url) else "sqlite", lambda: jobs.runs)
            with (
                working(stop, jobs),
                traced(create_app(wallets, settings, metrics, payments=taken, live=live, fast_lane=fast_lane)) as app,
            ):
                ready(wallets)
                _collect_rarely()
                _run(stop, _server(app, host, port))
            _log.info("stopped")


def _require_free(host: str, port: int) -> None:
    """Raise ``InvalidRequest`` when the port is taken: the server would share it, and requests with it, silently."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidRequest(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another port", field="port"
            ) from error


def _server(app: AsgiApp, host: str, port: int) -> Server:
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,  # to find out the version, a silent connection would be waited for without end
        backlog=1024,
        websockets=False,
        blocking_threads=1,  # which the hand-over counts on
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MAX_HEADER_BYTES),
    )
    server.on_startup(lambda: _give_up_who_takes_nothing(server))
    return server


def _give_up_who_takes_nothing(server: Server) -> None:
    """Have connections closed whose client takes nothing for ``UNREAD_SECONDS`` of what it was sent.

    The server waits for it without a clock, and takes no new connection while as many as it may have are open. Linux
    has such a clock (RFC 5482), which connections have from the socket that listens; the server would make it later.
    """
    if sys.platform == "linux" and server._ssp is not None:
        server._shd, server._ssp = server._ssp.build(), None
        with socket.socket(fileno=os.dup(server._shd.get_fd())) as listening:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_SECONDS * 1_000))


def _collect_rarely() -> None:
    """Leave what the service is made of out of garbage collections, and have fewer of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, *gc.get_threshold()[1:])


def _run(stop: Stop, server: Server) -> None:
    """Serve until ``stop``. What hangs then is abandoned: closing an event loop the usual way would wait for it."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_until_stopped(stop, server))
    finally:
        loop.run_until_complete(_cancel_the_rest())
        asyncio.set_event_loop(None)
        loop.close()


async def _until_stopped(stop: Stop, server: Server) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    stop.on_stop(lambda: loop.call_soon_threadsafe(stopped.set))
    serving = loop.create_task(server.serve(spawner()))
    # Once the server listens, which it does before it first waits.
    loop.call_soon(threading.Thread(target=prepare, name="credit-wallet-prepare").start)
    stopping = loop.create_task(stopped.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.stop()  # type: ignore[no-untyped-call]
    done, _ = await asyncio.wait((serving,), timeout=DRAIN_SECONDS)
    if not done:
        stop.abandon("answers that are under way")
        return
    await serving


def prepare() -> None:
    """Make ready what a first caller would wait for; garbage collections leave it out."""
    compile_templates()
    import_ahead()
    gc.freeze()


async def _cancel_the_rest() -> None:
    """Give up what is still under way."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_asyncgens(), CANCEL_SECONDS)
