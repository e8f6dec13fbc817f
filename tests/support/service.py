"""The HTTP service for tests: in this process, or as a process of its own on a loopback port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx

from credit_wallet import CreditWallet, config
from credit_wallet.delivery.factory import NotifySettings
from credit_wallet.domain.tokens import new_operator_key
from credit_wallet.http.app import create_app
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.metrics import Metrics
from credit_wallet.payments.replies import Payments
from credit_wallet.wire.asgi import AsgiApp
from credit_wallet.wire.operator_keys import OperatorKey, operator_key

OPERATOR_KEY = new_operator_key()
TOPUP_URL = "https://wallet.test/topup"
_MAIN = "from credit_wallet.cli.app import main; main()"
STOP_SECONDS = 30
"""How long a process may take to finish what is under way."""


def new_app(
    wallets: CreditWallet,
    *,
    payments: Payments | None = None,
    notify: NotifySettings | None = None,
    fast_lane: bool = True,
    metrics_key: OperatorKey | None = None,
    topup_url: str = TOPUP_URL,
    metrics: Metrics | None = None,
    **settings: Any,
) -> AsgiApp:
    """The service's application on ``wallets``; ``settings`` are others of ``ServiceSettings``."""
    keys = (operator_key("operator", OPERATOR_KEY),)
    chosen = ServiceSettings(keys, topup_url, notify or NotifySettings(), metrics_key=metrics_key, **settings)
    return create_app(wallets, chosen, metrics or Metrics(), payments=payments, fast_lane=fast_lane)


class Api:
    """Calls an application in this process. ``address`` is the caller's."""

    def __init__(self, app: AsgiApp, address: str = "192.0.2.1") -> None:
        self._transport = httpx.ASGITransport(app, client=(address, 50_000))
        self._loop = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.close()

    def call(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        key: str | None = None,
        json: object = None,
        content: bytes | None = None,
        chunks: AsyncIterator[bytes] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]] | None = None,
    ) -> httpx.Response:
        """The answer to one request; ``token`` goes into ``Authorization``, ``key`` into ``Idempotency-Key``.

        ``headers`` as pairs may have a name twice.
        """
        given = list(headers.items()) if isinstance(headers, Mapping) else headers or []
        fields = [*credentials(token, key).items(), *given]
        raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in fields]

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://wallet.test") as client:
                return await client.request(
                    method, path, json=json, content=chunks or content, params=params, headers=raw
                )

        return self._loop.run(send())

    def get(self, path: str, token: str | None = None, **params: object) -> httpx.Response:
        """The answer to a GET."""
        return self.call("GET", path, token, params=params)

    def post(self, path: str, token: str | None = None, /, *, key: str | None = None, **body: object) -> httpx.Response:
        """The answer to a POST of ``body``."""
        return self.call("POST", path, token, key=key, json=body)


def credentials(token: str | None, key: str | None = None) -> dict[str, str]:
    """The headers that carry a token and an idempotency key."""
    headers = {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if key is not None:
        headers["Idempotency-Key"] = key
    return headers


class Service:
    """``credit-wallet serve`` as a process; in a with-block it is stopped at the end."""

    def __init__(
        self,
        db_url: str,
        *arguments: str,
        port: int | None = None,
        adjust: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it and wait until it is ready; ``adjust`` is Python that changes its limits first."""
        self.port = free_port() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{adjust}\n{_MAIN}", "--db", db_url, "serve", "--port", str(self.port), *arguments],
            env={**os.environ, config.OPERATOR_KEY.name: OPERATOR_KEY, "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=self._output,
        )
        self._said = b""
        self._said = self._wait_until_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()
        self._output.close()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def begin_stop(self) -> None:
        """Ask it to stop; it finishes what is under way first."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask it to stop and wait for its end; the exit status."""
        self.begin_stop()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; the exit status."""
        assert self._process.stdout is not None
        status = self._process.wait(STOP_SECONDS)
        self._said += self._process.stdout.read()
        self._process.stdout.close()
        return status

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self.wait()

    def output(self) -> bytes:
        """What it wrote to standard output (whole once it has ended) and standard error."""
        self._output.seek(0)
        return self._said + self._output.read()

    def _wait_until_ready(self) -> bytes:
        """The first line says that the ledger is open; connecting succeeds once the socket listens."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        while self._process.poll() is None:
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/readyz").raise_for_status()
                return said
        raise RuntimeError(f"the service ended with exit status {self._process.returncode}: {self.output()!r}")


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
