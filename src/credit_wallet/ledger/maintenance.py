"""What background jobs ask of a ledger, and the proof of it: the part of ``CreditWallet`` that keeps it in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec import json

from credit_wallet.domain.commands import Expire
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.errors import DatabaseCorrupt, InvalidRequest
from credit_wallet.ledger.lanes import Lanes
from credit_wallet.ledger.queries import WalletReading
from credit_wallet.notices.targets import OPERATOR
from credit_wallet.rules.validation import checked_cycle
from credit_wallet.runtime.steady_clock import SteadyClock
from credit_wallet.stores.jobs import lot_notices
from credit_wallet.stores.jobs.alert_job import AlertReport, run_alert_job
from credit_wallet.stores.jobs.backfill import adopt_unadopted, is_adopted
from credit_wallet.stores.jobs.pruning import prune, prune_closed
from credit_wallet.stores.jobs.seals import Anchor, Holder, latest_seal, seal, unsealed_since
from credit_wallet.stores.jobs.verify import Violation, verify
from credit_wallet.stores.notification_rows import SQL
from credit_wallet.telemetry import Logger

_log = Logger("credit_wallet.ledger")

T = TypeVar("T")

MAX_DAYS_KEPT = 36_500
"""For which idempotency keys can be kept: a hundred years."""

MIN_DAYS_CLOSED = 40
"""For which what is closed is kept at least: a hold may live for 31 days after the agent key that made it."""

HELD_BACK_SECONDS = 600
"""A seal is made every minute; entries that have waited for so long are held back by something worth a look."""

ABANDONED_AFTER = timedelta(seconds=60)
"""How long after its lease a purchase is given back; until then a retry may go on with it."""

ADOPTIONS_BEFORE_A_PROOF = 3
"""Plain SQL may write between an adoption and a proof; that often, it is adopted anew."""

ENTRIES_A_COUNT = 100_000
"""Entries whose spending is counted by the hour at once."""

ANOMALY_TIMES = 5
"""An hour is out of the ordinary when it costs more than so many of the wallet's usual ones …"""

ANOMALY_MIN_YEN = 1_000
"""… and at least so much, …"""

ANOMALY_MIN_HOURS = 24
"""… once that many hours of the last week have had spending: the usual hour is their mean."""

ANOMALY_WINDOW = timedelta(days=7)


class WalletUpkeep(WalletReading):
    """The upkeep of ``CreditWallet``. The jobs run on a rail of their own where there is more than one."""

    _lanes: Lanes
    _jobs_end = False

    def end_jobs(self) -> None:
        """Have background jobs end after the step they are at."""
        self._jobs_end = True

    def waiting(self) -> int:
        """Commands that are queued or being carried out."""
        return self._lanes.waiting()

    def check_ready(self) -> None:
        """Raises when the database would not take a write or its schema is outdated."""
        self._lanes.upkeep.check_writable()

    def verify(self, anchors: Iterable[Anchor] = ()) -> list[Violation]:
        """Prove the ledger's invariants; what is returned breaks one, and an empty list is the proof.

        ``anchors`` are seals as they were noted elsewhere (``seals.parse_anchors`` reads them): the ledger must have
        each still. What plain SQL wrote since the last movement is adopted first; the proof is of one moment, whoever
        writes meanwhile.
        """
        attempts = ADOPTIONS_BEFORE_A_PROOF
        while True:
            attempts -= 1
            self._lanes.upkeep.call(lambda store: store.run(adopt_unadopted, self._clock()))
            with self._reader.source.snapshot() as ledger:
                if is_adopted(ledger) or not attempts:
                    return verify(ledger, self._clock(), anchors)

    def run_alerts(self, cycle: str | None = None, *, dry_run: bool = False) -> AlertReport:
        """The hourly alert job on this database; ``cycle`` (YYYY-MM) overrides the current one."""
        checked = None if cycle is None else checked_cycle(cycle)
        return self._lanes.upkeep.call(
            lambda store: store.run(run_alert_job, self._clock(), cycle=checked, dry_run=dry_run)
        )

    def expire_due(self, limit: int = 1_000) -> int:
        """Carry out what is due on up to ``limit`` wallets, the longest overdue first; return on how many."""
        if self.clock_ahead_seconds() > 0:
            self.compare_clock()  # other nodes may have written by the time that ours does not believe
        wallet_ids = self._reader.due_wallets(self._clock(), limit)
        self._carry_out_due(wallet_ids)
        return len(wallet_ids)

    def _carry_out_due(self, wallet_ids: Sequence[int]) -> None:
        self._lanes.submit_by_lane(Expire(wallet_id) for wallet_id in wallet_ids)

    def undo_abandoned(self, limit: int = 1_000) -> int:
        """Give back what purchases took that nobody served: their process was lost. Returns how many were looked at.

        Up to ``limit``, the longest waiting first, once their lease has been over for ``ABANDONED_AFTER``.
        """
        before = format_instant(self._clock() - ABANDONED_AFTER)
        abandoned = self._reader.abandoned_purchases(before, limit)
        self._lanes.submit_by_lane(abandoned)
        return len(abandoned)

    # Seals

    def seal(self) -> int:
        """Seal the ledger's entries that are not sealed yet, up to ``seals.ENTRIES_A_SEAL`` a call; return how many.

        None while a transaction that is still open may add an entry between them (PostgreSQL). What does so for longer
        than ``HELD_BACK_SECONDS`` is logged.
        """
        settled = self._lanes.upkeep.call(lambda store: store.settled_txn_id())
        if settled:
            return self._lanes.upkeep.call(lambda store: store.run(seal, self._clock(), settled))
        waiting_seconds = self.unsealed_seconds()
        if waiting_seconds >= HELD_BACK_SECONDS:
            by = [holder.who for holder in self.seals_held_back_by()]
            _log.warning("seals_held_back", unsealed_seconds=round(waiting_seconds), by=by)
        return 0

    def latest_seal(self) -> Anchor | None:
        """The seal that was made last, None before the first. Its ``str`` is an anchor: note it out of reach."""
        return latest_seal(self._reader.source)

    def tell_seal(self) -> bool:
        """Tell the operator's targets of the latest seal, once a day (UTC); whether there was something to tell.

        What they keep is an anchor out of reach of whoever writes the database.
        """
        seal = self.latest_seal()
        [(wallet_id,)] = self._ask("first_wallet")
        if seal is None or not self._ask("targets", wallet_id=OPERATOR):
            return False
        at = format_instant(self._clock())
        payload = json.encode({"wallet_id": wallet_id, "anchor": str(seal)}).decode()
        event = {"wallet_id": wallet_id, "kind": "ledger_sealed", "dedupe_key": f"ledger_sealed {at[:10]}", "at": at}
        self._upkeep(_tell_once, {**event, "payload": payload})
        return True

    def unsealed_seconds(self) -> float:
        """For how long entries have waited for a seal; 0 when all have one."""
        since = unsealed_since(self._reader.source)
        return 0.0 if since is None else max(0.0, (self._clock() - since).total_seconds())

    def seals_held_back_by(self) -> list[Holder]:
        """The open transactions that may still add an entry between those that are to be sealed, the oldest first."""
        return self._lanes.upkeep.call(lambda store: store.holding_back())

    # The clock

    def compare_clock(self) -> None:
        """Have the clock take note of the newest entry, which may be dated after now."""
        if isinstance(self._clock, SteadyClock):
            with suppress(DatabaseCorrupt, ValueError, OverflowError):  # plain SQL may write anything
                newest = self.newest_entry_at()
                self._clock.compare(None if newest is None else parse_instant(newest))

    def log_clock_problem(self) -> None:
        """Log what the clocks disagree about, if anything; for a command that begins to run for long."""
        if (problem := self.clock_problem()) is not None:
            _log.warning("clocks_disagree", problem=problem)

    def clock_ahead_seconds(self) -> float:
        """By how much the machine's clock is ahead of the time that is believed, negative when behind; else 0."""
        return self._clock.ahead_seconds() if isinstance(self._clock, SteadyClock) else 0.0

    def clock_problem(self) -> str | None:
        """What the clocks disagree about, for people; None when they agree. What is due goes by the earlier time."""
        return self._clock.problem() if isinstance(self._clock, SteadyClock) else None

    def _ago(self, age: timedelta) -> datetime:
        """The instant since which at least ``age`` has passed."""
        return self._clock.ago(age) if isinstance(self._clock, SteadyClock) else self._clock() - age

    # Idempotency keys

    def prune_idempotency_keys(self, older_than_days: int = 2) -> int:
        """Forget idempotency keys, and purchases that are served or undone, of days before the last ``older_than_days``
        (at least 1); return how many.
        """
        if type(older_than_days) is not int or not 1 <= older_than_days <= MAX_DAYS_KEPT:
            raise InvalidRequest(f"older_than_days must be 1 to {MAX_DAYS_KEPT}", field="older_than_days")
        first_kept = self._ago(timedelta(days=older_than_days)).date().isoformat()
        return prune(self._upkeep, first_kept, lambda: self._jobs_end)

    def forget_closed(self, older_than_days: int = 90) -> int:
        """Forget what ended ``older_than_days`` ago (at least 40) and moved no money; return how many rows.

        Holds that were released or expired whole, top-ups that failed or were given up and what top-ups went through,
        agent keys that never paid, and tokens that have ended. What the ledger's entries name is kept.
        """
        if type(older_than_days) is not int or not MIN_DAYS_CLOSED <= older_than_days <= MAX_DAYS_KEPT:
            allowed = f"{MIN_DAYS_CLOSED} to {MAX_DAYS_KEPT}"
            raise InvalidRequest(f"older_than_days must be {allowed}", field="older_than_days")
        before = format_instant(self._ago(timedelta(days=older_than_days)))
        return prune_closed(self._upkeep, before, lambda: self._jobs_end)

    # Spending out of the ordinary

    def watch_spending(self) -> int:
        """Count spending by the hour up to now, and tell of hours far above a wallet's usual one; return how many."""
        while self._count_hours():
            if self._jobs_end:
                return 0
        now = self._clock()
        return self._tell_anomalies_of(now - timedelta(hours=1)) + self._tell_anomalies_of(now)

    def _tell_anomalies_of(self, at: datetime) -> int:
        hour, since = format_instant(at)[:13], format_instant(at - ANOMALY_WINDOW)[:13]
        occasion = f"spend_anomaly {hour}"
        found = self._ask(
            "anomalies",
            hour=hour,
            since=since,
            min_hours=ANOMALY_MIN_HOURS,
            min_yen=ANOMALY_MIN_YEN,
            times=ANOMALY_TIMES,
            dedupe_key=occasion,
        )
        self._upkeep(
            _tell_anomalies, [tuple(row) for row in found], hour, since, occasion, format_instant(self._clock())
        )
        return len(found)

    def _count_hours(self) -> bool:
        [(after,)] = self._ask("counted")
        settled = self._lanes.upkeep.call(lambda store: store.settled_txn_id())
        [(last,)] = self._ask("last_to_count", after=after, settled=settled, limit=ENTRIES_A_COUNT)
        if last is None:
            return False
        spent = self._ask("spent_by_hour", after=after, last=last)
        return self._upkeep(_add_to_hours, [tuple(row) for row in spent], after, last)

    # Credit that is going to expire

    def emit_expiry_notices(self) -> int:
        """Tell of credit that expires within 30 and within 7 days, once for each lot; bounded, so call it again.

        Returns how many lots it has looked at, 0 when nothing is left to do.
        """
        now = self._clock()
        if not any(self._reader.source.rows(lot_notices.SQL["notice_due"], each) for each in lot_notices.due(now)):
            return 0
        return self._upkeep(lot_notices.emit, now)

    # Inside

    def _ask(self, name: str, **parameters: object) -> list[tuple[Any, ...]]:
        return self._reader.source.rows(SQL[name], parameters)

    def _upkeep(self, job: Callable[..., T], *args: object) -> T:
        return self._lanes.upkeep.call(lambda store: store.run(job, *args))


def _tell_once(connection: Any, event: dict[str, object]) -> None:
    connection.execute(SQL["tell_once"], event)


def _add_to_hours(connection: Any, spent: Sequence[tuple[int, str, int]], after: int, last: int) -> bool:
    """Add what was counted, unless another process has counted the same entries."""
    if not connection.execute(SQL["count_up_to"], {"after": after, "last": last}).fetchall():
        return False
    for wallet_id, hour, spent_yen in spent:
        connection.execute(SQL["add_to_hour"], {"wallet_id": wallet_id, "hour": hour, "spent_yen": spent_yen})
    return True


def _tell_anomalies(
    connection: Any, found: Sequence[tuple[int, int, int]], hour: str, since: str, occasion: str, at: str
) -> None:
    connection.execute(SQL["forget_hours"], {"since": since})
    for wallet_id, spent_yen, usual_yen in found:
        payload = {"wallet_id": wallet_id, "hour": hour, "spent_yen": spent_yen, "usual_yen": usual_yen}
        event = {"wallet_id": wallet_id, "kind": "spend_anomaly", "dedupe_key": occasion, "at": at}
        connection.execute(SQL["tell_once"], {**event, "payload": json.encode(payload).decode()})
