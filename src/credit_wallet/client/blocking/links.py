"""Links that let customers in to the pages of their wallets."""

from __future__ import annotations

from collections.abc import Sequence

from credit_wallet.client import calls
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import Send
from credit_wallet.domain.links import HOME, LINK_SCOPES, LINK_SECONDS, Language, LinkScope
from credit_wallet.wire.link_bodies import CreateLinkBody, WalletLink


class Links:
    """Links that let customers in to the pages of their wallets. For operators of support."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def create(
        self,
        wallet_id: int,
        *,
        expires_in_seconds: int = LINK_SECONDS,
        scopes: Sequence[LinkScope] = LINK_SCOPES,
        path: str = HOME,
        language: Language | None = None,
    ) -> WalletLink:
        """A link that signs in whoever opens its ``url`` first, within 30 to 3,600 seconds.

        ``scopes`` are "read", to see the wallet, and "manage", to change it. ``path`` is the page that it leads to.
        """
        body = CreateLinkBody(expires_in_seconds, tuple(scopes), path, language)
        return self._send(calls.create(f"/operator/wallets/{wallet_id:d}/link", read_as(WalletLink), body))
