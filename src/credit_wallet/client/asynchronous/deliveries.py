"""Notices on their way to notification targets."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import AsyncSend
from credit_wallet.domain.views import DeliveryStatus, DeliveryView
from credit_wallet.wire.replies import Resent


class AsyncWalletDeliveries:
    """The deliveries of one wallet's notices."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def list(
        self, *, status: DeliveryStatus | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[DeliveryView]:
        """The wallet's deliveries, newest first; ``limit`` is 1 to 1,000. For the owner.

        ``status`` is "pending", "delivered" or "dead". For the next page, pass the last ``delivery_id`` as ``before``.
        """
        read = read_as(builtins.list[DeliveryView])
        return await self._send(calls.get("/credit/deliveries", read, status=status, before=before, limit=limit))


class AsyncDeliveries(AsyncWalletDeliveries):
    """The deliveries of one wallet's notices, and of all for operators."""

    async def of_all(
        self, *, status: DeliveryStatus | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[DeliveryView]:
        """The deliveries of all wallets, newest first. For the operator."""
        read = read_as(builtins.list[DeliveryView])
        return await self._send(calls.get("/operator/deliveries", read, status=status, before=before, limit=limit))

    async def resend(self, delivery_id: int) -> Resent:
        """Send a notice again now. For the operator. Raises ``DeliveryNotFound``."""
        return await self._send(Call("POST", f"/operator/deliveries/{delivery_id:d}/resend", read_as(Resent)))
