"""Top-ups through the payment provider."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import AsyncSend
from credit_wallet.domain.consents import Consent
from credit_wallet.domain.topup_status import TopupStatus
from credit_wallet.domain.views import TopupCase
from credit_wallet.payments.replies import TopupOptions, TopupReply
from credit_wallet.wire.bodies import PayBackBody
from credit_wallet.wire.replies import TopupCasePage, TopupPage


class AsyncWalletTopups:
    """The top-ups of a wallet; ``topup`` asks for one."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def list(self, *, cursor: str | None = None, limit: int = 50) -> TopupPage:
        """The wallet's top-ups, newest first; ``limit`` is 1 to 200. For the owner.

        ``cursor`` is ``next_cursor`` of the page before.
        """
        return await self._send(calls.get("/credit/topups", read_as(TopupPage), cursor=cursor, limit=limit))

    async def options(self) -> TopupOptions:
        """Whether and how the owner can pay: amounts and payment methods. For the owner."""
        return await self._send(calls.get("/credit/topups/options", read_as(TopupOptions)))

    async def show(self, topup_id: str) -> TopupReply:
        """A top-up as the payment provider has it now. For the owner. Raises ``TopupNotFound``."""
        return await self._send(calls.show_topup(topup_id))

    async def cancel(self, topup_id: str) -> TopupReply:
        """Cancel a top-up that nobody has paid. For the owner."""
        return await self._send(Call("DELETE", f"/credit/topups/{calls.segment(topup_id)}", read_as(TopupReply)))

    async def consents(self, *, before: int | None = None, limit: int = 100) -> Sequence[Consent]:
        """What was agreed to for automatic top-ups, newest first; ``limit`` is 1 to 1,000. For the owner."""
        return await self._send(
            calls.get("/credit/topups/consents", read_as(builtins.list[Consent]), before=before, limit=limit)
        )


class AsyncTopups(AsyncWalletTopups):
    """The top-ups of a wallet, and for operators those of all."""

    async def pay_back(self, topup_id: str, amount_yen: int, *, idempotency_key: str | None = None) -> TopupReply:
        """Pay ``amount_yen`` of a top-up's unused credit back to its card, where that is allowed. For the operator."""
        path = f"/operator/topups/{calls.segment(topup_id)}/pay-back"
        key = calls.checked_or_new(idempotency_key)
        return await self._send(Call("POST", path, read_as(TopupReply), PayBackBody(amount_yen), idempotency_key=key))

    async def of_all(
        self, *, status: TopupStatus | None = None, cursor: str | None = None, limit: int = 50
    ) -> TopupCasePage:
        """The top-ups of all wallets, newest first, with what to do about each; ``limit`` is 1 to 200.

        ``status`` such as "failed" leaves those. For the operator.
        """
        read = read_as(TopupCasePage)
        return await self._send(calls.get("/operator/topups", read, status=status, cursor=cursor, limit=limit))

    async def show_any(self, topup_id: str) -> TopupCase:
        """A top-up of any wallet, as the ledger knows it, with what to do about it. For operators.

        Raises ``TopupNotFound``.
        """
        return await self._send(calls.get(f"/operator/topups/{calls.segment(topup_id)}", read_as(TopupCase)))
