"""The facade that a user of the library opens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self

from msgspec import UNSET, UnsetType

from credit_wallet.domain.actors import OPERATOR, PRODUCT, SUPERVISORS, Actor, seller_of
from credit_wallet.domain.commands import (
    Above,
    Buy,
    Capture,
    Charge,
    Command,
    Configure,
    Expire,
    Extend,
    Hold,
    PayBack,
    Refund,
    Release,
    Renew,
    RequestAutoTopup,
    RequestTopup,
    Reverse,
    Serve,
    SettleTopup,
    Topup,
    Undo,
)
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.topups import Flow, PaymentFact
from credit_wallet.errors import Forbidden, InvalidRequest, WalletError
from credit_wallet.ledger.charge_lists import sorted_out
from credit_wallet.ledger.identities import WalletIdentities
from credit_wallet.ledger.lane_source import LaneSource
from credit_wallet.ledger.lanes import Lanes
from credit_wallet.ledger.queries import Clock
from credit_wallet.ledger.rail import MAX_BATCH, MAX_WAITING, Observer, Outcomes
from credit_wallet.ledger.reading_lanes import MONEY
from credit_wallet.rules.validation import checked_end, checked_id, malformed
from credit_wallet.runtime.steady_clock import utc_now
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.reads import Reader

P = ParamSpec("P")

MAX_LANES = 64
"""Each is a connection to the database."""


def _carried_out(
    build: Callable[Concatenate[CreditWallet, P], Command],
) -> Callable[Concatenate[CreditWallet, P], Outcome]:
    """The method that has the command ``build`` makes carried out, and returns or raises what comes of it."""

    @wraps(build)
    def carry_out(self: CreditWallet, /, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        return _only(self._lanes.submit([_well_formed(build(self, *args, **kwargs))]))

    return carry_out


def _awaited(
    build: Callable[Concatenate[CreditWallet, P], Command], *, asks: bool = False
) -> Callable[Concatenate[CreditWallet, P], Awaitable[Outcome]]:
    """The asyncio twin of ``_carried_out``; ``asks`` says that ``build`` reads the database."""

    @wraps(build)
    async def carry_out(self: CreditWallet, /, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        command = await self.ask(MONEY, build, self, *args, **kwargs) if asks else build(self, *args, **kwargs)
        return _only(await self._lanes.asubmit([_well_formed(command)]))

    return carry_out


class CreditWallet(WalletIdentities):
    """Prepaid wallets in one database. Thread-safe; every method that moves money has an ``a…`` twin for asyncio.

    Amounts are whole yen, 1 to 10**12. Every movement has an idempotency key: the same key with the same request
    answers the first outcome again (``replayed``), with another request it raises ``IdempotencyConflict``. What is
    refused raises a subclass of ``WalletError`` and moves nothing; a refusal is not remembered, so the same key can be
    sent again after a top-up.
    """

    def __init__(self, lanes: Lanes, reader: Reader, clock: Clock) -> None:
        """Use ``open``."""
        super().__init__(reader, clock, self._carry_out_due)
        self._lanes = lanes

    @classmethod
    def open(
        cls,
        url: str,
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        lanes: int | None = None,
        clock: Clock = utc_now,
        observe: Observer | None = None,
        create: bool = True,
    ) -> Self:
        """Open the database at ``url`` (``sqlite:///file.db``, ``postgresql://user@host/database``).

        Its schema is made or brought up to date; with ``create=False`` a database without a ledger is refused with
        ``NoLedger`` and left as it is. ``max_batch`` is how many commands become one durable transaction at
        most; ``lanes`` how many such transactions are under way at once (PostgreSQL: 2, SQLite always 1);
        ``max_waiting`` how many commands may wait on a lane before ``RailBusy``. ``observe(commands, outcomes,
        seconds)`` is called after every batch, on its lane's thread.

        Raises ``InvalidRequest``, ``DatabaseError`` and ``MigrationError``.
        """
        database = database_at(url)
        if not create:
            database.require_ledger()
        opened = Lanes(
            lambda: database.open_store(clock()),
            clock,
            _checked_lanes(lanes, database.lanes),
            max_batch=max_batch,
            max_waiting=max_waiting,
            observe=observe,
        )
        try:
            wallets = cls(opened, Reader(LaneSource(database.open_source)), clock)
        except BaseException:
            opened.close()
            raise
        wallets.compare_clock()
        return wallets

    def close(self) -> None:
        """Finish what is waiting and let go of the database."""
        self.reading_lanes.close()
        self._lanes.close()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Movements

    def _charge(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        note: str | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Charge:
        """Spend ``amount_yen`` now; ``key_id`` is the agent key that pays, None for the owner; ``actor`` asks for it.

        An idempotency key belongs to the kind of ``actor`` that uses it: a payer cannot use up an operator's.

        Raises ``InsufficientFunds``, ``BudgetExhausted``, ``KeyCapExhausted``, ``WalletDisabled``, ``Unauthorized``.
        """
        return Charge(wallet_id, idempotency_key, amount_yen, note, key_id, actor=actor)

    def _hold(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        ttl_seconds: int = 900,
        note: str | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Hold:
        """Set ``amount_yen`` aside for ``ttl_seconds`` (up to 31 days), to be captured or released.

        The outcome's ``hold_id`` names it, and only ``actor`` (or an operator) can close it: what an operator or a
        seller holds is a promise to them, and the payer's own tokens cannot undo it. A hold that nobody closes gives
        its yen back when its time is over. Raises what ``charge`` raises.
        """
        return Hold(wallet_id, idempotency_key, amount_yen, ttl_seconds, note, key_id, actor=actor)

    def _capture(
        self,
        hold_id: int,
        amount_yen: int,
        *,
        idempotency_key: str | None = None,
        final: bool = True,
        above: Above = "reject",
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Capture:
        """Spend ``amount_yen`` of a hold and give the rest back, or with ``final=False`` keep it for later captures.

        ``above`` says what happens to yen that the hold does not cover: "reject" refuses them, "up_to_balance" spends
        of the balance what balance, budget and cap allow (not for payers). ``key_id`` is the agent key that asks, None
        for anybody else. Without an idempotency key the product makes one of the hold's id, where no caller can write.

        Raises ``HoldNotFound``, ``HoldClosed``, ``Forbidden`` (the hold is not ``actor``'s to close) and
        ``InvalidAmount`` (more than is held).
        """
        wallet_id = self._reader.hold(checked_id("hold_id", hold_id)).wallet_id
        if idempotency_key is None:
            idempotency_key, actor = _own_key(f"capture:{hold_id}", actor, repeatable=final)
        return Capture(wallet_id, idempotency_key, hold_id, amount_yen, final, above, key_id, actor=actor)

    def _release(
        self,
        hold_id: int,
        *,
        idempotency_key: str | None = None,
        key_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> Release:
        """Give back what is left of a hold.

        Raises ``HoldNotFound``, ``HoldClosed`` and ``Forbidden`` (the hold is not ``actor``'s to close).
        """
        wallet_id = self._reader.hold(checked_id("hold_id", hold_id)).wallet_id
        if idempotency_key is None:
            idempotency_key, actor = _own_key(f"release:{hold_id}", actor)
        return Release(wallet_id, idempotency_key, hold_id, key_id, actor=actor)

    def _extend(self, hold_id: int, ttl_seconds: int, *, key_id: int | None = None, actor: Actor = OPERATOR) -> Extend:
        """Let an open hold last until ``ttl_seconds`` from now, if that is later; 31 days after it was made at most.

        Raises ``HoldNotFound``, ``HoldClosed`` and ``Forbidden`` (the hold is not ``actor``'s to close).
        """
        wallet_id = self._reader.hold(checked_id("hold_id", hold_id)).wallet_id
        return Extend(wallet_id, hold_id, ttl_seconds, key_id, actor)

    def _refund(
        self,
        txn_id: int,
        amount_yen: int | None = None,
        *,
        idempotency_key: str,
        note: str | None = None,
        actor: Actor = OPERATOR,
    ) -> Refund:
        """Give back ``amount_yen`` of charge ``txn_id``, or all that is left of it, to the lots it came from.

        Raises ``EntryNotFound``, ``RefundExceedsCharge``, and ``Forbidden`` when ``actor`` is a seller and another
        made the charge.
        """
        wallet_id = self._reader.wallet_of_entry(checked_id("txn_id", txn_id))
        if seller_of(actor) is not None and not self.has_sold(actor, txn_id):
            raise Forbidden(f"charge {txn_id} is not this seller's to give back", txn_id=txn_id)
        return Refund(wallet_id, idempotency_key, txn_id, amount_yen, note, actor=actor)

    def _topup(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        promo: bool = False,
        expires_at: str | None = None,
        note: str | None = None,
        actor: Actor = OPERATOR,
    ) -> Topup:
        """Bring in credit, paid for or promotional, that expires at ``expires_at`` or never.

        ``expires_at`` is an ISO 8601 time, UTC without an offset, or a date: the end of that day in the wallet's zone.
        """
        expiry = checked_end("expires_at", expires_at, lambda: self._time_zone_of(wallet_id))
        return Topup(wallet_id, idempotency_key, amount_yen, bool(promo), expiry, note, actor=actor)

    def _reverse(self, txn_id: int, amount_yen: int, *, idempotency_key: str, note: str | None = None) -> Reverse:
        """Take back ``amount_yen`` of top-up ``txn_id`` whose payment was clawed back; what is spent becomes debt.

        Raises ``EntryNotFound`` and ``RefundExceedsCharge``.
        """
        wallet_id = self._reader.wallet_of_entry(checked_id("txn_id", txn_id))
        return Reverse(wallet_id, idempotency_key, txn_id, amount_yen, note)

    def _configure(
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
    ) -> Configure:
        """Change settings; what is not given stays. A disabled wallet takes credit and spends nothing.

        A notice is sent when spending carries the balance below ``low_balance_yen`` (0 = never).
        ``alert_thresholds_pct`` are up to ten shares of the budget, 1 to 1,000 %, to alert at beside 50, 80 and 100 %.
        """
        return Configure(
            wallet_id,
            label,
            enabled,
            monthly_budget_yen,
            budget_mode,
            auto_topup_threshold,
            auto_topup_amount,
            low_balance_yen,
            tuple(alert_thresholds_pct) if isinstance(alert_thresholds_pct, list) else alert_thresholds_pct,  # type: ignore[arg-type]
        )

    def _request_topup(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        flow: Flow = "intent",
        actor: Actor = OPERATOR,
    ) -> RequestTopup:
        """Note that the owner will pay ``amount_yen`` in through the payment provider, as the outcome's ``topup_id``.

        Brings no credit: that is what ``settle_topup`` does once the provider says so. Raises ``TopupInFlight``.
        """
        return RequestTopup(wallet_id, idempotency_key, amount_yen, flow, actor=actor)

    def _request_auto_topup(
        self,
        wallet_id: int,
        *,
        idempotency_key: str,
        min_yen: int,
        max_yen: int,
        daily_yen: int = 0,
        monthly_yen: int = 0,
    ) -> RequestAutoTopup:
        """Note that the saved method will pay what the wallet lacks of its threshold.

        Raises ``TopupNotDue``, ``TopupInFlight``, ``TopupStopped``, ``TopupLimitReached`` and ``WalletDisabled``.
        """
        return RequestAutoTopup(wallet_id, idempotency_key, min_yen, max_yen, daily_yen, monthly_yen, actor=PRODUCT)

    def _pay_back(self, wallet_id: int, topup_id: str, amount_yen: int, *, idempotency_key: str) -> PayBack:
        """Take unused credit of a top-up out of the wallet, for the payment provider to pay it back.

        Raises ``TopupNotFound`` and ``RefundExceedsCharge``.
        """
        return PayBack(wallet_id, idempotency_key, topup_id, amount_yen)

    def _settle_topup(self, wallet_id: int, topup_id: str, fact: PaymentFact, *, amount_yen: int = 0) -> SettleTopup:
        """Take in what the provider says of a top-up's payment, any number of times and in any order.

        ``amount_yen`` is given for a payment of the wallet's that has no row. Raises ``TopupNotFound``.
        """
        return SettleTopup(wallet_id, topup_id, fact, amount_yen)

    # Purchases: what a seller's gate sells

    def _buy(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        purchase_key: str,
        attempt: str,
        hold_seconds: int | None = None,
        lease_seconds: int = 30,
        free_retries: int = 0,
        note: str | None = None,
        key_id: int | None = None,
        actor: Actor = PRODUCT,
    ) -> Buy:
        """Charge ``amount_yen`` for a request that ``purchase_key`` names, or hold it for ``hold_seconds``, once.

        ``attempt`` names this try to answer the request. It has ``lease_seconds`` to ``serve``, ``undo`` or ``renew``;
        then another attempt with the same key may go on, for nothing. A retry of a request that was served is ``free``
        in the outcome, ``free_retries`` times; one that was undone is charged again.

        Raises what ``charge`` raises, ``PurchaseRunning``, ``RetriesExhausted``, and ``IdempotencyConflict`` when price
        or payer are others.
        """
        return Buy(
            wallet_id,
            purchase_key,
            attempt,
            amount_yen,
            hold_seconds,
            lease_seconds,
            free_retries,
            note,
            key_id,
            actor=actor,
        )

    def _serve(
        self, wallet_id: int, purchase_key: str, *, attempt: str, forget: bool = False, actor: Actor = PRODUCT
    ) -> Serve:
        """Write down that the buyer was served: the purchase is paid from now on, and nobody can undo it.

        One that was undone meanwhile is charged again, and what the balance lacks becomes a debt. ``forget`` drops a
        purchase that has no retries. Raises ``PurchaseNotFound``.
        """
        return Serve(wallet_id, purchase_key, attempt, forget, actor=actor)

    def _renew(
        self, wallet_id: int, purchase_key: str, *, attempt: str, lease_seconds: int = 30, actor: Actor = PRODUCT
    ) -> Renew:
        """Keep a purchase, and the hold that pays for it, for ``lease_seconds`` more.

        Raises ``PurchaseNotFound``, and ``PurchaseRunning`` when another attempt has it.
        """
        return Renew(wallet_id, purchase_key, attempt, lease_seconds, actor=actor)

    def _undo(
        self,
        wallet_id: int,
        purchase_key: str,
        *,
        attempt: str,
        reason: str = "not served",
        abandoned: bool = False,
        actor: Actor = PRODUCT,
    ) -> Undo:
        """Give back what a purchase took, if ``attempt`` has it and nobody was served; else nothing moves.

        The outcome's ``amount_yen`` is what was given back. ``reason`` becomes the refund's note. ``abandoned`` does so
        only when the lease is over. Raises ``PurchaseNotFound``.
        """
        return Undo(wallet_id, purchase_key, attempt, reason, abandoned, actor=actor)

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
        """Like ``serve``, and nobody waits: it rides in the next batch. ``failed`` is called, on another thread, with
        what kept it from being written down. Raises ``RailBusy``.
        """
        command = _well_formed(Serve(wallet_id, purchase_key, attempt, forget, actor=actor))
        self._lanes.post(command, failed)

    def _expire(self, wallet_id: int) -> Expire:
        """Carry out what is due on a wallet now: give expired holds back, burn expired lots."""
        return Expire(wallet_id)

    charge, acharge = _carried_out(_charge), _awaited(_charge)
    hold, ahold = _carried_out(_hold), _awaited(_hold)
    capture, acapture = _carried_out(_capture), _awaited(_capture, asks=True)
    release, arelease = _carried_out(_release), _awaited(_release, asks=True)
    refund, arefund = _carried_out(_refund), _awaited(_refund, asks=True)
    topup, atopup = _carried_out(_topup), _awaited(_topup, asks=True)
    reverse, areverse = _carried_out(_reverse), _awaited(_reverse, asks=True)
    configure, aconfigure = _carried_out(_configure), _awaited(_configure)
    extend, aextend = _carried_out(_extend), _awaited(_extend, asks=True)
    buy, abuy = _carried_out(_buy), _awaited(_buy)
    serve, aserve = _carried_out(_serve), _awaited(_serve)
    renew, arenew = _carried_out(_renew), _awaited(_renew)
    undo, aundo = _carried_out(_undo), _awaited(_undo)
    expire, aexpire = _carried_out(_expire), _awaited(_expire)
    request_topup, arequest_topup = _carried_out(_request_topup), _awaited(_request_topup)
    request_auto_topup = _carried_out(_request_auto_topup)
    pay_back, apay_back = _carried_out(_pay_back), _awaited(_pay_back)
    settle_topup, asettle_topup = _carried_out(_settle_topup), _awaited(_settle_topup)

    def charge_many(self, charges: Iterable[tuple[int, int, str] | Charge]) -> Outcomes:
        """Charge ``(wallet_id, amount_yen, idempotency_key)`` each; one outcome or ``WalletError`` per item, in order.

        An item may also be a ``Charge``, which has room for a note and an agent key.

        Up to ``max_batch`` charges are one durable batch; more are several, one after the other.
        """
        commands, outcomes = sorted_out(charges)
        for start in range(0, len(commands), self._lanes.max_batch):
            outcomes.settle(self._lanes.submit(commands[start : start + self._lanes.max_batch]))
        return outcomes.in_order()

    async def acharge_many(self, charges: Iterable[tuple[int, int, str] | Charge]) -> Outcomes:
        """The asyncio twin of ``charge_many``."""
        commands, outcomes = sorted_out(charges)
        for start in range(0, len(commands), self._lanes.max_batch):
            outcomes.settle(await self._lanes.asubmit(commands[start : start + self._lanes.max_batch]))
        return outcomes.in_order()


def _only(outcomes: Outcomes) -> Outcome:
    outcome = outcomes[0]
    if isinstance(outcome, WalletError):
        raise outcome
    return outcome


def _well_formed(command: Command) -> Command:
    problem = malformed(command)
    if problem is not None:
        raise problem
    return command


def _own_key(key: str, actor: Actor, *, repeatable: bool = True) -> tuple[str, Actor]:
    """A key of the product's own, in its room; for those who may do all that the product may."""
    if actor not in SUPERVISORS or not repeatable:
        raise InvalidRequest("idempotency_key is required here", field="idempotency_key")
    return key, PRODUCT


def _checked_lanes(given: int | None, usual: int) -> int:
    if given is None:
        return usual
    most = 1 if usual == 1 else MAX_LANES
    if type(given) is not int or not 1 <= given <= most:
        raise InvalidRequest(f"lanes must be 1 to {most} for this database, not {given!r}", field="lanes")
    return given
