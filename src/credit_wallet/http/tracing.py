"""OpenTelemetry traces of requests, when the environment says where to send them.

Without an endpoint nothing is traced, and nothing is paid for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from credit_wallet.config import OTLP_ENDPOINT, SERVICE_NAME, TRACES_ENDPOINT
from credit_wallet.extras import needs
from credit_wallet.wire.asgi import AsgiApp

_NOT_TRACED = "healthz,readyz,metrics"


@contextmanager
def traced(app: AsgiApp) -> Iterator[AsgiApp]:
    """``app`` with a span per request, sent over OTLP/HTTP; what is still to be sent goes out at the end.

    Headers and bodies are not part of a span, so that no token ever is. Raises ``MissingExtra`` when traces are
    asked for and their libraries are missing.
    """
    if not (TRACES_ENDPOINT.read() or OTLP_ENDPOINT.read()):
        yield app
        return
    with needs("otel"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE_NAME.read()}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield OpenTelemetryMiddleware(app, excluded_urls=_NOT_TRACED, tracer_provider=provider)
    finally:
        provider.shutdown()
