"""The background jobs: each at its pace, none stopped by another, and all done once by however many workers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from background import covered, funded, job_named, seals_of, txn_ids_of
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql
from stand_in import StandIn
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseLocked, InvalidRequest, PaymentProviderError, RailBusy
from credit_wallet.payments.replies import AutoTopup, Reconciliation
from credit_wallet.stores.jobs import pruning
from credit_wallet.worker import JOBS, Job, Worker, payment_jobs

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

pytestmark = on_every_database

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)


def failing(error: Exception) -> Callable[[CreditWallet], None]:
    def run(_: CreditWallet) -> None:
        raise error

    return run


# Pace


def test_each_job_runs_at_once_and_then_at_its_pace(wallets: CreditWallet) -> None:
    runs: list[str] = []
    jobs = (Job("a", 1.0, lambda _: runs.append("a")), Job("b", 60.0, lambda _: runs.append("b")))
    worker = Worker(wallets, jobs)
    for now, due in (
        (100.0, ["a", "b"]),
        (100.9, []),
        (101.0, ["a"]),
        (101.5, []),
        (159.9, ["a"]),
        (160.0, ["b"]),
        (160.9, ["a"]),
        (10_000.0, ["a", "b"]),
        (10_000.1, []),
    ):
        runs.clear()
        worker.run_due(now)
        assert runs == due, now


def test_the_jobs_are_those_of_the_reference() -> None:
    assert [(job.name, job.every_seconds) for job in JOBS] == [
        ("expire", 1.0),
        ("credit_grants", 10.0),
        ("undo_abandoned", 10.0),
        ("finish_transfers", 10.0),
        ("seal", 60.0),
        ("emit_seal", 3600.0),
        ("alerts", 3600.0),
        ("watch_spending", 300.0),
        ("count_usage", 10.0),
        ("count_totals", 30.0),
        ("expiry_notices", 300.0),
        ("budget_renewals", 60.0),
        ("prune_idempotency_keys", 3600.0),
        ("prune_notices", 3600.0),
        ("prune_closed", 86_400.0),
        ("prune_budgets", 86_400.0),
    ]


@pytest.mark.parametrize(
    ("error", "level", "code"),
    [
        (DatabaseLocked("another process has it"), "warning", "database_locked"),
        (RailBusy("closing"), "warning", "rail_busy"),
        (ZeroDivisionError("a defect"), "error", None),
    ],
)
def test_a_job_that_fails_is_logged_and_tried_again_and_stops_no_other(
    wallets: CreditWallet, error: Exception, level: str, code: str | None
) -> None:
    runs: list[str] = []
    jobs = (
        Job("fails", 5.0, failing(error)),
        Job("works", 1.0, lambda _: runs.append("works")),
    )
    worker = Worker(wallets, jobs)
    failures = []
    for now in (0.0, 1.0, 5.0):
        with capture_logs() as logs:
            worker.run_due(now)
        failures += [(now, log["event"], log["job"], log["log_level"], log.get("code")) for log in logs]
    assert failures == [(now, "job_failed", "fails", level, code) for now in (0.0, 5.0)]
    assert len(runs) == 3


def test_only_what_was_done_is_logged(wallets: CreditWallet) -> None:
    jobs = (Job("idle", 1.0, lambda _: 0), Job("busy", 1.0, lambda _: 7))
    with capture_logs() as logs:
        Worker(wallets, jobs).run_due(0.0)
    assert logs == [{"event": "job_done", "log_level": "info", "job": "busy", "done": 7}]


# Payments


def test_the_jobs_of_payments_are_those_of_the_reference(wallets: CreditWallet) -> None:
    payments = StandIn()
    worker = Worker(wallets, payment_jobs(payments))
    for now, due in ((0.0, ["reconcile", "run_automatic"]), (9.9, []), (10.0, ["run_automatic"])):
        payments.asked.clear()
        worker.run_due(now)
        assert payments.asked == due, now
    payments.asked.clear()
    worker.run_due(300.0)
    assert payments.asked == ["reconcile", "run_automatic"]


def test_credit_that_came_and_what_a_person_must_see_are_logged(wallets: CreditWallet) -> None:
    payments = StandIn()
    payments.automatic = [AutoTopup(1, "credited", 500), AutoTopup(2, "topup_stopped"), AutoTopup(3, "pending", 500)]
    payments.found = Reconciliation(asked=3, changed=2, problems=["tu_1: paid and not credited"])
    with capture_logs() as logs:
        Worker(wallets, payment_jobs(payments)).run_due(0.0)
    assert logs == [
        {"event": "payment_problem", "log_level": "warning", "problem": "tu_1: paid and not credited"},
        {"event": "job_done", "log_level": "info", "job": "reconcile", "done": 2},
        {"event": "job_done", "log_level": "info", "job": "topups", "done": 1},
    ]


def test_a_provider_that_cannot_be_asked_stops_no_other_job(wallets: CreditWallet) -> None:
    runs: list[str] = []
    unreachable = PaymentProviderError("Stripe could not be reached")
    jobs = (*payment_jobs(StandIn(unreachable)), Job("works", 1.0, lambda _: runs.append("works")))
    with capture_logs() as logs:
        Worker(wallets, jobs).run_due(0.0)
    assert [(log["job"], log["log_level"], log["code"]) for log in logs] == [
        ("reconcile", "warning", "payment_provider_error"),
        ("topups", "warning", "payment_provider_error"),
    ]
    assert len(runs) == 1


def test_the_command_works_for_payments_where_they_are_set_up(db_url: str) -> None:
    CreditWallet.open(db_url).close()
    unreachable = {"CREDIT_WALLET_STRIPE_KEY": "sk_test_1", "CREDIT_WALLET_STRIPE_API_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "credit_wallet.cli.app", "--db", db_url, "worker"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **unreachable})
    assert process.stderr is not None
    told = next(line for line in process.stderr if '"event":"job_failed"' in line)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert '"job":"reconcile","code":"payment_provider_error"' in told
    assert "sk_test_1" not in told


# Stopping


def test_stop_ends_run_however_long_the_next_job_is_off(wallets: CreditWallet) -> None:
    ran = threading.Event()
    worker = Worker(wallets, (Job("hourly", 3600.0, lambda _: ran.set()),))
    running = threading.Thread(target=worker.run, daemon=True)
    running.start()
    assert ran.wait(10)
    worker.stop()
    running.join(10)
    assert not running.is_alive()


def test_a_worker_told_to_stop_finishes_the_job_it_is_at_and_begins_no_other(wallets: CreditWallet) -> None:
    runs: list[str] = []

    def stop(_: CreditWallet) -> None:
        worker.stop()
        runs.append("first")

    worker = Worker(wallets, (Job("first", 1.0, stop), Job("second", 1.0, lambda _: runs.append("second"))))
    worker.run()
    worker.run()
    assert runs == ["first"]


def test_a_signal_may_stop_it_at_any_instant() -> None:
    """Also while it takes or lets go of what it waits on, which a thousand random instants are sure to hit."""
    program = """
    import signal
    from random import Random
    from credit_wallet.worker import Job, Worker

    random = Random(1)
    for _ in range(1_000):
        worker = Worker(None, (Job("spin", 0.0, lambda _: None),))
        signal.signal(signal.SIGALRM, lambda *_: worker.stop())
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 5e-4))
        worker.run()
    """
    subprocess.run([sys.executable, "-c", dedent(program)], check=True, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_works_until_a_signal_ends_it_well(db_url: str, number: signal.Signals) -> None:
    an_hour_ago = Clock(datetime.now(UTC) - timedelta(hours=1))
    with CreditWallet.open(db_url, clock=an_hour_ago) as wallets:
        wallet_id = funded(wallets)
        wallets.hold(wallet_id, 600, idempotency_key="hold", ttl_seconds=60)
    with subprocess.Popen(
        [sys.executable, "-m", "credit_wallet.cli.app", "--db", db_url, "worker"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(number)
        rest = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert '"event":"job_done","job":"expire","done":1' in first
    assert "job_failed" not in rest
    with PlainSql(db_url) as ledger:
        assert ledger.run("SELECT balance_yen, held_yen FROM am_credit_wallet") == [(1_000, 0)]
        assert ledger.run("SELECT status FROM am_credit_hold") == [("expired",)]


# What each job does


def test_expire_gives_holds_back_and_burns_lots_on_every_wallet(wallets: CreditWallet, clock: Clock) -> None:
    wallet_ids = [funded(wallets) for _ in range(5)]
    for wallet_id in wallet_ids[:3]:
        wallets.hold(wallet_id, 400, idempotency_key="hold", ttl_seconds=60)
    for wallet_id in wallet_ids[2:]:
        wallets.topup(wallet_id, 50, idempotency_key="gift", promo=True, expires_at="2026-05-15T12:01:00Z")
    worker = Worker(wallets, (job_named("expire"),))
    worker.run_due(0.0)
    assert [wallets.balance(wallet_id) for wallet_id in wallet_ids] == [600, 600, 650, 1_050, 1_050]
    clock.advance(minutes=1)
    with capture_logs() as logs:
        worker.run_due(1.0)
        worker.run_due(2.0)
    assert [log["done"] for log in logs] == [5]
    assert [wallets.balance(wallet_id) for wallet_id in wallet_ids] == [1_000] * 5
    assert wallets.verify() == []


def test_alerts_fire_what_is_due_and_only_once(wallets: CreditWallet) -> None:
    wallet_id = funded(wallets)
    wallets.charge(wallet_id, 85, idempotency_key="charge")
    wallets.configure(wallet_id, monthly_budget_yen=100)
    worker = Worker(wallets, (job_named("alerts"),))
    with capture_logs() as logs:
        worker.run_due(0.0)
        worker.run_due(3600.0)
    assert [log["done"] for log in logs] == [2]
    assert [alert.threshold_pct for alert in wallets.alerts.list(wallet_id)] == [80, 50]


@pytest.mark.parametrize("rows_a_step", [1, 3, 5_000])
def test_keys_are_kept_for_two_days_and_free_again_afterwards(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch, rows_a_step: int
) -> None:
    monkeypatch.setattr(pruning, "ROWS_A_STEP", rows_a_step)
    wallet_ids = [funded(wallets), funded(wallets)]
    for day in (15, 16, 17):
        clock.set(datetime(2026, 5, day, 23, 59, tzinfo=UTC))
        for wallet_id in wallet_ids:
            assert not wallets.charge(wallet_id, 1, idempotency_key=f"day {day}").replayed
    clock.set(datetime(2026, 5, 18, 0, 1, tzinfo=UTC))
    with capture_logs() as logs:
        Worker(wallets, (job_named("prune_idempotency_keys"),)).run_due(0.0)
    assert [log["done"] for log in logs] == [4]  # of the 15th: two top-ups, two charges
    for wallet_id in wallet_ids:
        replayed = [wallets.charge(wallet_id, 1, idempotency_key=f"day {day}").replayed for day in (15, 16, 17)]
        assert replayed == [False, True, True]
        assert wallets.balance(wallet_id) == 1_000 - 4
    assert wallets.verify() == []


def test_a_key_can_be_used_for_another_request_once_it_is_forgotten(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets)
    wallets.charge(wallet_id, 1, idempotency_key="again")
    clock.advance(days=3)
    assert wallets.maintenance.prune_idempotency_keys() == 2
    assert wallets.hold(wallet_id, 7, idempotency_key="again").hold_id is not None
    assert wallets.maintenance.prune_idempotency_keys() == 0


def test_keys_are_kept_for_a_day_at_least(wallets: CreditWallet) -> None:
    with pytest.raises(InvalidRequest, match="must be 1 to"):
        wallets.maintenance.prune_idempotency_keys(older_than_days=0)


# Several workers

WALLETS = 40
WORKERS = 2
HOLD_YEN = 100
GIFT_YEN = 30


def fill(wallets: CreditWallet, clock: Clock) -> None:
    """Wallets with a hold and a gift that have run out, alerts that are due, entries to seal and keys to forget."""
    for _ in range(WALLETS):
        wallets.create()

    async def move() -> None:
        ids = range(1, WALLETS + 1)
        await asyncio.gather(*(wallets.atopup(each, 1_000, idempotency_key="start") for each in ids))
        await asyncio.gather(
            *(
                wallets.atopup(each, GIFT_YEN, idempotency_key="gift", promo=True, expires_at="2026-05-16T00:00:00Z")
                for each in ids
            )
        )
        await asyncio.gather(*(wallets.acharge(each, 60 + GIFT_YEN, idempotency_key="charge") for each in ids))
        await asyncio.gather(
            *(
                wallets.atopup(each, GIFT_YEN, idempotency_key="gift too", expires_at="2026-05-16T00:00:00Z")
                for each in ids
            )
        )
        await asyncio.gather(*(wallets.ahold(each, HOLD_YEN, idempotency_key="hold", ttl_seconds=60) for each in ids))
        await asyncio.gather(*(wallets.aconfigure(each, monthly_budget_yen=100) for each in ids))

    asyncio.run(move())
    clock.advance(days=4)


def work_in_a_process(db_url: str, now: datetime, start: Barrier, done: multiprocessing.Queue[Counter[str]]) -> None:
    """Open the ledger, wait for the others, run every job three times, and put how much each says it did."""
    tally: Counter[str] = Counter()

    def counted(job: Job) -> Job:
        def run(wallets: CreditWallet) -> int:
            count = int(job.run(wallets))
            tally[job.name] += count
            return count

        return Job(job.name, job.every_seconds, run)

    with CreditWallet.open(db_url, clock=lambda: now) as wallets:
        worker = Worker(wallets, tuple(map(counted, JOBS)))
        start.wait()
        for hour in range(3):
            worker.run_due(hour * 3600.0)
    done.put(tally)


def test_workers_in_several_processes_do_everything_once(wallets: CreditWallet, clock: Clock, db_url: str) -> None:
    fill(wallets, clock)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(WORKERS)
    done: multiprocessing.Queue[Counter[str]] = context.Queue()
    processes = [context.Process(target=work_in_a_process, args=(db_url, clock(), start, done)) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    tally = sum((done.get(timeout=60) for _ in processes), Counter[str]())
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * WORKERS

    with PlainSql(db_url) as ledger:
        txn_ids = txn_ids_of(ledger)
        entries = ledger.run("SELECT wallet_id, txn_type, count(*) FROM am_credit_transaction_log GROUP BY 1, 2")
        told = ledger.run(
            "SELECT wallet_id, count(*) FROM am_credit_outbox WHERE kind = 'budget.threshold_reached'"
            " GROUP BY 1 ORDER BY 1"
        )
        remembered = ledger.run("SELECT count(*) FROM am_credit_idempotency")
    expected = {"topup": 3, "charge": 1, "expire": 1}
    assert sorted(entries) == sorted(
        (n, kind, times) for n in range(1, WALLETS + 1) for kind, times in expected.items()
    )
    assert tally["prune_idempotency_keys"] == 5 * WALLETS
    assert remembered == [(0,)]
    assert tally["seal"] == 5 * WALLETS
    assert covered(seals_of(db_url), txn_ids) == txn_ids
    assert tally["alerts"] == 2 * WALLETS
    assert told == [(wallet_id, 2) for wallet_id in range(1, WALLETS + 1)]
    for wallet_id in range(1, WALLETS + 1):
        assert wallets.balance(wallet_id) == 1_000 - 60
        assert wallets.balance(wallet_id).held_yen == 0
        assert [alert.threshold_pct for alert in wallets.alerts.list(wallet_id)] == [80, 50]
    assert wallets.verify() == []
