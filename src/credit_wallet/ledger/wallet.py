"""The facade: the object that a user of the library opens, with a noun for everything besides the movements."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from msgspec import UNSET, UnsetType

from credit_wallet.domain.actors import OPERATOR, Actor
from credit_wallet.domain.commands import (
    Above,
    Capture,
    Charge,
    Configure,
    Extend,
    Hold,
    Refund,
    Release,
    Reverse,
    Topup,
)
from credit_wallet.domain.outcomes import (
    Balance,
    Captured,
    Charged,
    Configured,
    CreatedWallet,
    Extended,
    Held,
    Refunded,
    Released,
    Reversed,
    ToppedUp,
    Transaction,
    WalletView,
)
from credit_wallet.ledger import movements, owners
from credit_wallet.ledger.alerts import Alerts
from credit_wallet.ledger.charge_lists import sorted_out
from credit_wallet.ledger.clock import LedgerClock
from credit_wallet.ledger.cycles import Cycles, statement_of
from credit_wallet.ledger.deliveries import Deliveries
from credit_wallet.ledger.factory import open_ledger
from credit_wallet.ledger.holds import Holds
from credit_wallet.ledger.keys import Keys
from credit_wallet.ledger.ledger import Ledger, Now, checked_page
from credit_wallet.ledger.lots import Lots
from credit_wallet.ledger.maintenance import Maintenance
from credit_wallet.ledger.notices import Notices
from credit_wallet.ledger.overview import Overview, overview_of
from credit_wallet.ledger.proof import prove
from credit_wallet.ledger.purchases import Purchases
from credit_wallet.ledger.rail import MAX_BATCH, MAX_WAITING, Observer, Outcomes
from credit_wallet.ledger.reading_lanes import MONEY
from credit_wallet.ledger.seals import Seals
from credit_wallet.ledger.secrets import Secrets
from credit_wallet.ledger.sellers import Sellers
from credit_wallet.ledger.targets import Targets
from credit_wallet.ledger.tokens import Tokens
from credit_wallet.ledger.topups import Topups
from credit_wallet.ledger.transactions import Transactions, wallet_to_search
from credit_wallet.reports.statement_figures import Statement
from credit_wallet.rules.forecast import Forecast, forecast
from credit_wallet.rules.validation import checked_after
from credit_wallet.runtime.steady_clock import utc_now
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.stores.jobs.verify import Violation


class CreditWallet:
    """Prepaid wallets in one database. Thread-safe; every method that moves money has an ``a…`` twin for asyncio.

    Amounts are whole yen, 1 to 10**12. Every movement has an idempotency key: the same key with the same request
    returns the first outcome again (``replayed``), with another request it raises ``IdempotencyConflict``. A refusal
    raises a subclass of ``WalletError`` and moves nothing; it is not remembered, so the same key can be sent again
    after a top-up.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Use ``open``."""
        if not isinstance(ledger, Ledger):
            raise TypeError(f"CreditWallet.open(url) opens a database, not CreditWallet({ledger!r})")
        self._ledger = ledger
        self.reading_lanes = ledger.reading_lanes
        self.keys, self.secrets, self.tokens = Keys(ledger), Secrets(ledger), Tokens(ledger)
        self.holds, self.transactions, self.cycles = Holds(ledger), Transactions(ledger), Cycles(ledger)
        self.lots, self.topups, self.alerts = Lots(ledger), Topups(ledger), Alerts(ledger)
        self.sellers, self.purchases = Sellers(ledger), Purchases(ledger)
        self.targets, self.notices, self.deliveries = Targets(ledger), Notices(ledger), Deliveries(ledger)
        self.maintenance, self.seals, self.clock = Maintenance(ledger), Seals(ledger), LedgerClock(ledger)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        lanes: int | None = None,
        clock: Now = utc_now,
        observe: Observer | None = None,
        create: bool = True,
    ) -> Self:
        """Open the database at ``url`` (``sqlite:///file.db``, ``postgresql://user@host/database``).

        Its schema is created or migrated; with ``create=False`` a database without a ledger is refused with
        ``NoLedger`` and left as it is. ``max_batch`` is the maximum number of commands in one durable transaction;
        ``lanes`` is how many such transactions run at once (PostgreSQL: 2, SQLite always 1); ``max_waiting`` is how
        many commands may wait on a lane before ``RailBusy``. ``observe(commands, outcomes, seconds)`` is called after
        every batch, on its lane's thread.

        Raises ``InvalidRequest``, ``DatabaseError``, ``NoLedger`` and ``MigrationError``.
        """
        return cls(
            open_ledger(
                url,
                max_batch=max_batch,
                max_waiting=max_waiting,
                lanes=lanes,
                clock=clock,
                observe=observe,
                create=create,
            )
        )

    def close(self) -> None:
        """Finish the waiting commands and close the database."""
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Wallets

    def create(
        self,
        *,
        label: str | None = None,
        monthly_budget_yen: int = 0,
        budget_mode: str = "alert",
        auto_topup_threshold: int = 0,
        auto_topup_amount: int = 0,
        time_zone: str = "UTC",
    ) -> CreatedWallet:
        """A new, empty wallet and its owner token, which cannot be shown again.

        ``budget_mode`` "alert" notifies at 50, 80 and 100 % of ``monthly_budget_yen`` (0 = no budget), "cap" also stops
        spending at 100 %. The cycle is a month in ``time_zone`` (an IANA name), which cannot be changed later. Raises
        ``InvalidRequest`` naming the field.
        """
        return owners.create_wallet(
            self._ledger,
            label,
            monthly_budget_yen,
            budget_mode,
            auto_topup_threshold,
            auto_topup_amount,
            time_zone,
        )

    def rotate_owner_token(self, wallet_id: int, *, overlap_seconds: int = 3600) -> CreatedWallet:
        """Another owner token for a wallet, which cannot be shown again; nothing else of the wallet changes.

        Earlier tokens work for another ``overlap_seconds``, 0 to 31 days; 0, for a leaked token, ends them at once.
        Other processes may remember an ended token for a second. Raises ``WalletNotFound``, and ``TooManyTokens`` when
        ten earlier tokens still work.
        """
        return owners.rotate_owner_token(self._ledger, wallet_id, overlap_seconds)

    def configure(
        self,
        wallet_id: int,
        *,
        label: str | UnsetType = UNSET,
        enabled: bool | UnsetType = UNSET,
        monthly_budget_yen: int | UnsetType = UNSET,
        budget_mode: str | UnsetType = UNSET,
        auto_topup_threshold: int | UnsetType = UNSET,
        auto_topup_amount: int | UnsetType = UNSET,
        low_balance_yen: int | UnsetType = UNSET,
        alert_thresholds_pct: Sequence[int] | UnsetType = UNSET,
    ) -> Configured:
        """Change settings; omitted ones stay as they are. A disabled wallet accepts credit but spends nothing.

        A notice is sent when spending carries the balance below ``low_balance_yen`` (0 = never).
        ``alert_thresholds_pct`` are up to ten more shares of the budget, 1 to 1,000 %, to alert at besides 50, 80 and
        100 %. Raises ``WalletNotFound``, and ``InvalidRequest`` naming the field.
        """
        return self._ledger.run(
            Configured,
            Configure(
                wallet_id,
                label,
                enabled,
                monthly_budget_yen,
                budget_mode,
                auto_topup_threshold,
                auto_topup_amount,
                low_balance_yen,
                _as_tuple(alert_thresholds_pct),
            ),
        )

    async def aconfigure(
        self,
        wallet_id: int,
        *,
        label: str | UnsetType = UNSET,
        enabled: bool | UnsetType = UNSET,
        monthly_budget_yen: int | UnsetType = UNSET,
        budget_mode: str | UnsetType = UNSET,
        auto_topup_threshold: int | UnsetType = UNSET,
        auto_topup_amount: int | UnsetType = UNSET,
        low_balance_yen: int | UnsetType = UNSET,
        alert_thresholds_pct: Sequence[int] | UnsetType = UNSET,
    ) -> Configured:
        """The asyncio twin of ``configure``."""
        return await self._ledger.arun(
            Configured,
            Configure(
                wallet_id,
                label,
                enabled,
                monthly_budget_yen,
                budget_mode,
                auto_topup_threshold,
                auto_topup_amount,
                low_balance_yen,
                _as_tuple(alert_thresholds_pct),
            ),
        )

    def show(self, wallet_id: int) -> WalletView:
        """A wallet with its settings and the spending of its current cycle. Raises ``WalletNotFound``."""
        return self._ledger.wallet(wallet_id)

    def overview(self, wallet_id: int, *, key_id: int | None = None) -> Overview:
        """A wallet with its latest ten transactions, lots, notification targets and automatic top-up, read together.

        For agent key ``key_id``: only its own transactions, and no targets. Raises ``WalletNotFound`` and
        ``KeyNotFound``.
        """
        return overview_of(self._ledger, wallet_id, key_id)

    def list(self, *, after: int = 0, limit: int = 100) -> builtins.list[WalletView]:
        """Wallets with an id above ``after``, by id, up to ``limit`` (at most 1,000)."""
        return self._ledger.wallets(checked_after(after), checked_page(limit))

    def balance(self, wallet_id: int) -> Balance:
        """The yen that can be spent now, an ``int`` with ``held_yen`` and ``debt_yen``. Raises ``WalletNotFound``."""
        view = self._ledger.wallet(wallet_id)
        return Balance(view.balance_yen, view.held_yen, view.debt_yen)

    async def abalance(self, wallet_id: int) -> Balance:
        """The asyncio twin of ``balance``."""
        return await asyncio.to_thread(self.balance, wallet_id)

    def history(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
    ) -> builtins.list[Transaction]:
        """The wallet's ledger entries, newest first, up to ``limit`` (at most 1,000).

        ``txn_type``, ``key_id`` and ``note`` (matched in full) filter the entries; a refund also matches the key and
        the note of the charge that it refunds. For the next page, pass the last ``txn_id`` as ``before_txn_id``. Raises
        ``WalletNotFound`` and ``InvalidRequest``.
        """
        wallet = wallet_to_search(self._ledger, wallet_id, before_txn_id, txn_type, key_id, note)
        return self._ledger.reader.history(
            wallet,
            limit=checked_page(limit),
            before_txn_id=before_txn_id,
            txn_type=txn_type,
            key_id=key_id,
            note=note,
        )

    async def ahistory(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
    ) -> builtins.list[Transaction]:
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

    def statement(self, wallet_id: int, cycle: str | None = None) -> Statement:
        """The statement of a billing cycle, YYYY-MM in the wallet's time zone, None for the current one.

        ``credit_wallet.reports.statement`` writes it as text, CSV or JSON, and draws up long ones step by step. Raises
        ``WalletNotFound`` and ``InvalidRequest``.
        """
        return statement_of(self._ledger, wallet_id, cycle)

    def forecast(self, wallet_id: int) -> Forecast:
        """Where the wallet's spending is heading at this cycle's pace. Raises ``WalletNotFound``."""
        row, now = self._ledger.row(wallet_id), self._ledger.clock()
        return forecast(self._ledger.reader.view(row, now), now, self._ledger.reader.funded_at(row, now))

    def verify(self, anchors: Iterable[Anchor] = ()) -> builtins.list[Violation]:
        """Check the ledger's invariants and return the violations; an empty list is the proof.

        ``anchors`` are seals that were recorded elsewhere (``seals.parse_anchors`` reads them): the ledger must still
        have each. Rows that plain SQL wrote since the last movement are backfilled first. The proof reads one snapshot,
        so concurrent writes do not affect it.
        """
        return prove(self._ledger, anchors)

    # Movements

    def charge(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        note: str | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Charged:
        """Spend ``amount_yen`` now, on behalf of ``actor``; ``key_id`` is the agent key that pays, None for the owner.

        An idempotency key belongs to the kind of ``actor`` that uses it: a payer cannot use up an operator's.

        Raises ``InsufficientFunds``, ``BudgetExhausted``, ``KeyCapExhausted``, ``WalletDisabled``, ``Unauthorized``.
        """
        return self._ledger.run(Charged, Charge(wallet_id, idempotency_key, amount_yen, note, key_id, actor=actor))

    async def acharge(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        note: str | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Charged:
        """The asyncio twin of ``charge``."""
        return await self._ledger.arun(
            Charged, Charge(wallet_id, idempotency_key, amount_yen, note, key_id, actor=actor)
        )

    def charge_many(self, charges: Iterable[tuple[int, int, str] | Charge]) -> Outcomes:
        """Charge ``(wallet_id, amount_yen, idempotency_key)`` each; one outcome or ``WalletError`` per item, in order.

        An item may also be a ``Charge``, with a note and an agent key. Up to ``max_batch`` charges are one durable
        batch; more are split into several, one after the other.
        """
        commands, outcomes = sorted_out(charges)
        lanes = self._ledger.lanes
        for start in range(0, len(commands), lanes.max_batch):
            outcomes.settle(lanes.submit(commands[start : start + lanes.max_batch]))
        return outcomes.in_order()

    async def acharge_many(self, charges: Iterable[tuple[int, int, str] | Charge]) -> Outcomes:
        """The asyncio twin of ``charge_many``."""
        commands, outcomes = sorted_out(charges)
        lanes = self._ledger.lanes
        for start in range(0, len(commands), lanes.max_batch):
            outcomes.settle(await lanes.asubmit(commands[start : start + lanes.max_batch]))
        return outcomes.in_order()

    def hold(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
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
        return self._ledger.run(
            Held, Hold(wallet_id, idempotency_key, amount_yen, ttl_seconds, note, key_id, actor=actor)
        )

    async def ahold(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        ttl_seconds: int = 900,
        note: str | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Held:
        """The asyncio twin of ``hold``."""
        return await self._ledger.arun(
            Held, Hold(wallet_id, idempotency_key, amount_yen, ttl_seconds, note, key_id, actor=actor)
        )

    def capture(
        self,
        hold_id: int,
        amount_yen: int,
        *,
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
        ``InvalidAmount`` (more than is held).
        """
        wallet_id = movements.wallet_of_hold(self._ledger, hold_id) if wallet_id is None else wallet_id
        key, actor = movements.closing_key(idempotency_key, f"capture:{hold_id}", actor, repeatable=final)
        return self._ledger.run(
            Captured, Capture(wallet_id, key, hold_id, amount_yen, final, above, key_id, actor=actor)
        )

    async def acapture(
        self,
        hold_id: int,
        amount_yen: int,
        *,
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
        return await self._ledger.arun(
            Captured, Capture(wallet_id, key, hold_id, amount_yen, final, above, key_id, actor=actor)
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
        amount_yen: int | None = None,
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
        return self._ledger.run(Refunded, Refund(wallet_id, idempotency_key, txn_id, amount_yen, note, actor=actor))

    async def arefund(
        self,
        txn_id: int,
        amount_yen: int | None = None,
        *,
        idempotency_key: str,
        note: str | None = None,
        actor: Actor = OPERATOR,
    ) -> Refunded:
        """The asyncio twin of ``refund``."""
        wallet_id = await self.reading_lanes.ask(MONEY, movements.wallet_of_sale, self._ledger, txn_id, actor)
        return await self._ledger.arun(
            Refunded, Refund(wallet_id, idempotency_key, txn_id, amount_yen, note, actor=actor)
        )

    def topup(
        self,
        wallet_id: int,
        amount_yen: int,
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
        return self._ledger.run(
            ToppedUp, Topup(wallet_id, idempotency_key, amount_yen, bool(promo), end, note, actor=actor)
        )

    async def atopup(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        promo: bool = False,
        expires_at: str | None = None,
        note: str | None = None,
        actor: Actor = OPERATOR,
    ) -> ToppedUp:
        """The asyncio twin of ``topup``."""
        end = await self.reading_lanes.ask(MONEY, movements.end_of_lot, self._ledger, wallet_id, expires_at)
        return await self._ledger.arun(
            ToppedUp, Topup(wallet_id, idempotency_key, amount_yen, bool(promo), end, note, actor=actor)
        )

    def reverse(self, txn_id: int, amount_yen: int, *, idempotency_key: str, note: str | None = None) -> Reversed:
        """Reverse ``amount_yen`` of top-up ``txn_id`` whose payment was clawed back; yen already spent become a debt.

        Raises ``EntryNotFound`` and ``RefundExceedsCharge``.
        """
        wallet_id = movements.wallet_of_entry(self._ledger, txn_id)
        return self._ledger.run(Reversed, Reverse(wallet_id, idempotency_key, txn_id, amount_yen, note))

    async def areverse(
        self, txn_id: int, amount_yen: int, *, idempotency_key: str, note: str | None = None
    ) -> Reversed:
        """The asyncio twin of ``reverse``."""
        wallet_id = await self.reading_lanes.ask(MONEY, movements.wallet_of_entry, self._ledger, txn_id)
        return await self._ledger.arun(Reversed, Reverse(wallet_id, idempotency_key, txn_id, amount_yen, note))


def _as_tuple(thresholds: Sequence[int] | UnsetType) -> tuple[int, ...] | UnsetType:
    """A tuple of a list; the check refuses anything else."""
    return tuple(thresholds) if isinstance(thresholds, list) else thresholds  # type: ignore[return-value]
