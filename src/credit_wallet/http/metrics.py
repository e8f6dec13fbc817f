"""What the service counts, in Prometheus' text format."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from platform import python_version
from time import monotonic

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as PrometheusCounter
from prometheus_client.samples import Sample

from credit_wallet.domain.commands import Command, CreditGrant, SettleTopup, Topup
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import WalletError
from credit_wallet.http.figures import Families, WaitingWork, job_families
from credit_wallet.http.lately import Lately
from credit_wallet.http.traffic import Traffic
from credit_wallet.ledger.rail import Outcomes
from credit_wallet.ledger.reading_lanes import FIGURES
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.stores.jobs.growth import Backlog
from credit_wallet.version import __version__
from credit_wallet.worker import Runs

TOTALS_SECONDS = 10.0
"""How long the sums over all wallets are good for: they read every wallet's row."""

_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SECONDS_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)


class Metrics:
    """Observes the rail's batches, and the wallets when it is asked for the figures."""

    def __init__(self, traffic: Traffic | None = None) -> None:
        self.registry = CollectorRegistry()
        self.traffic = traffic or Traffic()
        self.registry.register(Families(self.traffic.families))
        self._batch_size = Histogram(
            "credit_wallet_rail_batch_commands",
            "Commands that one durable batch carried.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self._commit_seconds = Histogram(
            "credit_wallet_rail_commit_seconds",
            "Seconds from taking a batch to its durable commit.",
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._outcomes = PrometheusCounter(
            "credit_wallet_outcomes",
            "Commands by kind and what came of them: ok, replayed, or the code of the refusal.",
            ("command", "outcome"),
            registry=self.registry,
        )
        self._alerts = PrometheusCounter(
            "credit_wallet_alerts", "Spending alerts that movements fired.", ("threshold_pct",), registry=self.registry
        )
        self.money = CollectorRegistry()
        """What only the operator may know."""

        self._topups = PrometheusCounter(
            "credit_wallet_topups_yen", "Yen that top-ups brought in.", registry=self.money
        )
        self._waiting = self._gauge("rail_waiting_commands", "Commands queued or being carried out.")
        self._wallets = self._gauge("wallets", "Wallets in the ledger.", self.money)
        self._balance = self._gauge("balance_outstanding_yen", "Sum of all balances.", self.money)
        self._held = self._gauge("held_yen", "Sum of all open holds.", self.money)
        self._debt = self._gauge("debt_yen", "Sum of all debts.", self.money)
        self._unsealed = self._gauge("unsealed_seconds", "For how long entries have waited for a seal; 0 without any.")
        self._clock_ahead = self._gauge(
            "clock_ahead_seconds",
            "By how much the machine's clock was set ahead, or back, and is not believed; else 0.",
        )
        self.began = monotonic()
        self.runs: Callable[[], Sequence[Runs]] = tuple
        self.committed = Lately(self._committed)
        self._totals_until = 0.0
        self._waiting_work = WaitingWork()
        self._reading = asyncio.Lock()
        self.registry.register(Families(self._waiting_work.families))

    def watch(self, database: str, runs: Callable[[], Sequence[Runs]]) -> None:
        """Say which release this is, on what ``database``, and how the background jobs of this process go."""
        build = Gauge(
            "credit_wallet_build_info",
            "1; the labels say what runs.",
            ("version", "python", "database"),
            registry=self.registry,
        )
        self.runs = runs
        build.labels(__version__, python_version(), database).set(1)
        self.registry.register(Families(lambda: job_families(runs())))

    def batch(self, commands: Sequence[Command], outcomes: Outcomes, seconds: float) -> None:
        """Record a batch; called by the rail's thread."""
        self.committed.tick()
        self._batch_size.observe(len(commands))
        self._commit_seconds.observe(seconds)
        counts: Counter[tuple[type[Command], str]] = Counter()
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, WalletError):
                counts[type(command), outcome.code] += 1
                continue
            counts[type(command), "replayed" if outcome.replayed else "ok"] += 1
            for alert in () if outcome.replayed else outcome.alerts:
                self._alerts.labels(alert.threshold_pct).inc()
            if _brought_credit(command, outcome):
                self._topups.inc(outcome.amount_micros / MICROS)
        for (kind, result), number in counts.items():
            self._outcomes.labels(kind.__struct_config__.tag, result).inc(number)

    def waiting_work(self, wallets: CreditWallet) -> Backlog:
        """What waits in the database, as it was within the last minute. Raises ``DatabaseError``."""
        return self._waiting_work.renewed(wallets)

    def _committed(self) -> list[float]:
        """Commands that batches carried, and the batches by how long they took."""
        [commands] = [each.value for each in _samples(self._batch_size) if each.name.endswith("_sum")]
        cumulated = [each.value for each in _samples(self._commit_seconds) if each.name.endswith("_bucket")]
        return [commands, *(above - below for below, above in pairwise((0.0, *cumulated)))]

    async def read(self, wallets: CreditWallet, *, money: bool = True) -> bytes:
        """The figures as they are now, those of ``money`` included or left out. The sums are read on their own lane and
        by one caller at a time.

        Who asks meanwhile gets the sums of before, or waits when there are none. Raises ``ServiceBusy``.
        """
        if self._totals_are_old() and not (self._reading.locked() and self._totals_until):
            async with self._reading:
                if self._totals_are_old():
                    await wallets.reading_lanes.ask(FIGURES, self._read_totals, wallets)
        return self._text(wallets, money=money)

    def text(self, wallets: CreditWallet, *, money: bool = True) -> bytes:
        """The same for a caller that can wait."""
        if self._totals_are_old():
            self._read_totals(wallets)
        return self._text(wallets, money=money)

    def _totals_are_old(self) -> bool:
        return monotonic() >= self._totals_until

    def _read_totals(self, wallets: CreditWallet) -> None:
        totals = wallets.maintenance.totals()
        self._wallets.set(totals.wallets)
        self._balance.set(totals.balance_micros / MICROS)
        self._held.set(totals.held_micros / MICROS)
        self._debt.set(totals.debt_micros / MICROS)
        self._unsealed.set(wallets.seals.unsealed_seconds())
        self._waiting_work.renew(wallets)
        self._totals_until = monotonic() + TOTALS_SECONDS

    def _text(self, wallets: CreditWallet, *, money: bool) -> bytes:
        self._waiting.set(wallets.maintenance.waiting())
        self._clock_ahead.set(wallets.clock.ahead_seconds())
        return generate_latest(self.registry) + (generate_latest(self.money) if money else b"")

    def _gauge(self, name: str, what: str, registry: CollectorRegistry | None = None) -> Gauge:
        return Gauge(f"credit_wallet_{name}", what, registry=registry or self.registry)


def _samples(figure: Histogram) -> Iterator[Sample]:
    for family in figure.collect():
        yield from family.samples


def _brought_credit(command: Command, outcome: Outcome) -> bool:
    """Whether this is credit that came in now: by hand, or as a payment whose entry was just written."""
    if isinstance(command, SettleTopup):
        return outcome.txn_id is not None
    return isinstance(command, Topup | CreditGrant) and not outcome.replayed
