"""Keys of the host that open wallets."""

from __future__ import annotations

from collections.abc import Sequence

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import AsyncSend
from credit_wallet.domain.views import SecretView
from credit_wallet.wire.bodies import RegisterSecretBody


class AsyncSecrets:
    """Keys of the host, by their SHA-256, that open a wallet. All methods are for the operator."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def register(
        self, wallet_id: int, sha256: str, *, key_id: int | None = None, ends_at: str | None = None
    ) -> SecretView:
        """Let a key of the host open a wallet as its owner, or as the agent key ``key_id``.

        ``sha256`` is the SHA-256 of the host's key in UTF-8, as hexadecimal digits.
        """
        path = f"/operator/wallets/{wallet_id:d}/secrets"
        return await self._send(Call("POST", path, read_as(SecretView), RegisterSecretBody(sha256, key_id, ends_at)))

    async def list(self, wallet_id: int) -> Sequence[SecretView]:
        """What opens a wallet besides its current tokens."""
        return await self._send(calls.get(f"/operator/wallets/{wallet_id:d}/secrets", read_as(list[SecretView])))

    async def remove(self, sha256: str) -> SecretView:
        """Stop a registered key, or an earlier token in its overlap, from opening anything."""
        path = f"/operator/secrets/{calls.segment(sha256)}"
        return await self._send(Call("DELETE", path, read_as(SecretView), repeatable=False))
