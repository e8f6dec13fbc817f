"""The body of the call that makes a link, and what it answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from credit_wallet.domain.links import (
    ENTER,
    FRAMED,
    HOME,
    LINK_SCOPES,
    LINK_SECONDS,
    MAX_LINK_SECONDS,
    MAX_PATH_LENGTH,
    MIN_LINK_SECONDS,
    PATH_PATTERN,
    Language,
    LinkScope,
)
from credit_wallet.domain.sessions import CreatedLink
from credit_wallet.wire.bodies import Body


class CreateLinkBody(Body, frozen=True):
    """How long a link can be taken, what it lets its taker do, and where it leads."""

    expires_in_seconds: Annotated[int, Meta(ge=MIN_LINK_SECONDS, le=MAX_LINK_SECONDS)] = LINK_SECONDS
    scopes: Annotated[tuple[LinkScope, ...], Meta(min_length=1, max_length=len(LINK_SCOPES))] = LINK_SCOPES
    path: Annotated[str, Meta(max_length=MAX_PATH_LENGTH, pattern=PATH_PATTERN)] = HOME
    language: Language | None = None


class WalletLink(Struct, frozen=True):
    """A link that lets a customer in to the pages of a wallet, once; it is shown this once."""

    wallet_id: int
    url: str
    frame_url: str | None
    expires_at: str

    @classmethod
    def of(cls, link: CreatedLink, public_url: str, *, in_frames: bool) -> WalletLink:
        """A link to the service that people reach at ``public_url``; ``in_frames`` when it can be shown in some."""
        enter = f"{ENTER}{link.secret}"
        framed = f"{public_url}{FRAMED}{enter}" if in_frames else None
        return cls(link.wallet_id, f"{public_url}{enter}", framed, link.expires_at)
