"""Routes for owners whose mailboxes must be confirmed before they get notices."""

from __future__ import annotations

from typing import Annotated

from litestar import post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import id_in_path, route
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.notices.targets import TargetView
from credit_wallet.wire.auth import own_wallet
from credit_wallet.wire.bodies import ConfirmBody

TAG = "Notification targets"
TargetId = Annotated[int, id_in_path("notification target")]


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


NOTICE_ROUTES = (confirm_notification_target, resend_confirmation_code)
