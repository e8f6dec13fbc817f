"""What operators do: wallets for owners, credit by hand, their own notices, the ledger's seal."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, post, put
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from credit_wallet.domain.views import CreatedWallet, WalletView
from credit_wallet.errors import SealNotFound
from credit_wallet.http import movements
from credit_wallet.http.dependencies import GivenRequestId, GivenSettings, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.movements import Sent
from credit_wallet.http.routing import IdempotencyKey, id_after, movement_reply, page_size, route
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.notices.targets import OPERATOR, TargetView
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.wire.bodies import CreateWalletBody, OperatorTopupBody, TargetsBody
from credit_wallet.wire.replies import MovementReply

TAG = "Operator: wallets"
MAX_PAGE = 1_000


@post("/operator/wallets", status_code=HTTP_201_CREATED, **route(TAG, needs="support"))
@on_lane(OPERATORS)
def create_wallet(data: JSONBody[CreateWalletBody], wallets: GivenWallets) -> CreatedWallet:
    """Create a wallet

    A new, empty wallet and its owner token, which is in this response and never again.
    """
    return wallets.create(
        label=data.label,
        monthly_budget_yen=data.monthly_budget_yen,
        budget_mode=data.budget_mode,
        auto_topup_threshold=data.auto_topup_threshold,
        auto_topup_amount=data.auto_topup_amount,
        time_zone=data.time_zone,
    )


@get("/operator/wallets", **route(TAG, needs="view"))
@on_lane(OPERATORS)
def list_wallets(
    wallets: GivenWallets,
    after: Annotated[int, id_after("wallets")] = 0,
    limit: Annotated[int, page_size(MAX_PAGE)] = 100,
) -> list[WalletView]:
    """List wallets

    Wallets by id.
    """
    return wallets.list(after=after, limit=limit)


@post("/operator/topup", status_code=HTTP_200_OK, **route(TAG, "invalid_amount", "wallet_not_found", needs="finance"))
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
    top_up_wallet,
    list_notification_targets,
    replace_notification_targets,
    get_seal,
)
