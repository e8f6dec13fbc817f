"""Figures of the ledger as a whole, and the steps in which they are counted."""

from __future__ import annotations

from time import monotonic

from credit_wallet.domain.totals import LedgerTotals
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.stores.jobs import quarters, totals
from credit_wallet.stores.jobs.totals import WalletSums

RESTS = 50
"""For how many times as long as a count of all wallets took, none is begun again: it uses 2 % of a core at most."""


class Counting:
    """Counts all wallets and entries, step by step."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rests_until = 0.0
        self._begin()

    def step(self) -> int:
        """Count some more; how many entries or wallets, 0 when there is nothing to do now."""
        settled = self._ledger.lanes.maintenance.call(lambda store: store.settled_txn_id())
        entries = totals.count_entries(self._ledger.reader.source, settled)
        if entries is not None and (counted := self._ledger.maintain(totals.add_entries, entries)):
            return counted
        quarters_of_hours = quarters.count(self._ledger.reader.source, settled, self._ledger.clock())
        if quarters_of_hours is not None and (covered := self._ledger.maintain(quarters.add, quarters_of_hours)):
            return covered
        return 0 if monotonic() < self._rests_until else self._count_wallets()

    def _begin(self) -> None:
        self._sums, self._after, self._seconds = WalletSums(), 0, 0.0

    def _count_wallets(self) -> int:
        started, before = monotonic(), self._sums.wallets
        after = totals.add_wallets(self._ledger.reader.source, self._sums, self._after)
        self._seconds += monotonic() - started
        if after is not None:
            self._after = after
            return self._sums.wallets - before
        self._ledger.maintain(totals.keep, self._sums, self._ledger.clock())
        self._rests_until = monotonic() + RESTS * self._seconds
        self._begin()
        return 0


def totals_of(ledger: Ledger, *, anew: bool) -> LedgerTotals:
    """The figures as they were counted last, or counted now."""
    found = None if anew else totals.latest(ledger.reader.source, ledger.clock())
    if found is not None:
        return found
    counting = Counting(ledger)
    while counting.step():
        pass
    latest = totals.latest(ledger.reader.source, ledger.clock())
    if latest is None:
        raise AssertionError("a count has just been kept")
    return latest
