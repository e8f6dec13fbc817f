"""Requests are traced to an OTLP receiver when the environment names one, and no token is in a trace."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from over_socket import OverSocket

from credit_wallet import CreditWallet
from credit_wallet.config import OTLP_ENDPOINT, TRACES_ENDPOINT
from credit_wallet.http.app import create_app
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.metrics import Metrics
from credit_wallet.http.tracing import traced
from credit_wallet.wire.asgi import AsgiApp


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """An OTLP/HTTP receiver that the environment points to; the bodies it was sent."""
    bodies: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        yield bodies
        server.shutdown()


@pytest.fixture
def app(wallets: CreditWallet) -> AsgiApp:
    return create_app(wallets, ServiceSettings((), "https://pay.example"), Metrics())


def charge(app: AsgiApp, token: str) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://wallet") as client:
            await client.get("/healthz")
            return await client.post(
                "/credit/charge",
                json={"amount_yen": 3},
                headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "one"},
            )

    return asyncio.run(send())


def charge_over_the_server(app: AsgiApp, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "one"}
    with OverSocket(app) as served:
        served.call("GET", "/healthz", content=b"", headers={})
        return served.call("POST", "/credit/charge", content=b'{"amount_yen": 3}', headers=headers)


@pytest.mark.parametrize("by", [charge, charge_over_the_server])
def test_a_charge_is_one_span_without_its_token(
    wallets: CreditWallet, app: AsgiApp, receiver: list[bytes], by: Callable[[AsgiApp, str], httpx.Response]
) -> None:
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, 10, idempotency_key="topup")
    with traced(app) as traced_app:
        assert by(traced_app, wallet.owner_token).status_code == 200
    spans = [
        span
        for body in receiver
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    requests = [span for span in spans if span.name == "POST /credit/charge"]
    assert len(requests) == 1
    assert not any("healthz" in span.name for span in spans)
    assert not any(wallet.owner_token.encode() in body for body in receiver)


def test_without_an_endpoint_the_application_is_left_as_it_is(app: AsgiApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (TRACES_ENDPOINT.name, OTLP_ENDPOINT.name):
        monkeypatch.delenv(name, raising=False)
    with traced(app) as same:
        assert same is app
