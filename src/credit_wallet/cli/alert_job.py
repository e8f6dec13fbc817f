"""The alert job as a command of its own, as the path ``scripts/etl/process_credit_wallet_alerts.py`` runs it.

It needs nothing but the standard library, unless the database is PostgreSQL.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from credit_wallet.database_urls import database_url, is_postgres, sqlite_path, without_password
from credit_wallet.domain.cycle import CYCLE_PATTERN, cycle_at
from credit_wallet.stores.jobs.alert_job import AlertReport, run_on_file
from credit_wallet.telemetry import entries_to_stderr

_log = logging.getLogger("process_credit_wallet_alerts")


def run_on(database: str, now: datetime, *, cycle: str | None = None, dry_run: bool = False) -> AlertReport:
    """Run the job on a file's name or a database URL. A PostgreSQL database is opened, and brought up to date.

    One without a ledger is like a missing file: a warning and an empty report.
    """
    if is_postgres(database):
        from credit_wallet.errors import NoLedger  # these need more than the standard library
        from credit_wallet.ledger.wallet import CreditWallet

        try:
            with CreditWallet.open(database, lanes=1, clock=lambda: now, create=False) as wallets:
                return wallets.alerts.run(cycle, dry_run=dry_run)
        except NoLedger as error:
            _log.warning("%s; nothing to do", error)
            return AlertReport(dry_run, cycle or cycle_at(now))
    path = sqlite_path(database) if "://" in database else Path(database)
    return run_on_file(path, now, cycle=cycle, dry_run=dry_run)


def main(argv: Sequence[str] | None = None) -> int:
    """The job as a command: logs on stderr, the report as the last line on stdout."""
    parser = argparse.ArgumentParser(
        description="Fire the spending alerts that are due (50, 80 and 100 % of the budget)."
    )
    parser.add_argument(
        "--db",
        metavar="FILE",
        default=database_url(),
        help="database file, also as sqlite:///path, or postgresql://…; default: %(default)s",
    )
    parser.add_argument("--cycle", metavar="YYYY-MM", help="billing cycle; default: the current month in UTC")
    parser.add_argument("--dry-run", action="store_true", help="report what would fire and write nothing")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every alert")
    options = parser.parse_args(argv)
    if options.cycle is not None and not CYCLE_PATTERN.fullmatch(options.cycle):
        parser.error(f"--cycle must be YYYY-MM, not {options.cycle!r}")
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    entries_to_stderr()
    try:
        report = run_on(options.db, datetime.now(UTC), cycle=options.cycle, dry_run=options.dry_run)
    except Exception as error:
        _log.error("the job failed on %s and fired nothing: %s", without_password(options.db), error)
        return 1
    for alert in report.alerts_fired:
        _log.debug("%s: %s", "would fire" if report.dry_run else "fired", alert)
    print(report.to_json())
    return 0
