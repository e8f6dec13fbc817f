"""Tokens: the access that a bearer token gives."""

from __future__ import annotations

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.operators import Opened, RevokedToken
from credit_wallet.domain.tokens import is_mistyped, looked_up, new_token, token_hash
from credit_wallet.domain.views import Access, SellerAccess
from credit_wallet.errors import InvalidRequest, Unauthorized
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.stores import identity_rows, revoked_token_rows

_UNKNOWN = "the token is unknown, revoked or expired; send the wallet's owner token or an agent key"


class Tokens:
    """``wallets.tokens``: find out whom a bearer token belongs to."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def changes(self) -> int:
        """Changes whenever this process ends or adds a secret: then cached tokens are stale."""
        return self._ledger.secret_changes

    def last_look(self) -> tuple[float, int | None]:
        """When it was last seen how often other processes have written, by the monotonic clock, and how often that was.

        None when the store cannot know it: then a token may have ended elsewhere without a sign.
        """
        return self._ledger.lanes.last_look()

    def authenticate(self, token: str) -> Access:
        """The wallet that a bearer token, or a registered key of the host, opens. Raises ``Unauthorized``."""
        access = self.identify(token)
        if not isinstance(access, Access):
            whose = "a seller's token" if isinstance(access, SellerAccess) else "an operator's key"
            raise Unauthorized(f"this is {whose}, which opens no wallet; send an owner token or an agent key")
        return access

    def identify(self, token: str) -> Opened:
        """Like ``authenticate``, but accepts a seller's token and an operator's key too. Raises ``Unauthorized``."""
        digest = looked_up(token)
        access = None if digest is None else self._opened(digest)
        if access is None:
            raise Unauthorized(
                "the token is mistyped: its checksum is wrong; copy it again" if is_mistyped(token) else _UNKNOWN
            )
        return access

    def identify_sha256(self, digest: str) -> Opened:
        """What the token with this SHA-256, 64 hex digits, opens now. Raises ``Unauthorized``."""
        access = self._opened(digest)
        if access is None:
            raise Unauthorized(_UNKNOWN)
        return access

    def revoke(self, token: str) -> RevokedToken:
        """Stop a token from opening anything, whatever it is: at once here, and within a second in other processes.

        An agent key is revoked with all its tokens, an operator's key alone. An owner or a seller whose token this was
        has none until it is rotated; an earlier token or a key of the host's ends, and what it opened stays. Called
        again it answers the same, for months. Raises ``SecretNotFound`` for what is not a token here.
        """
        digest = looked_up(token)
        if digest is None:
            raise InvalidRequest("token must have 1 to 512 characters", field="token")
        return self._ledger.change_secrets(0, revoked_token_rows.revoke, digest, token_hash(new_token()))

    def has_ended(self, access: Opened) -> bool:
        """Whether the token that ``access`` came from has expired since."""
        return access.ends_at is not None and access.ends_at <= format_instant(self._ledger.clock())

    def _opened(self, digest: str) -> Opened | None:
        return identity_rows.opened(self._ledger.reader.source, digest, self._ledger.clock())
