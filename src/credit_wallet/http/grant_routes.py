"""Grants: credit that operators promise to wallets, once or every month."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from credit_wallet.domain.grants import GrantOccurrence, GrantView
from credit_wallet.http.dependencies import GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.movements import required_key
from credit_wallet.http.routing import DocumentResponse, IdempotencyKey, id_after, id_in_path, page_size, route
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.grant_bodies import CreateGrantBody

TAG = "Operator: grants"
MAX_PAGE = 1_000
GrantId = Annotated[int, id_in_path("grant")]


@post(
    "/operator/grants",
    status_code=HTTP_201_CREATED,
    **route(TAG, "invalid_amount", "wallet_not_found", "wallet_closed", "too_many_grants", needs="finance"),
)
@on_lane(OPERATORS)
def create_grant(
    data: JSONBody[CreateGrantBody], wallets: GivenWallets, idempotency_key: IdempotencyKey
) -> Response[GrantView]:
    """Create a grant

    Promises a wallet credit: once, or every month until a time. The worker credits each occurrence once when it is due,
    and catches up on those that were missed unless their credit would have lapsed.
    """
    key = required_key(idempotency_key)
    return DocumentResponse(
        wallets.grants.create(
            data.wallet_id,
            data.amount_yen,
            promo=data.promo,
            starts_at=data.starts_at,
            every=data.every,
            until=data.until,
            lapses=data.lapses,
            note=data.note,
            idempotency_key=key,
        )
    )


@get("/operator/grants", **route(TAG, "wallet_not_found", needs="view"))
@on_lane(OPERATORS)
def list_grants(
    wallets: GivenWallets,
    wallet_id: Annotated[
        int | None,
        QueryParameter(
            ge=1, le=MAX_ID, required=False, description="Only grants to this wallet.", examples=[Example(value=1)]
        ),
    ] = None,
    after: Annotated[int, id_after("grants")] = 0,
    limit: Annotated[int, page_size(MAX_PAGE)] = 100,
) -> list[GrantView]:
    """List grants

    Grants by id, of one wallet or of all, canceled and finished ones included.
    """
    return wallets.grants.list(wallet_id, after=after, limit=limit)


@get("/operator/grants/{grant_id:int}", **route(TAG, "grant_not_found", needs="view"))
@on_lane(OPERATORS)
def get_grant(grant_id: GrantId, wallets: GivenWallets) -> GrantView:
    """Get a grant

    One grant, when it is due next, and whether it was canceled.
    """
    return wallets.grants.show(grant_id)


@get("/operator/grants/{grant_id:int}/occurrences", **route(TAG, "grant_not_found", needs="view"))
@on_lane(OPERATORS)
def list_grant_occurrences(
    grant_id: GrantId,
    wallets: GivenWallets,
    before: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=MAX_ID,
            required=False,
            description="Only earlier occurrences: send the last number of the page before.",
            examples=[Example(value=12)],
        ),
    ] = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = 100,
) -> list[GrantOccurrence]:
    """List the occurrences of a grant

    The occurrences that were due, newest first: each was credited by a ledger entry, or lapsed before it could be.
    """
    return wallets.grants.occurrences(grant_id, before=before, limit=limit)


@delete("/operator/grants/{grant_id:int}", status_code=HTTP_200_OK, **route(TAG, "grant_not_found", needs="finance"))
@on_lane(OPERATORS)
def cancel_grant(grant_id: GrantId, wallets: GivenWallets) -> GrantView:
    """Cancel a grant

    Nothing more is credited, for good; credit that has arrived stays.
    """
    return wallets.grants.cancel(grant_id)


GRANT_ROUTES = (create_grant, list_grants, get_grant, list_grant_occurrences, cancel_grant)
