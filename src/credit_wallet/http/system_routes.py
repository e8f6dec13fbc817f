"""For machines that watch the service."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from credit_wallet.http.dependencies import GivenMetrics, GivenWallets
from credit_wallet.http.riding import rides
from credit_wallet.http.routing import MONEY_SECURITY, problem
from credit_wallet.ledger.reading_lanes import PROBES
from credit_wallet.wire.bodies import Health

TAGS = ["System"]
GIVEN_TWICE = "A header or a query parameter is given twice."
METRICS_TYPE = "text/plain; version=0.0.4"


@get("/healthz", tags=TAGS, sync_to_thread=False, responses={400: problem(400, GIVEN_TWICE)})
def alive() -> Health:
    """The process answers."""
    return Health("ok")


@get(
    "/readyz",
    tags=TAGS,
    responses={400: problem(400, GIVEN_TWICE), 503: problem(503, "It would not take a charge.")},
)
@rides(PROBES)
def ready(wallets: GivenWallets) -> Health:
    """The rail is alive, the database takes writes and its migrations are current."""
    wallets.maintenance.check_ready()
    return Health("ready")


@get(
    "/metrics",
    tags=TAGS,
    media_type=METRICS_TYPE,
    security=MONEY_SECURITY,
    responses={400: problem(400, GIVEN_TWICE), 401: problem(401), 429: problem(429), 503: problem(503)},
)
async def figures(request: Request[Any, Any, Any], metrics: GivenMetrics, wallets: GivenWallets) -> Response[str]:
    """Figures in Prometheus' text format: those of the process for anybody, those of money for the operator and for
    the metrics token. Keep the address inside your network.
    """
    text = await metrics.read(wallets, money=request.state.sees_money)
    return Response(text.decode(), media_type=METRICS_TYPE)


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """This service's OpenAPI 3.1 document."""
    return request.app.openapi_schema.to_schema()


SYSTEM_ROUTES = (alive, ready, figures, openapi)
