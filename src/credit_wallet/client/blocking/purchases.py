"""Purchases: what a buyer's request costs, once."""

from __future__ import annotations

from collections.abc import Mapping

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as, read_outcome
from credit_wallet.client.transport import Send
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.rules.names import checked_request_id
from credit_wallet.rules.usage import Amount
from credit_wallet.wire.purchase_bodies import BuyBody, RenewBody, ServeBody, UndoBody
from credit_wallet.wire.replies import PurchaseReply


class Purchases:
    """What buyers' requests cost, paid once however often they are sent. For sellers and operators."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def buy(
        self,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str,
        attempt: str,
        payer_token: str | None = None,
        wallet_id: int | None = None,
        hold_seconds: int | None = None,
        lease_seconds: int = 30,
        free_retries: int = 0,
        note: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> PurchaseReply:
        """Charge or hold the price of a buyer's request, once; ``payer_token`` or ``wallet_id`` names the buyer.

        The price is an amount or an item, as in ``charge`` of the client. The reply's ``purchase_key`` names the
        purchase in ``serve``, ``renew`` and ``undo``.
        """
        asked = calls.sold(amount_yen, item, quantity, facts, agent_facts)
        body = BuyBody(
            **asked,
            attempt=attempt,
            hold_seconds=hold_seconds,
            lease_seconds=lease_seconds,
            free_retries=free_retries,
            note=note,
            wallet_id=wallet_id,
            **calls.named(reference, metadata),
        )
        key = calls.checked_or_new(idempotency_key)
        return self._send(
            Call(
                "POST",
                "/credit/purchase",
                read_as(PurchaseReply),
                body,
                idempotency_key=key,
                payer_token=payer_token,
                request_id=checked_request_id(request_id),
            )
        )

    def serve(self, wallet_id: int, purchase_key: str, *, attempt: str, forget: bool = False) -> Outcome:
        """Record that the buyer was served: from now on the purchase is paid."""
        body = ServeBody(wallet_id, purchase_key, attempt, forget)
        return self._send(Call("POST", "/credit/purchase/serve", read_outcome, body))

    def renew(self, wallet_id: int, purchase_key: str, *, attempt: str, lease_seconds: int = 30) -> Outcome:
        """Keep a purchase, and its hold, for another ``lease_seconds``."""
        body = RenewBody(wallet_id, purchase_key, attempt, lease_seconds)
        return self._send(Call("POST", "/credit/purchase/renew", read_outcome, body))

    def undo(self, wallet_id: int, purchase_key: str, *, attempt: str, reason: str = "not served") -> Outcome:
        """Give back what a purchase took, if ``attempt`` holds it and nobody was served."""
        body = UndoBody(wallet_id, purchase_key, attempt, reason)
        return self._send(Call("POST", "/credit/purchase/undo", read_outcome, body))
