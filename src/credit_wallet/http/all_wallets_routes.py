"""What operators see of all wallets together: totals, payments that need help, notices that did not arrive."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.status_codes import HTTP_200_OK

from credit_wallet.domain.ledger_overview import LedgerOverview
from credit_wallet.domain.topup_status import TopupStatus
from credit_wallet.domain.totals import LedgerTotals
from credit_wallet.domain.views import DeliveryView, TopupCase
from credit_wallet.http.dependencies import GivenMetrics, GivenWallets
from credit_wallet.http.health import health_of
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.notice_routes import Before, Status
from credit_wallet.http.payment_routes import TopupCursor, TopupId
from credit_wallet.http.routing import id_in_path, page_size, route
from credit_wallet.ledger.ledger import MAX_PAGE
from credit_wallet.ledger.reading_lanes import FIGURES, OPERATORS
from credit_wallet.rules.topup_advice import case_of
from credit_wallet.wire.replies import Resent, TopupCasePage
from credit_wallet.wire.service_health import ServiceHealth

TAG = "Operator: all wallets"
MAX_TOPUPS = 200
MAX_ZONE_LENGTH = 64

DeliveryId = Annotated[int, id_in_path("delivery")]


@get("/operator/totals", **route(TAG, needs="view"))
@on_lane(FIGURES)
def get_totals(wallets: GivenWallets) -> LedgerTotals:
    """Get totals

    How many wallets there are, what they have together, and what moved this month (UTC). It is counted in the
    background, usually every minute, and for millions of wallets less often: `counted_at` and `month_counted_to` say as
    of when.
    """
    return wallets.totals()


@get("/operator/overview", **route(TAG, needs="view"))
@on_lane(FIGURES)
def get_overview(
    wallets: GivenWallets,
    zone: Annotated[
        str,
        QueryParameter(
            max_length=MAX_ZONE_LENGTH,
            description="IANA time zone whose days are shown.",
            examples=[Example(value="Asia/Tokyo")],
        ),
    ] = "UTC",
) -> LedgerOverview:
    """Get an overview

    The whole ledger at a glance: credit that is outstanding, held and owed, what came in and went out in each of the
    last 15 days and by this time of day a week ago, and what needs a person. What moved is counted in the background,
    usually within half a minute: `counted_at` and `counted_to` say as of when.
    """
    return wallets.ledger_overview(zone=zone)


@get("/operator/health", **route(TAG, needs="view"))
@on_lane(FIGURES)
def get_service_health(wallets: GivenWallets, metrics: GivenMetrics) -> ServiceHealth:
    """Get the service's health

    How the ledger and the process that answers are: what needs a look, the database, background jobs, queues, seals,
    and what was committed and answered in the last minute. With several processes, each answers for itself.
    """
    return health_of(wallets, metrics)


@get("/operator/topups", **route(TAG, needs="view"))
@on_lane(OPERATORS)
def list_topups_of_all(
    wallets: GivenWallets,
    status: Annotated[
        TopupStatus | None,
        QueryParameter(
            required=False, description="Only top-ups with this status.", examples=[Example(value="failed")]
        ),
    ] = None,
    cursor: TopupCursor = None,
    limit: Annotated[int, page_size(MAX_TOPUPS)] = 50,
) -> TopupCasePage:
    """List the top-ups of all wallets

    Top-ups through Stripe, newest first, each with why it failed or waits, and what to do next.
    """
    found = wallets.topups.list(status=status, before=cursor, limit=limit + 1)
    page = found[:limit]
    return TopupCasePage([case_of(each) for each in page], page[-1].place if len(found) > limit else None)


@get("/operator/topups/{topup_id:str}", **route(TAG, "topup_not_found", needs="view"))
@on_lane(OPERATORS)
def get_topup_of_all(topup_id: TopupId, wallets: GivenWallets) -> TopupCase:
    """Get a top-up of any wallet

    A top-up through Stripe as the ledger knows it, with why it failed or waits, and what to do next.
    """
    return case_of(wallets.topups.show(topup_id))


@get("/operator/deliveries", **route(TAG, needs="view"))
@on_lane(OPERATORS)
def list_deliveries_of_all(
    wallets: GivenWallets,
    status: Status = None,
    before: Before = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = 50,
) -> list[DeliveryView]:
    """List the deliveries of all wallets

    Notices of all wallets and of the operators' on their way to their targets, newest first.
    """
    return wallets.deliveries.list(status=status, before=before, limit=limit)


@post(
    "/operator/deliveries/{delivery_id:int}/resend",
    status_code=HTTP_200_OK,
    **route(TAG, "delivery_not_found", needs="support"),
)
@on_lane(OPERATORS)
def resend_delivery(delivery_id: DeliveryId, wallets: GivenWallets) -> Resent:
    """Resend a delivery

    Sends a notice again now, whether or not it arrived, with all its attempts before it.
    """
    return Resent(wallets.deliveries.resend(delivery_id))


ALL_WALLETS_ROUTES = (
    get_totals,
    get_overview,
    get_service_health,
    list_topups_of_all,
    get_topup_of_all,
    list_deliveries_of_all,
    resend_delivery,
)
