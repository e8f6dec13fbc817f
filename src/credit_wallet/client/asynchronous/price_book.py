"""The operator's calls about the price book."""

from __future__ import annotations

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import AsyncSend
from credit_wallet.wire.operator_bodies import PriceFileBody
from credit_wallet.wire.replies import PriceBookReply, PriceFileReply, PriceRevisionPage


class AsyncPriceBook:
    """The price book: what is sold, at what price, for whom and since when. For operators."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def show(self) -> PriceBookReply:
        """Every price of the newest version: of everybody, groups and wallets, past, present and to come."""
        return await self._send(calls.get("/operator/prices", read_as(PriceBookReply)))

    async def apply(self, prices: str, *, dry_run: bool = False, allow_empty: bool = False) -> PriceFileReply:
        """Make the prices of a file's text the ones that count; with ``dry_run`` only say what that would change.

        A file without any price is refused unless ``allow_empty``. Raises ``InvalidRequest`` that names every wrong
        field.
        """
        body = PriceFileBody(prices, dry_run, allow_empty)
        return await self._send(Call("POST", "/operator/prices", read_as(PriceFileReply), body))

    async def revisions(self, *, cursor: int | None = None, limit: int = 10) -> PriceRevisionPage:
        """Versions, newest first, with what each changed of the one before; ``limit`` is 1 to 20."""
        read = read_as(PriceRevisionPage)
        return await self._send(calls.get("/operator/prices/revisions", read, cursor=cursor, limit=limit))
