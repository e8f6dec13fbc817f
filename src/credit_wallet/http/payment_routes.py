"""Money in: top-ups that an owner pays for, and what Stripe delivers."""

from __future__ import annotations

from typing import Annotated, Any, cast

from litestar import Request, Response, delete, get, post
from litestar.openapi.spec import Example
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import Struct

from credit_wallet.domain.views import TopupView
from credit_wallet.errors import TopupNotFound
from credit_wallet.http.dependencies import GivenCaller, GivenPayments, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.movements import required_key
from credit_wallet.http.routing import DocumentResponse, IdempotencyKey, page_size, route
from credit_wallet.ledger.reading_lanes import DELIVERIES, OWNERS, PAYMENTS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.factory import configured
from credit_wallet.payments.replies import TopupOptions, TopupReply
from credit_wallet.wire.asgi import Receive
from credit_wallet.wire.auth import Caller, own_wallet
from credit_wallet.wire.bodies import PayBackBody, TopupBody
from credit_wallet.wire.receiving import STRANGERS_ROOM, read_body
from credit_wallet.wire.replies import TopupPage

TAG = "Top-ups"
MAX_DELIVERY_BYTES = 1 << 20
MAX_PAGE = 200

TopupId = Annotated[
    str,
    PathParameter(
        pattern="^tu_[A-Za-z0-9_]{1,80}$",
        description="Id of the top-up.",
        examples=[Example(value="tu_20bca0ada1f6dda73b61b97a92eb5d")],
    ),
]
TopupCursor = Annotated[
    str | None,
    QueryParameter(
        pattern="^[0-9T:.Z -]{10,40}~tu_[A-Za-z0-9_]{1,80}$",
        required=False,
        description="`next_cursor` of the page before, for the next one.",
        examples=[Example(value="2026-11-28T12:00:00.000Z~tu_20bca0ada1f6dda73b61b97a92eb5d")],
    ),
]
Signature = Annotated[
    str | None,
    HeaderParameter(
        name="Stripe-Signature",
        required=False,
        description="Stripe's signature over the body. Without a valid one the answer is 400.",
        examples=[Example(value="t=1764316800,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd")],
    ),
]

_STRIPE_CODES = ("payments_not_configured", "payment_provider_error")


class Received(Struct, frozen=True):
    """What was done with a Stripe event."""

    result: str


@post(
    "/credit/topup",
    status_code=HTTP_201_CREATED,
    **route(TAG, "invalid_amount", "topup_in_flight", "wallet_disabled", *_STRIPE_CODES, needs="manage"),
)
@on_lane(PAYMENTS)
def create_topup(
    data: JSONBody[TopupBody],
    caller: GivenCaller,
    wallets: GivenWallets,  # noqa: ARG001 - it runs on one of their lanes
    payments: GivenPayments,
    idempotency_key: IdempotencyKey,
) -> Response[TopupReply]:
    """Create a top-up

    Asks Stripe for a payment. Confirm `client_secret` with Stripe's card form, or with `checkout` send people to
    `checkout_url`. The wallet is credited when Stripe reports that the payment succeeded.
    `GET /credit/topups/options` says which amounts and methods there are.
    """
    wallet_id = own_wallet(caller)
    key = required_key(idempotency_key)
    ready = configured(payments)
    reply = ready.request(
        wallet_id,
        data.amount_yen,
        idempotency_key=key,
        flow="checkout" if data.checkout else "intent",
        offer=data.offer(),
        actor=caller.actor,
    )
    return DocumentResponse(reply, headers={"Idempotent-Replayed": "true"} if reply.replayed else {})


@get("/credit/topups", **route(TAG, needs="manage"))
@on_lane(OWNERS)
def list_topups(
    caller: GivenCaller,
    wallets: GivenWallets,
    cursor: TopupCursor = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = 50,
) -> TopupPage:
    """List top-ups

    The wallet's top-ups through Stripe, newest first.
    """
    found = wallets.topups.list(own_wallet(caller), before=cursor, limit=limit + 1)
    return TopupPage(found[:limit], found[limit - 1].place if len(found) > limit else None)


@get("/credit/topups/options", **route(TAG, needs="manage"))
@on_lane(OWNERS)
def get_topup_options(
    caller: GivenCaller,  # noqa: ARG001 - any owner may ask
    wallets: GivenWallets,  # noqa: ARG001 - it runs on one of their lanes
    payments: GivenPayments,
) -> TopupOptions:
    """Get top-up options

    Whether and how owners can pay: amounts and payment methods.
    """
    return TopupOptions() if payments is None else payments.options()


@get("/credit/topups/{topup_id:str}", **route(TAG, "topup_not_found", *_STRIPE_CODES, needs="manage"))
@on_lane(PAYMENTS)
def get_topup(topup_id: TopupId, caller: GivenCaller, wallets: GivenWallets, payments: GivenPayments) -> TopupReply:
    """Get a top-up

    One top-up of the wallet, with what is needed to pay it.
    """
    _own_topup(wallets, caller, topup_id)
    return configured(payments).show(topup_id)


@delete(
    "/credit/topups/{topup_id:str}",
    status_code=HTTP_200_OK,
    **route(TAG, "topup_not_found", *_STRIPE_CODES, needs="manage"),
)
@on_lane(PAYMENTS)
def cancel_topup(topup_id: TopupId, caller: GivenCaller, wallets: GivenWallets, payments: GivenPayments) -> TopupReply:
    """Cancel a top-up

    Cancels a top-up that nobody has paid; one that was paid in the meantime is credited.
    """
    _own_topup(wallets, caller, topup_id)
    return configured(payments).cancel(topup_id)


@post(
    "/operator/topups/{topup_id:str}/pay-back",
    status_code=HTTP_200_OK,
    **route(
        TAG,
        "invalid_amount",
        "topup_not_found",
        "refund_exceeds_charge",
        "pay_back_not_allowed",
        *_STRIPE_CODES,
        needs="finance",
    ),
)
@on_lane(PAYMENTS)
def pay_back_topup(
    topup_id: TopupId,
    data: JSONBody[PayBackBody],
    wallets: GivenWallets,  # noqa: ARG001 - it runs on one of their lanes
    payments: GivenPayments,
    idempotency_key: IdempotencyKey,
) -> TopupReply:
    """Pay unused credit back

    Pays unused credit of a top-up back to the card that paid for it. Off by default, and limited by law.
    """
    key = required_key(idempotency_key)
    ready = configured(payments)
    return ready.pay_back(topup_id, data.amount_yen, idempotency_key=key)


@post(
    "/webhooks/stripe",
    status_code=HTTP_200_OK,
    **route(
        TAG,
        "invalid_signature",
        "invalid_event",
        "invalid_json",
        "body_too_large",
        "topup_not_found",
        *_STRIPE_CODES,
        needs=None,
    ),
)
async def receive_stripe_event(
    request: Request[Any, Any, Any], wallets: GivenWallets, payments: GivenPayments, signature: Signature
) -> Received:
    """Receive a Stripe event

    The address for Stripe's webhook. It answers 200 once the event is durable; Stripe delivers again after any other
    answer. The signature says who sends it.
    """
    ready = configured(payments)
    payload = await read_body(cast(Receive, request.receive), MAX_DELIVERY_BYTES, STRANGERS_ROOM)
    return Received(await wallets.reading_lanes.ask_for(0, DELIVERIES, ready.deliver, payload, signature))


def _own_topup(wallets: CreditWallet, caller: Caller, topup_id: str) -> TopupView:
    """A top-up of the caller's wallet; another wallet's does not exist for the caller."""
    wallet_id = own_wallet(caller)
    topup = wallets.topups.show(topup_id)
    if topup.wallet_id != wallet_id:
        raise TopupNotFound(f"there is no top-up {topup_id}; check the id", topup_id=topup_id)
    return topup


PAYMENT_ROUTES = (
    create_topup,
    list_topups,
    get_topup_options,
    get_topup,
    cancel_topup,
    pay_back_topup,
    receive_stripe_event,
)
