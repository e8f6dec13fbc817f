"""Buying calls: waiting for another attempt, and undoing a purchase whose result got lost."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count
from os import register_at_fork

from msgspec import structs

from credit_wallet.domain.backoff import Backoff
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import (
    DatabaseUnavailable,
    ItemNotPriced,
    PurchaseNotFound,
    PurchaseRunning,
    RetriesExhausted,
    ServiceFailed,
    ServiceUnreachable,
    SpendingRefused,
    UnexpectedResponse,
    WalletDisabled,
)
from credit_wallet.gate.compensations import PendingCompensations
from credit_wallet.gate.facts import NO_FACTS, CallFacts
from credit_wallet.gate.payers import Bought, Order, Payer
from credit_wallet.gate.prices import Price, price_missing
from credit_wallet.gate.purchases import LEASE_SECONDS, Purchase
from credit_wallet.gate.renewals import Renewals
from credit_wallet.idempotency_keys import new_idempotency_key

UNCERTAIN = (asyncio.CancelledError, DatabaseUnavailable, ServiceFailed, ServiceUnreachable, UnexpectedResponse)
"""After these it is not known whether a charge was made."""

NOT_MADE = (
    ItemNotPriced,
    PurchaseNotFound,
    PurchaseRunning,
    RetriesExhausted,
    SpendingRefused,
    WalletDisabled,
)
"""After these a lost purchase has nothing to give back: this attempt paid nothing."""

WAIT_SECONDS = 10.0
"""How long a retry waits for the running attempt before it is refused with ``Retry-After``."""

BACKOFF = Backoff(first_seconds=0.02, longest_seconds=1.0)


class _Attempts:
    """Unique names for attempts: the process's, and a count. They grow with time, as keys of a database should."""

    def __init__(self) -> None:
        self._restart()
        register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        self._process, self._count = new_idempotency_key().replace("-", ""), count()

    def next(self) -> str:
        return f"{self._process}{next(self._count):010x}"


_new_attempt = _Attempts().next


class Billing:
    """Charges for calls. ``free_retries`` is how often the retry of an answered call costs nothing."""

    def __init__(self, *, free_retries: int) -> None:
        self.compensations = PendingCompensations()
        self._renewals = Renewals()
        self._free_retries = free_retries

    async def buy(
        self, payer: Payer, price: Price, note: str, key: str | None, facts: CallFacts = NO_FACTS
    ) -> Purchase:
        """Charge or hold. ``key`` identifies the request and its retries; None means that it cannot be retried.

        Waits a while for a request with the same key that is running, in any process. Enter the purchase as
        soon as it is returned. Raises what the wallet refuses, ``RetriesExhausted``, ``PriceMissing``, and
        ``PurchaseRunning`` after the wait.
        """
        attempt = _new_attempt()
        order = Order(key or attempt, attempt, price, facts, note, key is None, self._free_retries)
        try:
            bought = await (payer.buy(order, LEASE_SECONDS) if key is None else _bought_in_time(payer, order))
        except ItemNotPriced as error:
            raise price_missing(error) from error
        except UNCERTAIN as error:
            if not (isinstance(error, ServiceUnreachable) and error.details.get("sent") is False):
                self.compensations.later(partial(_cancelled, payer, order), what="undo", key=order.key)
            raise
        return Purchase(payer, price, bought, self.compensations, self._renewals, facts)


async def _bought_in_time(payer: Payer, order: Order) -> Bought:
    """Buy as soon as the running attempt is over."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + WAIT_SECONDS
    for pause in BACKOFF.pauses():
        try:
            return await payer.buy(order, LEASE_SECONDS)
        except PurchaseRunning:
            if loop.time() + pause > ends:
                raise
        await asyncio.sleep(pause)
    raise AssertionError("there is always another pause")


async def _cancelled(payer: Payer, order: Order) -> Outcome | None:
    """Give back what a lost purchase may have paid."""
    try:
        return await payer.cancel(structs.replace(order, free_retries=0), "the result was lost")
    except NOT_MADE:
        return None
