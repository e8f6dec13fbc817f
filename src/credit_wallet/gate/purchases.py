"""A call that was bought: charged or held before it runs, then served and delivered, or undone.

The ledger decides whether a request was paid for before, whether its answer went out, and whose attempt it is, so any
number of workers and restarts act as one. Here is only what an attempt does while it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from credit_wallet.domain.money import MAX_AMOUNT_MICROS, format_micros
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import HoldClosed, WalletError
from credit_wallet.gate.compensations import PASSING, PendingCompensations
from credit_wallet.gate.facts import NO_FACTS, CallFacts, checked_facts
from credit_wallet.gate.measured import Measured, Part
from credit_wallet.gate.payers import Bought, Payer
from credit_wallet.gate.prices import Price, amount_micros_of, shortest
from credit_wallet.gate.renewals import Renewals
from credit_wallet.rules.usage import Amount
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import RawHeaders
from credit_wallet.wire.headers import outcome_headers

LEASE_SECONDS = 30
"""How long an attempt keeps its purchase without renewing it; then a retry may continue it."""

RENEW_SECONDS = 10.0
"""How often a running attempt renews its lease."""

_REST = -1
"""The number of the capture that takes what is left."""

_log = Logger("credit_wallet.gate")


class Purchase:
    """A call that is paid for. ``outcome`` is the wallet's answer to the charge or the hold.

    >>> async with await billing.buy(payer, price, note, key) as purchase:
    ...     purchase.serve()  # from here on the call is paid, whatever happens
    ...     await purchase.deliver()

    Leaving the block undoes the purchase unless it was delivered or served.
    """

    __slots__ = (
        "_begun",
        "_bought",
        "_closed",
        "_compensations",
        "_facts",
        "_given_back",
        "_measured",
        "_misreported",
        "_payer",
        "_price",
        "_renewals",
        "_served",
        "_serving",
        "_spends_whole",
        "due",
        "outcome",
        "undo_reason",
    )

    def __init__(
        self,
        payer: Payer,
        price: Price,
        bought: Bought,
        compensations: PendingCompensations,
        renewals: Renewals,
        facts: CallFacts = NO_FACTS,
    ) -> None:
        self.outcome = bought.outcome
        self.undo_reason = "the answer was not complete"
        self._payer, self._price, self._bought = payer, price, bought
        self._compensations, self._renewals = compensations, renewals
        self._given_back: Outcome | None = None
        self._facts, self._measured = facts, Measured()
        self._begun = False
        self._misreported = self._spends_whole = False
        self._closed = False
        self._served = False
        self._serving: asyncio.Task[None] | None = None
        if not self.free:
            loop = asyncio.get_running_loop()
            self.due = loop.time() + min(RENEW_SECONDS, (price.hold_seconds or LEASE_SECONDS) / 3)
            renewals.add(self, loop)

    async def __aenter__(self) -> Purchase:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._closed:
            return
        try:
            if self._served:
                await self.deliver()
            else:
                await self.undo(self.undo_reason)
        finally:
            self._end()

    @property
    def free(self) -> bool:
        """Whether this is the retry of a call that was paid for and answered before."""
        return self.outcome.free

    @property
    def amount_yen(self) -> int:
        """What the call costs, or what is held for it, in whole yen, rounded down."""
        return self.outcome.amount_yen

    @property
    def amount(self) -> Decimal:
        """The same, exact."""
        return self.outcome.amount

    def capture(
        self,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Report what a held call costs: ``quantity`` more (by default 1) of an ``item``, or an amount of yen.

        Quantities add up, so that a stream can report as it goes; each item becomes one entry, priced when the answer
        is over. An amount comes on top of them, and the last one counts. Without any report the whole hold is spent;
        0 gives it back. ``facts`` (such as the model) are added to the hold's, for this report.

        The hold is the maximum, unless the gate has ``above="up_to_balance"``: then the excess is spent as far as the
        wallet can. Raises ``ValueError`` for what cannot be captured (then the whole hold is spent, if any of the
        answer is out), ``TypeError`` for a charge, whose amount is fixed, and ``RuntimeError`` when it is too late:
        the answer has been delivered, or given back.
        """
        if self._price.hold_seconds is None:
            raise TypeError("this call was charged, not held; give the gate a hold= instead of a price")
        if self._closed:
            raise RuntimeError("this call is closed: capture before the last of the answer is sent")
        try:
            self._measure(amount_yen, item, quantity, facts or {})
        except ValueError:
            self._misreported = self._spends_whole = True
            raise

    def _measure(
        self, amount_yen: Amount | None, item: str | None, quantity: Amount | None, facts: Mapping[str, str]
    ) -> None:
        if (amount_yen is None) == (item is None) or (quantity is not None and item is None):
            raise ValueError("capture an amount of yen, or an item and its quantity")
        self._facts.require_room_for(checked_facts(facts))
        if item is not None:
            self._measured.add(item, 1 if quantity is None else quantity, facts)
            return
        micros = amount_micros_of(amount_yen)
        max_micros = self.outcome.amount_micros if self._price.above == "reject" else MAX_AMOUNT_MICROS
        if micros > max_micros:
            raise ValueError(f"capture from ¥0 to {format_micros(max_micros)}, not {amount_yen!r}")
        self._measured.set_amount(micros, facts)
        self._spends_whole = False

    async def confirm(self) -> None:
        """Nothing to do: a wallet pays before the call runs."""

    def begin(self) -> None:
        """The first byte of the answer left."""
        self._begun = True

    def serve(self) -> None:
        """Record that the caller is being served: from now on the call is paid and never given back."""
        if self.free or self._closed:
            return
        self._served = True
        if self.outcome.hold_id is None:
            self._renewals.drop(self)  # what is served needs no lease; a hold lives on
        try:
            self._payer.serve(self._bought, self._serve_later)
        except PASSING as error:
            self._serve_later(error)

    async def deliver(self) -> None:
        """The caller has the answer: what was held is spent. Only the first of ``deliver`` and ``undo`` counts."""
        if self._closed:
            return
        self._end()
        if self.outcome.hold_id is not None and not self.free:
            await self._capture()

    async def undo(self, reason: str) -> None:
        """The caller got no answer: give back what was paid."""
        if self._closed:
            return
        if self._misreported and self._begun:
            self.serve()
            await self.deliver()  # a mistake in the seller's count must not make the call free
            return
        self._end()
        if not self.free:
            undo = partial(self._payer.undo, self._bought, reason)
            self._given_back = await self._compensations.now_or_later(undo, what="undo", reason=reason, **self._names())

    def renew(self) -> None:
        """Renew the attempt's lease, which keeps the purchase and its hold."""
        self.due += RENEW_SECONDS
        self._compensations.at_once_or_later(
            partial(self._payer.renew, self._bought, LEASE_SECONDS), what="renew", tries=3
        )

    def headers(self) -> RawHeaders:
        """Balance, warning and replay mark, after anything that was given back."""
        return outcome_headers(self._given_back or self.outcome)

    def _end(self) -> None:
        self._closed = True
        self._renewals.drop(self)

    async def _capture(self) -> None:
        """Spend what the handler reported. A hold that ended before was spent whole, because it was served."""
        parts = self._measured.parts()
        if (self._measured.is_empty or self._spends_whole) and self.outcome.amount_micros:
            parts = [Part(shortest(self.outcome.amount_micros))]

        async def capture() -> Outcome | None:
            if self._serving is not None:  # serving charges for a hold that has expired, which capturing cannot
                await asyncio.shield(self._serving)
            try:
                return await self._capture_parts(parts)
            except HoldClosed as error:
                _log.warning("gate_hold_closed_before", error=str(error), **self._names())
                return None

        await self._compensations.now_regardless(capture, what="capture", parts=len(parts), **self._names())

    async def _capture_parts(self, parts: list[Part]) -> Outcome:
        """Each part is an entry of its own. Repeating all of them is safe: each has an idempotency key."""
        if not parts:
            return await self._payer.release(self._bought)
        left_micros = self.outcome.amount_micros
        for number, part in enumerate(parts):
            final = number == len(parts) - 1
            try:
                outcome = await self._payer.capture(self._bought, part, number, final=final, above=self._price.above)
            except (HoldClosed, *PASSING):
                raise
            except WalletError as error:
                return await self._capture_the_rest(left_micros, error)
            left_micros -= outcome.amount_micros
        return outcome

    async def _capture_the_rest(self, left_micros: int, error: WalletError) -> Outcome:
        """A part was refused: it is above the hold, or has no price. The call is not free, so all that is held is
        spent, and a person has to look at the prices.
        """
        _log.error("gate_capture_refused", code=error.code, error=str(error), **self._names())
        if left_micros <= 0:
            return await self._payer.release(self._bought)
        return await self._payer.capture(self._bought, Part(shortest(left_micros)), _REST, final=True, above="reject")

    def _serve_later(self, _: Exception) -> None:
        """The batch refused it, or there is none: send it alone, until it is recorded."""
        served = partial(self._payer.served, self._bought)
        self._serving = self._compensations.at_once_or_later(served, what="serve", **self._names())

    def _names(self) -> dict[str, Any]:
        return {"wallet_id": self.outcome.wallet_id, "purchase_key": self._bought.purchase_key}
