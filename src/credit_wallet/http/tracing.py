"""OpenTelemetry traces of requests, when the environment says where to send them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from credit_wallet.errors import InvalidRequest
from credit_wallet.wire.asgi import AsgiApp

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own variables; without one of them nothing is traced, and nothing is paid for it."""

SERVICE_NAME = "agent-credit-wallet"

_NOT_TRACED = "healthz,readyz,metrics"


@contextmanager
def traced(app: AsgiApp) -> Iterator[AsgiApp]:
    """``app`` with a span per request, sent over OTLP/HTTP; what is still to be sent goes out at the end.

    Headers and bodies are not part of a span, so that no token ever is. Raises ``InvalidRequest`` when traces are
    asked for and their libraries are missing.
    """
    if not any(os.environ.get(name) for name in ENDPOINT_VARIABLES):
        yield app
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise InvalidRequest(f"{error.name} is missing; install agent-credit-wallet[otel]", field="traces") from error
    name = os.environ.get("OTEL_SERVICE_NAME", SERVICE_NAME)
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield OpenTelemetryMiddleware(app, excluded_urls=_NOT_TRACED, tracer_provider=provider)
    finally:
        provider.shutdown()
