"""Purchases of a seller's gate: each request is paid for once, however often it is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from credit_wallet.domain.actors import PRODUCT, Actor
from credit_wallet.domain.commands import Buy, Renew, Serve, Undo
from credit_wallet.domain.outcomes import Bought, Renewed, Served, Undone
from credit_wallet.ledger.ledger import Ledger, well_formed
from credit_wallet.rules.names import called
from credit_wallet.rules.usage import Amount, asked_for


class Purchases:
    """``wallets.purchases``: sell a request exactly once. ``attempt`` is one try to serve ``purchase_key``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def buy(
        self,
        wallet_id: int,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        purchase_key: str,
        attempt: str,
        hold_seconds: int | None = None,
        lease_seconds: int = 30,
        free_retries: int = 0,
        note: str | None = None,
        key_id: int | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = PRODUCT,
    ) -> Bought:
        """Charge ``amount_yen`` for a request that ``purchase_key`` names, or hold it for ``hold_seconds``, once.

        ``attempt`` (1 to 64 characters) has ``lease_seconds`` (1 to 86,400) to ``serve``, ``undo`` or ``renew``; then
        another attempt with the same idempotency key may continue it without paying again. A retry of a served purchase
        is ``free`` in the outcome, ``free_retries`` times; an undone purchase is charged again. Instead of an amount it
        may name an ``item`` and a ``quantity``, as ``charge`` does; a retry after a change of prices has the first one.
        Names are as in ``charge``; a retry may have others, and the first ones stay.

        Raises what ``charge`` raises, ``PurchaseRunning``, ``RetriesExhausted``, and ``IdempotencyConflict`` when price
        or payer differ.
        """
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        names = called(request_id, reference, metadata)
        return self._ledger.run(
            Bought,
            Buy(
                wallet_id,
                purchase_key,
                attempt,
                amount_micros,
                hold_seconds,
                lease_seconds,
                free_retries,
                note,
                key_id,
                usage,
                actor=actor,
                names=names,
            ),
        )

    async def abuy(
        self,
        wallet_id: int,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        purchase_key: str,
        attempt: str,
        hold_seconds: int | None = None,
        lease_seconds: int = 30,
        free_retries: int = 0,
        note: str | None = None,
        key_id: int | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        actor: Actor = PRODUCT,
    ) -> Bought:
        """The asyncio twin of ``buy``."""
        amount_micros, usage = asked_for(amount_yen, item, quantity, facts, agent_facts, actor)
        names = called(request_id, reference, metadata)
        return await self._ledger.arun(
            Bought,
            Buy(
                wallet_id,
                purchase_key,
                attempt,
                amount_micros,
                hold_seconds,
                lease_seconds,
                free_retries,
                note,
                key_id,
                usage,
                actor=actor,
                names=names,
            ),
        )

    def serve(
        self, wallet_id: int, purchase_key: str, *, attempt: str, forget: bool = False, actor: Actor = PRODUCT
    ) -> Served:
        """Record that the buyer was served: the purchase is paid from now on, and nobody can undo it.

        A purchase that was undone meanwhile is charged again, and a shortfall of the balance becomes a debt. ``forget``
        drops a purchase that has no retries. Raises ``PurchaseNotFound``.
        """
        return self._ledger.run(Served, Serve(wallet_id, purchase_key, attempt, forget, actor=actor))

    async def aserve(
        self, wallet_id: int, purchase_key: str, *, attempt: str, forget: bool = False, actor: Actor = PRODUCT
    ) -> Served:
        """The asyncio twin of ``serve``."""
        return await self._ledger.arun(Served, Serve(wallet_id, purchase_key, attempt, forget, actor=actor))

    def post_serve(
        self,
        wallet_id: int,
        purchase_key: str,
        *,
        attempt: str,
        forget: bool = False,
        actor: Actor = PRODUCT,
        failed: Callable[[Exception], None],
    ) -> None:
        """Like ``serve``, without waiting: it is carried out with the next batch.

        ``failed`` is called, on another thread, with the error that kept it from being recorded. Raises ``RailBusy``.
        """
        self._ledger.lanes.post(well_formed(Serve(wallet_id, purchase_key, attempt, forget, actor=actor)), failed)

    def renew(
        self, wallet_id: int, purchase_key: str, *, attempt: str, lease_seconds: int = 30, actor: Actor = PRODUCT
    ) -> Renewed:
        """Keep a purchase, and the hold that pays for it, for ``lease_seconds`` (1 to 86,400) more.

        Raises ``PurchaseNotFound``, and ``PurchaseRunning`` when another attempt has it.
        """
        return self._ledger.run(Renewed, Renew(wallet_id, purchase_key, attempt, lease_seconds, actor=actor))

    async def arenew(
        self, wallet_id: int, purchase_key: str, *, attempt: str, lease_seconds: int = 30, actor: Actor = PRODUCT
    ) -> Renewed:
        """The asyncio twin of ``renew``."""
        return await self._ledger.arun(Renewed, Renew(wallet_id, purchase_key, attempt, lease_seconds, actor=actor))

    def undo(
        self,
        wallet_id: int,
        purchase_key: str,
        *,
        attempt: str,
        reason: str = "not served",
        abandoned: bool = False,
        actor: Actor = PRODUCT,
    ) -> Undone:
        """Refund or release a purchase, if ``attempt`` holds it and it was not served; otherwise nothing moves.

        The outcome's ``amount_yen`` was returned to the buyer. ``reason`` becomes the refund's note. ``abandoned``
        undoes it only after its lease has ended. Raises ``PurchaseNotFound``.
        """
        return self._ledger.run(Undone, Undo(wallet_id, purchase_key, attempt, reason, abandoned, actor=actor))

    async def aundo(
        self,
        wallet_id: int,
        purchase_key: str,
        *,
        attempt: str,
        reason: str = "not served",
        abandoned: bool = False,
        actor: Actor = PRODUCT,
    ) -> Undone:
        """The asyncio twin of ``undo``."""
        return await self._ledger.arun(Undone, Undo(wallet_id, purchase_key, attempt, reason, abandoned, actor=actor))
