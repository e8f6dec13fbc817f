"""Maintenance: the background jobs of an installation, each in bounded steps."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from credit_wallet.config import MAX_DAYS_KEPT, MIN_CLOSED_DAYS
from credit_wallet.domain.actors import PRODUCT
from credit_wallet.domain.commands import CreditGrant, Expire
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Expired, Granted
from credit_wallet.domain.views import Opening, Totals
from credit_wallet.errors import DatabaseError, InvalidRequest, RailBusy
from credit_wallet.ledger import transfers
from credit_wallet.ledger.clock import LedgerClock
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.seals import Seals
from credit_wallet.ledger.totals import Counting
from credit_wallet.notices.targets import OPERATOR
from credit_wallet.rules.events import ledger_sealed
from credit_wallet.stores import grant_rows
from credit_wallet.stores.jobs import budget_renewals, lot_notices, pruning, seals, spending_hours, usage
from credit_wallet.stores.jobs.budget_pruning import prune_budgets
from credit_wallet.stores.jobs.growth import Backlog, Days, Kept, backlog, growth, latest_migration
from credit_wallet.stores.notification_rows import SQL
from credit_wallet.stores.outbox import put_event
from credit_wallet.telemetry import Logger

_log = Logger("credit_wallet.ledger")

HELD_BACK_SECONDS = 600
"""A seal is made every minute; entries that wait longer are held back by something worth a look."""

ABANDONED_AFTER = timedelta(seconds=60)
"""How long after its lease a purchase is undone; until then a retry may continue it."""


class Maintenance:
    """``wallets.maintenance``: the background jobs, on their own rail where there is more than one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._seals, self._clock = Seals(ledger), LedgerClock(ledger)
        self._usage_pace = usage.Pace()
        self._totals = Counting(ledger)
        self._stopping = False

    def stop(self) -> None:
        """Make ``watch_spending``, ``count_usage`` and pruning stop after their current step, now and later."""
        self._stopping = True

    def check_ready(self) -> None:
        """Raises ``DatabaseError`` when the database would not take a write, ``MigrationError`` when it is outdated."""
        self._ledger.lanes.maintenance.check_writable()

    def waiting(self) -> int:
        """Commands that are queued or being carried out."""
        return self._ledger.lanes.waiting()

    def totals(self) -> Totals:
        """Sums over all wallets, after settling what is due; reads every wallet's row.

        A database that takes no writes is still read; then nothing due is settled.
        """
        with suppress(DatabaseError, RailBusy):
            self._ledger.settle_all()
        return self._ledger.reader.totals()

    def backlog(self) -> Backlog:
        """What waits to be done, and the size of the database; reads every top-up's row."""
        return backlog(self._ledger.reader.source)

    def database_kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return "postgresql" if self._ledger.reader.source.dialect else "sqlite"

    def latest_migration(self) -> str:
        """The name of the latest migration that the database has."""
        return latest_migration(self._ledger.reader.source)

    def growth(self, days: Days) -> list[Kept]:
        """Every table with rows: for how long they are kept, how many there are, and since when; reads all of them."""
        return [*growth(self._ledger.reader.source, days, self._ledger.clock().date())]

    def openings(self) -> list[Opening]:
        """Yen that backfilled wallets had and that no ledger entry explains; reads every row.

        This is not a violation: it has been their credit since. Compare it with the host's records.
        """
        return self._ledger.reader.openings()

    # Expired holds and lots

    def expire(self, wallet_id: int) -> Expired:
        """Settle what is due on a wallet now: release expired holds, burn expired lots.

        Raises ``WalletNotFound``.
        """
        return self._ledger.run(Expired, Expire(wallet_id))

    async def aexpire(self, wallet_id: int) -> Expired:
        """The asyncio twin of ``expire``."""
        return await self._ledger.arun(Expired, Expire(wallet_id))

    def expire_due(self, limit: int = 1_000) -> int:
        """Settle what is due on up to ``limit`` wallets, the longest overdue first; return how many."""
        if self._clock.ahead_seconds() > 0:
            self._clock.compare()  # other nodes may have written by the time that ours does not believe
        wallet_ids = self._ledger.reader.due_wallets(self._ledger.clock(), limit)
        self._ledger.settle(wallet_ids)
        return len(wallet_ids)

    def credit_grants(self, limit: int = 100) -> int:
        """Credit the next occurrence of up to ``limit`` grants that are due, the longest waiting first.

        Returns how many were credited, or lapsed before they could be; 0 when nothing is left to do. One that a wallet
        cannot take is tried again an hour later.
        """
        if self._stopping:
            return 0
        commands = [
            CreditGrant(wallet_id, f"grant:{grant_id}:{occurrence}", grant_id, occurrence, actor=PRODUCT)
            for wallet_id, grant_id, occurrence in grant_rows.due_grants(
                self._ledger.reader.source, self._ledger.clock(), limit
            )
        ]
        outcomes = self._ledger.lanes.submit_by_lane(commands)
        return sum(isinstance(outcome, Granted) and not outcome.replayed for outcome in outcomes)

    def undo_abandoned(self, limit: int = 1_000) -> int:
        """Undo purchases that nobody served because their process was lost. Returns how many were looked at.

        Up to ``limit``, the longest waiting first, once their lease has been over for ``ABANDONED_AFTER``.
        """
        before = format_instant(self._ledger.clock() - ABANDONED_AFTER)
        abandoned = self._ledger.reader.abandoned_purchases(before, limit)
        self._ledger.lanes.submit_by_lane(abandoned)
        return len(abandoned)

    def finish_transfers(self) -> int:
        """Finish transfers that have been on their way between wallets for ``transfers.FINISHED_AFTER``.

        Returns how many have ended; those that cannot yet are tried again the next time.
        """
        ended, after = transfers.finish(self._ledger)
        total = ended
        while after != transfers.FIRST and not self._stopping:
            ended, after = transfers.finish(self._ledger, after=after)
            total += ended
        return total

    # Seals

    def seal(self) -> int:
        """Seal the ledger's entries that are not sealed yet, up to ``seals.ENTRIES_A_SEAL`` a call, and the acts.

        Returns how many entries, or acts where there are no entries. Seals no entry while an open transaction may still
        add one between them (PostgreSQL). A transaction that does so for longer than ``HELD_BACK_SECONDS`` is logged.
        """
        settled = self._ledger.lanes.maintenance.call(
            lambda store: seals.Settled(store.settled_txn_id(), store.settled_act_id())
        )
        sealed = self._ledger.maintain(seals.seal, self._ledger.clock(), settled)
        if settled.txn_id:
            return sealed
        waiting_seconds = self._seals.unsealed_seconds()
        if waiting_seconds >= HELD_BACK_SECONDS:
            by = [holder.who for holder in self._seals.held_back_by()]
            _log.warning("seals_held_back", unsealed_seconds=round(waiting_seconds), by=by)
        return sealed

    def emit_seal(self) -> bool:
        """Report the latest seal to the operator's targets, once a day (UTC); whether there was something to report.

        They then keep an anchor that nobody with write access to the database can change.
        """
        latest = self._seals.latest()
        [(wallet_id,)] = self._ledger.ask(SQL["first_wallet"])
        if latest is None or not self._ledger.ask(SQL["targets"], wallet_id=OPERATOR):
            return False
        at = format_instant(self._ledger.clock())
        self._ledger.maintain(put_event, ledger_sealed(wallet_id, str(latest), at[:10]), at)
        return True

    # Idempotency keys

    def prune_idempotency_keys(self, older_than_days: int = 2) -> int:
        """Delete idempotency keys, and purchases that are served or undone, of earlier days; return how many.

        The last ``older_than_days`` (1 to 36,500) are kept.
        """
        if type(older_than_days) is not int or not 1 <= older_than_days <= MAX_DAYS_KEPT:
            raise InvalidRequest(f"older_than_days must be 1 to {MAX_DAYS_KEPT}", field="older_than_days")
        first_kept = self._ledger.ago(timedelta(days=older_than_days)).date().isoformat()
        return pruning.prune(self._ledger.maintain, first_kept, lambda: self._stopping)

    def prune_closed(self, older_than_days: int = 90) -> int:
        """Delete rows that were closed ``older_than_days`` ago (at least 40) and moved no money; return how many.

        These are holds that were released or expired in full, failed or canceled top-ups, the history of top-ups, agent
        keys that never paid, expired tokens, and canceled grants of which nothing came. Rows that ledger entries name
        are kept.
        """
        if type(older_than_days) is not int or not MIN_CLOSED_DAYS <= older_than_days <= MAX_DAYS_KEPT:
            allowed = f"{MIN_CLOSED_DAYS} to {MAX_DAYS_KEPT}"
            raise InvalidRequest(f"older_than_days must be {allowed}", field="older_than_days")
        before = format_instant(self._ledger.ago(timedelta(days=older_than_days)))
        return pruning.prune_closed(self._ledger.maintain, before, lambda: self._stopping)

    def prune_budgets(self) -> int:
        """Delete what budgets counted in windows that ended a week ago; return how many rows.

        With it goes what has long left rolling windows, and the counters of budgets that were deleted a week ago.
        """
        return prune_budgets(self._ledger.maintain, self._ledger.clock(), lambda: self._stopping)

    # Spending anomalies

    def watch_spending(self) -> int:
        """Count spending by the hour up to now, and report hours far above a wallet's usual; return how many."""
        while self._count_hours():
            if self._stopping:
                return 0
        now = self._ledger.clock()
        return self._emit_anomalies(now - timedelta(hours=1), now) + self._emit_anomalies(now, now)

    def _emit_anomalies(self, at: datetime, now: datetime) -> int:
        found = spending_hours.anomalies(self._ledger.reader.source, at)
        self._ledger.maintain(spending_hours.emit, found, at, now)
        return len(found)

    def _count_hours(self) -> bool:
        settled = self._ledger.lanes.maintenance.call(lambda store: store.settled_txn_id())
        counted = spending_hours.count_next(self._ledger.reader.source, settled)
        return counted is not None and self._ledger.maintain(spending_hours.add, counted)

    # Usage

    def count_usage(self) -> int:
        """Add up the next entries by what they were for, in one bounded step; return how many ids that covers.

        Returns 0 when all are counted, or while an open transaction may still add an entry between them (PostgreSQL).
        """
        if self._stopping:
            return 0
        settled = self._ledger.lanes.maintenance.call(lambda store: store.settled_txn_id())
        source = self._ledger.reader.source
        counted = usage.count_next(source, settled, self._usage_pace)
        if counted is None or not self._ledger.maintain(usage.add, counted, source.dialect):
            return 0
        return counted.last - counted.after

    # Totals

    def count_totals(self) -> int:
        """Count some more of what ``wallets.totals`` shows, in one bounded step; how many entries or wallets.

        Returns 0 when everything is counted, and while an open transaction may still add an entry between them
        (PostgreSQL).
        """
        return 0 if self._stopping else self._totals.step()

    # Credit that is going to expire

    def emit_expiry_notices(self) -> int:
        """Emit notices of credit that expires within 30 and within 7 days, once for each lot, in one bounded step.

        Returns how many lots it has looked at, 0 when nothing is left to do.
        """
        now = self._ledger.clock()
        if not any(
            self._ledger.reader.source.rows(lot_notices.SQL["notice_due"], each) for each in lot_notices.due(now)
        ):
            return 0
        return self._ledger.maintain(lot_notices.emit, now)

    # Budgets that start anew

    def emit_renewals(self) -> int:
        """Emit an event for each window of a budget that has ended and in which the budget was used up.

        Of days, weeks and months, in one bounded step. Returns how many windows it has looked at, 0 when nothing is
        left to do.
        """
        now = self._ledger.clock()
        if not self._ledger.reader.source.rows(budget_renewals.SQL["renewal_due"], {"at": format_instant(now)}):
            return 0
        return self._ledger.maintain(budget_renewals.emit, now)
