"""Credit that moves between wallets of one owner."""

from __future__ import annotations

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import Send
from credit_wallet.domain.transfers import TransferPage, Transferred, TransferView
from credit_wallet.rules.usage import Amount
from credit_wallet.wire.bodies import OperatorTransferBody, TransferBody


class WalletTransfers:
    """The transfers of a wallet, out of it and in to it."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def list(self, *, limit: int = 50, before: str | None = None) -> TransferPage:
        """The wallet's transfers, out and in, newest first; ``limit`` is 1 to 200. For the owner.

        For the next page, pass the last ``transfer_id`` as ``before``.
        """
        return self._send(calls.get("/credit/transfers", read_as(TransferPage), limit=limit, before=before))

    def show(self, transfer_id: str) -> TransferView:
        """A transfer. For the owner. Raises ``TransferNotFound``."""
        return self._send(calls.get(f"/credit/transfers/{calls.segment(transfer_id)}", read_as(TransferView)))


class Transfers(WalletTransfers):
    """The transfers of a wallet, and how credit is moved."""

    def create(
        self, amount_yen: Amount, to_owner_token: str, *, idempotency_key: str | None = None, note: str | None = None
    ) -> Transferred:
        """Move ``amount_yen`` to the wallet that ``to_owner_token`` owns. For the owner of both.

        Raises ``InsufficientFunds``, ``TransferNotAllowed`` and ``TransferReturned``.
        """
        body = TransferBody(calls.sent_exactly(amount_yen), to_owner_token, note)
        key = calls.checked_or_new(idempotency_key)
        return self._send(Call("POST", "/credit/transfers", read_as(Transferred), body, idempotency_key=key))

    def between(
        self,
        from_wallet_id: int,
        to_wallet_id: int,
        amount_yen: Amount,
        *,
        idempotency_key: str | None = None,
        note: str | None = None,
    ) -> Transferred:
        """Move ``amount_yen`` between two wallets of one owner. For the operator. Raises what ``create`` raises."""
        body = OperatorTransferBody(from_wallet_id, to_wallet_id, calls.sent_exactly(amount_yen), note)
        key = calls.checked_or_new(idempotency_key)
        return self._send(Call("POST", "/operator/transfers", read_as(Transferred), body, idempotency_key=key))
