"""The bodies of calls about operators."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from credit_wallet.domain.permissions import Role
from credit_wallet.domain.price_file import MAX_BYTES
from credit_wallet.domain.tokens import MAX_TOKEN_LENGTH
from credit_wallet.ledger.operators import NAME_PATTERN
from credit_wallet.wire.bodies import Body


class CreateOperatorBody(Body, frozen=True):
    """A new operator."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    role: Role


class PriceFileBody(Body, frozen=True):
    """A price file, which is the whole book, to compare or to apply."""

    prices: Annotated[str, Meta(max_length=MAX_BYTES)]
    dry_run: bool = False
    allow_empty: bool = False


class RevokeTokenBody(Body, frozen=True):
    """A token to revoke, whatever it is."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_LENGTH)]


class ConfigureOperatorBody(Body, frozen=True):
    """What of an operator is to change."""

    role: Role
