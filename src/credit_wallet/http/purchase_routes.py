"""Purchases: what gates that sell elsewhere ask of the ledger."""

from __future__ import annotations

from litestar import Response, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from credit_wallet.http import movements
from credit_wallet.http.decoding import MAX_MOVEMENT_BYTES
from credit_wallet.http.dependencies import GivenCaller, GivenRequestId, GivenWallets
from credit_wallet.http.movements import Sent
from credit_wallet.http.routing import (
    SPENDING_CODES,
    DocumentResponse,
    IdempotencyKey,
    movement_reply,
    route,
    text_headers,
)
from credit_wallet.wire.headers import outcome_headers
from credit_wallet.wire.purchase_bodies import BuyBody, RenewBody, ServeBody, UndoBody
from credit_wallet.wire.replies import MovementReply, PurchaseReply

TAG = "Purchases"


@post(
    "/credit/purchase",
    status_code=HTTP_200_OK,
    request_max_body_size=MAX_MOVEMENT_BYTES,
    **route(TAG, *SPENDING_CODES, "purchase_running", "retries_exhausted", payer=True, needs="sell"),
)
async def purchase(
    data: JSONBody[BuyBody],
    caller: GivenCaller,
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
    caller_request_id: GivenRequestId,
) -> Response[PurchaseReply]:
    """Sell a request

    Charges the price of a buyer's request, or holds it, unless the same request was paid for before. `X-Payer-Token` is
    the token of the buyer's wallet; `Idempotency-Key` names the buyer's request.
    """
    outcome, purchase_key = await movements.buy(wallets, caller, data, Sent(idempotency_key, caller_request_id))
    return DocumentResponse(
        PurchaseReply.of_purchase(outcome, purchase_key), headers=text_headers(outcome_headers(outcome))
    )


@post(
    "/credit/purchase/serve",
    status_code=HTTP_200_OK,
    **route(TAG, "wallet_not_found", "purchase_not_found", needs="sell"),
)
async def serve_purchase(
    data: JSONBody[ServeBody], caller: GivenCaller, wallets: GivenWallets
) -> Response[MovementReply]:
    """Mark a purchase as served

    Records that the response has begun to reach the buyer. From now on the purchase is final and cannot be undone.
    """
    return movement_reply(await movements.serve(wallets, caller, data))


@post(
    "/credit/purchase/renew",
    status_code=HTTP_200_OK,
    **route(TAG, "wallet_not_found", "purchase_not_found", "purchase_running", needs="sell"),
)
async def renew_purchase(
    data: JSONBody[RenewBody], caller: GivenCaller, wallets: GivenWallets
) -> Response[MovementReply]:
    """Renew a purchase's lease

    Keeps a purchase, and the hold that pays for it, while the attempt is still working.
    """
    return movement_reply(await movements.renew(wallets, caller, data))


@post(
    "/credit/purchase/undo",
    status_code=HTTP_200_OK,
    **route(TAG, "wallet_not_found", "purchase_not_found", needs="sell"),
)
async def undo_purchase(
    data: JSONBody[UndoBody], caller: GivenCaller, wallets: GivenWallets
) -> Response[MovementReply]:
    """Undo a purchase

    Returns what a purchase took, provided that this attempt holds it and the buyer was not served; otherwise nothing
    moves.
    """
    return movement_reply(await movements.undo(wallets, caller, data))


PURCHASE_ROUTES = (purchase, serve_purchase, renew_purchase, undo_purchase)
