"""Notices: the queue of events that the sender works through. It knows nothing of how anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from credit_wallet.config import MAX_DAYS_KEPT
from credit_wallet.domain.cycle import format_instant
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.notices.targets import OPERATOR, Target
from credit_wallet.notices.texts import Notice
from credit_wallet.stores.jobs import notice_queue
from credit_wallet.stores.jobs.mailboxes import prune_notices
from credit_wallet.stores.jobs.notice_queue import TARGETS_A_STEP, Places, Settled, Taken, Turn
from credit_wallet.stores.notification_rows import SQL, target_of

MIN_DAYS_KEPT = 40
"""Minimum retention of notices: longer than a month."""


class Notices:
    """``wallets.notices``: what a sender of notices leases, and reports back."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def are_due(self) -> bool:
        """Whether there is something to fan out or to send."""
        return bool(self._ledger.ask(SQL["to_do"], at=format_instant(self._ledger.clock())))

    def lease(self, places: Sequence[Places]) -> Taken:
        """Fan the next events out to their targets, and lease targets that have something due for ``places``.

        Both are bounded steps; more may remain.
        """
        more = False
        if self._ledger.ask(SQL["to_fan_out"]):
            more = self._ledger.maintain(notice_queue.fan_out, self._ledger.clock()) > 0
        turns: list[list[Turn]] = []
        crowded = []
        for each in places:
            target_ids, others_wait = self._due_targets(each, min(each.free, TARGETS_A_STEP))
            turns.append(
                self._ledger.maintain(notice_queue.lease, self._ledger.clock(), target_ids) if target_ids else []
            )
            crowded.append(others_wait)
            more = more or bool(target_ids)
        return Taken(turns, crowded, more)

    def _due_targets(self, places: Places, limit: int) -> tuple[list[int], bool]:
        """Up to ``limit`` targets that have something due, and whether there are others.

        When there are others, half of those returned have waited longest and half have just begun to wait, so that a
        target behind a crowd does not wait for all of it.
        """
        asked = {"channel": places.channel, "min_failures": places.min_failures, "max_failures": places.max_failures}
        at = format_instant(self._ledger.clock())
        due = [target_id for (target_id,) in self._ledger.ask(SQL["due_targets"], **asked, at=at, limit=limit + 1)]
        if len(due) <= limit:
            return due, False
        newest = self._ledger.ask(SQL["due_last"], **asked, at=at, limit=(limit + 1) // 2)
        return list(dict.fromkeys((*(target_id for (target_id,) in newest), *due)))[:limit], True

    def settle(self, settled: Sequence[Settled]) -> int:
        """Record the results of turns; return how many deliveries arrived."""
        return self._ledger.maintain(notice_queue.settle, settled, self._ledger.clock())

    def prune(self, kept_days: int) -> int:
        """Delete deliveries and events that are over and older than ``kept_days``, in one bounded step.

        ``kept_days`` is 40 to 36,500: events of a billing cycle are emitted once. Mailboxes that did not answer in time
        go as well; what is still to be delivered stays. Returns how many rows went, 0 when nothing is left to do.
        """
        if type(kept_days) is not int or not MIN_DAYS_KEPT <= kept_days <= MAX_DAYS_KEPT:
            raise InvalidRequest(f"kept_days must be {MIN_DAYS_KEPT} to {MAX_DAYS_KEPT}", field="kept_days")
        return self._ledger.maintain(prune_notices, self._ledger.ago(timedelta(days=kept_days)), self._ledger.clock())

    def samples(self, wallet_id: int) -> list[tuple[Target, Notice]]:
        """Targets of a wallet (0: the operator), each with a test notice. Raises ``WalletNotFound``."""
        label = None if wallet_id == OPERATOR else self._ledger.wallet(wallet_id).label
        notice = Notice(0, wallet_id, label, "notice.test", {"wallet_id": wallet_id}, format_instant(self.now()))
        return [(target_of(row), notice) for row in self._ledger.ask(SQL["targets"], wallet_id=wallet_id)]

    def now(self) -> datetime:
        """The time by this ledger's clock."""
        return self._ledger.clock()
