"""Reading wallets: what ``CreditWallet`` shows, beside what it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal, ParamSpec, TypeAlias, TypeVar, get_args

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import (
    Alert,
    AutoTopupState,
    Balance,
    EntryType,
    HoldView,
    KeyView,
    Opening,
    PayerView,
    TopupStepView,
    TopupView,
    Totals,
    Transaction,
    TransactionView,
    WalletView,
)
from credit_wallet.domain.topups import OPEN
from credit_wallet.errors import DatabaseError, InvalidRequest, RailBusy
from credit_wallet.ledger.cycle_walk import CycleWalk
from credit_wallet.ledger.reading_lanes import Lane, ReadingLanes, on
from credit_wallet.rules.forecast import Forecast, forecast
from credit_wallet.rules.pay_back import PayBackRoom, pay_back_room
from credit_wallet.rules.state import Lot
from credit_wallet.rules.validation import checked_after, checked_cycle, checked_id, malformed_text
from credit_wallet.stores.reads import Reader

P = ParamSpec("P")
T = TypeVar("T")

Clock: TypeAlias = Callable[[], datetime]

MAX_STEPS_OF_DUE = 20
"""In which what is due on a wallet is carried out before it is shown; one is enough for most."""

MAX_PAGE = 1_000
"""Rows that one page of wallets or history has at most."""


class WalletReading:
    """The reading half of ``CreditWallet``. ``settle`` carries out what is due on wallets before they are shown."""

    def __init__(self, reader: Reader, clock: Clock, settle: Callable[[Sequence[int]], object]) -> None:
        self._reader = reader
        self._clock = clock
        self._settle = settle
        self.reading_lanes = ReadingLanes()

    async def ask(self, lane: Lane, question: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a question answered on ``lane``, from a coroutine.

        On a quick lane, whose questions carry nothing out that is due, in the event loop itself where the database is
        in this process: the lane's connection is used there alone and nobody waits for it. Raises ``ServiceBusy``.
        """
        if lane.quick and self._reader.source.in_process:
            with on(lane):
                return question(*args, **kwargs)
        return await self.reading_lanes.ask(lane, 0, question, *args, **kwargs)

    async def ask_for(
        self, wallet_id: int, lane: Lane, question: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Have a question of a wallet's answered on a thread of ``lane``, within the share that the wallet has of it.

        Raises ``ShareExceeded``, ``ServiceBusy`` and what ``question`` raises.
        """
        return await self.reading_lanes.ask(lane, wallet_id, question, *args, **kwargs)

    def balance(self, wallet_id: int) -> Balance:
        """The yen that can be spent now, an ``int`` with ``held_yen`` and ``debt_yen``. Raises ``WalletNotFound``."""
        view = self.show(wallet_id)
        return Balance(view.balance_yen, view.held_yen, view.debt_yen)

    def show(self, wallet_id: int) -> WalletView:
        """A wallet with its settings and the spending of its current cycle. Raises ``WalletNotFound``."""
        self._settle_if_due(checked_id("wallet_id", wallet_id))
        return self._reader.wallet(wallet_id, self._clock())

    def wallets(self, *, after: int = 0, limit: int = 100) -> list[WalletView]:
        """Wallets with an id above ``after``, by id, up to ``limit`` (at most 1,000)."""
        now, after = self._clock(), checked_after(after)
        page = self._reader.wallets(now, after=after, limit=_page(limit))
        if page and (due := self._reader.due_between(after, page[-1].wallet_id, now)):
            self._settle(due)
            page = self._reader.wallets(now, after=after, limit=limit)
        return page

    def keys(self, wallet_id: int, *, after: int = 0, limit: int = MAX_PAGE) -> list[KeyView]:
        """The wallet's agent keys with an id above ``after``, by id, up to ``limit`` (at most 1,000).

        Raises ``WalletNotFound``.
        """
        self._settle_if_due(checked_id("wallet_id", wallet_id))
        return self._reader.keys(wallet_id, self._clock(), after=checked_after(after), limit=_page(limit))

    def wallet_of_hold(self, hold_id: int) -> int:
        """Id of the wallet that a hold is of, whatever became of it. Raises ``HoldNotFound``."""
        return self._reader.hold(checked_id("hold_id", hold_id)).wallet_id

    def hold_status(self, hold_id: int) -> HoldView:
        """A hold and what became of it. Raises ``HoldNotFound``."""
        hold = self._reader.hold(checked_id("hold_id", hold_id))
        if hold.status == "open" and hold.expires_at <= format_instant(self._clock()):
            self._settle([hold.wallet_id])
            hold = self._reader.hold(hold_id)
        return hold

    def lots(self, wallet_id: int) -> list[Lot]:
        """The wallet's open lots in the order of spending; their sum is the balance."""
        self.show(wallet_id)
        return self._reader.lots(wallet_id)

    def transaction(self, txn_id: int) -> TransactionView:
        """One ledger entry, with what was given back of it. Raises ``EntryNotFound``."""
        return self._reader.transaction(checked_id("txn_id", txn_id))

    def history(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
    ) -> list[Transaction]:
        """The wallet's ledger entries, newest first, up to ``limit`` (at most 1,000).

        ``txn_type``, ``key_id`` and ``note`` (the whole of it) each leave only those that have it; a refund also has
        the key and the note of the charge that it gives back. For the next page give the last ``txn_id`` as
        ``before_txn_id``. Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        self._prepare_search(wallet_id, before_txn_id, txn_type, key_id, note)
        return self._reader.history(
            wallet_id,
            limit=_page(limit),
            before_txn_id=before_txn_id,
            txn_type=txn_type,
            key_id=key_id,
            note=note,
        )

    def search(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
    ) -> tuple[list[Transaction], int | None]:
        """One step of ``history``, which looks at 2,000 entries at most however few of them are wanted.

        What it found, up to ``limit``, and the ``before_txn_id`` of the next step; None when there is none.
        """
        self._prepare_search(wallet_id, before_txn_id, txn_type, key_id, note)
        return self._reader.search(wallet_id, _page(limit), before_txn_id, txn_type, key_id, note)

    def _prepare_search(
        self, wallet_id: int, before_txn_id: int | None, txn_type: str | None, key_id: int | None, note: str | None
    ) -> None:
        if before_txn_id is None:
            self._settle_if_due(checked_id("wallet_id", wallet_id))
        else:
            checked_id("before_txn_id", before_txn_id)
        if txn_type is not None and txn_type not in get_args(EntryType):
            raise InvalidRequest(f"txn_type must be one of {', '.join(get_args(EntryType))}", field="txn_type")
        if problem := malformed_text("note", note):
            raise problem
        if key_id is not None:
            checked_id("key_id", key_id)

    def cycle_entries(self, wallet_id: int, cycle: str) -> list[Transaction]:
        """The wallet's entries of billing cycle ``cycle`` (YYYY-MM), oldest first. Raises ``WalletNotFound``."""
        walk = self.walk_cycle(wallet_id, cycle)
        steps = list(iter(walk.back, None))
        return [each.entry for step in reversed(steps) for each in step or ()]

    def refunded_charges(self, wallet_id: int, cycle: str) -> list[Transaction]:
        """The charges, of any cycle, that refunds of billing cycle ``cycle`` give back. Raises ``WalletNotFound``."""
        refunds = (entry for entry in self.cycle_entries(wallet_id, cycle) if entry.txn_type == "refund")
        return self._reader.charges(wallet_id, sorted({entry.related_txn_id or 0 for entry in refunds}))

    def ledger_balance_before(self, wallet_id: int, cycle: str) -> int:
        """The wallet's balance and open holds together as billing cycle ``cycle`` begins. Raises ``WalletNotFound``."""
        return self.walk_cycle(wallet_id, cycle).opening_yen

    def walk_cycle(self, wallet_id: int, cycle: str) -> CycleWalk:
        """The same in bounded steps, with what the cycle opened with: balance and open holds together.

        Raises ``WalletNotFound``.
        """
        return CycleWalk(self._reader, checked_id("wallet_id", wallet_id), checked_cycle(cycle))

    def alerts(self, wallet_id: int, cycle: str | None = None) -> list[Alert]:
        """The spending alerts that fired for a wallet, newest first."""
        checked_id("wallet_id", wallet_id)
        return self._reader.alerts(wallet_id, None if cycle is None else checked_cycle(cycle))

    async def abalance(self, wallet_id: int) -> Balance:
        """The asyncio twin of ``balance``."""
        return await asyncio.to_thread(self.balance, wallet_id)

    async def ahistory(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
    ) -> list[Transaction]:
        """The asyncio twin of ``history``."""
        return await asyncio.to_thread(
            self.history,
            wallet_id,
            limit=limit,
            before_txn_id=before_txn_id,
            txn_type=txn_type,
            key_id=key_id,
            note=note,
        )

    def key(self, key_id: int) -> KeyView:
        """An agent key. Raises ``KeyNotFound``."""
        self._settle_if_due(self._reader.owner_of_key(checked_id("key_id", key_id)))
        return self._reader.key(checked_id("key_id", key_id), self._clock())

    def label_and_cap(self, key_id: int) -> tuple[str | None, int]:
        """What an agent key is called, and its monthly cap; nothing and 0 for one that is not there."""
        return self._reader.label_and_cap(checked_id("key_id", key_id))

    def key_works(self, key_id: int) -> bool:
        """Whether an agent key is neither revoked nor expired. Raises ``KeyNotFound``."""
        key = self._reader.key(checked_id("key_id", key_id), self._clock())
        return key.revoked_at is None and (key.expires_at is None or key.expires_at > format_instant(self._clock()))

    def totals(self) -> Totals:
        """Sums over all wallets; reads every wallet's row, and carries out what is due before.

        A database that takes no writes is still asked what it holds: what is due counts as it was then.
        """
        with suppress(DatabaseError, RailBusy):
            self._settle_all()
        return self._reader.totals()

    def openings(self) -> list[Opening]:
        """What wallets had when they were taken over from plain SQL that no ledger entry explains; reads every row.

        No violation: it has been their credit since. Compare it with what the host knows of them.
        """
        return self._reader.openings()

    def topup_status(self, topup_id: str) -> TopupView:
        """A top-up and what became of it. Raises ``TopupNotFound``."""
        return self._reader.topup(topup_id)

    def topup_steps(self, topup_id: str) -> list[TopupStepView]:
        """How a top-up came to its status, oldest first."""
        return self._reader.topup_steps(topup_id)

    def topups(self, wallet_id: int, *, limit: int = 50) -> list[TopupView]:
        """The wallet's top-ups through the payment provider, newest first, up to ``limit`` (at most 1,000)."""
        return self._reader.topups(checked_id("wallet_id", wallet_id), _page(limit))

    def topup_of_payment(self, payment_intent: str) -> tuple[str, int] | None:
        """Id and wallet of the top-up that a payment of the provider belongs to."""
        return self._reader.topup_of_payment(payment_intent)

    def unsettled_topups(self, older_than: timedelta, *, limit: int = 100) -> list[TopupView]:
        """Open top-ups that nothing was heard of for ``older_than``, the longest waiting first."""
        return self._reader.unsettled_topups(format_instant(self._clock() - older_than), _page(limit))

    def installation_id(self) -> str:
        """The random name of this ledger, to tell its payments from those of others at the same provider."""
        return self._reader.installation_id()

    def pay_back_room(self) -> PayBackRoom:
        """How much unused credit the law lets be paid back in this period; reads the whole ledger."""
        self._settle_all()
        return pay_back_room(self._reader, self._clock())

    def payer(self, wallet_id: int) -> PayerView:
        """What the wallet pays its automatic top-ups with, and whether it may."""
        return self._reader.payer(checked_id("wallet_id", wallet_id))

    def auto_topup(self, wallet_id: int) -> AutoTopupState:
        """Whether the wallet can top itself up, and if not what must be done. Raises ``WalletNotFound``."""
        view, payer = self.show(wallet_id), self.payer(wallet_id)
        if not view.auto_topup_threshold:
            return AutoTopupState("off", payer.payment_method)
        asked = next(
            (each for each in self.topups(wallet_id, limit=10) if each.status in OPEN and each.action_url), None
        )
        action_url = asked.action_url if asked else None
        if payer.stopped or payer.payment_method is None:
            reason = payer.reason or "no_payment_method"
            return AutoTopupState("stopped", payer.payment_method, reason, None, action_url)
        waits = payer.retry_at is not None and payer.retry_at > format_instant(self._clock())
        state: Literal["waiting", "ready"] = "waiting" if waits else "ready"
        return AutoTopupState(state, payer.payment_method, payer.reason, payer.retry_at, action_url)

    def topups_due(self, *, after: int = 0, limit: int = 1_000) -> list[int]:
        """Ids of wallets above ``after`` that an automatic top-up is due for, by id; lapsed credit counts for none."""
        if not checked_after(after):
            self._settle_all()
        return self._reader.topups_due(self._clock(), after, _page(limit))

    def forecast(self, wallet_id: int) -> Forecast:
        """Where the wallet's spending is heading at this cycle's pace. Raises ``WalletNotFound``."""
        view = self.show(wallet_id)
        return forecast(view, self._clock(), self._reader.funded_at(view))

    def newest_entry_at(self) -> str | None:
        """When the newest entry of the whole ledger was written; None for an empty one."""
        return self._reader.newest_entry_at()

    # Inside

    def _time_zone_of(self, wallet_id: int) -> str:
        return self._reader.wallet(checked_id("wallet_id", wallet_id), self._clock()).time_zone

    def _settle_if_due(self, wallet_id: int) -> None:
        """What is due on a wallet, in steps; of very much the worker does the rest."""
        for _ in range(MAX_STEPS_OF_DUE):
            if not self._reader.is_due(wallet_id, self._clock()):
                return
            self._settle([wallet_id])

    def _settle_all(self) -> None:
        """Carry out what is due on all wallets, ``MAX_PAGE`` at a time."""
        before: list[int] = []
        steps = 0
        while due := self._reader.due_wallets(self._clock(), MAX_PAGE):
            steps = steps + 1 if due == before else 0
            if steps == MAX_STEPS_OF_DUE:
                return
            self._settle(due)
            before = due


def _page(limit: int) -> int:
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"limit must be 1 to {MAX_PAGE}, not {limit!r}", field="limit")
    return limit
