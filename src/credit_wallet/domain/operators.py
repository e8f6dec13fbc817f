"""Operators: people and programs of the host's, each with a name, a role and keys of its own."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from credit_wallet.domain.permissions import Role
from credit_wallet.domain.views import Access, SellerAccess

ROOT = 0
"""The ``operator_id`` of the environment's keys: they may do everything and make the first operator."""


class OperatorAccess(Struct, frozen=True):
    """The access that an operator's key gives. ``ends_at`` is when the key ends, None when no end is known."""

    operator_id: int
    name: str
    role: Role
    ends_at: str | None = None


Opened: TypeAlias = Access | SellerAccess | OperatorAccess
"""What a token opens."""


class CreatedOperator(Struct, frozen=True):
    """A new operator with a first key, whose token is shown this once; only its hash is stored."""

    operator_id: int
    name: str
    role: Role
    operator_key_id: int
    token: str


class CreatedOperatorKey(Struct, frozen=True):
    """A new key of an operator, whose token is shown this once; only its hash is stored."""

    operator_id: int
    operator_key_id: int
    token: str


class OperatorView(Struct, frozen=True):
    """An operator. Once revoked, no key of it works, and its name is not given again."""

    operator_id: int
    name: str
    role: Role
    created_at: str
    revoked_at: str | None


class OperatorKeyView(Struct, frozen=True):
    """A key of an operator, told apart by its first characters."""

    operator_key_id: int
    operator_id: int
    prefix: str
    created_at: str
    ends_at: str | None
    revoked_at: str | None


TokenKind: TypeAlias = Literal[
    "owner_token", "agent_key", "earlier_token", "registered_key", "seller_token", "operator_key"
]


class RevokedToken(Struct, frozen=True):
    """What a token was that opens nothing any more, and since when; never the token."""

    kind: TokenKind
    wallet_id: int | None
    key_id: int | None
    seller_id: int | None
    operator_id: int | None
    revoked_at: str
