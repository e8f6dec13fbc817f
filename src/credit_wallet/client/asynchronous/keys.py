"""Agent keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET, UnsetType

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import AsyncSend
from credit_wallet.domain.permissions import Scope
from credit_wallet.domain.views import CreatedKey, KeyView
from credit_wallet.wire.bodies import ConfigureKeyBody, CreateKeyBody, RotateBody


class AsyncKeys:
    """The agent keys of a wallet. All methods are for the owner."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def create(
        self,
        *,
        label: str | None = None,
        monthly_cap_yen: int = 0,
        expires_at: str | None = None,
        group: str | None = None,
        scopes: Sequence[Scope] | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> CreatedKey:
        """A new agent key. Its ``token`` is shown only now; ``monthly_cap_yen`` 0 means no cap.

        ``group`` is for budgets: up to four names with / between them, such as acme/research.
        ``scopes`` are some of "spend", "read" and "manage"; by default the first two. ``reference`` is your id of the
        key, unique in the wallet, and ``metadata`` are pairs of texts.
        """
        allowed = None if scopes is None else [*scopes]
        body = CreateKeyBody(label, monthly_cap_yen, expires_at, group, allowed, reference, dict(metadata or {}))
        return await self._send(calls.create("/credit/keys", read_as(CreatedKey), body))

    async def list(self, *, after: int = 0, before: int | None = None, limit: int = 1_000) -> Sequence[KeyView]:
        """Agent keys with an id above ``after``, by id, with what each has spent; ``limit`` is 1 to 1,000.

        With ``before`` those below that id, the newest first.
        """
        read = read_as(list[KeyView])
        return await self._send(calls.get("/credit/keys", read, after=after or None, before=before, limit=limit))

    async def show(self, key_id: int) -> KeyView:
        """One agent key. Raises ``KeyNotFound``."""
        return await self._send(calls.get(f"/credit/keys/{key_id:d}", read_as(KeyView)))

    async def configure(
        self,
        key_id: int,
        *,
        label: str | UnsetType | None = UNSET,
        monthly_cap_yen: int | UnsetType = UNSET,
        group: str | UnsetType | None = UNSET,
        reference: str | UnsetType | None = UNSET,
        metadata: Mapping[str, str] | UnsetType = UNSET,
    ) -> KeyView:
        """Change an agent key; what is omitted stays. Raises ``KeyNotFound`` and ``ReferenceInUse``."""
        body = ConfigureKeyBody(
            label=label,
            monthly_cap_yen=monthly_cap_yen,
            group=group,
            reference=reference,
            metadata=metadata if metadata is UNSET else dict(metadata),
        )
        return await self._send(Call("PATCH", f"/credit/keys/{key_id:d}", read_as(KeyView), body))

    async def rotate(self, key_id: int, *, overlap_seconds: int = 3600) -> CreatedKey:
        """A new token for an agent key; earlier ones work for another ``overlap_seconds``, up to 31 days."""
        path = f"/credit/keys/{key_id:d}/rotate"
        return await self._send(calls.create(path, read_as(CreatedKey), RotateBody(overlap_seconds)))

    async def revoke(self, key_id: int) -> KeyView:
        """Revoke an agent key at once and for good."""
        return await self._send(Call("DELETE", f"/credit/keys/{key_id:d}", read_as(KeyView)))
