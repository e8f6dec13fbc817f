"""``/credit/charge`` and the other movements, documented. The fast lane answers the first four before they get here."""

from __future__ import annotations

from typing import Any

from litestar import Response, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from credit_wallet.http import movements
from credit_wallet.http.decoding import MAX_MOVEMENT_BYTES
from credit_wallet.http.dependencies import GivenCaller, GivenRequestId, GivenSettings, GivenWallets
from credit_wallet.http.movements import Sent
from credit_wallet.http.routing import SPENDING_CODES, IdempotencyKey, movement_reply, route
from credit_wallet.wire.bodies import BatchBody, CaptureBody, ChargeBody, ExtendBody, HoldBody, RefundBody, ReleaseBody
from credit_wallet.wire.replies import BatchReply, MovementReply

TAG = "Charges and holds"

_SHORT: dict[str, Any] = {"status_code": HTTP_200_OK, "request_max_body_size": MAX_MOVEMENT_BYTES}


@post("/credit/charge", **_SHORT, **route(TAG, *SPENDING_CODES, payer=True, needs="spend"))
async def charge(
    data: JSONBody[ChargeBody],
    caller: GivenCaller,
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
    caller_request_id: GivenRequestId,
) -> Response[MovementReply]:
    """Charge a wallet

    Takes `amount_yen` from the balance at once. An owner or agent charges the token's own wallet; a seller or operator
    names the wallet with `wallet_id` or `X-Payer-Token`. The response is sent after the charge is durable.
    """
    return movement_reply(await movements.charge(wallets, caller, data, Sent(idempotency_key, caller_request_id)))


@post("/credit/hold", **_SHORT, **route(TAG, *SPENDING_CODES, payer=True, needs="spend"))
async def hold(
    data: JSONBody[HoldBody],
    caller: GivenCaller,
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
    caller_request_id: GivenRequestId,
) -> Response[MovementReply]:
    """Hold an amount

    Sets `amount_yen` aside for a call whose price is known only afterwards. Capture what it cost; the rest is released.
    A hold that is neither captured nor released within `ttl_seconds` expires, and the amount returns to the balance.
    """
    return movement_reply(await movements.hold(wallets, caller, data, Sent(idempotency_key, caller_request_id)))


@post("/credit/capture", **_SHORT, **route(TAG, *SPENDING_CODES[:-1], "hold_not_found", "hold_closed", needs="spend"))
async def capture(
    data: JSONBody[CaptureBody],
    caller: GivenCaller,
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
    caller_request_id: GivenRequestId,
) -> Response[MovementReply]:
    """Capture a hold

    Spends `amount_yen` of a hold and releases the rest, or keeps the rest for later captures when `final` is false. For
    whoever made the hold, and for operators.
    """
    return movement_reply(await movements.capture(wallets, caller, data, Sent(idempotency_key, caller_request_id)))


@post("/credit/release", **_SHORT, **route(TAG, "hold_not_found", "hold_closed", needs="spend"))
async def release(
    data: JSONBody[ReleaseBody],
    caller: GivenCaller,
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
    caller_request_id: GivenRequestId,
) -> Response[MovementReply]:
    """Release a hold

    Returns what is left of a hold to the balance. For whoever made the hold, and for operators.
    """
    return movement_reply(await movements.release(wallets, caller, data, Sent(idempotency_key, caller_request_id)))


@post("/credit/extend", status_code=HTTP_200_OK, **route(TAG, "hold_not_found", "hold_closed", needs="spend"))
async def extend_hold(
    data: JSONBody[ExtendBody], caller: GivenCaller, wallets: GivenWallets
) -> Response[MovementReply]:
    """Extend a hold

    Lets an open hold last until `ttl_seconds` from now. It needs no idempotency key: a repeated call changes nothing.
    For whoever made the hold, and for operators.
    """
    return movement_reply(await movements.extend(wallets, caller, data))


@post(
    "/credit/refund",
    status_code=HTTP_200_OK,
    **route(TAG, "invalid_amount", "entry_not_found", "refund_exceeds_charge", needs="refund"),
)
async def refund(
    data: JSONBody[RefundBody],
    caller: GivenCaller,
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
    caller_request_id: GivenRequestId,
) -> Response[MovementReply]:
    """Refund a charge

    Returns a charge to its wallet, in whole or in part. For operators, and for the seller that made the charge.
    """
    return movement_reply(await movements.refund(wallets, caller, data, Sent(idempotency_key, caller_request_id)))


@post("/credit/charge/batch", status_code=HTTP_200_OK, **route(TAG, "invalid_amount", needs="sell_to_many"))
async def charge_batch(
    data: JSONBody[BatchBody],
    caller: GivenCaller,
    wallets: GivenWallets,
    settings: GivenSettings,
    caller_request_id: GivenRequestId,
) -> BatchReply:
    """Charge many wallets

    Makes up to 1,000 charges in one durable batch. Each charge succeeds or is refused individually: `outcomes` has a
    movement or a problem for each, in the order of the request. Each charge has its own idempotency key, so the call
    needs no header.
    """
    return await movements.charge_batch(wallets, caller, data, settings.topup_url, caller_request_id)


MOVEMENT_ROUTES = (charge, hold, capture, release, extend_hold, refund, charge_batch)
