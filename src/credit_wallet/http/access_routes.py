"""What operators do about access: owner tokens that are lost, keys of the host's own, links for customers, sellers."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, PathParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from credit_wallet.domain.operators import RevokedToken
from credit_wallet.domain.views import CreatedSeller, CreatedWallet, SecretView, SellerView
from credit_wallet.http.dependencies import GivenCaller, GivenSettings, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import WalletId, id_after, id_in_path, page_size, route
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.wire.bodies import CreateSellerBody, RegisterSecretBody, ReplaceTokenBody, RotateBody
from credit_wallet.wire.link_bodies import CreateLinkBody, WalletLink
from credit_wallet.wire.operator_bodies import RevokeTokenBody
from credit_wallet.wire.operator_keys import require_not_of_environment

TAG = "Operator: access"
MAX_PAGE = 1_000
SellerId = Annotated[int, id_in_path("seller")]
Sha256 = Annotated[
    str,
    PathParameter(
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the key in UTF-8, 64 lower-case hexadecimal digits.",
        examples=[Example(value="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")],
    ),
]


@post(
    "/operator/wallets/{wallet_id:int}/token/rotate",
    status_code=HTTP_201_CREATED,
    **route(TAG, "wallet_not_found", "too_many_tokens", needs="support"),
)
@on_lane(OPERATORS)
def rotate_wallet_token(wallet_id: WalletId, data: JSONBody[ReplaceTokenBody], wallets: GivenWallets) -> CreatedWallet:
    """Rotate a wallet's owner token

    Creates another owner token for a wallet whose token has leaked or is lost. Earlier tokens end at once, or after
    `overlap_seconds`. The token is in this response and never again.
    """
    return wallets.rotate_owner_token(wallet_id, overlap_seconds=data.overlap_seconds)


@get("/operator/wallets/{wallet_id:int}/secrets", **route(TAG, "wallet_not_found", needs="support"))
@on_lane(OPERATORS)
def list_secrets(wallet_id: WalletId, wallets: GivenWallets) -> list[SecretView]:
    """List a wallet's secrets

    What opens a wallet beside its current tokens: registered keys of the host's own, and earlier tokens that still
    work.
    """
    return wallets.secrets.list(wallet_id)


@post(
    "/operator/wallets/{wallet_id:int}/secrets",
    status_code=HTTP_201_CREATED,
    **route(TAG, "wallet_not_found", "key_not_found", "key_ended", "secret_in_use", "too_many_tokens", needs="support"),
)
@on_lane(OPERATORS)
def register_secret(wallet_id: WalletId, data: JSONBody[RegisterSecretBody], wallets: GivenWallets) -> SecretView:
    """Register a key of the host's own

    Lets a key that you issued yourself open the wallet, as its owner or as one of its agent keys. Only the SHA-256 is
    sent and stored. A repeated call changes nothing.
    """
    return wallets.secrets.register(wallet_id, data.sha256, data.key_id, data.ends_at)


@delete("/operator/secrets/{sha256:str}", status_code=HTTP_200_OK, **route(TAG, "secret_not_found", needs="support"))
@on_lane(OPERATORS)
def remove_secret(sha256: Sha256, wallets: GivenWallets) -> SecretView:
    """Remove a secret

    Stops a registered key, or an earlier token that still works, from opening anything.
    """
    return wallets.secrets.remove(sha256)


@post(
    "/operator/wallets/{wallet_id:int}/link",
    status_code=HTTP_201_CREATED,
    **route(TAG, "wallet_not_found", "wallet_closed", needs="support"),
)
@on_lane(OPERATORS)
def create_link(
    wallet_id: WalletId,
    data: JSONBody[CreateLinkBody],
    caller: GivenCaller,
    wallets: GivenWallets,
    settings: GivenSettings,
) -> WalletLink:
    """Create a link to a wallet's pages

    Lets your customer in to the pages of its wallet without a token: send its browser to `url`, or show `frame_url` in
    a frame. Whoever opens one of them first is signed in for up to 12 hours, and sees the wallet and, with the scope
    `manage`, changes what its owner does, except rotating the owner token and moving credit away. The session ends when
    the operator key does that made the link.
    """
    link = wallets.links.create(
        wallet_id,
        expires_in_seconds=data.expires_in_seconds,
        scopes=data.scopes,
        path=data.path,
        language=data.language,
        token_sha256=caller.token_sha256,
    )
    return WalletLink.of(link, settings.public_url, in_frames=bool(settings.frame_origins))


@post("/operator/tokens/revoke", status_code=HTTP_200_OK, **route(TAG, "secret_not_found", needs="support"))
@on_lane(OPERATORS)
def revoke_token(data: JSONBody[RevokeTokenBody], wallets: GivenWallets, settings: GivenSettings) -> RevokedToken:
    """Revoke a token, whatever it is

    Stops a token from opening anything: an agent key, an owner's current or earlier token, a key of the host's, a
    seller's token, an operator's key. The response says what it was, and again when the call is repeated. An owner or
    seller whose token this was has none until it is rotated.
    """
    require_not_of_environment(data.token, settings.operator_keys)
    return wallets.tokens.revoke(data.token)


@post("/operator/sellers", status_code=HTTP_201_CREATED, **route(TAG, needs="administer"))
@on_lane(OPERATORS)
def create_seller(data: JSONBody[CreateSellerBody], wallets: GivenWallets) -> CreatedSeller:
    """Create a seller

    A party that sells to the wallets, and its token, which is in this response and never again. A seller may charge,
    hold, capture, release, extend and refund what it sells, and nothing else.
    """
    return wallets.sellers.create(label=data.label)


@get("/operator/sellers", **route(TAG, needs="view"))
@on_lane(OPERATORS)
def list_sellers(
    wallets: GivenWallets,
    after: Annotated[int, id_after("sellers")] = 0,
    limit: Annotated[int, page_size(MAX_PAGE)] = 100,
) -> list[SellerView]:
    """List sellers

    Sellers by id, revoked ones included.
    """
    return wallets.sellers.list(after=after, limit=limit)


@delete(
    "/operator/sellers/{seller_id:int}", status_code=HTTP_200_OK, **route(TAG, "seller_not_found", needs="administer")
)
@on_lane(OPERATORS)
def revoke_seller(seller_id: SellerId, wallets: GivenWallets) -> SellerView:
    """Revoke a seller

    Revokes a seller permanently. Its sales stand; its open holds expire.
    """
    return wallets.sellers.revoke(seller_id)


@post(
    "/operator/sellers/{seller_id:int}/rotate",
    status_code=HTTP_201_CREATED,
    **route(TAG, "seller_not_found", "key_ended", "too_many_tokens", needs="administer"),
)
@on_lane(OPERATORS)
def rotate_seller(seller_id: SellerId, data: JSONBody[RotateBody], wallets: GivenWallets) -> CreatedSeller:
    """Rotate a seller's token

    Creates another token for a seller; earlier ones work for `overlap_seconds` more. The token is in this response and
    never again.
    """
    return wallets.sellers.rotate(seller_id, overlap_seconds=data.overlap_seconds)


ACCESS_ROUTES = (
    rotate_wallet_token,
    list_secrets,
    register_secret,
    remove_secret,
    create_link,
    revoke_token,
    create_seller,
    list_sellers,
    revoke_seller,
    rotate_seller,
)
