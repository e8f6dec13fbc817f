"""Corrections: what operators do when something went wrong, each with a reason."""

from __future__ import annotations

from litestar import Response, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from credit_wallet.http.dependencies import GivenWallets
from credit_wallet.http.movements import required_key
from credit_wallet.http.routing import IdempotencyKey, WalletId, movement_reply, route
from credit_wallet.wire.correction_bodies import AdjustBody, TakeBackBody
from credit_wallet.wire.replies import MovementReply

TAG = "Operator: corrections"

_CODES = ("invalid_amount", "insufficient_funds", "wallet_not_found")


@post("/operator/wallets/{wallet_id:int}/adjust", status_code=HTTP_200_OK, **route(TAG, *_CODES, needs="finance"))
async def adjust_wallet(
    wallet_id: WalletId,
    data: JSONBody[AdjustBody],
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
) -> Response[MovementReply]:
    """Adjust a balance

    Adds `amount_yen`, or takes it when it is below zero, for a `reason` and with a `note` that says what happened.
    Credit that is added is promotional unless `kind` is `paid`. Nothing is taken that is not there, unless `allow_debt`
    makes a debt of what is missing. It is not spending: no budget counts it.
    """
    outcome = await wallets.aadjust(
        wallet_id,
        data.amount_yen,
        reason=data.reason,
        note=data.note,
        idempotency_key=required_key(idempotency_key),
        kind=data.kind,
        expires_at=data.expires_at,
        allow_debt=data.allow_debt,
    )
    return movement_reply(outcome)


@post(
    "/operator/wallets/{wallet_id:int}/take-back",
    status_code=HTTP_200_OK,
    **route(TAG, *_CODES, "entry_not_found", "refund_exceeds_charge", needs="finance"),
)
async def take_back_topup(
    wallet_id: WalletId,
    data: JSONBody[TakeBackBody],
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
) -> Response[MovementReply]:
    """Take back a manual top-up

    Takes back the top-up that entry `txn_id` credited by hand, in full or `amount_yen` of it. What of it is spent is
    refused, and `max_amount` says how much is unused; with `allow_debt` other credit is taken for it, and what is
    missing then becomes debt.
    """
    outcome = await wallets.atake_back(
        data.txn_id,
        data.amount_yen,
        reason=data.reason,
        note=data.note,
        idempotency_key=required_key(idempotency_key),
        allow_debt=data.allow_debt,
        wallet_id=wallet_id,
    )
    return movement_reply(outcome)


CORRECTION_ROUTES = (adjust_wallet, take_back_topup)
