"""Buying a call: charged or reserved before it runs, given back when it fails."""

from __future__ import annotations

import asyncio
from functools import partial

from msgspec import Struct

from credit_wallet.commands import MAX_HOLD_SECONDS
from credit_wallet.errors import (
    BudgetExhausted,
    DatabaseUnavailable,
    InsufficientFunds,
    KeyCapExhausted,
    RetriesExhausted,
    ServiceFailed,
    ServiceUnreachable,
    UnexpectedAnswer,
    WalletDisabled,
)
from credit_wallet.gate.accounts import Account
from credit_wallet.gate.arrears import Arrears
from credit_wallet.gate.attempts import Attempts, KnownKeys
from credit_wallet.http.replies import RawHeaders, outcome_headers
from credit_wallet.keys import new_idempotency_key
from credit_wallet.money import MAX_AMOUNT_YEN, is_amount
from credit_wallet.outcomes import Outcome

UNCERTAIN = (asyncio.CancelledError, DatabaseUnavailable, ServiceFailed, ServiceUnreachable, UnexpectedAnswer)
"""After these nobody knows whether a charge was made."""

REFUSED = (BudgetExhausted, InsufficientFunds, KeyCapExhausted, WalletDisabled)

MAX_ATTEMPTS = 100
"""Charges under one key of a caller's, all but the last of them given back."""


class Price(Struct, frozen=True):
    """What a call costs: charged before it runs, or with ``hold_seconds`` reserved and captured afterwards."""

    amount_yen: int
    hold_seconds: int | None = None

    def __post_init__(self) -> None:
        if not is_amount(self.amount_yen):
            raise ValueError(f"a price must be whole yen from 1 to {MAX_AMOUNT_YEN}, not {self.amount_yen!r}")
        if self.hold_seconds is not None and not 1 <= self.hold_seconds <= MAX_HOLD_SECONDS:
            raise ValueError(f"a hold lasts 1 to {MAX_HOLD_SECONDS} seconds, not {self.hold_seconds!r}")


class Purchase:
    """A call that is paid for. ``outcome`` is the wallet's answer to the charge or the hold."""

    def __init__(
        self,
        account: Account,
        price: Price,
        outcome: Outcome,
        wallet_key: str,
        arrears: Arrears,
        keys: KnownKeys,
        attempts: Attempts | None = None,
        *,
        free: bool = False,
    ) -> None:
        self.outcome = outcome
        self.free = free
        """Whether this is the retry of a call that was paid for before."""
        self._account = account
        self._price = price
        self._wallet_key = wallet_key
        self._arrears = arrears
        self._keys = keys
        self._attempts = attempts
        self._given_back: Outcome | None = None
        self._captured_yen = price.amount_yen
        self._begun = False
        self._misreported = False
        self._settled = False

    @property
    def amount_yen(self) -> int:
        """What the call costs, or what is set aside for it."""
        return self._price.amount_yen

    def capture(self, amount_yen: int) -> None:
        """Say what the call came to: 0 to what is held. Without this the whole hold is spent.

        It is spent when the answer has been delivered. Raises ``ValueError`` (then the whole hold is spent, if any of
        the answer is out), ``TypeError`` for a charge, whose amount is fixed, and ``RuntimeError`` when it is too late:
        the answer has been delivered, or given back.
        """
        if self._price.hold_seconds is None:
            raise TypeError("this call was charged, not held; give the gate a hold= instead of a price")
        if self._settled:
            raise RuntimeError("this call is settled: capture before the last of the answer is sent")
        if type(amount_yen) is not int or not 0 <= amount_yen <= self._price.amount_yen:
            self._captured_yen, self._misreported = self._price.amount_yen, True
            raise ValueError(f"capture whole yen from 0 to {self._price.amount_yen}, not {amount_yen!r}")
        self._captured_yen = amount_yen

    async def confirm(self) -> None:
        """A wallet has paid before the call ran."""

    def begin(self) -> None:
        """The first byte of the answer left."""
        self._begun = True

    async def cut(self, reason: str) -> None:  # noqa: ARG002
        """What was sold in part is paid."""
        await self.deliver()

    async def deliver(self) -> None:
        """The answer is with the caller: what was held is spent. Only the first of these three counts."""
        if self._settled:
            return
        self._settled = True
        if self._attempts is not None:
            self._attempts.delivered = True
        hold_id = self.outcome.hold_id
        if hold_id is None or self.free:
            return
        await (self._capture(hold_id) if self._captured_yen else self._release(hold_id))

    async def fail(self, reason: str) -> None:
        """The caller got no answer: give back what was taken."""
        if self._settled:
            return
        if self._misreported and self._begun:
            await self.deliver()  # the seller's mistake in counting is no reason to give the goods away
            return
        self._settled = True
        if self.free and self._attempts is not None and self._attempts.delivered:
            return  # the answer that was paid for was delivered before
        if self._attempts is not None:
            self._attempts.next()
        if self.outcome.txn_id is not None:
            self._given_back = await self._refund(self.outcome.txn_id, reason)
        elif self.outcome.hold_id is not None and not self.free:
            self._given_back = await self._release(self.outcome.hold_id)

    def headers(self) -> RawHeaders:
        """Balance, warning and replay mark, after what was given back."""
        return outcome_headers(self._given_back or self.outcome)

    def close(self) -> None:
        """Let the next request with the key begin."""
        if self._attempts is not None:
            self._keys.give_back(self._attempts)

    async def _capture(self, hold_id: int) -> Outcome | None:
        capture = partial(self._account.capture, hold_id, self._captured_yen, f"{self._wallet_key}:capture")
        return await self._arrears.now_or_later(capture, what="capture", hold_id=hold_id, yen=self._captured_yen)

    async def _release(self, hold_id: int) -> Outcome | None:
        release = partial(self._account.release, hold_id, f"{self._wallet_key}:release")
        return await self._arrears.now_or_later(release, what="release", hold_id=hold_id)

    async def _refund(self, txn_id: int, reason: str) -> Outcome | None:
        refund = partial(self._account.refund, txn_id, f"{self._wallet_key}:refund", reason)
        return await self._arrears.now_or_later(refund, what="refund", txn_id=txn_id, reason=reason)


class Till:
    """Sells calls. ``free_retries`` is how often the retry of a paid call is answered without being paid for."""

    def __init__(self, *, free_retries: int, remembered_keys: int) -> None:
        self.arrears = Arrears()
        self._free_retries = free_retries
        self._keys = KnownKeys(remembered_keys)

    async def sell(self, account: Account, price: Price, note: str, key: str | None) -> Purchase:
        """Charge or hold; ``key`` is the request's, None for one that is not going to be retried.

        Waits for a request with the same key that is under way. The purchase must be closed. Raises what the wallet
        refuses, and ``RetriesExhausted``.
        """
        if key is None:
            return await self._sell_once(account, price, note)
        attempts = await self._keys.take(key)
        try:
            return await self._buy(account, price, note, attempts)
        except BaseException:
            self._keys.give_back(attempts)
            raise

    async def _sell_once(self, account: Account, price: Price, note: str) -> Purchase:
        """Nobody will send this key again, so what may have been taken unseen is given back here."""
        wallet_key = new_idempotency_key()

        async def undo() -> Outcome | None:
            try:
                outcome = await _take(account, price, wallet_key, note)
            except REFUSED:
                return None  # it was not taken, and is not now
            await Purchase(account, price, outcome, wallet_key, self.arrears, self._keys).fail("nobody was told")
            return outcome

        try:
            outcome = await _take(account, price, wallet_key, note)
        except UNCERTAIN as error:
            if not (isinstance(error, ServiceUnreachable) and error.details.get("sent") is False):
                self.arrears.later(undo, what="undo", key=wallet_key)
            raise
        return Purchase(account, price, outcome, wallet_key, self.arrears, self._keys)

    async def _buy(self, account: Account, price: Price, note: str, attempts: Attempts) -> Purchase:
        while attempts.number <= MAX_ATTEMPTS:
            wallet_key = attempts.wallet_key
            outcome = await _take(account, price, wallet_key, note)
            free = False
            if outcome.replayed:
                status = await _became(account, outcome)
                if status == "given back":
                    attempts.next()
                    continue
                free = status == "paid"
                self._count_free(attempts, free)
            return Purchase(account, price, outcome, wallet_key, self.arrears, self._keys, attempts, free=free)
        raise RetriesExhausted(f"this key has failed {MAX_ATTEMPTS} times; send a new one", attempts=MAX_ATTEMPTS)

    def _count_free(self, attempts: Attempts, free: bool) -> None:
        if free and attempts.free >= self._free_retries:
            raise RetriesExhausted(
                f"the answer to this idempotency key was paid for once and sent {attempts.free + 1} times; "
                "send a new key for a new answer",
                free_retries=self._free_retries,
            )
        attempts.free += free


async def _take(account: Account, price: Price, wallet_key: str, note: str) -> Outcome:
    if price.hold_seconds is None:
        return await account.charge(price.amount_yen, wallet_key, note)
    return await account.hold(price.amount_yen, price.hold_seconds, wallet_key, note)


async def _became(account: Account, outcome: Outcome) -> str:
    """What became of an earlier charge or hold: "paid", "given back", or "open" for a hold that nobody has closed."""
    if outcome.txn_id is not None:
        entry = await account.transaction(outcome.txn_id)
        return "given back" if entry.refunded_yen >= outcome.amount_yen else "paid"
    if outcome.hold_id is not None:
        status = (await account.hold_status(outcome.hold_id)).status
        return {"captured": "paid", "open": "open"}.get(status, "given back")
    return "open"
