"""Tokens and agent keys, for the wallet's owner; and who a token is, for everybody who has one."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from credit_wallet.domain.permissions import ordered
from credit_wallet.domain.views import CreatedKey, CreatedWallet, KeyView
from credit_wallet.errors import KeyNotFound
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import id_after, id_in_path, page_size, route
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import Caller, own_wallet
from credit_wallet.wire.bodies import ConfigureKeyBody, CreateKeyBody, RotateBody
from credit_wallet.wire.delegation import may_change_key, may_create_key, may_revoke_key
from credit_wallet.wire.replies import Identity

TAG = "Agent keys"
MAX_PAGE = 1_000
KeyId = Annotated[int, id_in_path("agent key")]


@get("/credit/keys", **route(TAG, needs="manage"))
@on_lane(OWNERS)
def list_keys(
    caller: GivenCaller,
    wallets: GivenWallets,
    after: Annotated[int, id_after("keys")] = 0,
    before: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=MAX_ID,
            required=False,
            description="Only keys with a lower id, and the newest first.",
            examples=[Example(value=MAX_ID)],
        ),
    ] = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = MAX_PAGE,
) -> list[KeyView]:
    """List agent keys

    The wallet's agent keys and what they have spent, by id, or with `before` the newest first; expired and revoked ones
    are included.
    """
    return wallets.keys.list(own_wallet(caller), after=after, before=before, limit=limit)


@post("/credit/keys", status_code=HTTP_201_CREATED, **route(TAG, "too_many_keys", "reference_in_use", needs="manage"))
@on_lane(OWNERS)
def create_key(data: JSONBody[CreateKeyBody], caller: GivenCaller, wallets: GivenWallets) -> CreatedKey:
    """Create an agent key

    A token for one agent, optionally with a monthly cap, a group for budgets, an expiry, and a reference and metadata
    by which it is found. The token is in this response and never again.
    """
    may_create_key(wallets, caller, data.scopes, data.expires_at, data.group)
    return wallets.keys.create(
        own_wallet(caller),
        label=data.label,
        monthly_cap_yen=data.monthly_cap_yen,
        expires_at=data.expires_at,
        group=data.group,
        scopes=data.scopes,
        reference=data.reference,
        metadata=data.metadata,
    )


@get("/credit/keys/{key_id:int}", **route(TAG, "key_not_found", needs="manage"))
@on_lane(OWNERS)
def get_key(key_id: KeyId, caller: GivenCaller, wallets: GivenWallets) -> KeyView:
    """Get an agent key

    One agent key of the wallet and what it has spent.
    """
    return _own_key(wallets, caller, key_id)


@patch(
    "/credit/keys/{key_id:int}",
    status_code=HTTP_200_OK,
    **route(TAG, "key_not_found", "reference_in_use", needs="manage"),
)
@on_lane(OWNERS)
def configure_key(
    key_id: KeyId, data: JSONBody[ConfigureKeyBody], caller: GivenCaller, wallets: GivenWallets
) -> KeyView:
    """Configure an agent key

    Changes what is sent of it: label, monthly cap, group, reference, or metadata, of which all pairs are replaced. They
    count from the next charge on; what the key has spent stays.
    """
    key, asked = _own_key(wallets, caller, key_id), data.asked()
    may_change_key(wallets, caller, key, asked.get("group", key.group))
    return wallets.keys.configure(key_id, **asked)


@delete("/credit/keys/{key_id:int}", status_code=HTTP_200_OK, **route(TAG, "key_not_found", needs="manage"))
@on_lane(OWNERS)
def revoke_key(key_id: KeyId, caller: GivenCaller, wallets: GivenWallets) -> KeyView:
    """Revoke an agent key

    Revokes the key and all its tokens, permanently and at once.
    """
    key = _own_key(wallets, caller, key_id)
    may_revoke_key(caller, key)
    wallets.keys.revoke(key_id)
    return wallets.keys.show(key_id)


@post(
    "/credit/keys/{key_id:int}/rotate",
    status_code=HTTP_201_CREATED,
    **route(TAG, "key_not_found", "key_ended", "too_many_tokens", needs="manage"),
)
@on_lane(OWNERS)
def rotate_key(key_id: KeyId, data: JSONBody[RotateBody], caller: GivenCaller, wallets: GivenWallets) -> CreatedKey:
    """Rotate an agent key

    Creates another token for the same key, whose cap, spending and label stay as they are. Earlier tokens work for
    `overlap_seconds` more. The token is in this response and never again.
    """
    key = _own_key(wallets, caller, key_id)
    may_change_key(wallets, caller, key, key.group)
    return wallets.keys.rotate(key_id, overlap_seconds=data.overlap_seconds)


@get("/credit/whoami", **route(TAG, needs="identify"))
async def whoami(caller: GivenCaller) -> Identity:
    """Identify the caller

    Whether the token is an owner's, an agent's, a seller's or an operator's, and what it belongs to. Lets a program
    check the token that it was given before it begins.
    """
    return identity_of(caller)


def identity_of(caller: Caller) -> Identity:
    """Who a caller is, as the caller may know it."""
    access, seller, operator = caller.access, caller.seller, caller.operator
    if access is not None:
        if access.key_id is None:
            return Identity("owner", access.wallet_id, ends_at=access.ends_at)
        return Identity("agent", access.wallet_id, access.key_id, ends_at=access.ends_at, scopes=ordered(access.scopes))
    if seller is not None:
        return Identity("seller", seller_id=seller.seller_id, ends_at=seller.ends_at)
    if operator is None:
        raise TypeError(f"{caller!r} is nobody")
    return Identity(
        "operator",
        ends_at=operator.ends_at,
        operator_id=operator.operator_id or None,
        operator_name=operator.name,
        operator_role=operator.role,
    )


@post("/credit/token/rotate", status_code=HTTP_201_CREATED, **route(TAG, "too_many_tokens", needs="own"))
@on_lane(OWNERS)
def rotate_owner_token(data: JSONBody[RotateBody], caller: GivenCaller, wallets: GivenWallets) -> CreatedWallet:
    """Rotate the owner token

    Creates another owner token; earlier ones work for `overlap_seconds` more. The token is in this response and never
    again.
    """
    return wallets.rotate_owner_token(own_wallet(caller), overlap_seconds=data.overlap_seconds)


def _own_key(wallets: CreditWallet, caller: Caller, key_id: int) -> KeyView:
    """A key of the caller's wallet; another wallet's does not exist for the caller."""
    wallet_id = own_wallet(caller)
    key = wallets.keys.show(key_id)
    if key.wallet_id != wallet_id:
        raise KeyNotFound(f"there is no agent key {key_id}; check the id", key_id=key_id)
    return key


KEY_ROUTES = (list_keys, create_key, get_key, configure_key, revoke_key, rotate_key, rotate_owner_token, whoami)
