"""The movements of the facade, apart from holds: charges, refunds, top-ups, blocking and for asyncio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from credit_wallet.domain.actors import OPERATOR, Actor
from credit_wallet.domain.commands import Charge, Refund, Reverse, Topup
from credit_wallet.domain.outcomes import Charged, Refunded, Reversed, ToppedUp
from credit_wallet.ledger import movements
from credit_wallet.ledger.charge_lists import sorted_out
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.rail import Outcomes
from credit_wallet.ledger.reading_lanes import MONEY, ReadingLanes
from credit_wallet.rules.names import called
from credit_wallet.rules.usage import Amount, asked_for, checked_amount


class WalletMovements:
    """Charges, refunds and top-ups of a ledger. Every method has an ``a…`` twin for asyncio."""

    _ledger: Ledger
    reading_lanes: ReadingLanes

    def charge(
        self,
        wallet_id: int,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str,
        note: str | None = None,
        key_id: int | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> Charged:
        """Spend ``amount_yen`` now, on behalf of ``actor``; ``key_id`` is the agent key that pays, None for the owner.

        Instead of an amount it may name an ``item`` of the price book in a ``quantity`` (default 1, up to six decimal
        places), which is priced when it is carried out. ``facts`` say what it was for: up to eight pairs such as
        ``{"tool": "search"}``; ``agent_facts`` are those that the agent told its seller, kept apart.

        An idempotency key belongs to the kind of ``actor`` that uses it: a payer cannot use up an operator's.

        By ``request_id`` (printable ASCII, up to 128 characters) and ``reference`` (up to 255) the entry is found again
        with ``wallets.transactions.find``; it keeps up to 20 pairs of ``metadata``. A retry with another reference or
        other metadata is a conflict; the request id may differ, and the first one's stays.

        Raises ``InsufficientFunds``, ``BudgetExhausted``, ``KeyCapExhausted``, ``CallLimitReached`` (all are
        ``SpendingRefused``), ``WalletDisabled``, ``Unauthorized``, ``ItemNotPriced``, ``InvalidAmount``,
        ``InvalidRequest``.
        """
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        names = called(request_id, reference, metadata)
        return self._ledger.run(
            Charged, Charge(wallet_id, idempotency_key, amount_micros, note, key_id, usage, actor=actor, names=names)
        )

    async def acharge(
        self,
        wallet_id: int,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str,
        note: str | None = None,
        key_id: int | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> Charged:
        """The asyncio twin of ``charge``."""
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        names = called(request_id, reference, metadata)
        return await self._ledger.arun(
            Charged, Charge(wallet_id, idempotency_key, amount_micros, note, key_id, usage, actor=actor, names=names)
        )

    def charge_many(self, charges: Iterable[tuple[int, Amount, str] | Charge]) -> Outcomes:
        """Charge ``(wallet_id, amount_yen, idempotency_key)`` each; one outcome or ``WalletError`` per item, in order.

        An item may also be a ``Charge``, with a note and an agent key. Up to ``max_batch`` charges are one durable
        batch; more are split into several, one after the other.
        """
        commands, outcomes = sorted_out(charges)
        lanes = self._ledger.lanes
        for start in range(0, len(commands), lanes.max_batch):
            outcomes.settle(lanes.submit(commands[start : start + lanes.max_batch]))
        return outcomes.in_order()

    async def acharge_many(self, charges: Iterable[tuple[int, Amount, str] | Charge]) -> Outcomes:
        """The asyncio twin of ``charge_many``."""
        commands, outcomes = sorted_out(charges)
        lanes = self._ledger.lanes
        for start in range(0, len(commands), lanes.max_batch):
            outcomes.settle(await lanes.asubmit(commands[start : start + lanes.max_batch]))
        return outcomes.in_order()

    def refund(
        self,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        idempotency_key: str,
        note: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> Refunded:
        """Refund ``amount_yen`` of charge ``txn_id``, or all that is left of it, to the lots it came from.

        Raises ``EntryNotFound``, ``RefundExceedsCharge``, and ``Forbidden`` when ``actor`` is a seller and another
        made the charge.
        """
        wallet_id = movements.wallet_of_sale(self._ledger, txn_id, actor)
        amount_micros = None if amount_yen is None else checked_amount(amount_yen)
        return self._ledger.run(
            Refunded,
            Refund(
                wallet_id,
                idempotency_key,
                txn_id,
                amount_micros,
                note,
                actor=actor,
                names=called(request_id, reference, metadata),
                author=self._ledger.author,
            ),
        )

    async def arefund(
        self,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        idempotency_key: str,
        note: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> Refunded:
        """The asyncio twin of ``refund``."""
        wallet_id = await self.reading_lanes.ask(MONEY, movements.wallet_of_sale, self._ledger, txn_id, actor)
        amount_micros = None if amount_yen is None else checked_amount(amount_yen)
        return await self._ledger.arun(
            Refunded,
            Refund(
                wallet_id,
                idempotency_key,
                txn_id,
                amount_micros,
                note,
                actor=actor,
                names=called(request_id, reference, metadata),
                author=self._ledger.author,
            ),
        )

    def topup(
        self,
        wallet_id: int,
        amount_yen: Amount,
        *,
        idempotency_key: str,
        promo: bool = False,
        expires_at: str | None = None,
        note: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> ToppedUp:
        """Add credit, paid or promotional, that expires at ``expires_at`` or never.

        ``expires_at`` is an ISO 8601 time, UTC without an offset, or a date: the end of that day in the wallet's zone.
        Raises ``WalletNotFound``, ``InvalidAmount`` and ``InvalidRequest``.
        """
        end = movements.end_of_lot(self._ledger, wallet_id, expires_at)
        amount_micros = checked_amount(amount_yen)
        return self._ledger.run(
            ToppedUp,
            Topup(
                wallet_id,
                idempotency_key,
                amount_micros,
                bool(promo),
                end,
                note,
                actor=actor,
                names=called(request_id, reference, metadata),
                author=self._ledger.author,
            ),
        )

    async def atopup(
        self,
        wallet_id: int,
        amount_yen: Amount,
        *,
        idempotency_key: str,
        promo: bool = False,
        expires_at: str | None = None,
        note: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> ToppedUp:
        """The asyncio twin of ``topup``."""
        end = await self.reading_lanes.ask(MONEY, movements.end_of_lot, self._ledger, wallet_id, expires_at)
        amount_micros = checked_amount(amount_yen)
        return await self._ledger.arun(
            ToppedUp,
            Topup(
                wallet_id,
                idempotency_key,
                amount_micros,
                bool(promo),
                end,
                note,
                actor=actor,
                names=called(request_id, reference, metadata),
                author=self._ledger.author,
            ),
        )

    def reverse(self, txn_id: int, amount_yen: Amount, *, idempotency_key: str, note: str | None = None) -> Reversed:
        """Reverse ``amount_yen`` of top-up ``txn_id`` whose payment was clawed back; what is spent becomes a debt.

        Raises ``EntryNotFound`` and ``RefundExceedsCharge``.
        """
        wallet_id = movements.wallet_of_entry(self._ledger, txn_id)
        return self._ledger.run(
            Reversed,
            Reverse(wallet_id, idempotency_key, txn_id, checked_amount(amount_yen), note, author=self._ledger.author),
        )

    async def areverse(
        self, txn_id: int, amount_yen: Amount, *, idempotency_key: str, note: str | None = None
    ) -> Reversed:
        """The asyncio twin of ``reverse``."""
        wallet_id = await self.reading_lanes.ask(MONEY, movements.wallet_of_entry, self._ledger, txn_id)
        return await self._ledger.arun(
            Reversed,
            Reverse(wallet_id, idempotency_key, txn_id, checked_amount(amount_yen), note, author=self._ledger.author),
        )
