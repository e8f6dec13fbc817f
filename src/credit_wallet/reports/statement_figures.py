"""A wallet's statement for one billing cycle: what came in, what went out, who spent it, and every entry between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct, structs

from credit_wallet.domain.money import Exact, WholeYen
from credit_wallet.domain.outcomes import Alert
from credit_wallet.domain.views import Transaction, WalletView
from credit_wallet.domain.visibility import is_hidden
from credit_wallet.reports.cycle_walk import CycleWalk
from credit_wallet.reports.items import ItemSpend, ItemTotals, Price
from credit_wallet.reports.layout import Layout
from credit_wallet.reports.spending import KeySpend, NoteSpend, OtherNotes, SpendingTotals
from credit_wallet.reports.statement_counted import LEFT_OUT, Counted, LeftOut, counted, items_of, keys_of
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.stores.reads import CycleEntry, Reader

LINES = ("topup", "charge", "refund", "expire", "reversal", "transfer_in", "transfer_out", "adjustment")


class StatementHead(Struct, frozen=True):
    """Opening and closing balance (open holds included), what came and went, spending by key, by note and by item.

    Amounts are exact: opening balance and what came and went add up to the closing balance, and each of the three
    divisions of the spending adds up to charges less refunds, to the micro.
    """

    wallet_id: int
    label: str | None
    billing_cycle: str
    time_zone: str
    opening_micros: int
    topups_micros: int
    charges_micros: int
    refunds_micros: int
    expired_micros: int
    reversed_micros: int
    closing_micros: int
    monthly_budget_yen: int
    alerts: list[Alert]
    spend_by_key: list[KeySpend]
    spend_by_note: list[NoteSpend]
    other_notes: OtherNotes | None
    """The notes beyond the ``MAX_NOTES`` that ``spend_by_note`` lists, together; None when there are none."""
    spend_by_item: list[ItemSpend]
    """Item × quantity @ unit price. What names no item is the last line, with ``item`` None."""
    seal: str | None
    """The latest seal of the ledger, which proves these entries to its keeper; None before the first."""
    transferred_in_micros: int = 0
    """What came from other wallets of the owner."""
    transferred_out_micros: int = 0
    """What went there, less what was returned; below zero."""
    adjusted_micros: int = 0
    """What the operator corrected, below zero when it took more than it added."""
    other_micros: int = 0
    """Where ``left_out`` names ``kinds``, all that lapsed, was clawed back, transferred out or corrected."""
    left_out: tuple[LeftOut, ...] = ()
    """What a summary of very many entries does not say; empty when it says everything."""

    opening_yen = WholeYen()
    opening = Exact()
    topups_yen = WholeYen()
    topups = Exact()
    charges_yen = WholeYen()
    charges = Exact()
    refunds_yen = WholeYen()
    refunds = Exact()
    expired_yen = WholeYen()
    expired = Exact()
    transferred_in_yen = WholeYen()
    transferred_in = Exact()
    transferred_out_yen = WholeYen()
    transferred_out = Exact()
    adjusted_yen = WholeYen()
    adjusted = Exact()
    reversed_yen = WholeYen()
    reversed = Exact()
    other_yen = WholeYen()
    other = Exact()
    closing_yen = WholeYen()
    closing = Exact()


class Statement(StatementHead, frozen=True, kw_only=True):
    """The statement of a billing cycle, with all its entries."""

    entries: list[Transaction]


class Books(Protocol):
    """The ledger as a statement reads it."""

    @property
    def reader(self) -> Reader:
        """Reads what is kept of a cycle."""

    def wallet(self, wallet_id: int) -> WalletView:
        """Raises ``WalletNotFound``."""

    def walk(self, wallet_id: int, cycle: str) -> CycleWalk:
        """The entries of a cycle in bounded steps. Raises ``InvalidRequest``."""

    def label_and_cap(self, key_id: int) -> tuple[str | None, int]:
        """Label and monthly cap of an agent key; None and 0 for an unknown key."""

    def prices_of(self, wallet_id: int, version: int, item: str) -> Sequence[Price]:
        """The prices of an item in a version of the price book that may be for the wallet."""

    def alerts(self, wallet_id: int, cycle: str) -> list[Alert]:
        """Those that fired in a cycle, newest first."""

    def latest_seal(self) -> Anchor | None:
        """None before the first."""


class Drawing:
    """A statement drawn up in bounded steps and little memory, however many entries it has.

    Call ``add_up`` until it is False, then ``head``; then ``entries`` of each of the ``steps``. It shows the moment at
    which it was begun. An agent, ``viewer_key_id``, sees the wallet's totals, but only its own entries and spending.
    """

    def __init__(
        self,
        books: Books,
        wallet_id: int,
        cycle: str | None,
        viewer_key_id: int | None = None,
        *,
        is_summary: bool = False,
    ) -> None:
        """``cycle`` is YYYY-MM in the wallet's time zone, None the current one.

        A summary of very many entries comes from what is counted: nothing is added up, and there are no ``steps``.

        Raises ``WalletNotFound``, ``InvalidRequest``.
        """
        self._books = books
        self._wallet = books.wallet(wallet_id)
        self._cycle = self._wallet.current_cycle if cycle is None else cycle
        self._viewer_key_id = viewer_key_id
        self._walk = books.walk(wallet_id, self._cycle)
        self._totals = dict.fromkeys(LINES, 0)
        self._spending = SpendingTotals(viewer_key_id)
        self._items = ItemTotals(partial(books.prices_of, wallet_id), viewer_key_id)
        self.layout = Layout(self._wallet.time_zone)
        self._counted = counted(books.reader, wallet_id, self._cycle, viewer_key_id) if is_summary else None

    def add_up(self) -> bool:
        """Add up the next step; False when none is left."""
        return self._counted is None and self.step_back() is not None

    def step_back(self) -> list[Transaction] | None:
        """Add up the next step, the newest first, and return what ``entries`` does of it; None when none is left."""
        step = self._walk.back()
        if step is None:
            return None
        for each in step:
            entry = each.entry
            self._totals[line_of(entry)] += entry.amount_micros
        self._spending.add(step)
        self._items.add(step)
        seen = self._seen(step)
        self.layout.fit(seen)
        return seen

    def head(self) -> StatementHead:
        """All but the entries, once everything is added up."""
        if self._counted is not None:
            return self._counted_head(self._counted)
        wallet, totals = self._wallet, self._totals
        spent = self._spending.shown(self._books.label_and_cap)
        return StatementHead(
            wallet_id=wallet.wallet_id,
            label=wallet.label,
            billing_cycle=self._cycle,
            time_zone=wallet.time_zone,
            opening_micros=self._walk.opening_micros,
            topups_micros=totals["topup"],
            charges_micros=totals["charge"],
            refunds_micros=totals["refund"],
            expired_micros=totals["expire"],
            reversed_micros=totals["reversal"],
            closing_micros=self._walk.opening_micros + sum(totals.values()),
            monthly_budget_yen=wallet.monthly_budget_yen,
            alerts=self._books.alerts(wallet.wallet_id, self._cycle)[::-1],
            spend_by_key=spent.by_key,
            spend_by_note=spent.by_note,
            other_notes=spent.other_notes,
            spend_by_item=self._items.shown(),
            seal=self._seal(),
            transferred_in_micros=totals["transfer_in"],
            transferred_out_micros=totals["transfer_out"],
            adjusted_micros=totals["adjustment"],
        )

    def _counted_head(self, figures: Counted) -> StatementHead:
        wallet = self._wallet
        return StatementHead(
            wallet_id=wallet.wallet_id,
            label=wallet.label,
            billing_cycle=self._cycle,
            time_zone=wallet.time_zone,
            opening_micros=figures.opening_micros,
            topups_micros=figures.topups_micros,
            charges_micros=-figures.spent.charged_micros,
            refunds_micros=figures.spent.refunded_micros,
            expired_micros=0,
            reversed_micros=0,
            closing_micros=figures.closing_micros,
            monthly_budget_yen=wallet.monthly_budget_yen,
            alerts=self._books.alerts(wallet.wallet_id, self._cycle)[::-1],
            spend_by_key=keys_of(figures.by_key, self._books.label_and_cap),
            spend_by_note=[],
            other_notes=None,
            spend_by_item=items_of(figures.by_item),
            seal=self._seal(),
            transferred_in_micros=figures.transferred_in_micros,
            other_micros=figures.other_micros,
            left_out=LEFT_OUT,
        )

    def _seal(self) -> str | None:
        return None if (seal := self._books.latest_seal()) is None else str(seal.short)

    def steps(self) -> Iterator[tuple[int, int]]:
        """For ``entries``, the oldest first."""
        return self._walk.steps()

    def entries(self, step: tuple[int, int]) -> list[Transaction]:
        """The entries of a step that the viewer may see, oldest first."""
        return self._seen(self._walk.at(step))

    def _seen(self, entries: list[CycleEntry]) -> list[Transaction]:
        return [each.entry for each in entries if not is_hidden(each.paid_by, self._viewer_key_id)]

    def close(self) -> None:
        """Free the totals."""
        self._spending.close()


def statement(books: Books, wallet_id: int, cycle: str | None) -> Statement:
    """The statement of ``cycle`` (YYYY-MM in the wallet's time zone, None: the current one).

    Raises ``WalletNotFound`` and ``InvalidRequest``.
    """
    drawing = Drawing(books, wallet_id, cycle)
    try:
        steps = list(iter(drawing.step_back, None))
        entries = [entry for step in reversed(steps) for entry in step or ()]
        return Statement(**structs.asdict(drawing.head()), entries=entries)
    finally:
        drawing.close()


def line_of(entry: Transaction) -> str:
    """Which of the ``LINES`` of the totals an entry counts in. What was returned of a transfer has not gone out, and
    reinstated credit of a top-up reduces the clawbacks and is not new.
    """
    if entry.cause in ("transfer_out", "transfer_in", "adjustment"):
        return entry.cause
    if entry.cause == "transfer_returned":
        return "transfer_out"
    return "reversal" if entry.txn_type == "topup" and entry.related_txn_id is not None else entry.txn_type
