"""Who is who: the caller, owner tokens, keys of hosts, and sellers."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from credit_wallet.domain.outcomes import CreatedSeller, CreatedWallet, SecretView, SellerView
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.riding import rides
from credit_wallet.http.routing import SECURITY, problems
from credit_wallet.ledger.reading_lanes import OPERATORS, OWNERS
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import Caller, require_operator, require_owner
from credit_wallet.wire.bodies import (
    CreateSellerBody,
    Identity,
    RegisterSecretBody,
    ReplaceTokenBody,
    Role,
    RotateBody,
)

TAGS = ["Operator"]
MAX_PAGE = 1_000
WalletId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
SellerId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
Sha256 = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$", description="SHA-256 of the key, hex in lower case.")]


@get("/credit/whoami", tags=["Keys"], security=SECURITY, responses=problems())
async def whoami(caller: GivenCaller) -> Identity:
    """Who the token is: a wallet's owner, an agent, a seller or the operator. For a program to check what it was given
    before it begins.
    """
    return identity_of(caller)


def identity_of(caller: Caller) -> Identity:
    """What a caller is told of itself."""
    if caller.access is not None:
        access = caller.access
        role: Role = "owner" if access.key_id is None else "agent"
        return Identity(role, access.wallet_id, access.key_id, ends_at=access.ends_at)
    if caller.seller is not None:
        return Identity("seller", seller_id=caller.seller.seller_id, ends_at=caller.seller.ends_at)
    return Identity("operator")


# Owner tokens


@post(
    "/credit/token/rotate",
    status_code=HTTP_201_CREATED,
    tags=["Keys"],
    security=SECURITY,
    responses=problems(400, 409, 413, 422),
)
@rides(OWNERS)
def rotate_token(data: JSONBody[RotateBody], caller: GivenCaller, wallets: GivenWallets) -> CreatedWallet:
    """Another owner token, shown this once; the ones before it work for `overlap_seconds` more. For the owner token."""
    return wallets.rotate_owner_token(require_owner(caller), overlap_seconds=data.overlap_seconds)


@post(
    "/operator/wallets/{wallet_id:int}/token/rotate",
    status_code=HTTP_201_CREATED,
    tags=TAGS,
    security=SECURITY,
    responses=problems(400, 404, 409, 413, 422),
)
@rides(OPERATORS)
def replace_token(
    wallet_id: WalletId, data: JSONBody[ReplaceTokenBody], caller: GivenCaller, wallets: GivenWallets
) -> CreatedWallet:
    """Another owner token for a wallet whose token has leaked or is lost; the ones before it end at once, or after
    `overlap_seconds`.
    """
    require_operator(caller)
    return wallets.rotate_owner_token(wallet_id, overlap_seconds=data.overlap_seconds)


# Keys of hosts


@get("/operator/wallets/{wallet_id:int}/secrets", tags=TAGS, security=SECURITY, responses=problems(404, 422))
@rides(OPERATORS)
def list_secrets(wallet_id: WalletId, caller: GivenCaller, wallets: GivenWallets) -> list[SecretView]:
    """What opens a wallet beside the current tokens: registered keys, and earlier tokens in their overlap."""
    require_operator(caller)
    return wallets.secrets.list(wallet_id)


@post(
    "/operator/wallets/{wallet_id:int}/secrets",
    status_code=HTTP_201_CREATED,
    tags=TAGS,
    security=SECURITY,
    responses=problems(400, 404, 409, 413, 422),
)
@rides(OPERATORS)
def register_secret(
    wallet_id: WalletId, data: JSONBody[RegisterSecretBody], caller: GivenCaller, wallets: GivenWallets
) -> SecretView:
    """Let a key of the host's own open a wallet. The same call again changes nothing."""
    require_operator(caller)
    return wallets.secrets.register(wallet_id, data.sha256, data.key_id, data.ends_at)


@delete(
    "/operator/secrets/{sha256:str}",
    status_code=HTTP_200_OK,
    tags=TAGS,
    security=SECURITY,
    responses=problems(404, 422),
)
@rides(OPERATORS)
def remove_secret(sha256: Sha256, caller: GivenCaller, wallets: GivenWallets) -> SecretView:
    """Let a registered key, or an earlier token in its overlap, open nothing more."""
    require_operator(caller)
    return wallets.secrets.remove(sha256)


# Sellers


@post(
    "/operator/sellers", status_code=HTTP_201_CREATED, tags=TAGS, security=SECURITY, responses=problems(400, 413, 422)
)
@rides(OPERATORS)
def create_seller(data: JSONBody[CreateSellerBody], caller: GivenCaller, wallets: GivenWallets) -> CreatedSeller:
    """Somebody who sells to the wallets, and its token, shown this once. It may charge, hold, capture, release, extend
    and refund what it sells, and nothing else.
    """
    require_operator(caller)
    return wallets.sellers.create(label=data.label)


@get("/operator/sellers", tags=TAGS, security=SECURITY, responses=problems(422))
@rides(OPERATORS)
def list_sellers(
    caller: GivenCaller,
    wallets: GivenWallets,
    after: Annotated[int, QueryParameter(ge=0, le=MAX_ID, description="Only sellers with a higher id.")] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 100,
) -> list[SellerView]:
    """Sellers by id, revoked ones included."""
    require_operator(caller)
    return wallets.sellers.list(after=after, limit=limit)


@delete(
    "/operator/sellers/{seller_id:int}",
    status_code=HTTP_200_OK,
    tags=TAGS,
    security=SECURITY,
    responses=problems(404, 422),
)
@rides(OPERATORS)
def revoke_seller(seller_id: SellerId, caller: GivenCaller, wallets: GivenWallets) -> SellerView:
    """Revoke a seller for good. What it has sold stays sold."""
    require_operator(caller)
    return wallets.sellers.revoke(seller_id)


@post(
    "/operator/sellers/{seller_id:int}/rotate",
    status_code=HTTP_201_CREATED,
    tags=TAGS,
    security=SECURITY,
    responses=problems(400, 404, 409, 413, 422),
)
@rides(OPERATORS)
def rotate_seller(
    seller_id: SellerId, data: JSONBody[RotateBody], caller: GivenCaller, wallets: GivenWallets
) -> CreatedSeller:
    """Another token for a seller; the ones before it work for `overlap_seconds` more."""
    require_operator(caller)
    return wallets.sellers.rotate(seller_id, overlap_seconds=data.overlap_seconds)


IDENTITY_ROUTES = (
    whoami,
    rotate_token,
    replace_token,
    list_secrets,
    register_secret,
    remove_secret,
    create_seller,
    list_sellers,
    revoke_seller,
    rotate_seller,
)
