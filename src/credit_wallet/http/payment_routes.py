"""Money in: top-ups that an owner asks for, and what Stripe delivers."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, cast

from litestar import Request, Response, delete, get, post
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import Struct

from credit_wallet.domain.outcomes import TopupView
from credit_wallet.errors import TopupNotFound
from credit_wallet.http.dependencies import GivenCaller, GivenPayments, GivenWallets
from credit_wallet.http.movements import required_key
from credit_wallet.http.riding import rides
from credit_wallet.http.routing import SECURITY, IdempotencyKey, problems
from credit_wallet.ledger.reading_lanes import DELIVERIES, OWNERS, PAYMENTS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.factory import configured
from credit_wallet.payments.replies import TopupReply
from credit_wallet.wire.auth import Caller, require_operator, require_owner
from credit_wallet.wire.bodies import PayBackBody, TopupBody, TopupPage
from credit_wallet.wire.receiving import STRANGERS_ROOM, read_body
from credit_wallet.wire.replies import Receive

TAGS = ["Top-ups"]
MAX_DELIVERY_BYTES = 1 << 20
MAX_PAGE = 200

TopupId = Annotated[str, PathParameter(pattern="^tu_[A-Za-z0-9_]{1,80}$")]
Signature = Annotated[
    str | None,
    HeaderParameter(name="Stripe-Signature", required=False, description="Stripe's, over the body; 400 without one."),
]

DELIVERY_PROBLEMS = {
    status: replace(spec, description="It is not signed by Stripe, was signed too long ago, or says something twice.")
    if status == 400
    else spec
    for status, spec in problems(400, 404, 413, 501, 502).items()
    if status not in (401, 403, 429)
}
"""A delivery has no token; its signature says who sends it."""


class Received(Struct, frozen=True):
    """A delivery was taken in, or is about nothing of this ledger's."""

    result: str


@post(
    "/credit/topup",
    status_code=HTTP_201_CREATED,
    tags=TAGS,
    security=SECURITY,
    responses=problems(400, 409, 413, 422, 428, 501, 502),
)
@rides(PAYMENTS)
def request_topup(
    data: JSONBody[TopupBody],
    caller: GivenCaller,
    wallets: GivenWallets,  # noqa: ARG001 - it rides one of their lanes
    payments: GivenPayments,
    idempotency_key: IdempotencyKey,
) -> Response[TopupReply]:
    """Ask for a payment: confirm `client_secret` with Stripe's card form, or with `checkout` send people to
    `checkout_url`. The wallet is credited when Stripe says that it succeeded. For the owner token.
    """
    wallet_id = require_owner(caller)
    key = required_key(idempotency_key)
    ready = configured(payments)
    reply = ready.request(
        wallet_id,
        data.amount_yen,
        idempotency_key=key,
        way="checkout" if data.checkout else "intent",
    )
    return Response(reply, headers={"Idempotent-Replayed": "true"} if reply.replayed else {})


@get("/credit/topups", tags=TAGS, security=SECURITY, responses=problems(422))
@rides(OWNERS)
def list_topups(
    caller: GivenCaller,
    wallets: GivenWallets,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
) -> TopupPage:
    """The wallet's top-ups, newest first. For the owner token."""
    return TopupPage(wallets.topups.list(require_owner(caller), limit=limit))


@get("/credit/topups/{topup_id:str}", tags=TAGS, security=SECURITY, responses=problems(404, 422, 501, 502))
@rides(PAYMENTS)
def show_topup(topup_id: TopupId, caller: GivenCaller, wallets: GivenWallets, payments: GivenPayments) -> TopupReply:
    """A top-up, with what it takes to pay it. For the owner token."""
    _own_topup(wallets, caller, topup_id)
    return configured(payments).show(topup_id)


@delete(
    "/credit/topups/{topup_id:str}",
    status_code=HTTP_200_OK,
    tags=TAGS,
    security=SECURITY,
    responses=problems(404, 422, 501, 502),
)
@rides(PAYMENTS)
def cancel_topup(topup_id: TopupId, caller: GivenCaller, wallets: GivenWallets, payments: GivenPayments) -> TopupReply:
    """Give up a top-up that nobody has paid; one that was paid meanwhile is credited. For the owner token."""
    _own_topup(wallets, caller, topup_id)
    return configured(payments).cancel(topup_id)


@post(
    "/operator/topups/{topup_id:str}/pay-back",
    status_code=HTTP_200_OK,
    tags=["Operator"],
    security=SECURITY,
    responses=problems(400, 404, 409, 413, 422, 428, 501, 502),
)
@rides(PAYMENTS)
def pay_back_topup(
    topup_id: TopupId,
    data: JSONBody[PayBackBody],
    caller: GivenCaller,
    wallets: GivenWallets,  # noqa: ARG001 - it rides one of their lanes
    payments: GivenPayments,
    idempotency_key: IdempotencyKey,
) -> TopupReply:
    """Pay unused credit of a top-up back to its card. Off unless the operator allows it, and limited by law."""
    require_operator(caller)
    key = required_key(idempotency_key)
    ready = configured(payments)
    return ready.pay_back(topup_id, data.amount_yen, idempotency_key=key)


@post(
    "/webhooks/stripe",
    status_code=HTTP_200_OK,
    tags=TAGS,
    responses=DELIVERY_PROBLEMS,
)
async def take_delivery(
    request: Request[Any, Any, Any], wallets: GivenWallets, payments: GivenPayments, signature: Signature
) -> Received:
    """Webhook of Stripe. Answered with 200 once it is durable; anything else is delivered again."""
    ready = configured(payments)
    payload = await read_body(cast(Receive, request.receive), MAX_DELIVERY_BYTES, STRANGERS_ROOM)
    return Received(await wallets.reading_lanes.ask_for(0, DELIVERIES, ready.deliver, payload, signature))


def _own_topup(wallets: CreditWallet, caller: Caller, topup_id: str) -> TopupView:
    """Somebody else's top-up does not exist for the caller."""
    wallet_id = require_owner(caller)
    topup = wallets.topups.show(topup_id)
    if topup.wallet_id != wallet_id:
        raise TopupNotFound(f"there is no top-up {topup_id}", topup_id=topup_id)
    return topup


PAYMENT_ROUTES = (request_topup, list_topups, show_topup, cancel_topup, pay_back_topup, take_delivery)
