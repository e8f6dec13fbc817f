"""The background jobs: what falls due with time, the hourly alerts, pruning idempotency keys, sealing the ledger.

Each job is one or more transactions and may run in several processes at once: whoever comes second finds nothing left
to do. A job that fails is logged and tried again at its next time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from msgspec import Struct

from credit_wallet.config import CLOSED_KEPT_DAYS, IDEMPOTENCY_KEPT_DAYS
from credit_wallet.delivery.factory import notify_settings
from credit_wallet.delivery.notifier import NoticeWorker, Notifier
from credit_wallet.errors import WalletError
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.replies import Payments
from credit_wallet.runtime.deadlines import JOBS_END_SECONDS, Deadline
from credit_wallet.runtime.stopping import Stop
from credit_wallet.telemetry import Logger

_log = Logger("credit_wallet.worker")

COUNTING_SECONDS = 3.0
"""How long usage is counted at a time."""


class Job(Struct, frozen=True):
    """Something to do every ``every_seconds``; ``run`` returns what is worth logging, or something false.

    A job that ``repeats`` does one bounded step a run and counts it: it is run again until nothing is left to do.
    """

    name: str
    every_seconds: float
    run: Callable[[CreditWallet], Any]
    repeats: bool = False


class Runs:
    """How the runs of a job went, for whoever watches; written by the job's thread alone."""

    def __init__(self, job: str, every_seconds: float) -> None:
        self.job = job
        self.every_seconds = every_seconds
        self.succeeded = self.failed = 0
        self.seconds = 0.0
        """How long all runs together took."""

        self.last_success: float | None = None
        """When the last one ended that did not fail, in Unix seconds."""

        self.due_at = time.monotonic()
        """When the next is due, in monotonic seconds; while one is under way, when that was."""

    @property
    def outcomes(self) -> tuple[tuple[str, int], ...]:
        """How many runs ended how."""
        return ("ok", self.succeeded), ("failed", self.failed)

    def late_seconds(self) -> float:
        """For how long the next run has been due, or the present one has been at it."""
        return max(0.0, time.monotonic() - self.due_at)

    @contextmanager
    def one(self) -> Iterator[None]:
        """A run."""
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.failed += 1
            raise
        else:
            self.succeeded += 1
            self.last_success = time.time()
        finally:
            self.seconds += time.monotonic() - began
            self.due_at = began + self.every_seconds


def fire_alerts(wallets: CreditWallet) -> int:
    """The hourly alert job; returns how many alerts fired."""
    return len(wallets.alerts.run().alerts_fired)


def count_usage(wallets: CreditWallet) -> int:
    """Count usage for a while."""
    return _for_a_while(wallets.maintenance.count_usage)


def count_totals(wallets: CreditWallet) -> int:
    """Count the ledger's totals for a while."""
    return _for_a_while(wallets.maintenance.count_totals)


def _for_a_while(count: Callable[[], int]) -> int:
    """Count for ``COUNTING_SECONDS`` at most, since an old ledger has millions of entries and other jobs wait."""
    give_up_at = time.monotonic() + COUNTING_SECONDS
    counted = step = count()
    while step and time.monotonic() < give_up_at:
        step = count()
        counted += step
    return counted


def prune_idempotency_keys(wallets: CreditWallet) -> int:
    """Delete idempotency keys and purchases that have been kept as long as is set."""
    return wallets.maintenance.prune_idempotency_keys(IDEMPOTENCY_KEPT_DAYS.read())


JOBS = (
    Job("expire", 1.0, lambda wallets: wallets.maintenance.expire_due(), repeats=True),
    Job("credit_grants", 10.0, lambda wallets: wallets.maintenance.credit_grants(), repeats=True),
    Job("undo_abandoned", 10.0, lambda wallets: wallets.maintenance.undo_abandoned()),
    Job("finish_transfers", 10.0, lambda wallets: wallets.maintenance.finish_transfers()),
    Job("seal", 60.0, lambda wallets: wallets.maintenance.seal(), repeats=True),
    Job("emit_seal", 3600.0, lambda wallets: wallets.maintenance.emit_seal()),
    Job("alerts", 3600.0, fire_alerts),
    Job("watch_spending", 300.0, lambda wallets: wallets.maintenance.watch_spending()),
    Job("count_usage", 10.0, count_usage),
    Job("count_totals", 30.0, count_totals),
    Job("expiry_notices", 300.0, lambda wallets: wallets.maintenance.emit_expiry_notices(), repeats=True),
    Job("budget_renewals", 60.0, lambda wallets: wallets.maintenance.emit_renewals(), repeats=True),
    Job("prune_idempotency_keys", 3600.0, prune_idempotency_keys),
    Job("prune_notices", 3600.0, lambda wallets: wallets.notices.prune(notify_settings().kept_days), repeats=True),
    Job("prune_closed", 86_400.0, lambda wallets: wallets.maintenance.prune_closed(CLOSED_KEPT_DAYS.read())),
    Job("prune_budgets", 86_400.0, lambda wallets: wallets.maintenance.prune_budgets()),
)


def payment_jobs(payments: Payments) -> tuple[Job, Job]:
    """The jobs of an installation that takes payments. What was paid while it was down is credited before cards are
    charged.
    """
    compared = threading.Event()

    def reconcile(_: CreditWallet) -> int:
        try:
            return _reconciled(payments)
        finally:
            compared.set()

    def top_up(_: CreditWallet) -> int:
        if not compared.is_set():
            return 0
        return sum(each.status == "credited" for each in payments.run_automatic())

    return Job("reconcile", 300.0, reconcile), Job("topups", 10.0, top_up)


def _reconciled(payments: Payments) -> int:
    found = payments.reconcile()
    for problem in found.problems:
        _log.warning("payment_problem", problem=problem)
    return found.changed


def workers(wallets: CreditWallet, payments: Payments | None, notifier: Notifier | None) -> Workers:
    """All the background jobs of an installation. Those that keep the ledger have a thread, and each of those that call
    out has one of its own: whoever is called may be slow, or hang.
    """
    calling_out = payment_jobs(payments) if payments else ()
    members: list[Member] = [Worker(wallets, JOBS), *(Worker(wallets, (job,)) for job in calling_out)]
    if notifier is not None:
        members.append(NoticeWorker(notifier))
    return Workers(members, [wallets.maintenance.stop, *((payments.end_jobs,) if payments else ())])


class Member(Protocol):
    """What has a thread of its own."""

    name: str

    def run(self) -> None:
        """Work until ``stop`` is called."""

    def stop(self) -> None:
        """End ``run`` soon; may be called from any thread or signal handler."""


class Workers:
    """Several workers, each on a thread of its own."""

    def __init__(self, members: Sequence[Member], endings: Sequence[Callable[[], object]] = ()) -> None:
        """``endings`` are called when they are to stop: they end what a job does after the item it is at."""
        self._members = members
        self._endings = endings
        self._threads = [
            threading.Thread(target=member.run, name=f"credit-wallet-worker-{member.name}", daemon=True)
            for member in members
        ]

    @property
    def runs(self) -> list[Runs]:
        """How the jobs of this process went."""
        return [each for member in self._members if isinstance(member, Worker) for each in member.runs]

    def start(self) -> None:
        """Begin, and return."""
        for thread in self._threads:
            thread.start()

    def run(self) -> None:
        """Start, and return when ``stop`` was called and every job has ended."""
        self.start()
        self.join()

    def stop(self) -> None:
        """End after the steps that are being taken; may be called from any thread or signal handler."""
        for member in self._members:
            member.stop()
        for end in self._endings:
            end()

    def join(self, seconds: float | None = None) -> list[str]:
        """Wait for the end, up to ``seconds``; the names of those that hang."""
        deadline = None if seconds is None else Deadline(seconds)
        for thread in self._threads:
            thread.join(None if deadline is None else deadline.remaining())
        return [thread.name for thread in self._threads if thread.is_alive()]


@contextmanager
def working(stop: Stop, jobs: Workers) -> Iterator[None]:
    """Run the background jobs beside the block, or until the command is to stop; abandon those that hang then."""
    stop.on_stop(jobs.stop)
    jobs.start()
    try:
        yield
    finally:
        jobs.stop()
        stop.abandon(*jobs.join(stop.left(JOBS_END_SECONDS)))


class Worker:
    """Runs jobs, each at its own pace, until it is stopped."""

    def __init__(self, wallets: CreditWallet, jobs: tuple[Job, ...] = JOBS) -> None:
        self.name = jobs[0].name if len(jobs) == 1 else "ledger"
        self._wallets = wallets
        self._next_run = dict.fromkeys(jobs, 0.0)
        self._runs = {job.name: Runs(job.name, job.every_seconds) for job in jobs}
        self._stopping = False
        # Unlike an Event, a SimpleQueue can be put to by a signal handler that interrupts the wait for it.
        self._wake: SimpleQueue[None] = SimpleQueue()

    @property
    def runs(self) -> list[Runs]:
        """How its jobs went."""
        return [*self._runs.values()]

    def run(self) -> None:
        """Run what is due and wait for what comes next, until ``stop`` is called."""
        while not self._stopping:
            self.run_due(time.monotonic())
            with suppress(Empty):
                self._wake.get(timeout=max(0.0, min(self._next_run.values()) - time.monotonic()))

    def run_due(self, now: float) -> None:
        """Run every job whose time has come; ``now`` is monotonic seconds."""
        for job, at in self._next_run.items():
            if at <= now and not self._stopping:
                self._next_run[job] = now + job.every_seconds
                self._attempt(job)

    def stop(self) -> None:
        """End ``run`` after the step it is at; may be called from any thread or signal handler."""
        self._stopping = True
        self._wake.put(None)

    def _attempt(self, job: Job) -> None:
        try:
            with self._runs[job.name].one():
                done = step = job.run(self._wallets)
                while job.repeats and step and not self._stopping:
                    step = job.run(self._wallets)
                    done += step
        except WalletError as error:
            _log.warning("job_failed", job=job.name, code=error.code, error=str(error))
        except Exception:
            _log.exception("job_failed", job=job.name)
        else:
            if done:
                _log.info("job_done", job=job.name, done=done)
