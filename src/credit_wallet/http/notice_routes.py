"""What owners see of their notices, and how they confirm the mailboxes that get them."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from credit_wallet.domain.views import DeliveryStatus, DeliveryView
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import id_in_path, page_size, route
from credit_wallet.ledger.ledger import MAX_PAGE
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.notices.targets import TargetView
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import own_wallet
from credit_wallet.wire.bodies import ConfirmBody

TAG = "Notification targets"
TargetId = Annotated[int, id_in_path("notification target")]
Status = Annotated[
    DeliveryStatus | None,
    QueryParameter(required=False, description="Only deliveries with this status.", examples=[Example(value="dead")]),
]
Before = Annotated[
    int | None,
    QueryParameter(
        ge=1,
        le=MAX_ID,
        required=False,
        description="Only earlier deliveries: send the last `delivery_id` of the page before.",
        examples=[Example(value=120)],
    ),
]


@get("/credit/deliveries", **route(TAG, needs="manage"))
@on_lane(OWNERS)
def list_deliveries(
    caller: GivenCaller,
    wallets: GivenWallets,
    status: Status = None,
    before: Before = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = 50,
) -> list[DeliveryView]:
    """List deliveries

    The wallet's notices on their way to its notification targets, newest first, with the last error of those that have
    not arrived.
    """
    return wallets.deliveries.list(own_wallet(caller), status=status, before=before, limit=limit)


@post(
    "/credit/notification-targets/{target_id:int}/confirm",
    status_code=HTTP_200_OK,
    **route(TAG, "target_not_found", "wrong_confirmation_code", needs="manage"),
)
@on_lane(OWNERS)
def confirm_notification_target(
    target_id: TargetId, data: JSONBody[ConfirmBody], caller: GivenCaller, wallets: GivenWallets
) -> TargetView:
    """Confirm a mailbox

    Takes the code that was sent to a new mailbox; from now on the mailbox gets notices.
    """
    return wallets.targets.confirm(own_wallet(caller), target_id, data.code)


@post(
    "/credit/notification-targets/{target_id:int}/ask-again",
    status_code=HTTP_200_OK,
    **route(TAG, "target_not_found", "too_many_confirmations", needs="manage"),
)
@on_lane(OWNERS)
def resend_confirmation_code(target_id: TargetId, caller: GivenCaller, wallets: GivenWallets) -> TargetView:
    """Resend a confirmation code

    Sends another code to a mailbox that is not confirmed yet.
    """
    return wallets.targets.ask_again(own_wallet(caller), target_id)


NOTICE_ROUTES = (list_deliveries, confirm_notification_target, resend_confirmation_code)
