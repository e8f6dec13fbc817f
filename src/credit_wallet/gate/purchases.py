"""Buying a call: charged or reserved before it runs, served or given back. What was bought is a fact of the ledger.

The ledger decides whether a request was paid for before, whether its answer went out, and whose attempt it is, so any
number of workers and restarts act as one. Here is only what an attempt does while it runs.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count
from os import register_at_fork
from typing import Any, Literal, TypeAlias

from msgspec import Struct, structs

from credit_wallet.domain.commands import MAX_HOLD_SECONDS
from credit_wallet.domain.money import MAX_AMOUNT_YEN, is_amount
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import (
    BudgetExhausted,
    DatabaseUnavailable,
    HoldClosed,
    InsufficientFunds,
    KeyCapExhausted,
    PurchaseNotFound,
    PurchaseRunning,
    RetriesExhausted,
    ServiceFailed,
    ServiceUnreachable,
    UnexpectedAnswer,
    WalletDisabled,
)
from credit_wallet.gate.accounts import Account, Bought, Order
from credit_wallet.gate.compensations import PASSING, Arrears
from credit_wallet.gate.renewals import Renewals
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.telemetry import Logger
from credit_wallet.wire.replies import RawHeaders, outcome_headers

UNCERTAIN = (asyncio.CancelledError, DatabaseUnavailable, ServiceFailed, ServiceUnreachable, UnexpectedAnswer)
"""After these nobody knows whether a charge was made."""

NOT_MADE = (
    BudgetExhausted,
    InsufficientFunds,
    KeyCapExhausted,
    PurchaseNotFound,
    PurchaseRunning,
    RetriesExhausted,
    WalletDisabled,
)
"""After these, when a lost charge is to be given back, there is nothing of this attempt's to give back."""

LEASE_SECONDS = 30
"""How long an attempt that says nothing keeps its purchase: then a retry may go on with it."""

RENEW_SECONDS = 10.0
"""How often an attempt says that it is still at work."""

WAIT_SECONDS = 10.0
"""How long a retry waits for the attempt that is under way, before it is told to come again."""

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0

AboveHold: TypeAlias = Literal["reject", "up_to_balance"]
"""What becomes of a capture that is more than the hold: a mistake of the handler's, or spent as far as it can be."""

_log = Logger("credit_wallet.gate")


class _Attempts:
    """Names for attempts that nobody else gives: the process's own, and a count. Ordered, as keys of a database are."""

    def __init__(self) -> None:
        self._restart()
        register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        self._process, self._count = new_idempotency_key().replace("-", ""), count()

    def next(self) -> str:
        return f"{self._process}{next(self._count):010x}"


_new_attempt = _Attempts().next


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
    """A call that is paid for. ``outcome`` is the wallet's answer to the charge or the hold."""

    __slots__ = (
        "_account",
        "_arrears",
        "_begun",
        "_bought",
        "_captured_yen",
        "_given_back",
        "_misreported",
        "_price",
        "_renewals",
        "_serving",
        "_settled",
        "due",
        "outcome",
    )

    def __init__(self, account: Account, price: Price, bought: Bought, arrears: Arrears, renewals: Renewals) -> None:
        self.outcome = bought.outcome
        self._account, self._price, self._bought = account, price, bought
        self._arrears, self._renewals = arrears, renewals
        self._given_back: Outcome | None = None
        self._captured_yen = price.amount_yen
        self._begun = False
        self._misreported = False
        self._settled = False
        self._serving: asyncio.Task[None] | None = None
        if not self.free:
            loop = asyncio.get_running_loop()
            self.due = loop.time() + min(RENEW_SECONDS, (price.hold_seconds or LEASE_SECONDS) / 3)
            renewals.add(self, loop)

    @property
    def free(self) -> bool:
        """Whether this is the retry of a call that was paid for and answered before."""
        return self.outcome.free

    @property
    def amount_yen(self) -> int:
        """What the call costs, or what is set aside for it."""
        return self._price.amount_yen

    def capture(self, amount_yen: int) -> None:
        """Say what the call came to: 0 to what is held. Without this the whole hold is spent.

        With ``above="up_to_balance"`` it may be more, and as much of it is spent as the wallet can. It is spent when
        the answer has been delivered. Raises ``ValueError`` (then the whole hold is spent, if any of the answer is
        out), ``TypeError`` for a charge, whose amount is fixed, and ``RuntimeError`` when it is too late: the answer
        has been delivered, or given back.
        """
        if self._price.hold_seconds is None:
            raise TypeError("this call was charged, not held; give the gate a hold= instead of a price")
        if self._settled:
            raise RuntimeError("this call is settled: capture before the last of the answer is sent")
        max_yen = self._price.amount_yen if self._price.above == "reject" else MAX_AMOUNT_YEN
        if type(amount_yen) is not int or not 0 <= amount_yen <= max_yen:
            self._captured_yen, self._misreported = self._price.amount_yen, True
            raise ValueError(f"capture whole yen from 0 to {max_yen}, not {amount_yen!r}")
        self._captured_yen = amount_yen

    async def confirm(self) -> None:
        """A wallet has paid before the call ran."""

    def begin(self) -> None:
        """The first byte of the answer left."""
        self._begun = True

    def serve(self) -> None:
        """Have it written down that the caller is being served: from now on nobody gives this back."""
        if self.free or self._settled:
            return
        if self.outcome.hold_id is None:
            self._renewals.drop(self)  # what is served needs no lease; a hold lives on
        try:
            self._account.serve(self._bought, self._serve_later)
        except PASSING as error:
            self._serve_later(error)

    async def cut(self, reason: str) -> None:  # noqa: ARG002
        """What was sold in part is paid."""
        await self.deliver()

    async def deliver(self) -> None:
        """The answer is with the caller: what was held is spent. Only the first of these three counts."""
        if self._settled:
            return
        self._end()
        if self.outcome.hold_id is not None and not self.free:
            await self._capture()

    async def fail(self, reason: str) -> None:
        """The caller got no answer: give back what was taken."""
        if self._settled:
            return
        if self._misreported and self._begun:
            self.serve()
            await self.deliver()  # the seller's mistake in counting is no reason to give the goods away
            return
        self._end()
        if not self.free:
            undo = partial(self._account.undo, self._bought, reason)
            self._given_back = await self._arrears.now_or_later(undo, what="undo", reason=reason, **self._names())

    def renew(self) -> None:
        """Say that the attempt is still at work, which keeps the purchase and its hold."""
        self.due += RENEW_SECONDS
        self._arrears.at_once_or_later(partial(self._account.renew, self._bought, LEASE_SECONDS), what="renew", tries=3)

    def headers(self) -> RawHeaders:
        """Balance, warning and replay mark, after what was given back."""
        return outcome_headers(self._given_back or self.outcome)

    def close(self) -> None:
        """Nothing more is done for this purchase."""
        self._end()

    def _end(self) -> None:
        self._settled = True
        self._renewals.drop(self)

    async def _capture(self) -> None:
        """Spend what the handler reported. A hold that ended before has been spent whole, because it was served."""
        up_to_balance = self._captured_yen > self._price.amount_yen

        async def capture() -> Outcome | None:
            if self._serving is not None:  # a hold that was given back before it was served would be owed
                await asyncio.shield(self._serving)
            try:
                return await self._account.capture(self._bought, self._captured_yen, up_to_balance=up_to_balance)
            except HoldClosed as error:
                _log.warning("gate_hold_closed_before", error=str(error), **self._names())
                return None

        await self._arrears.now_or_later(capture, what="capture", yen=self._captured_yen, **self._names())

    def _serve_later(self, _: Exception) -> None:
        """A batch could not take it, or there is none: send it by itself, until it is written down."""
        served = partial(self._account.served, self._bought)
        self._serving = self._arrears.at_once_or_later(served, what="serve", **self._names())

    def _names(self) -> dict[str, Any]:
        return {"wallet_id": self.outcome.wallet_id, "purchase_key": self._bought.purchase_key}


class Till:
    """Sells calls. ``free_retries`` is how often the retry of an answered call is answered without being paid for."""

    def __init__(self, *, free_retries: int) -> None:
        self.arrears = Arrears()
        self._renewals = Renewals()
        self._free_retries = free_retries

    async def sell(self, account: Account, price: Price, note: str, key: str | None) -> Purchase:
        """Charge or hold; ``key`` is the request's, None for one that is not going to be retried.

        Waits a while for a request with the same key that is under way, in whichever process. The purchase must be
        closed. Raises what the wallet refuses, ``RetriesExhausted``, and ``PurchaseRunning`` after the wait.
        """
        attempt = _new_attempt()
        order = Order(
            key or attempt, attempt, price.amount_yen, price.hold_seconds, note, key is None, self._free_retries
        )
        try:
            bought = await (account.buy(order, LEASE_SECONDS) if key is None else _bought_in_time(account, order))
        except UNCERTAIN as error:
            if not (isinstance(error, ServiceUnreachable) and error.details.get("sent") is False):
                self.arrears.later(partial(_cancelled, account, order), what="undo", key=order.key)
            raise
        return Purchase(account, price, bought, self.arrears, self._renewals)


async def _bought_in_time(account: Account, order: Order) -> Bought:
    """Buy as soon as the attempt that is under way is over."""
    loop = asyncio.get_running_loop()
    ends, pause = loop.time() + WAIT_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        try:
            return await account.buy(order, LEASE_SECONDS)
        except PurchaseRunning:
            if loop.time() + pause > ends:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _cancelled(account: Account, order: Order) -> Outcome | None:
    """Give back what a lost answer may have been about."""
    try:
        return await account.cancel(structs.replace(order, free_retries=0), "nobody was told")
    except NOT_MADE:
        return None
