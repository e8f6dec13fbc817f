"""Figures that are made when Prometheus asks: how background jobs go, and what waits in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic, time
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from credit_wallet.domain.cycle import parse_instant
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.stores.jobs.growth import Backlog
from credit_wallet.worker import Runs

BACKLOG_SECONDS = 60.0
"""How long what waits in the database is good for: counting top-ups reads them all."""


class Families(Collector):
    """Figures of a function that is called for them."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """What it returns now."""
        return self._families()


def job_families(runs: Sequence[Runs]) -> Iterator[Metric]:
    """How the jobs of a process went."""
    outcomes = [(each.job, name, number) for each in runs for name, number in each.outcomes]
    yield _counters("job_runs", "Runs of background jobs.", ("job_name", "outcome"), outcomes)
    yield _counters(
        "job_seconds", "Seconds that their runs took.", ("job_name",), [(each.job, each.seconds) for each in runs]
    )
    late = [(each.job, each.late_seconds()) for each in runs]
    yield _gauges("job_late_seconds", "For how long a job has been due, or at work.", ("job_name",), late)
    ends = [(each.job, each.last_success) for each in runs if each.last_success is not None]
    yield _gauges(
        "job_last_success_timestamp_seconds", "When its last run ended that did not fail.", ("job_name",), ends
    )


class WaitingWork:
    """What waits in the database, and its size."""

    def __init__(self) -> None:
        self._until = 0.0
        self._backlog: Backlog | None = None

    def renew(self, wallets: CreditWallet) -> None:
        """Read it again if it is ``BACKLOG_SECONDS`` old. Raises ``DatabaseError``."""
        self.renewed(wallets)

    def renewed(self, wallets: CreditWallet) -> Backlog:
        """The same, and what it is."""
        if self._backlog is None or monotonic() >= self._until:
            self._backlog = wallets.maintenance.backlog()
            self._until = monotonic() + BACKLOG_SECONDS
        return self._backlog

    def families(self) -> Iterator[Metric]:
        """The figures, none before they were read."""
        if (found := self._backlog) is None:
            return
        age = 0.0 if found.oldest_event_at is None else time() - parse_instant(found.oldest_event_at).timestamp()
        yield _gauge("outbox_events", "Events that were not fanned out to targets yet.", found.events)
        yield _gauge("outbox_oldest_seconds", "Age of the oldest of them; 0 without any.", max(0.0, age))
        yield _gauge("deliveries_waiting", "Notices that are to be sent, or sent again.", found.deliveries)
        yield _gauge("deliveries_dead", "Notices that were given up.", found.dead_deliveries)
        yield _gauge("database_bytes", "Size of the database.", found.database_bytes)
        meaning = "Top-ups through a payment provider by status."
        yield _gauges("topups", meaning, ("status",), sorted(found.topups.items()))


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"credit_wallet_{name}", meaning, value)


def _gauges(name: str, meaning: str, labels: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Metric:
    return _filled(GaugeMetricFamily(f"credit_wallet_{name}", meaning, labels=labels), rows)


def _counters(name: str, meaning: str, labels: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Metric:
    return _filled(CounterMetricFamily(f"credit_wallet_{name}", meaning, labels=labels), rows)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[tuple[Any, ...]]) -> Metric:
    for *labels, value in rows:
        family.add_metric(labels, value)
    return family
