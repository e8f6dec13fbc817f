"""The log of acts: who did what besides moving money."""

from __future__ import annotations

from credit_wallet.client import calls
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import AsyncSend
from credit_wallet.domain.acts import ActPage


class AsyncLog:
    """The log of acts. ``kind`` is one, such as ``budget.configured``, or its noun; ``subject`` a thing (``key:7``).

    ``since`` and ``until`` are ISO 8601 times, or days in UTC, both included. For the next page, pass ``next_cursor``
    as ``cursor``; ``limit`` is 1 to 1,000.
    """

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def own(
        self,
        *,
        kind: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
        cursor: int | None = None,
        limit: int = 100,
    ) -> ActPage:
        """What was done to the token's wallet, newest first. For the owner."""
        return await self._send(
            calls.get(
                "/credit/log",
                read_as(ActPage),
                kind=kind,
                subject=subject,
                since=since,
                until=until,
                cursor=cursor,
                limit=limit,
            )
        )

    async def list(
        self,
        wallet_id: int | None = None,
        *,
        kind: str | None = None,
        by: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
        cursor: int | None = None,
        limit: int = 100,
    ) -> ActPage:
        """What was done to everything, or to one wallet, newest first. For operators. Raises ``WalletNotFound``."""
        return await self._send(
            calls.get(
                "/operator/log",
                read_as(ActPage),
                wallet_id=wallet_id,
                kind=kind,
                by=by,
                subject=subject,
                since=since,
                until=until,
                cursor=cursor,
                limit=limit,
            )
        )

    async def of_wallet(
        self,
        wallet_id: int,
        *,
        kind: str | None = None,
        by: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
        cursor: int | None = None,
        limit: int = 100,
    ) -> ActPage:
        """What was done to one wallet, newest first. For operators. Raises ``WalletNotFound``."""
        return await self._send(
            calls.get(
                f"/operator/wallets/{wallet_id}/log",
                read_as(ActPage),
                kind=kind,
                by=by,
                subject=subject,
                since=since,
                until=until,
                cursor=cursor,
                limit=limit,
            )
        )
