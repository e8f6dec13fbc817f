"""How the service is: from its metrics, and from what the ledger finds by indexes. No secret is in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.views import Finding
from credit_wallet.http.lately import percentile
from credit_wallet.http.metrics import SECONDS_BUCKETS, Metrics
from credit_wallet.http.traffic import SECONDS_BUCKETS as ANSWER_BUCKETS
from credit_wallet.ledger.maintenance import HELD_BACK_SECONDS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.version import __version__
from credit_wallet.wire.service_health import (
    DatabaseHealth,
    JobHealth,
    QueueHealth,
    RailHealth,
    RequestHealth,
    SealHealth,
    ServiceHealth,
)
from credit_wallet.worker import Runs

LATE_SECONDS, LATE_RUNS = 60.0, 2
"""A job is late when it has been due for a minute and for twice its pace."""

SLOW_MS = 1_000.0
"""Commits that take as long make callers wait: the disk or the database is not up to what it is asked."""


def health_of(wallets: CreditWallet, metrics: Metrics) -> ServiceHealth:
    """Read it; what waits in the database is read once a minute."""
    backlog = metrics.waiting_work(wallets)
    sealed = wallets.seals.latest()
    seal = SealHealth(
        None if sealed is None else sealed.seal_id,
        None if sealed is None else sealed.sealed_at,
        round(wallets.seals.unsealed_seconds(), 3),
    )
    queue = QueueHealth(backlog.events, backlog.oldest_event_at, backlog.deliveries, backlog.dead_deliveries)
    jobs = [_job(runs) for runs in metrics.runs()]
    rail = _rail(wallets, metrics)
    findings = [*_findings(wallets, seal, queue, jobs, rail)]
    uptime_seconds = int(monotonic() - metrics.began)
    return ServiceHealth(
        ok=all(each.ok for each in findings),
        findings=findings,
        version=__version__,
        started_at=format_instant(datetime.now(UTC) - timedelta(seconds=uptime_seconds)),
        uptime_seconds=uptime_seconds,
        database=DatabaseHealth(
            wallets.maintenance.database_kind(), backlog.database_bytes, wallets.maintenance.latest_migration()
        ),
        queue=queue,
        seal=seal,
        jobs=jobs,
        rail=rail,
        requests=_requests(metrics),
    )


def _job(runs: Runs) -> JobHealth:
    last = None if runs.last_success is None else format_instant(datetime.fromtimestamp(runs.last_success, UTC))
    late = round(runs.late_seconds(), 3)
    return JobHealth(runs.job, runs.every_seconds, runs.succeeded, runs.failed, last, late)


def _findings(
    wallets: CreditWallet, seal: SealHealth, queue: QueueHealth, jobs: list[JobHealth], rail: RailHealth
) -> Iterator[Finding]:
    problem = wallets.clock.problem()
    yield Finding("clock", problem is None, problem or format_instant(wallets.clock.now()))
    waiting = f"entries have waited {seal.unsealed_seconds:,.0f} seconds for a seal"
    yield Finding("seals", seal.unsealed_seconds < HELD_BACK_SECONDS, waiting)
    late = [each.job for each in jobs if each.late_seconds > max(LATE_SECONDS, LATE_RUNS * each.every_seconds)]
    running = f"{len(jobs)} run in this process" if jobs else "none run in this process"
    yield Finding("jobs", not late, f"late: {', '.join(late)}; see the log" if late else running)
    dead = queue.dead_deliveries
    given_up = f"{dead} were given up; see credit-wallet alerts deliveries --status dead"
    yield Finding("deliveries", not dead, given_up if dead else f"{queue.deliveries} are to be sent")
    slowest = rail.commit_p99_ms
    is_slow = slowest is not None and slowest >= SLOW_MS
    taken = "nothing was committed" if slowest is None else f"99 % of commits took {slowest:,.0f} ms at most"
    yield Finding("commits", not is_slow, f"{taken} in the last minute{'; see the disk' if is_slow else ''}")


def _rail(wallets: CreditWallet, metrics: Metrics) -> RailHealth:
    seconds, (commands, *buckets) = metrics.committed.change()
    return RailHealth(
        wallets.maintenance.waiting(),
        round(sum(buckets) / seconds, 2),
        round(commands / seconds, 2),
        _ms(percentile(SECONDS_BUCKETS, buckets, 0.5)),
        _ms(percentile(SECONDS_BUCKETS, buckets, 0.99)),
    )


def _requests(metrics: Metrics) -> RequestHealth:
    seconds, buckets = metrics.traffic.lately.change()
    return RequestHealth(
        metrics.traffic.by_status(),
        round(sum(buckets) / seconds, 2),
        _ms(percentile(ANSWER_BUCKETS, buckets, 0.5)),
        _ms(percentile(ANSWER_BUCKETS, buckets, 0.99)),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1_000, 2)
