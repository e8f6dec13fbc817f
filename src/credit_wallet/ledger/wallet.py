"""The facade: the object that a user of the library opens, with a noun for everything besides the movements."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self, overload

from credit_wallet.domain.acts import ActFilter, ActView, Author
from credit_wallet.domain.ledger_overview import LedgerOverview
from credit_wallet.domain.personal import PersonalPage
from credit_wallet.domain.totals import LedgerTotals
from credit_wallet.domain.usage_periods import Every
from credit_wallet.domain.usage_views import UsageReport
from credit_wallet.domain.views import Balance, CreatedWallet, ReferencedWallet, WalletView
from credit_wallet.domain.wallet_search import WalletPage, WalletSort, WalletStatus
from credit_wallet.ledger.factory import open_ledger
from credit_wallet.ledger.ledger import Ledger, Now, checked_page
from credit_wallet.ledger.nouns import Nouns
from credit_wallet.ledger.overview import Overview
from credit_wallet.ledger.rail import MAX_BATCH, MAX_WAITING, Observer
from credit_wallet.ledger.wallet_corrections import WalletCorrections
from credit_wallet.ledger.wallet_history import WalletHistory
from credit_wallet.ledger.wallet_holds import WalletHolds
from credit_wallet.ledger.wallet_movements import WalletMovements
from credit_wallet.ledger.wallet_settings import WalletSettings
from credit_wallet.reports.statement_figures import Statement
from credit_wallet.rules.authors import checked_author
from credit_wallet.rules.forecast import Forecast, forecast
from credit_wallet.rules.validation import checked_after
from credit_wallet.runtime.steady_clock import utc_now
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.seals import Anchor


class CreditWallet(WalletMovements, WalletHolds, WalletCorrections, WalletSettings, WalletHistory, Nouns):
    """Prepaid wallets in one database. Thread-safe; every method that moves money has an ``a…`` twin for asyncio.

    An amount is yen, from 0.000001 to 10**12: an int, or exact with up to six decimal places as a ``Decimal`` or a
    string such as ``"3.30"``; never a float. What comes out has whole yen (``balance_yen``, rounded down) and the exact
    ``Decimal`` (``balance``). Every movement has an idempotency key: the same key with the same request
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

    def acting(self, author: Author) -> Self:
        """The same open ledger, in which ``author`` acts: what is done by it stands in the log under that name.

        Without it the author is ``domain.acts.LIBRARY``, an operator. Close either of the two. Raises
        ``InvalidRequest`` naming the field.
        """
        return type(self)(self._ledger.acting(checked_author(author)))

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

    @overload
    def create(
        self,
        *,
        label: str | None = None,
        monthly_budget_yen: int = 0,
        budget_mode: str = "alert",
        auto_topup_threshold: int = 0,
        auto_topup_amount: int = 0,
        time_zone: str = "UTC",
        metadata: Mapping[str, str] | None = None,
    ) -> CreatedWallet: ...

    @overload
    def create(
        self,
        *,
        reference: str,
        label: str | None = None,
        monthly_budget_yen: int = 0,
        budget_mode: str = "alert",
        auto_topup_threshold: int = 0,
        auto_topup_amount: int = 0,
        time_zone: str = "UTC",
        metadata: Mapping[str, str] | None = None,
    ) -> ReferencedWallet: ...

    def create(
        self,
        *,
        label: str | None = None,
        monthly_budget_yen: int = 0,
        budget_mode: str = "alert",
        auto_topup_threshold: int = 0,
        auto_topup_amount: int = 0,
        time_zone: str = "UTC",
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> CreatedWallet | ReferencedWallet:
        """A new, empty wallet and its owner token, which cannot be shown again.

        ``budget_mode`` "alert" notifies at 50, 80 and 100 % of ``monthly_budget_yen`` (0 = no budget), "cap" also stops
        spending at 100 %. The cycle is a month in ``time_zone`` (an IANA name), which cannot be changed later.

        ``reference`` is your id of the customer, and makes it safe to ask again: a reference that a wallet has already
        returns that wallet as it is, with ``created`` False and no token; ``rotate_owner_token`` gives another one.
        ``metadata`` are pairs of texts. Raises ``InvalidRequest`` naming the field.
        """
        from credit_wallet.ledger.owners import create_wallet

        return create_wallet(
            self._ledger,
            label,
            monthly_budget_yen,
            budget_mode,
            auto_topup_threshold,
            auto_topup_amount,
            time_zone,
            reference,
            metadata,
        )

    def find(self, *, reference: str) -> WalletView:
        """The wallet that has a reference. Raises ``WalletNotFound``, and ``InvalidRequest`` when it can be none."""
        from credit_wallet.ledger.owners import wallet_of_reference

        return self._ledger.wallet(wallet_of_reference(self._ledger, reference))

    def rotate_owner_token(self, wallet_id: int, *, overlap_seconds: int = 3600) -> CreatedWallet:
        """Another owner token for a wallet, which cannot be shown again; nothing else of the wallet changes.

        Earlier tokens work for another ``overlap_seconds``, 0 to 31 days; 0, for a leaked token, ends them at once.
        Other processes may remember an ended token for a second. Raises ``WalletNotFound``, and ``TooManyTokens`` when
        ten earlier tokens still work.
        """
        from credit_wallet.ledger.owners import rotate_owner_token

        return rotate_owner_token(self._ledger, wallet_id, overlap_seconds)

    def show(self, wallet_id: int) -> WalletView:
        """A wallet with its settings and the spending of its current cycle. Raises ``WalletNotFound``."""
        return self._ledger.wallet(wallet_id)

    def overview(self, wallet_id: int, *, key_id: int | None = None) -> Overview:
        """A wallet with its latest ten transactions, lots, notification targets and automatic top-up, read together.

        For agent key ``key_id``: only its own transactions, and no targets. Raises ``WalletNotFound`` and
        ``KeyNotFound``.
        """
        from credit_wallet.ledger.overview import overview_of

        return overview_of(self._ledger, wallet_id, key_id)

    def list(self, *, after: int = 0, limit: int = 100) -> builtins.list[WalletView]:
        """Wallets with an id above ``after``, by id, up to ``limit`` (at most 1,000)."""
        return self._ledger.wallets(checked_after(after), checked_page(limit))

    def search(
        self,
        query: str | None = None,
        *,
        reference: str | None = None,
        status: WalletStatus | None = None,
        sort: WalletSort = "wallet_id",
        cursor: str | None = None,
        limit: int = 100,
    ) -> WalletPage:
        """A page of up to ``limit`` wallets (at most 1,000) for which all that is given is true.

        ``query`` finds by a wallet's id, by the beginnings of words of label, reference and metadata, of the label,
        reference and metadata of its agent keys, and by a token or its first characters; case and width do not matter,
        and Japanese is found within a word. ``reference`` is exact. ``status`` is low, in_debt, exhausted, disabled
        (frozen, closing or closed), closed or failed_topup. ``sort`` is wallet_id, label, reference or created_at, with
        ``-`` before it from the largest; balance and spent too, of up to 1,000 wallets that a query or status leaves.

        For the next page, pass ``next_cursor`` as ``cursor`` with the rest unchanged; a page can be short, or empty,
        and still have one. Raises ``InvalidRequest`` naming the field.
        """
        from credit_wallet.ledger.wallet_search import search_wallets

        return search_wallets(self._ledger, query, reference, status, sort, cursor, limit)

    def totals(self, *, anew: bool = False) -> LedgerTotals:
        """All wallets together, and what moved this month (UTC), as they were counted last; ``counted_at`` says when.

        ``maintenance.count_totals`` counts, which the worker calls; what was never counted is counted now. ``anew``
        counts now in any case, which reads every wallet's row.
        """
        from credit_wallet.ledger.totals import totals_of

        return totals_of(self._ledger, anew=anew)

    def ledger_overview(self, *, zone: str = "UTC") -> LedgerOverview:
        """The whole ledger at a glance: what is outstanding, what moved in the last 15 days, and what needs a person.

        Days are those of ``zone``, an IANA time zone. It costs the same at every size: ``maintenance.count_totals``
        counts beforehand, which the worker calls. Raises ``InvalidRequest``.
        """
        from credit_wallet.ledger.ledger_overview import overview_of_ledger

        return overview_of_ledger(self._ledger, zone)

    def balance(self, wallet_id: int) -> Balance:
        """The yen that can be spent now, an ``int`` with ``held_yen`` and ``debt_yen``. Raises ``WalletNotFound``."""
        view = self._ledger.wallet(wallet_id)
        return Balance(view.balance_micros, view.held_micros, view.debt_micros)

    async def abalance(self, wallet_id: int) -> Balance:
        """The asyncio twin of ``balance``."""
        from asyncio import to_thread

        return await to_thread(self.balance, wallet_id)

    def usage(
        self,
        wallet_id: int,
        *,
        by: str | None = None,
        every: Every = "day",
        since: str | None = None,
        until: str | None = None,
        key_id: int | None = None,
        limit: int = 1_000,
        cursor: str | None = None,
    ) -> UsageReport:
        """What the wallet's charges were for, in periods of its time zone: ``every`` hour, day or month.

        ``by`` divides each period by agent key (``"key"``), by ``"item"``, or by a fact such as ``"tool"``; of a fact
        that seller and agent have set, the seller's counts. ``since`` and ``until`` are a month, a day or an ISO 8601
        time, both included; by default the last 24 hours, 31 days or 12 months. ``key_id`` counts what one agent key
        paid. For the next page, pass ``next_cursor`` as ``cursor``; a page has up to ``limit`` rows (at most 1,000).

        The figures come from sums that ``maintenance.count_usage`` keeps, up to ``counted_to_txn_id``. Raises
        ``WalletNotFound`` and ``InvalidRequest``.
        """
        from credit_wallet.ledger.usage import usage_of

        return usage_of(
            self._ledger,
            wallet_id,
            by=by,
            every=every,
            since=since,
            until=until,
            key_id=key_id,
            limit=limit,
            cursor=cursor,
        )

    async def ausage(
        self,
        wallet_id: int,
        *,
        by: str | None = None,
        every: Every = "day",
        since: str | None = None,
        until: str | None = None,
        key_id: int | None = None,
        limit: int = 1_000,
        cursor: str | None = None,
    ) -> UsageReport:
        """The asyncio twin of ``usage``."""
        from asyncio import to_thread

        return await to_thread(
            self.usage,
            wallet_id,
            by=by,
            every=every,
            since=since,
            until=until,
            key_id=key_id,
            limit=limit,
            cursor=cursor,
        )

    def log(
        self,
        wallet_id: int | None = None,
        *,
        before: int | None = None,
        limit: int = 100,
        kind: str | None = None,
        by: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> builtins.list[ActView]:
        """The log of acts, newest first: what was done to a wallet, or everything, up to ``limit`` (at most 1,000).

        ``kind`` is one, such as ``budget.configured``, or its noun; ``by`` an author's name, ``subject`` a thing such
        as ``key:7``. ``since`` and ``until`` are ISO 8601 times, or days in UTC, both included. For the next page, pass
        the last ``act_id`` as ``before``. Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        from credit_wallet.ledger.log import act_filter, log_of

        wanted = act_filter(wallet_id, kind, by, subject, since, until)
        return log_of(self._ledger, wanted, before, limit)

    def log_pages(self, wanted: ActFilter) -> Iterator[builtins.list[ActView]]:
        """All acts that ``ledger.log.act_filter`` describes, page by page, newest first, for an export."""
        from credit_wallet.ledger.log import all_of

        return all_of(self._ledger, wanted)

    def personal_data(self, wallet_id: int, *, cursor: str | None = None, limit: int = 100) -> PersonalPage:
        """What people have written about themselves in a wallet, or what names them, page by page.

        Its ``items`` are labels, notes, facts, addresses, consents and the saved payment method, acts, and last the
        entries, newest first; up to ``limit`` (at most 1,000). For the next page, pass ``next_cursor`` as ``cursor``.
        Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        from credit_wallet.ledger.personal import personal_data

        return personal_data(self._ledger, wallet_id, cursor, limit)

    def statement(self, wallet_id: int, cycle: str | None = None) -> Statement:
        """The statement of a billing cycle, YYYY-MM in the wallet's time zone, None for the current one.

        ``credit_wallet.reports.statement`` writes it as text, CSV or JSON, and draws up long ones step by step. Raises
        ``WalletNotFound`` and ``InvalidRequest``.
        """
        from credit_wallet.ledger.cycles import statement_of

        return statement_of(self._ledger, wallet_id, cycle)

    def forecast(self, wallet_id: int) -> Forecast:
        """Where the wallet's spending is heading at this cycle's pace. Raises ``WalletNotFound``."""
        row, now = self._ledger.row(wallet_id), self._ledger.clock()
        return forecast(self._ledger.reader.view(row, now), now, self._ledger.reader.funded_at(row, now))

    def verify(
        self, anchors: Iterable[Anchor] = (), *, usage: bool = False, processes: int | None = 1
    ) -> builtins.list[Violation]:
        """Check the ledger's invariants and return the violations; an empty list is the proof.

        ``anchors`` are seals that were recorded elsewhere (``seals.parse_anchors`` reads them): the ledger must still
        have each. ``usage`` counts usage again even if its sums tie, which may take as long as the rest. Rows that
        plain SQL wrote since the last movement are backfilled first. The proof reads one snapshot, so concurrent writes
        do not affect it.

        ``processes`` prove it side by side, all at this snapshot; None is one for each core, up to 4, and one for a
        ledger of fewer than 200,000 entries. Raises ``VerifyInterrupted`` when one of them ends before its time.
        """
        from credit_wallet.ledger.proof import prove

        return prove(self._ledger, anchors, usage=usage, processes=processes)
