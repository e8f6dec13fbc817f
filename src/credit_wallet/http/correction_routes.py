"""Corrections: what operators do when something went wrong, each with a reason."""

from __future__ import annotations

from litestar import Response, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import UNSET

from credit_wallet.domain.views import HandedOverWallet, WalletView
from credit_wallet.http.dependencies import GivenPayments, GivenRequestId, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.movements import required_key
from credit_wallet.http.routing import IdempotencyKey, WalletId, movement_reply, route
from credit_wallet.ledger.reading_lanes import OPERATORS, PAYMENTS
from credit_wallet.wire.correction_bodies import (
    AdjustBody,
    CloseBody,
    FreezeBody,
    HandOverBody,
    MergeBody,
    TakeBackBody,
)
from credit_wallet.wire.replies import MovementReply

TAG = "Operator: corrections"

_CODES = ("invalid_amount", "insufficient_funds", "wallet_not_found", "wallet_closed")


@post("/operator/wallets/{wallet_id:int}/adjust", status_code=HTTP_200_OK, **route(TAG, *_CODES, needs="finance"))
async def adjust_wallet(
    wallet_id: WalletId,
    data: JSONBody[AdjustBody],
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
    caller_request_id: GivenRequestId,
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
        request_id=caller_request_id,
        reference=data.reference,
        metadata=data.metadata,
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
    caller_request_id: GivenRequestId,
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
        request_id=caller_request_id,
        reference=data.reference,
        metadata=data.metadata,
    )
    return movement_reply(outcome)


@post(
    "/operator/wallets/{wallet_id:int}/freeze",
    status_code=HTTP_200_OK,
    **route(TAG, "wallet_not_found", "wallet_closed", needs="support"),
)
@on_lane(OPERATORS)
def freeze_wallet(wallet_id: WalletId, data: JSONBody[FreezeBody], wallets: GivenWallets) -> WalletView:
    """Freeze or unfreeze a wallet

    Nothing is spent or held of a frozen wallet, and it does not top itself up. It still takes credit, and its open
    holds can be captured. Its owner cannot undo it. Unfreezing takes back a closing that has not ended.
    """
    change = wallets.freeze if data.frozen else wallets.unfreeze
    return change(wallet_id, reason=data.reason, note=data.note)


@post(
    "/operator/wallets/{wallet_id:int}/close",
    status_code=HTTP_200_OK,
    **route(
        TAG,
        "wallet_not_found",
        "wallet_closed",
        "closing_blocked",
        "pay_back_not_allowed",
        "payments_not_configured",
        "payment_provider_error",
        needs="finance",
    ),
)
@on_lane(PAYMENTS)
def close_wallet(
    wallet_id: WalletId, data: JSONBody[CloseBody], wallets: GivenWallets, payments: GivenPayments
) -> WalletView:
    """Close a wallet

    For a customer who leaves, and for good: freezes the wallet, waits for its holds, cancels its grants, pays unused
    credit back to where it came from or writes it off, and ends every token. Send the same again when it was blocked or
    interrupted: it goes on where it stopped.
    """
    return wallets.close_wallet(
        wallet_id,
        reason=data.reason,
        note=data.note,
        unused=data.unused,
        release_holds=data.release_holds,
        write_off_debt=data.write_off_debt,
        pay_back=None if payments is None else payments.pay_back,
    )


@post(
    "/operator/wallets/{wallet_id:int}/merge",
    status_code=HTTP_200_OK,
    **route(TAG, "wallet_not_found", "wallet_closed", "closing_blocked", "transfer_returned", needs="finance"),
)
@on_lane(OPERATORS)
def merge_wallet(wallet_id: WalletId, data: JSONBody[MergeBody], wallets: GivenWallets) -> WalletView:
    """Merge a wallet into another one

    Moves all credit to `into_wallet_id`, a wallet of the same customer, with its kinds and expiries, and closes this
    one. Send the same again when it was blocked or interrupted: it goes on where it stopped.
    """
    return wallets.merge(wallet_id, data.into_wallet_id, reason=data.reason, note=data.note)


@post(
    "/operator/wallets/{wallet_id:int}/hand-over",
    status_code=HTTP_200_OK,
    **route(TAG, "wallet_not_found", "wallet_closed", "closing_blocked", "reference_in_use", needs="support"),
)
@on_lane(OPERATORS)
def hand_over_wallet(wallet_id: WalletId, data: JSONBody[HandOverBody], wallets: GivenWallets) -> HandedOverWallet:
    """Hand a wallet over to a customer

    Attaches the wallet to another customer of the host's, by its `reference`; links that let in the customer before
    end. With `rotate_token` the new owner token is in this response and never again, every other token, agent key,
    registered key and session ends at once, the saved payment method is forgotten, automatic top-ups are off, and
    nobody gets notices.
    """
    metadata = None if data.metadata is UNSET else data.metadata
    return wallets.hand_over(
        wallet_id,
        data.reference,
        metadata=metadata,
        rotate_token=data.rotate_token,
        reason=data.reason,
        note=data.note,
    )


CORRECTION_ROUTES = (adjust_wallet, take_back_topup, freeze_wallet, close_wallet, merge_wallet, hand_over_wallet)
