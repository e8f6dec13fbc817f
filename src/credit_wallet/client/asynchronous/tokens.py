"""Tokens that have leaked."""

from __future__ import annotations

from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import AsyncSend
from credit_wallet.domain.operators import RevokedToken
from credit_wallet.wire.operator_bodies import RevokeTokenBody


class AsyncTokens:
    """Tokens of every kind, for operators of support."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def revoke(self, token: str) -> RevokedToken:
        """Stop a token from opening anything, whatever it is; what it was. Called again it answers the same."""
        return await self._send(Call("POST", "/operator/tokens/revoke", read_as(RevokedToken), RevokeTokenBody(token)))
