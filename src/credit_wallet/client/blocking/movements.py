"""Charges, holds and refunds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from credit_wallet.client import calls
from credit_wallet.client.blocking.nouns import Nouns
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_outcome
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import WalletError
from credit_wallet.rules.usage import Amount
from credit_wallet.wire.bodies import CaptureBody, ChargeBody, ExtendBody, HoldBody, RefundBody, ReleaseBody


class Movements(Nouns):
    """The client's ways to move money."""

    def charge(
        self,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        note: str | None = None,
        wallet_id: int | None = None,
        payer_token: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Spend ``amount_yen``: an integer, or a ``Decimal`` or string with up to six places, such as "3.30".

        Instead of it, ``item`` names an item of the price book in a ``quantity`` (default 1). ``facts`` say what it was
        for, such as ``{"tool": "search"}``; a seller sends those that its buyer set as ``agent_facts``.

        ``request_id``, by default none, and ``reference`` find the entry again; it keeps the pairs of ``metadata``.

        Sellers and operators name the payer by ``wallet_id`` or ``payer_token``. Raises ``InsufficientFunds``,
        ``BudgetExhausted``, ``KeyCapExhausted``, ``CallLimitReached`` and the other errors of a charge.
        """
        asked = calls.sold(amount_yen, item, quantity, facts, agent_facts)
        body = ChargeBody(**asked, **calls.named(reference, metadata), note=note, wallet_id=wallet_id)
        return self._send(
            calls.move("/credit/charge", body, idempotency_key, request_id, spends=True, payer_token=payer_token)
        )

    def charge_many(self, charges: Iterable[tuple[int, Amount, str] | Charge]) -> list[Outcome | WalletError]:
        """Charge ``(wallet_id, amount_yen, idempotency_key)`` each; one outcome or error per item, in order.

        An item may also be a ``Charge`` with a note, but not of an agent key. Up to 1,000 charges are one durable
        batch; more are sent as several batches, one after the other. For the operator.
        """
        return [outcome for batch in calls.charge_batches(charges) for outcome in self._send(batch)]

    def hold(
        self,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        ttl_seconds: int = 900,
        note: str | None = None,
        wallet_id: int | None = None,
        payer_token: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Set ``amount_yen`` aside for ``ttl_seconds``, up to 31 days; the outcome's ``hold_id`` names the hold.

        Item, facts and payer are named as in ``charge``, which also says what is raised.
        """
        asked = calls.sold(amount_yen, item, quantity, facts, agent_facts)
        names = calls.named(reference, metadata)
        body = HoldBody(**asked, **names, ttl_seconds=ttl_seconds, note=note, wallet_id=wallet_id)
        return self._send(
            calls.move("/credit/hold", body, idempotency_key, request_id, spends=True, payer_token=payer_token)
        )

    def capture(
        self,
        hold_id: int,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        final: bool = True,
        above: Literal["reject", "up_to_balance"] = "reject",
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Spend ``amount_yen`` of a hold and release the rest, or with ``final=False`` keep it for later captures.

        With ``above="up_to_balance"``, whoever made the hold may also spend of the balance what the hold does not
        cover. Item and facts are named as in ``charge``. Without an idempotency key of yours, a final capture has one
        that is made from the hold.
        """
        if idempotency_key is None and final:
            idempotency_key = calls.key_of_this_process(f"capture:{hold_id}")
        asked = calls.sold(amount_yen, item, quantity, facts, agent_facts)
        names = calls.named(reference, metadata)
        body = CaptureBody(**asked, **names, hold_id=hold_id, final=final, above=above)
        return self._send(calls.move("/credit/capture", body, idempotency_key, request_id))

    def release(self, hold_id: int, *, idempotency_key: str | None = None) -> Outcome:
        """Give back what is left of a hold. The idempotency key is made from the hold, unless you give one."""
        key = idempotency_key or calls.key_of_this_process(f"release:{hold_id}")
        return self._send(calls.move("/credit/release", ReleaseBody(hold_id), key))

    def extend(self, hold_id: int, ttl_seconds: int) -> Outcome:
        """Let a hold last until ``ttl_seconds`` from now, if that is later, and at most 31 days in all."""
        return self._send(Call("POST", "/credit/extend", read_outcome, ExtendBody(hold_id, ttl_seconds)))

    def refund(
        self,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        idempotency_key: str | None = None,
        note: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Give back ``amount_yen`` of a charge, or all that is left of it. For the operator, and for its seller."""
        exactly = None if amount_yen is None else calls.sent_exactly(amount_yen)
        body = RefundBody(txn_id, exactly, note, **calls.named(reference, metadata))
        return self._send(calls.move("/credit/refund", body, idempotency_key, request_id))
