"""What a caller of a gate says about itself."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.wire.auth import token_of


class Credentials(Struct, frozen=True):
    """What a caller sent to say who pays. ``address`` is the caller's, for counting bad tokens; ``request_id`` is the
    one that the caller gave the request, by which its entries are found.
    """

    authorization: str | None
    api_key: str | None
    address: str = ""
    request_id: str | None = None

    @property
    def given(self) -> bool:
        """Whether the caller sent any."""
        return self.authorization is not None or self.api_key is not None

    def token(self) -> str:
        """The token. Raises ``Unauthorized`` when there is none."""
        return token_of(self.authorization, self.api_key)
