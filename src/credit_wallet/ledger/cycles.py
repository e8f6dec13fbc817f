"""Billing cycles: their entries and opening balances."""

from __future__ import annotations

from decimal import Decimal

from credit_wallet.domain.money import decimal_of, whole_yen
from credit_wallet.domain.outcomes import Alert
from credit_wallet.domain.prices import EVERYBODY, Price, PriceBook
from credit_wallet.domain.views import Transaction, WalletView
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.reports.cycle_walk import CycleWalk
from credit_wallet.reports.statement_figures import Drawing, Statement, statement
from credit_wallet.rules.validation import checked_cycle, checked_id
from credit_wallet.stores.jobs.seals import Anchor, latest_seal
from credit_wallet.stores.price_rows import book_of
from credit_wallet.stores.reads import Reader


class Cycles:
    """``wallets.cycles``: the entries of a billing cycle. A cycle is a month, YYYY-MM, in the wallet's time zone."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def entries(self, wallet_id: int, cycle: str) -> list[Transaction]:
        """The wallet's entries of a cycle, oldest first. Raises ``WalletNotFound`` and ``InvalidRequest``."""
        walk = self.walk(wallet_id, cycle)
        steps = list(iter(walk.back, None))
        return [each.entry for step in reversed(steps) for each in step or ()]

    def refunded_charges(self, wallet_id: int, cycle: str) -> list[Transaction]:
        """The charges, of any cycle, that the refunds of a cycle refund. Raises ``WalletNotFound``."""
        refunds = (entry for entry in self.entries(wallet_id, cycle) if entry.txn_type == "refund")
        return self._ledger.reader.charges(wallet_id, sorted({entry.related_txn_id or 0 for entry in refunds}))

    def opening(self, wallet_id: int, cycle: str) -> Decimal:
        """The wallet's balance and open holds together as a cycle begins, exactly. Raises ``WalletNotFound``."""
        return decimal_of(self.walk(wallet_id, cycle).opening_micros)

    def opening_yen(self, wallet_id: int, cycle: str) -> int:
        """The whole yen of ``opening``."""
        return whole_yen(self.walk(wallet_id, cycle).opening_micros)

    def walk(self, wallet_id: int, cycle: str) -> CycleWalk:
        """The entries in bounded steps, with the cycle's opening balance, open holds included.

        Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        return _Books(self._ledger).walk(wallet_id, cycle)

    def draw(
        self,
        wallet_id: int,
        cycle: str | None = None,
        *,
        viewer_key_id: int | None = None,
        is_summary: bool = False,
    ) -> Drawing:
        """Begin the statement of a cycle (None: the current one), to be drawn up in bounded steps.

        An agent, ``viewer_key_id``, sees the wallet's totals, but only its own entries and spending. A summary of very
        many entries has its figures at once, without those that ``left_out`` names. Raises ``WalletNotFound`` and
        ``InvalidRequest``.
        """
        return Drawing(_Books(self._ledger), wallet_id, cycle, viewer_key_id, is_summary=is_summary)


def statement_of(ledger: Ledger, wallet_id: int, cycle: str | None) -> Statement:
    """Raises ``WalletNotFound`` and ``InvalidRequest``."""
    return statement(_Books(ledger), wallet_id, cycle)


class _Books:
    """The ledger as a statement reads it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._books: dict[int, PriceBook] = {}

    @property
    def reader(self) -> Reader:
        return self._ledger.reader

    def wallet(self, wallet_id: int) -> WalletView:
        return self._ledger.wallet(wallet_id)

    def walk(self, wallet_id: int, cycle: str) -> CycleWalk:
        return CycleWalk(self._ledger.reader, checked_id("wallet_id", wallet_id), checked_cycle(cycle))

    def label_and_cap(self, key_id: int) -> tuple[str | None, int]:
        return self._ledger.reader.label_and_cap(key_id)

    def prices_of(self, wallet_id: int, version: int, item: str) -> list[Price]:
        if version not in self._books:
            self._books[version] = book_of(self._ledger.reader.source.rows, version)
        prices = self._books[version].prices
        return [price for price in prices if price.item == item and price.wallet_id in (EVERYBODY, wallet_id)]

    def alerts(self, wallet_id: int, cycle: str) -> list[Alert]:
        return self._ledger.reader.alerts(wallet_id, checked_cycle(cycle))

    def latest_seal(self) -> Anchor | None:
        return latest_seal(self._ledger.reader.source)
