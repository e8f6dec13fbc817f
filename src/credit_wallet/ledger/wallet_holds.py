"""The holds of the facade: setting yen aside, and capturing, extending or releasing them."""

from __future__ import annotations

from collections.abc import Mapping

from credit_wallet.domain.actors import OPERATOR, Actor
from credit_wallet.domain.commands import Above, Capture, Extend, Hold, Release
from credit_wallet.domain.outcomes import Captured, Extended, Held, Released
from credit_wallet.ledger import movements
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.names import called
from credit_wallet.rules.usage import Amount, asked_for


class WalletHolds:
    """Holds of a ledger. Every method has an ``a…`` twin for asyncio."""

    _ledger: Ledger

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
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> Held:
        """Set ``amount_yen`` aside for ``ttl_seconds`` (1 to 31 days), to be captured or released.

        The outcome's ``hold_id`` names it, and only ``actor`` (or an operator) can close it: an operator's or a
        seller's hold is a promise to them, which the payer's own tokens cannot undo. A hold that nobody closes expires
        and returns its yen. Its captures are called what it is called, unless they say otherwise. Raises what
        ``charge`` raises.
        """
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        names = called(request_id, reference, metadata)
        return self._ledger.run(
            Held,
            Hold(wallet_id, idempotency_key, amount_micros, ttl_seconds, note, key_id, usage, actor=actor, names=names),
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
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> Held:
        """The asyncio twin of ``hold``."""
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        names = called(request_id, reference, metadata)
        return await self._ledger.arun(
            Held,
            Hold(wallet_id, idempotency_key, amount_micros, ttl_seconds, note, key_id, usage, actor=actor, names=names),
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
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
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
        names = called(request_id, reference, metadata)
        return self._ledger.run(
            Captured,
            Capture(wallet_id, key, hold_id, amount_micros, final, above, key_id, usage, actor=actor, names=names),
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
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = OPERATOR,
    ) -> Captured:
        """The asyncio twin of ``capture``."""
        wallet_id = await movements.awallet_of_hold(self._ledger, hold_id) if wallet_id is None else wallet_id
        key, actor = movements.closing_key(idempotency_key, f"capture:{hold_id}", actor, repeatable=final)
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        names = called(request_id, reference, metadata)
        return await self._ledger.arun(
            Captured,
            Capture(wallet_id, key, hold_id, amount_micros, final, above, key_id, usage, actor=actor, names=names),
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
