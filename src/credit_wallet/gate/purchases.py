"""A call that was bought: charged or held before it runs, then served and delivered, or undone.

The ledger decides whether a request was paid for before, whether its answer went out, and whose attempt it is, so any
number of workers and restarts act as one. Here is only what an attempt does while it runs.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from credit_wallet.domain.commands import MAX_HOLD_SECONDS
from credit_wallet.domain.money import MAX_AMOUNT_YEN, is_amount
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import (
    HoldClosed,
)
from credit_wallet.gate.compensations import PASSING, PendingCompensations
from credit_wallet.gate.payers import Bought, Payer
from credit_wallet.gate.renewals import Renewals
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import RawHeaders
from credit_wallet.wire.headers import outcome_headers

LEASE_SECONDS = 30
"""How long an attempt keeps its purchase without renewing it; then a retry may continue it."""

RENEW_SECONDS = 10.0
"""How often a running attempt renews its lease."""

AboveHold: TypeAlias = Literal["reject", "up_to_balance"]
"""What to do with a capture that exceeds the hold: refuse it, or spend the excess as far as the balance goes."""

_log = Logger("credit_wallet.gate")


class Price(Struct, frozen=True):
    """What a call costs: charged before it runs, or with ``hold_seconds`` reserved and captured afterwards."""

    amount_yen: int
    hold_seconds: int | None = None
    above: AboveHold = "reject"

    def __post_init__(self) -> None:
        if not is_amount(self.amount_yen):
            raise ValueError(f"a price must be whole yen from 1 to {MAX_AMOUNT_YEN}, not {self.amount_yen!r}")
        if self.hold_seconds is not None and not 1 <= self.hold_seconds <= MAX_HOLD_SECONDS:
            raise ValueError(f"a hold lasts 1 to {MAX_HOLD_SECONDS} seconds, not {self.hold_seconds!r}")
        if self.above not in ("reject", "up_to_balance"):
            raise ValueError(f"above= is 'reject' or 'up_to_balance', not {self.above!r}")


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
        "_captured_yen",
        "_closed",
        "_compensations",
        "_given_back",
        "_misreported",
        "_payer",
        "_price",
        "_renewals",
        "_served",
        "_serving",
        "due",
        "outcome",
        "undo_reason",
    )

    def __init__(
        self, payer: Payer, price: Price, bought: Bought, compensations: PendingCompensations, renewals: Renewals
    ) -> None:
        self.outcome = bought.outcome
        self.undo_reason = "the answer was not complete"
        self._payer, self._price, self._bought = payer, price, bought
        self._compensations, self._renewals = compensations, renewals
        self._given_back: Outcome | None = None
        self._captured_yen = price.amount_yen
        self._begun = False
        self._misreported = False
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
        """What the call costs, or what is held for it."""
        return self._price.amount_yen

    def capture(self, amount_yen: int) -> None:
        """Set what the call costs: 0 to what is held. Without this the whole hold is spent.

        With ``above="up_to_balance"`` it may be more, and as much of it is spent as the wallet can. It is spent when
        the answer has been delivered. Raises ``ValueError`` (then the whole hold is spent, if any of the answer is
        out), ``TypeError`` for a charge, whose amount is fixed, and ``RuntimeError`` when it is too late: the answer
        has been delivered, or given back.
        """
        if self._price.hold_seconds is None:
            raise TypeError("this call was charged, not held; give the gate a hold= instead of a price")
        if self._closed:
            raise RuntimeError("this call is closed: capture before the last of the answer is sent")
        max_yen = self._price.amount_yen if self._price.above == "reject" else MAX_AMOUNT_YEN
        if type(amount_yen) is not int or not 0 <= amount_yen <= max_yen:
            self._captured_yen, self._misreported = self._price.amount_yen, True
            raise ValueError(f"capture whole yen from 0 to {max_yen}, not {amount_yen!r}")
        self._captured_yen = amount_yen

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
        up_to_balance = self._captured_yen > self._price.amount_yen

        async def capture() -> Outcome | None:
            if self._serving is not None:  # serving charges for a hold that has expired, which capturing cannot
                await asyncio.shield(self._serving)
            try:
                return await self._payer.capture(self._bought, self._captured_yen, up_to_balance=up_to_balance)
            except HoldClosed as error:
                _log.warning("gate_hold_closed_before", error=str(error), **self._names())
                return None

        await self._compensations.now_or_later(capture, what="capture", yen=self._captured_yen, **self._names())

    def _serve_later(self, _: Exception) -> None:
        """The batch refused it, or there is none: send it alone, until it is recorded."""
        served = partial(self._payer.served, self._bought)
        self._serving = self._compensations.at_once_or_later(served, what="serve", **self._names())

    def _names(self) -> dict[str, Any]:
        return {"wallet_id": self.outcome.wallet_id, "purchase_key": self._bought.purchase_key}
