"""Routes for owners whose mailboxes are asked before they are told anything."""

from __future__ import annotations

from typing import Annotated

from litestar import post
from litestar.params import JSONBody, PathParameter
from litestar.status_codes import HTTP_200_OK

from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.riding import rides
from credit_wallet.http.routing import SECURITY, problems
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.notices.targets import TargetView
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import require_owner
from credit_wallet.wire.bodies import ConfirmBody

TAGS = ["Notices"]
TargetId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]


@post(
    "/credit/notification-targets/{target_id:int}/confirm",
    status_code=HTTP_200_OK,
    tags=TAGS,
    security=SECURITY,
    responses=problems(400, 404, 413, 422),
)
@rides(OWNERS)
def confirm_target(
    target_id: TargetId, data: JSONBody[ConfirmBody], caller: GivenCaller, wallets: GivenWallets
) -> TargetView:
    """Give back the code that a mailbox was sent; from now on it gets notices. For the owner token."""
    return wallets.targets.confirm(require_owner(caller), target_id, data.code)


@post(
    "/credit/notification-targets/{target_id:int}/ask-again",
    status_code=HTTP_200_OK,
    tags=TAGS,
    security=SECURITY,
    responses=problems(404, 422),
)
@rides(OWNERS)
def ask_target_again(target_id: TargetId, caller: GivenCaller, wallets: GivenWallets) -> TargetView:
    """Send another code to a mailbox that has not been confirmed. For the owner token."""
    return wallets.targets.ask_again(require_owner(caller), target_id)


NOTICE_ROUTES = (confirm_target, ask_target_again)
