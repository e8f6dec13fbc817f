"""For machines that watch the service."""

from __future__ import annotations

from functools import cache
from typing import Any

from litestar import Litestar, Request, Response, get
from msgspec import json

from credit_wallet.http.dependencies import GivenMetrics, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.openapi.document import document_of
from credit_wallet.http.routing import MONEY_SECURITY, NEEDS, packed_reply, route
from credit_wallet.ledger.reading_lanes import PROBES
from credit_wallet.wire.packing import Packed, packed
from credit_wallet.wire.replies import Health

TAG = "Service"
METRICS_TYPE = "text/plain; version=0.0.4"


@get("/healthz", sync_to_thread=False, **route(TAG, needs=None))
def get_health() -> Health:
    """Check liveness

    Answers while the process runs.
    """
    return Health("ok")


@get("/readyz", **route(TAG, needs=None))
@on_lane(PROBES)
def get_readiness(wallets: GivenWallets) -> Health:
    """Check readiness

    Answers 200 when the service would take a charge now: the database takes writes and its migrations are current.
    """
    wallets.maintenance.check_ready()
    return Health("ready")


@get("/metrics", media_type=METRICS_TYPE, **route(TAG, security=MONEY_SECURITY, needs="view"))
async def get_metrics(request: Request[Any, Any, Any], metrics: GivenMetrics, wallets: GivenWallets) -> Response[str]:
    """Get metrics

    Figures in Prometheus' text format: those of the process for everybody, those of money for operators and for the
    metrics token. Keep this address inside your network.
    """
    text = await metrics.read(wallets, money=request.state.sees_money)
    return Response(text.decode(), media_type=METRICS_TYPE)


@get("/openapi.json", include_in_schema=False, sync_to_thread=True, opt={NEEDS: None})
def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """This service's OpenAPI 3.1 document."""
    return packed_reply(_document(request.app), "application/json", request)


@cache
def _document(app: Litestar) -> Packed:
    return packed(json.encode(document_of(app)))


SYSTEM_ROUTES = (get_health, get_readiness, get_metrics, openapi)
