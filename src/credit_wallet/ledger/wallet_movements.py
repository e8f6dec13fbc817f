"""The movements of the facade: every way to move money, blocking and for asyncio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from credit_wallet.domain.actors import OPERATOR, Actor
from credit_wallet.domain.commands import Above, Capture, Charge, Extend, Hold, Refund, Release, Reverse, Topup
from credit_wallet.domain.outcomes import Captured, Charged, Extended, Held, Refunded, Released, Reversed, ToppedUp
from credit_wallet.ledger import movements
from credit_wallet.ledger.charge_lists import sorted_out
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.rail import Outcomes
from credit_wallet.ledger.reading_lanes import MONEY, ReadingLanes
from credit_wallet.rules.usage import Amount, asked_for, checked_amount


class WalletMovements:
    """Charges, holds, refunds and top-ups of a ledger. Every method has an ``a…`` twin for asyncio."""

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
        actor: Actor = OPERATOR,
    ) -> Charged:
        """Spend ``amount_yen`` now, on behalf of ``actor``; ``key_id`` is the agent key that pays, None for the owner.

        Instead of an amount it may name an ``item`` of the price book in a ``quantity`` (default 1, up to six decimal
        places), which is priced when it is carried out. ``facts`` say what it was for: up to eight pairs such as
        ``{"tool": "search"}``; ``agent_facts`` are those that the agent told its seller, kept apart.

        An idempotency key belongs to the kind of ``actor`` that uses it: a payer cannot use up an operator's.

        Raises ``InsufficientFunds``, ``BudgetExhausted``, ``KeyCapExhausted``, ``CallLimitReached`` (all are
        ``SpendingRefused``), ``WalletDisabled``, ``Unauthorized``, ``ItemNotPriced``, ``InvalidAmount``,
        ``InvalidRequest``.
        """
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        return self._ledger.run(
            Charged, Charge(wallet_id, idempotency_key, amount_micros, note, key_id, usage, actor=actor)
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
        actor: Actor = OPERATOR,
    ) -> Charged:
        """The asyncio twin of ``charge``."""
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        return await self._ledger.arun(
            Charged, Charge(wallet_id, idempotency_key, amount_micros, note, key_id, usage, actor=actor)
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

    def hold(
        self,
        wallet_id: int,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str,
        ttl_seconds: int = 900,
        note: str | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Held:
        """Set ``amount_yen`` aside for ``ttl_seconds`` (1 to 31 days), to be captured or released.

        The outcome's ``hold_id`` names it, and only ``actor`` (or an operator) can close it: an operator's or a
        seller's hold is a promise to them, which the payer's own tokens cannot undo. A hold that nobody closes expires
        and returns its yen. Raises what ``charge`` raises.
        """
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        return self._ledger.run(
            Held, Hold(wallet_id, idempotency_key, amount_micros, ttl_seconds, note, key_id, usage, actor=actor)
        )

    async def ahold(
        self,
        wallet_id: int,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str,
        ttl_seconds: int = 900,
        note: str | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Held:
        """The asyncio twin of ``hold``."""
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        return await self._ledger.arun(
            Held, Hold(wallet_id, idempotency_key, amount_micros, ttl_seconds, note, key_id, usage, actor=actor)
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
        above: Above = "reject",
        wallet_id: int | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Captured:
        """Spend ``amount_yen`` of a hold and release the rest, or with ``final=False`` keep it for later captures.

        ``above`` says what happens to yen that the hold does not cover: "reject" refuses them, "up_to_balance" takes
        from the balance what balance, budget and cap allow (not for payers). ``key_id`` is the requesting agent key,
        None for anybody else; ``wallet_id``, if known, is the wallet that the hold must belong to. Without an
        idempotency key, one is derived from the hold's id, in a namespace that callers cannot write to.

        Raises ``HoldNotFound``, ``HoldClosed``, ``Forbidden`` (the hold is not ``actor``'s to close) and
        ``InvalidAmount`` (more than is held); with an item ``ItemNotPriced``; and what ``charge`` raises when
        nothing is left on the hold or of the balance.
        """
        wallet_id = movements.wallet_of_hold(self._ledger, hold_id) if wallet_id is None else wallet_id
        key, actor = movements.closing_key(idempotency_key, f"capture:{hold_id}", actor, repeatable=final)
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        return self._ledger.run(
            Captured, Capture(wallet_id, key, hold_id, amount_micros, final, above, key_id, usage, actor=actor)
        )

    async def acapture(
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
        above: Above = "reject",
        wallet_id: int | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Captured:
        """The asyncio twin of ``capture``."""
        wallet_id = await movements.awallet_of_hold(self._ledger, hold_id) if wallet_id is None else wallet_id
        key, actor = movements.closing_key(idempotency_key, f"capture:{hold_id}", actor, repeatable=final)
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        return await self._ledger.arun(
            Captured, Capture(wallet_id, key, hold_id, amount_micros, final, above, key_id, usage, actor=actor)
        )

    def release(
        self,
        hold_id: int,
        *,
        idempotency_key: str | None = None,
        wallet_id: int | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Released:
        """Release what is left of a hold. ``wallet_id``, ``key_id`` and ``idempotency_key`` are as in ``capture``.

        Raises ``HoldNotFound``, ``HoldClosed`` and ``Forbidden`` (the hold is not ``actor``'s to close).
        """
        wallet_id = movements.wallet_of_hold(self._ledger, hold_id) if wallet_id is None else wallet_id
        key, actor = movements.closing_key(idempotency_key, f"release:{hold_id}", actor)
        return self._ledger.run(Released, Release(wallet_id, key, hold_id, key_id, actor=actor))

    async def arelease(
        self,
        hold_id: int,
        *,
        idempotency_key: str | None = None,
        wallet_id: int | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Released:
        """The asyncio twin of ``release``."""
        wallet_id = await movements.awallet_of_hold(self._ledger, hold_id) if wallet_id is None else wallet_id
        key, actor = movements.closing_key(idempotency_key, f"release:{hold_id}", actor)
        return await self._ledger.arun(Released, Release(wallet_id, key, hold_id, key_id, actor=actor))

    def extend(
        self,
        hold_id: int,
        ttl_seconds: int,
        *,
        wallet_id: int | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Extended:
        """Extend an open hold to ``ttl_seconds`` from now, if that is later; at most 31 days after it was made.

        ``wallet_id`` and ``key_id`` are as in ``capture``. Raises ``HoldNotFound``, ``HoldClosed`` and ``Forbidden``
        (the hold is not ``actor``'s to close).
        """
        wallet_id = movements.wallet_of_hold(self._ledger, hold_id) if wallet_id is None else wallet_id
        return self._ledger.run(Extended, Extend(wallet_id, hold_id, ttl_seconds, key_id, actor))

    async def aextend(
        self,
        hold_id: int,
        ttl_seconds: int,
        *,
        wallet_id: int | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Extended:
        """The asyncio twin of ``extend``."""
        wallet_id = await movements.awallet_of_hold(self._ledger, hold_id) if wallet_id is None else wallet_id
        return await self._ledger.arun(Extended, Extend(wallet_id, hold_id, ttl_seconds, key_id, actor))

    def refund(
        self,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        idempotency_key: str,
        note: str | None = None,
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
            Refund(wallet_id, idempotency_key, txn_id, amount_micros, note, actor=actor, author=self._ledger.author),
        )

    async def arefund(
        self,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        idempotency_key: str,
        note: str | None = None,
        actor: Actor = OPERATOR,
    ) -> Refunded:
        """The asyncio twin of ``refund``."""
        wallet_id = await self.reading_lanes.ask(MONEY, movements.wallet_of_sale, self._ledger, txn_id, actor)
        amount_micros = None if amount_yen is None else checked_amount(amount_yen)
        return await self._ledger.arun(
            Refunded,
            Refund(wallet_id, idempotency_key, txn_id, amount_micros, note, actor=actor, author=self._ledger.author),
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
