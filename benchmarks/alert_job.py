"""The hourly alert job over wallets with budgets, on ledgers of two lengths, beside the plain per-wallet scan.

    python benchmarks/alert_job.py [--smoke] [--json FILE] [--wallets N] [--charges N] [--data DIR]

1,000 wallets stand at 50 % of their budget with no alert fired yet. The plain scan sums each wallet's charges of the
cycle with a SELECT of its own; it is measured on a sample of the wallets and extrapolated to all of them.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import apsw
from ledgers import ledger
from reporting import Figure, add_data_option, data_folder, parser, publish, taking

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import ROUNDS, durability
from credit_wallet.domain.cycle import cycle_at, cycle_bounds

_SPENT = """
SELECT coalesce(-sum(amount_yen), 0) FROM am_credit_transaction_log
WHERE wallet_id = ? AND txn_type = 'charge' AND occurred_at >= ? AND occurred_at < ?
"""
_INDEX = "CREATE INDEX plain_scan ON am_credit_transaction_log (wallet_id, occurred_at)"
_UNDO = """
DELETE FROM am_credit_spending_alert;
DELETE FROM am_credit_outbox;
UPDATE am_credit_wallet SET alerted_pct = 0 WHERE alerted_pct > 0;
"""


def main() -> None:
    options = parser("The hourly alert job, beside the plain per-wallet scan.")
    options.add_argument("--wallets", type=int, default=1_000_000, help="wallets with budgets (default 1,000,000)")
    options.add_argument("--charges", type=int, default=10_000_000, help="charges in the cycle (default 10,000,000)")
    add_data_option(options)
    given = options.parse_args()
    wallets, charges, crossing = (2_000, 20_000, 10) if given.smoke else (given.wallets, given.charges, 1_000)
    figures = []
    with data_folder(given.data) as data:
        short, long = (
            ledger(data, wallets=wallets, charges=count, keys=False, crossing=crossing)
            for count in (charges // 10, charges)
        )
        measured = [_job_seconds(path, crossing) for path in (short, long)]
        for count, seconds in zip((charges // 10, charges), measured, strict=True):
            figures.append(_job_figure(wallets, count, crossing, seconds, median(measured[0])))
        for indexed in (False, True):
            sample = min(wallets, 2_000 if indexed else 5)
            plain_seconds = _plain_seconds(long, sample, indexed) * wallets
            figures.append(_plain_figure(indexed, sample, plain_seconds, median(measured[1])))
        settings = durability(long)
        if given.smoke:
            with CreditWallet.open(f"sqlite:///{long}") as opened:
                assert not opened.verify()
    publish("SQLite, alert job", settings, figures, given.json)


def _job_seconds(path: Path, crossing: int) -> list[float]:
    """The job ``ROUNDS`` times, each firing all that is due."""
    seconds: list[float] = []
    for _ in range(ROUNDS):
        with CreditWallet.open(f"sqlite:///{path}") as wallets:
            with taking(seconds):
                report = wallets.alerts.run()
            assert len(report.alerts_fired) == crossing, len(report.alerts_fired)
            assert not wallets.alerts.run().alerts_fired
        connection = apsw.Connection(str(path))
        connection.execute(_UNDO)
        connection.close()
    return seconds


def _plain_seconds(path: Path, sample: int, indexed: bool) -> float:
    """What the plain scan takes for one wallet, on average over ``sample``; the index it may have is not kept."""
    connection = apsw.Connection(str(path))
    start, end = cycle_bounds(cycle_at(datetime.now(UTC)))
    last = connection.execute("SELECT max(wallet_id) FROM am_credit_wallet").get
    connection.execute("BEGIN")
    if indexed:
        connection.execute(_INDEX)
    before = perf_counter()
    for wallet_id in random.sample(range(1, last + 1), sample):
        assert connection.execute(_SPENT, (wallet_id, start, end)).get > 0
    seconds = perf_counter() - before
    connection.execute("ROLLBACK")
    connection.close()
    return seconds / sample


def _job_figure(wallets: int, charges: int, crossing: int, seconds: list[float], shorter: float) -> Figure:
    return Figure(
        f"alert job, {wallets:,} wallets, {charges:,} charges",
        median(seconds),
        "s",
        "< 2 s, whatever the ledger's length",
        round(median(seconds) / shorter, 2),
        "the ledger of a tenth",
        f"fires {crossing:,} alerts; slowest of {len(seconds)}: {max(seconds):.2f} s",
    )


def _plain_figure(indexed: bool, sample: int, seconds: float, job_seconds: float) -> Figure:
    return Figure(
        f"plain scan, {'index on (wallet_id, occurred_at)' if indexed else 'no index'}",
        seconds,
        "s",
        "",
        round(seconds / job_seconds, 1),
        "the job",
        f"extrapolated from {sample:,} wallets",
    )


if __name__ == "__main__":
    main()
