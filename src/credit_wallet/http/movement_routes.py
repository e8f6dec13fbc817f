"""``/credit/charge`` and the other movements, documented. The fast lane answers the first four before they get here."""

from __future__ import annotations

from typing import Any

from litestar import Response, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from credit_wallet.http import movements
from credit_wallet.http.decoding import MAX_MOVEMENT_BYTES
from credit_wallet.http.dependencies import GivenCaller, GivenSettings, GivenWallets
from credit_wallet.http.routing import (
    MOVEMENT_PROBLEMS,
    SECURITY,
    IdempotencyKey,
    headers_of_outcome,
    movement_reply,
    problems,
)
from credit_wallet.wire.bodies import (
    BatchBody,
    BatchReply,
    BuyBody,
    CaptureBody,
    ChargeBody,
    ExtendBody,
    HoldBody,
    MovementReply,
    OperatorTopupBody,
    PurchaseReply,
    RefundBody,
    ReleaseBody,
    RenewBody,
    ServeBody,
    UndoBody,
)

TAGS = ["Movements"]

_MOVEMENT: dict[str, Any] = {
    "status_code": HTTP_200_OK,
    "tags": TAGS,
    "security": SECURITY,
    "responses": MOVEMENT_PROBLEMS,
}


@post("/credit/charge", request_max_body_size=MAX_MOVEMENT_BYTES, **_MOVEMENT)
async def charge(
    data: JSONBody[ChargeBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[MovementReply]:
    """Charge a wallet: the token's own, or with the operator key the one that the body names."""
    return movement_reply(await movements.charge(wallets, caller, data, idempotency_key))


@post("/credit/hold", request_max_body_size=MAX_MOVEMENT_BYTES, **_MOVEMENT)
async def hold(
    data: JSONBody[HoldBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[MovementReply]:
    """Set yen aside for a call whose price is known afterwards."""
    return movement_reply(await movements.hold(wallets, caller, data, idempotency_key))


@post("/credit/capture", request_max_body_size=MAX_MOVEMENT_BYTES, **_MOVEMENT)
async def capture(
    data: JSONBody[CaptureBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[MovementReply]:
    """Spend yen of a hold and give the rest back."""
    return movement_reply(await movements.capture(wallets, caller, data, idempotency_key))


@post("/credit/release", request_max_body_size=MAX_MOVEMENT_BYTES, **_MOVEMENT)
async def release(
    data: JSONBody[ReleaseBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[MovementReply]:
    """Give a hold back whole."""
    return movement_reply(await movements.release(wallets, caller, data, idempotency_key))


@post("/credit/refund", **_MOVEMENT)
async def refund(
    data: JSONBody[RefundBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[MovementReply]:
    """Give a charge back to its wallet, whole or in part. For the operator."""
    return movement_reply(await movements.refund(wallets, caller, data, idempotency_key))


@post("/credit/extend", **_MOVEMENT)
async def extend(data: JSONBody[ExtendBody], caller: GivenCaller, wallets: GivenWallets) -> Response[MovementReply]:
    """Let an open hold last longer. Needs no idempotency key: saying it again changes nothing."""
    return movement_reply(await movements.extend(wallets, caller, data))


@post("/credit/purchase", request_max_body_size=MAX_MOVEMENT_BYTES, **_MOVEMENT)
async def buy(
    data: JSONBody[BuyBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[PurchaseReply]:
    """Sell a request: charge its price, or hold it, unless the same request was paid for before. For sellers.

    `X-Payer-Token` is the token of the buyer's wallet. The `Idempotency-Key` names the buyer's request.
    """
    outcome, purchase_key = await movements.buy(wallets, caller, data, idempotency_key)
    return Response(PurchaseReply.of_purchase(outcome, purchase_key), headers=headers_of_outcome(outcome))


@post("/credit/purchase/serve", **_MOVEMENT)
async def serve(data: JSONBody[ServeBody], caller: GivenCaller, wallets: GivenWallets) -> Response[MovementReply]:
    """Write down that the answer has reached the buyer: from now on the purchase is paid. For sellers."""
    return movement_reply(await movements.serve(wallets, caller, data))


@post("/credit/purchase/renew", **_MOVEMENT)
async def renew(data: JSONBody[RenewBody], caller: GivenCaller, wallets: GivenWallets) -> Response[MovementReply]:
    """Keep a purchase, and its hold, while its attempt is at work. For sellers."""
    return movement_reply(await movements.renew(wallets, caller, data))


@post("/credit/purchase/undo", **_MOVEMENT)
async def undo(data: JSONBody[UndoBody], caller: GivenCaller, wallets: GivenWallets) -> Response[MovementReply]:
    """Give back what a purchase took, if nobody was served; else nothing moves. For sellers."""
    return movement_reply(await movements.undo(wallets, caller, data))


@post("/operator/topup", status_code=HTTP_200_OK, tags=["Operator"], security=SECURITY, responses=MOVEMENT_PROBLEMS)
async def operator_topup(
    data: JSONBody[OperatorTopupBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[MovementReply]:
    """Credit a wallet by hand. For the operator."""
    return movement_reply(await movements.operator_topup(wallets, caller, data, idempotency_key))


@post(
    "/credit/charge/batch",
    status_code=HTTP_200_OK,
    tags=TAGS,
    security=SECURITY,
    responses=problems(400, 413, 422),
)
async def charge_batch(
    data: JSONBody[BatchBody], caller: GivenCaller, wallets: GivenWallets, settings: GivenSettings
) -> BatchReply:
    """Charge up to 1,000 times in one durable batch; each item succeeds or is refused by itself. For the operator.

    Every item has its own idempotency key, so the call needs no header.
    """
    return await movements.charge_batch(wallets, caller, data, settings.topup_url)


MOVEMENT_ROUTES = (
    charge,
    hold,
    capture,
    release,
    extend,
    refund,
    buy,
    serve,
    renew,
    undo,
    operator_topup,
    charge_batch,
)
