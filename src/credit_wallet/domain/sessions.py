"""Sessions of people who are signed in to the pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec import Struct

from credit_wallet.domain.acts import BY_LINK
from credit_wallet.domain.links import Language
from credit_wallet.domain.permissions import Scope

IDLE: Final = timedelta(minutes=30)
"""After how long without use a session ends."""

LIFETIME: Final = timedelta(hours=12)
"""After how long a session ends, used or not."""

ROTATES_AFTER: Final = timedelta(minutes=10)
"""How long one secret of a session serves; after that the pages ask for another one."""

EARLIER_WORKS: Final = timedelta(seconds=60)
"""How long the earlier secret works beside the new one, for requests that were under way."""

USE_IS_NOTED_AFTER: Final = timedelta(seconds=60)
"""How old the noted time of the last use becomes before it is written again."""

CLOCKS_DIFFER: Final = timedelta(seconds=60)
"""How far ahead of the clock a session may have been used: nodes' clocks differ, and a clock may step back."""

MAX_SESSIONS: Final = 50
"""Sessions of one owner, agent key or operator, or of one wallet by links of one operator."""


class BegunSession(Struct, frozen=True):
    """A new session. ``secret`` is shown this once; only its hash is stored.

    ``ends_at`` is when it ends at the latest. ``path`` is where its link leads; empty without a link.
    """

    secret: str
    session_id: int
    csrf: str
    ends_at: str
    path: str = ""
    embedded: bool = False
    language: Language | None = None


class OpenSession(Struct, frozen=True):
    """A session that has not ended by its own clock; what opened it may have.

    ``opened_by`` is who is signed in, as in the log of acts. ``token_sha256`` is of the token that must still open
    something: the one that it was opened with, or for a link the operator key that made it, None when it was made
    without one. ``scopes`` are a link's. ``rotate_due`` says that the secret has served long enough, ``use_is_due``
    that its use should be noted. ``ends_at`` is when it ends unless it is used before.
    """

    session_id: int
    wallet_id: int | None
    csrf: str
    opened_by: str
    token_sha256: str | None
    scopes: tuple[Scope, ...] | None
    embedded: bool
    language: Language | None
    created_at: str
    ends_at: str
    rotate_due: bool
    use_is_due: bool

    @property
    def linked_by(self) -> str | None:
        """Who made the link that it was opened with; None for one that a token has opened."""
        return None if self.scopes is None else self.opened_by.removeprefix(BY_LINK)


class CreatedLink(Struct, frozen=True):
    """A new link. ``secret`` is shown this once; only its hash is stored."""

    wallet_id: int
    secret: str
    expires_at: str
