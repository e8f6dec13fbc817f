"""Alerts: thresholds of a monthly budget that spending has crossed."""

from __future__ import annotations

import builtins

from credit_wallet.domain.outcomes import Alert
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.validation import checked_cycle, checked_id
from credit_wallet.stores.jobs.alert_job import AlertReport, run_alert_job


class Alerts:
    """``wallets.alerts``: which thresholds of the monthly budget were crossed, and the hourly job that looks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(self, wallet_id: int, cycle: str | None = None) -> builtins.list[Alert]:
        """The alerts that fired for a wallet, newest first; only those of ``cycle`` (YYYY-MM) if given."""
        checked_id("wallet_id", wallet_id)
        return self._ledger.reader.alerts(wallet_id, None if cycle is None else checked_cycle(cycle))

    def run(self, cycle: str | None = None, *, dry_run: bool = False) -> AlertReport:
        """Run the hourly alert job on this database; ``cycle`` (YYYY-MM) overrides the current one.

        With ``dry_run`` it reports what would fire and writes nothing. Raises ``InvalidRequest`` and ``DatabaseError``.
        """
        checked = None if cycle is None else checked_cycle(cycle)
        return self._ledger.maintain(run_alert_job, self._ledger.clock(), cycle=checked, dry_run=dry_run)
