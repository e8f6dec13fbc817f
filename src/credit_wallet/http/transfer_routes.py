"""Transfers: credit moves between wallets of one owner, for the owner and for operators."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK

from credit_wallet.domain.transfers import ID_PATTERN, TransferPage, Transferred, TransferView
from credit_wallet.errors import Forbidden, Unauthorized
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.movements import required_key
from credit_wallet.http.routing import DocumentResponse, IdempotencyKey, page_size, route, text_headers
from credit_wallet.ledger.reading_lanes import AUTHENTICATION, OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.wire.auth import own_wallet
from credit_wallet.wire.bodies import OperatorTransferBody, TransferBody
from credit_wallet.wire.headers import balance_headers

TAG = "Transfers"
MAX_PAGE = 200

_CODES = (
    "invalid_amount",
    "insufficient_funds",
    "wallet_disabled",
    "wallet_closed",
    "transfer_not_allowed",
    "transfer_returned",
)
_EXAMPLE = Example(value="tr_1_206e147864ef7ab96bd1d844")

TransferId = Annotated[
    str, PathParameter(pattern=f"^{ID_PATTERN}$", description="Id of the transfer.", examples=[_EXAMPLE])
]
Before = Annotated[
    str | None,
    QueryParameter(
        pattern=f"^{ID_PATTERN}$",
        description="Only transfers before this one: send the last id of the page before.",
        examples=[_EXAMPLE],
    ),
]


@post("/credit/transfers", status_code=HTTP_200_OK, **route(TAG, *_CODES, needs="own"))
async def create_transfer(
    data: JSONBody[TransferBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[Transferred]:
    """Move credit to another wallet

    Moves `amount_yen` to the wallet of `to_owner_token`: whoever has the owner tokens of both is one owner. Credit
    keeps its kind and its expiry, and is not spent: no budget counts it.
    """
    wallet_id, key = own_wallet(caller), required_key(idempotency_key)
    to_wallet_id = await _owned(wallets, data.to_owner_token)
    moved = await wallets.transfers.acreate(
        wallet_id, to_wallet_id, data.amount_yen, idempotency_key=key, note=data.note, actor=caller.actor
    )
    return _reply(moved)


@get("/credit/transfers", **route(TAG, "transfer_not_found", needs="manage"))
@on_lane(OWNERS)
def list_transfers(
    caller: GivenCaller,
    wallets: GivenWallets,
    limit: Annotated[int, page_size(MAX_PAGE)] = 50,
    before: Before = None,
) -> TransferPage:
    """List transfers

    The wallet's transfers, those out of it and those in to it, newest first.
    """
    return TransferPage(wallets.transfers.list(own_wallet(caller), limit=limit, before=before))


@get("/credit/transfers/{transfer_id:str}", **route(TAG, "transfer_not_found", needs="manage"))
@on_lane(OWNERS)
def get_transfer(transfer_id: TransferId, caller: GivenCaller, wallets: GivenWallets) -> TransferView:
    """Get a transfer

    One transfer out of the wallet or in to it.
    """
    return wallets.transfers.show(transfer_id, wallet_id=own_wallet(caller))


@post("/operator/transfers", status_code=HTTP_200_OK, **route(TAG, *_CODES, "wallet_not_found", needs="finance"))
async def transfer_credit(
    data: JSONBody[OperatorTransferBody], caller: GivenCaller, wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[Transferred]:
    """Move credit between wallets

    Moves `amount_yen` between two wallets of one owner; that they are is for the operator to know.
    """
    moved = await wallets.transfers.acreate(
        data.from_wallet_id,
        data.to_wallet_id,
        data.amount_yen,
        idempotency_key=required_key(idempotency_key),
        note=data.note,
        actor=caller.actor,
    )
    return _reply(moved)


async def _owned(wallets: CreditWallet, owner_token: str) -> int:
    """The wallet that an owner token opens. What is wrong with the token is said without saying the token.

    That is forbidden, and not unauthorized: the caller's own token is valid.
    """
    try:
        access = await wallets.reading_lanes.ask(AUTHENTICATION, wallets.tokens.authenticate, owner_token)
    except Unauthorized:
        raise Forbidden(
            "to_owner_token opens no wallet: it is mistyped, unknown or has ended; send the other wallet's owner token",
            field="to_owner_token",
        ) from None
    if access.key_id is not None:
        raise Forbidden(
            "to_owner_token is an agent key, which does not prove who owns the wallet; send its owner token",
            field="to_owner_token",
        )
    return access.wallet_id


def _reply(moved: Transferred) -> Response[Transferred]:
    headers = balance_headers(moved.balance_micros)
    if moved.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    return DocumentResponse(moved, headers=text_headers(headers))


TRANSFER_ROUTES = (create_transfer, list_transfers, get_transfer, transfer_credit)
