"""What operators do: wallets for owners, credit by hand, their own notices, the ledger's seal."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, post, put
from litestar.openapi.spec import Example
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import structs

from credit_wallet.domain.metadata import MAX_REFERENCE_LENGTH
from credit_wallet.domain.views import ReferencedWallet, WalletView
from credit_wallet.domain.wallet_search import WalletPage, WalletSort, WalletStatus
from credit_wallet.errors import SealNotFound
from credit_wallet.http import movements
from credit_wallet.http.dependencies import GivenRequestId, GivenSettings, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.movements import Sent
from credit_wallet.http.routing import (
    DocumentResponse,
    IdempotencyKey,
    WalletId,
    movement_reply,
    page_size,
    route,
)
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.notices.targets import OPERATOR, TargetView
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.wire.bodies import CreateWalletBody, MetadataBody, OperatorTopupBody, TargetsBody
from credit_wallet.wire.names import NAME_PATTERN
from credit_wallet.wire.replies import MovementReply

TAG = "Operator: wallets"
MAX_PAGE = 1_000


@post("/operator/wallets", status_code=HTTP_201_CREATED, **route(TAG, needs="support", also=HTTP_200_OK))
@on_lane(OPERATORS)
def create_wallet(data: JSONBody[CreateWalletBody], wallets: GivenWallets) -> Response[ReferencedWallet]:
    """Create a wallet

    A new, empty wallet and its owner token, which is in this response and never again. With a `reference` that a wallet
    has already, the response is 200 with that wallet, as it is and without a token, so a request whose response was
    lost can be sent again; `POST /operator/wallets/{wallet_id}/token/rotate` makes another token.
    """
    settings = structs.asdict(data)
    reference = settings.pop("reference")
    if reference is None:
        new = wallets.create(**settings)
        created = ReferencedWallet(new.wallet_id, new.owner_token, created=True)
    else:
        created = wallets.create(reference=reference, **settings)
    return DocumentResponse(created, status_code=HTTP_201_CREATED if created.created else HTTP_200_OK)


@get("/operator/wallets", **route(TAG, needs="view"))
@on_lane(OPERATORS)
def list_wallets(
    wallets: GivenWallets,
    words: Annotated[  # the framework's own parameter is called query
        str | None,
        QueryParameter(
            name="query",
            required=False,
            description="What is known of the wallet: its id, beginnings of words of its label, reference or metadata "
            "or of those of its agent keys, a token or its first characters. All words must match.",
            examples=[Example(value="acme")],
        ),
    ] = None,
    reference: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=MAX_REFERENCE_LENGTH,
            pattern=NAME_PATTERN,
            required=False,
            description="Only the wallet with exactly this reference.",
            examples=[Example(value="cust_1")],
        ),
    ] = None,
    status: Annotated[
        WalletStatus | None,
        QueryParameter(required=False, description="Only wallets in this state.", examples=[Example(value="low")]),
    ] = None,
    sort: Annotated[
        WalletSort,
        QueryParameter(
            description="The order; `-` begins with the largest. `balance` and `spent` are for at most 1,000 wallets, "
            "as `query` or `status` leaves them.",
            examples=[Example(value="-created_at")],
        ),
    ] = "wallet_id",
    cursor: Annotated[
        str | None,
        QueryParameter(
            max_length=1_000,
            pattern="^[A-Za-z0-9_-]+$",
            required=False,
            description="`next_cursor` of the page before; send the rest unchanged with it.",
            examples=[Example(value="WyJ3YWxsZXRfaWQiLCIiLDEwMF0")],
        ),
    ] = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = 100,
) -> WalletPage:
    """List and search wallets

    The wallets for which all that is sent is true, page by page. A page pauses after a thousand wallets that were
    looked at, with fewer than `limit` or none; `next_cursor` goes on from there, and is null at the end.
    """
    return wallets.search(words, reference=reference, status=status, sort=sort, cursor=cursor, limit=limit)


@post(
    "/operator/wallets/{wallet_id:int}/metadata",
    status_code=HTTP_200_OK,
    **route(TAG, "wallet_not_found", needs="support"),
)
@on_lane(OPERATORS)
def set_wallet_metadata(wallet_id: WalletId, data: JSONBody[MetadataBody], wallets: GivenWallets) -> WalletView:
    """Set a wallet's metadata

    Replaces all pairs that there were. Owners see them, agents do not.
    """
    wallets.configure(wallet_id, metadata=data.metadata)
    return wallets.show(wallet_id)


@post(
    "/operator/topup",
    status_code=HTTP_200_OK,
    **route(TAG, "invalid_amount", "wallet_not_found", "wallet_closed", needs="finance"),
)
async def top_up_wallet(
    data: JSONBody[OperatorTopupBody],
    wallets: GivenWallets,
    idempotency_key: IdempotencyKey,
    caller_request_id: GivenRequestId,
) -> Response[MovementReply]:
    """Top up a wallet by hand

    Credits a wallet without a payment through Stripe: for money that was received elsewhere, or as a promotion.
    """
    return movement_reply(await movements.operator_topup(wallets, data, Sent(idempotency_key, caller_request_id)))


@get("/operator/notification-targets", **route(TAG, needs="view"))
@on_lane(OPERATORS)
def list_notification_targets(wallets: GivenWallets) -> list[TargetView]:
    """List the operators' notification targets

    Where notices about all wallets go.
    """
    return wallets.targets.list(OPERATOR)


@put("/operator/notification-targets", **route(TAG, "target_not_found", needs="administer"))
@on_lane(OPERATORS)
def replace_notification_targets(
    data: JSONBody[TargetsBody], wallets: GivenWallets, settings: GivenSettings
) -> list[TargetView]:
    """Replace the operators' notification targets

    Sends notices about all wallets to these targets and no others. The `secret` of a new webhook is in this response
    and never again.
    """
    wanted = [target.wanted() for target in data.notification_targets]
    return wallets.targets.set(OPERATOR, wanted, mail=settings.notify.mail, private=settings.notify.private)


@get("/operator/seal", **route(TAG, "seal_not_found", needs="view"))
@on_lane(OPERATORS)
def get_seal(wallets: GivenWallets) -> Anchor:
    """Get the latest seal

    The latest seal of the ledger. Keep a copy elsewhere: `credit-wallet verify --anchor` then proves that no entry up
    to it has changed since.
    """
    seal = wallets.seals.latest()
    if seal is None:
        raise SealNotFound("no ledger entry is sealed yet; the worker seals within a minute")
    return seal


OPERATOR_ROUTES = (
    create_wallet,
    list_wallets,
    set_wallet_metadata,
    top_up_wallet,
    list_notification_targets,
    replace_notification_targets,
    get_seal,
)
