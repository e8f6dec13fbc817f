"""The hourly alert job: right on migration 281 alone and on the whole schema, and once per threshold."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from dataclasses import astuple
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from clock import Clock
from databases import MIGRATIONS, SEED, Databases, on_every_database, on_sqlite
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.cli.alert_job import main
from credit_wallet.database_urls import sqlite_path
from credit_wallet.stores import OLDEST_SAFE_SQLITE
from credit_wallet.stores.jobs.alert_job import FiredAlert

pytestmark = on_every_database

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "scripts" / "etl" / "process_credit_wallet_alerts.py"

MAY = "2026-05-15T12:00:00.000Z"
JUNE = "2026-06-01T00:00:00.000Z"

WITHOUT_PACKAGES = """
import importlib.abc, runpy, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("apsw", "msgspec", "tzdata"):
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Blocker())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

Report = dict[str, Any]


def run_job(url: str, *options: str) -> Report:
    """Run the job as the script does; it must succeed and say nothing but the report on stdout."""
    with redirect_stdout(StringIO()) as printed:
        assert main(["--db", url, *options]) == 0
    [line] = printed.getvalue().splitlines()
    report: Report = json.loads(line)
    return report


def start_job(*arguments: str, without_packages: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "CREDIT_WALLET_DATABASE_URL"}
    interpreter = [sys.executable]
    if without_packages:
        environment["PYTHONTZPATH"] = ""
        interpreter += ["-S", "-c", WITHOUT_PACKAGES]
    return subprocess.run(
        [*interpreter, str(JOB), *arguments], capture_output=True, text=True, env=environment, check=False
    )


def fired(report: Report) -> list[tuple[int, int, int, int]]:
    names = ("wallet_id", "threshold_pct", "spent_yen", "budget_yen")
    assert all(tuple(alert) == names for alert in report["alerts_fired"])
    return [tuple(alert.values()) for alert in report["alerts_fired"]]


def told(host: PlainSql) -> list[dict[str, Any]]:
    """What the outbox tells of alerts."""
    rows = host.run("SELECT payload FROM am_credit_outbox WHERE kind = 'budget.threshold_reached' ORDER BY event_id")
    return [json.loads(payload) for (payload,) in rows]


def stored(host: PlainSql) -> list[tuple[Any, ...]]:
    return host.run(
        "SELECT wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen FROM am_credit_spending_alert "
        "ORDER BY alert_id"
    )


# On either schema


@pytest.fixture(params=["seed", "whole"])
def either_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """A database with migration 281 alone, and one with all of them."""
    if request.param == "seed":
        with databases.seed() as url:
            yield url
    else:
        with databases.ledger() as url:
            CreditWallet.open(url).close()
            yield url


def test_the_worked_example_of_the_contract(either_url: str) -> None:
    def run_script(*options: str) -> Report:
        finished = start_job("--db", either_url, *options)
        assert finished.returncode == 0, finished.stderr
        [line] = finished.stdout.splitlines()
        report: Report = json.loads(line)
        return report

    with PlainSql(either_url) as host:
        wallet_id = host.wallet(balance_yen=20_000, monthly_budget_yen=10_000)
        host.move(wallet_id, "charge", -12_000, MAY)
        assert run_script("--cycle", "2026-05") == {
            "dim": "U",
            "wave": 47,
            "dry_run": False,
            "billing_cycle": "2026-05",
            "wallets_scanned": 1,
            "alerts_fired": [
                {"wallet_id": wallet_id, "threshold_pct": pct, "spent_yen": 12_000, "budget_yen": 10_000}
                for pct in (50, 80, 100)
            ],
        }
        assert fired(run_script("--cycle", "2026-05")) == []
        host.move(wallet_id, "charge", -5_000, JUNE)
        assert fired(run_script("--cycle", "2026-06")) == [(wallet_id, 50, 5_000, 10_000)]
        assert fired(run_script("--cycle", "2026-06")) == []
        assert [row[1:3] for row in stored(host)] == [
            (50, "2026-05"),
            (80, "2026-05"),
            (100, "2026-05"),
            (50, "2026-06"),
        ]


@pytest.mark.parametrize(
    ("spent_yen", "budget_yen", "thresholds"),
    [
        (0, 100, []),
        (49, 100, []),
        (50, 100, [50]),
        (79, 100, [50]),
        (80, 100, [50, 80]),
        (99, 100, [50, 80]),
        (100, 100, [50, 80, 100]),
        (1, 3, []),
        (2, 3, [50]),
        (1, 1, [50, 80, 100]),
        (4_999_999_999_999, 10**13, []),
        (8 * 10**12, 10**13, [50, 80]),
    ],
)
def test_thresholds_are_reached_by_whole_percents(
    either_url: str, spent_yen: int, budget_yen: int, thresholds: list[int]
) -> None:
    with PlainSql(either_url) as host:
        wallet_id = host.wallet(balance_yen=spent_yen, monthly_budget_yen=budget_yen)
        if spent_yen:
            host.move(wallet_id, "charge", -spent_yen, MAY)
        report = run_job(either_url, "--cycle", "2026-05")
    assert fired(report) == [(wallet_id, pct, spent_yen, budget_yen) for pct in thresholds]


def test_only_charges_of_the_cycle_count(either_url: str) -> None:
    with PlainSql(either_url) as host:
        wallet_id = host.wallet(monthly_budget_yen=100)
        for txn_type, amount_yen, at in [
            ("topup", 1_000, MAY),
            ("charge", -100, "2026-04-30T23:59:59.999Z"),
            ("charge", -30, "2026-05-01T00:00:00Z"),
            ("charge", -30, "2026-05-31 23:59:59"),
            ("refund", 60, MAY),
            ("charge", -100, JUNE),
        ]:
            host.move(wallet_id, txn_type, amount_yen, at)
        assert fired(run_job(either_url, "--cycle", "2026-05")) == [(wallet_id, 50, 60, 100)]


def test_wallets_without_a_budget_or_switched_off_are_not_scanned(either_url: str) -> None:
    with PlainSql(either_url) as host:
        for columns in ({"monthly_budget_yen": 0}, {"monthly_budget_yen": 10, "enabled": 0}):
            host.move(host.wallet(balance_yen=100, **columns), "charge", -100, MAY)
        host.wallet(monthly_budget_yen=10)
        report = run_job(either_url, "--cycle", "2026-05")
    assert (report["wallets_scanned"], fired(report)) == (1, [])


def test_a_dry_run_fires_nothing(either_url: str) -> None:
    with PlainSql(either_url) as host:
        wallet_id = host.wallet(balance_yen=100, monthly_budget_yen=100)
        host.move(wallet_id, "charge", -80, MAY)
        report = run_job(either_url, "--cycle", "2026-05", "--dry-run")
        assert stored(host) == []
    assert report["dry_run"] is True
    assert fired(report) == [(wallet_id, 50, 80, 100), (wallet_id, 80, 80, 100)]
    assert fired(run_job(either_url, "--cycle", "2026-05")) == fired(report)
    assert fired(run_job(either_url, "--cycle", "2026-05", "--dry-run")) == []


@on_sqlite
def test_a_dry_run_leaves_even_a_read_only_file_as_it_is(either_url: str) -> None:
    with PlainSql(either_url) as host:
        host.move(host.wallet(balance_yen=100, monthly_budget_yen=100), "charge", -80, MAY)
    path = sqlite_path(either_url)
    before = path.read_bytes()
    path.chmod(0o444)
    assert len(fired(run_job(either_url, "--cycle", "2026-05", "--dry-run"))) == 2
    assert path.read_bytes() == before


def test_without_a_cycle_the_current_utc_month_is_meant(either_url: str) -> None:
    with PlainSql(either_url) as host:
        wallet_id = host.wallet(balance_yen=100, monthly_budget_yen=100)
        host.run("INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (1, -50, 'charge')")
        [(month,)] = host.run("SELECT substr(occurred_at, 1, 7) FROM am_credit_transaction_log")
        report = run_job(either_url)
    assert report["billing_cycle"] == month
    assert fired(report) == [(wallet_id, 50, 50, 100)]


# Beside the rail


def test_what_the_rail_fired_the_job_does_not_fire_again(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    outcome = wallets.charge(wallet_id, 85, idempotency_key="charge")
    assert [alert.threshold_pct for alert in outcome.alerts] == [50, 80]
    with PlainSql(db_url) as host:
        before = stored(host)
        assert fired(run_job(db_url, "--cycle", "2026-05")) == []
        assert stored(host) == before
        assert [alert["threshold_pct"] for alert in told(host)] == [50, 80]


def test_what_the_job_fired_the_rail_does_not_fire_again(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    with PlainSql(db_url) as host:
        host.move(wallet_id, "charge", -85, MAY)
        assert fired(run_job(db_url, "--cycle", "2026-05")) == [(wallet_id, 50, 85, 100), (wallet_id, 80, 85, 100)]
        assert wallets.charge(wallet_id, 5, idempotency_key="after").alerts == ()
        outcome = wallets.charge(wallet_id, 10, idempotency_key="at the budget")
        assert [alert.threshold_pct for alert in outcome.alerts] == [100]
        assert fired(run_job(db_url, "--cycle", "2026-05")) == []
        assert [alert["threshold_pct"] for alert in told(host)] == [50, 80, 100]
    assert wallets.verify() == []


def test_charges_of_both_writers_are_added_up(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    wallets.charge(wallet_id, 30, idempotency_key="charge")
    with PlainSql(db_url) as host:
        host.move(wallet_id, "charge", -25, MAY)
        assert fired(run_job(db_url, "--cycle", "2026-05")) == [(wallet_id, 50, 55, 100)]
        wallets.charge(wallet_id, 1, idempotency_key="backfills")
        host.move(wallet_id, "charge", -24, MAY)
        assert fired(run_job(db_url, "--cycle", "2026-05")) == [(wallet_id, 80, 80, 100)]
        assert told(host) == [
            {
                "wallet_id": wallet_id,
                "threshold_pct": threshold_pct,
                "spent_yen": spent_yen,
                "spent": str(spent_yen),
                "budget_yen": 100,
                "budget_id": f"monthly-{wallet_id}",
                "billing_cycle": "2026-05",
            }
            for threshold_pct, spent_yen in [(50, 55), (80, 80)]
        ]


def test_charges_adopted_since_the_last_run_are_found(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    with PlainSql(db_url) as host:
        host.move(wallet_id, "topup", 1_000, MAY)
        host.move(wallet_id, "charge", -100, MAY)
        wallets.topup(wallet_id, 1, idempotency_key="backfills")
        assert [alert[1] for alert in fired(run_job(db_url, "--cycle", "2026-05"))] == [50, 80, 100]
        assert len(told(host)) == 3


def test_a_lowered_budget_fires_at_the_next_run(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create(monthly_budget_yen=1_000).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    wallets.charge(wallet_id, 90, idempotency_key="charge")
    wallets.configure(wallet_id, monthly_budget_yen=100)
    assert fired(run_job(db_url, "--cycle", "2026-05")) == [(wallet_id, 50, 90, 100), (wallet_id, 80, 90, 100)]


def test_a_past_month_is_told_from_what_the_wallet_left_behind(
    wallets: CreditWallet, db_url: str, clock: Clock
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    wallets.charge(wallet_id, 60, idempotency_key="May")
    clock.set(datetime(2026, 6, 10, tzinfo=UTC))
    wallets.charge(wallet_id, 1, idempotency_key="June")
    wallets.configure(wallet_id, monthly_budget_yen=100)
    assert fired(run_job(db_url, "--cycle", "2026-06")) == []
    assert fired(run_job(db_url, "--cycle", "2026-05")) == [(wallet_id, 50, 60, 100)]
    with PlainSql(db_url) as host:
        host.move(wallet_id, "charge", -20, MAY)
        assert fired(run_job(db_url, "--cycle", "2026-05")) == [(wallet_id, 80, 80, 100)]
    assert wallets.charge(wallet_id, 60, idempotency_key="June again").alerts[0].billing_cycle == "2026-06"


def test_the_library_runs_the_same_job(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    with PlainSql(db_url) as host:
        host.move(wallet_id, "topup", 1_000, MAY)
        host.move(wallet_id, "charge", -50, MAY)
        assert wallets.alerts.run(dry_run=True).alerts_fired == [FiredAlert(wallet_id, 50, 50, 100)]
        assert told(host) == []
        assert wallets.alerts.run().alerts_fired == [FiredAlert(wallet_id, 50, 50, 100)]
        assert wallets.alerts.run().alerts_fired == []
        assert len(told(host)) == 1


# Time zones


@pytest.mark.parametrize("by", ["command", "library"])
@pytest.mark.parametrize("backfilled", [False, True], ids=["plain", "backfilled"])
@pytest.mark.parametrize(
    ("occurred_at", "cycle"),
    [
        ("2026-05-31T14:59:59.999Z", "2026-05"),
        ("2026-05-31T15:00:00.000Z", "2026-06"),
        ("2026-05-31T15:00:00Z", "2026-06"),
        ("2026-05-31 15:00:00", "2026-06"),
    ],
)
def test_a_charge_belongs_to_the_month_of_the_wallets_time_zone(
    wallets: CreditWallet, db_url: str, occurred_at: str, cycle: str, backfilled: bool, by: str
) -> None:
    def run(cycle: str) -> list[tuple[int, int, int, int]]:
        if by == "command":
            return fired(run_job(db_url, "--cycle", cycle))
        return [astuple(alert) for alert in wallets.alerts.run(cycle).alerts_fired]

    with PlainSql(db_url) as host:
        wallet_id = host.wallet(balance_yen=100, monthly_budget_yen=100, time_zone="Asia/Tokyo")
        host.move(wallet_id, "charge", -50, occurred_at)
        if backfilled:
            assert wallets.verify() == []
        [other] = {"2026-05", "2026-06"} - {cycle}
        assert run(other) == []
        assert run(cycle) == [(wallet_id, 50, 50, 100)]
        assert stored(host) == [(wallet_id, 50, cycle, 50, 100)]


def test_each_wallet_is_told_of_its_own_current_month(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(datetime(2026, 5, 31, 20, tzinfo=UTC))
    with PlainSql(db_url) as host:
        for time_zone in ("UTC", "Asia/Tokyo"):
            wallet_id = host.wallet(balance_yen=100, monthly_budget_yen=100, time_zone=time_zone)
            host.move(wallet_id, "charge", -50, "2026-05-31T19:00:00Z")
        report = wallets.alerts.run()
        assert report.billing_cycle == "2026-05"
        assert sorted(row[2] for row in stored(host)) == ["2026-05", "2026-06"]


# The command


def test_a_missing_database_is_a_warning_and_an_empty_report(tmp_path: Path) -> None:
    finished = start_job("--db", str(tmp_path / "missing.db"), "--cycle", "2026-05")
    assert finished.returncode == 0
    assert "WARNING" in finished.stderr
    assert "missing.db does not exist" in finished.stderr
    assert json.loads(finished.stdout) == {
        "dim": "U",
        "wave": 47,
        "dry_run": False,
        "billing_cycle": "2026-05",
        "wallets_scanned": 0,
        "alerts_fired": [],
    }
    assert list(tmp_path.iterdir()) == []


@on_sqlite
@pytest.mark.parametrize(
    "cycle", ["2026-13", "2026-00", "2026-5", "202605", "2026-05-01", "May", "", "0000-01", "9999-12", "２０２６-05"]
)
def test_a_cycle_that_is_none_is_wrong_usage(seed_url: str, cycle: str) -> None:
    finished = start_job("--db", seed_url, "--cycle", cycle)
    assert finished.returncode == 2
    assert "--cycle must be YYYY-MM" in finished.stderr
    assert finished.stdout == ""


@on_sqlite
def test_verbose_logs_each_alert_on_stderr(seed_url: str) -> None:
    with PlainSql(seed_url) as host:
        host.move(host.wallet(balance_yen=100, monthly_budget_yen=100), "charge", -50, MAY)
    finished = start_job("--db", seed_url, "--cycle", "2026-05", "-v")
    assert "threshold_pct=50" in finished.stderr
    assert fired(json.loads(finished.stdout)) == [(1, 50, 50, 100)]


def test_a_database_of_something_else_fails_with_its_name(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"certainly no database" * 100)
    finished = start_job("--db", str(other))
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "other.db" in finished.stderr


# With the standard library alone


def test_it_runs_on_a_seed_database_with_the_standard_library_alone(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    with closing(sqlite3.connect(path)) as host:
        host.executescript((MIGRATIONS / SEED).read_text(encoding="utf-8"))
        host.executescript(
            f"INSERT INTO am_credit_wallet (owner_token_hash, monthly_budget_yen) VALUES ('{'a' * 64}', 100);"
            f"INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, occurred_at) "
            f"VALUES (1, -80, 'charge', '{MAY}');"
        )
    finished = start_job("--db", str(path), "--cycle", "2026-05", without_packages=True)
    assert finished.returncode == 0, finished.stderr
    assert fired(json.loads(finished.stdout)) == [(1, 50, 80, 100), (1, 80, 80, 100)]
    finished = start_job("--db", str(path), "--cycle", "2026-05", without_packages=True)
    assert fired(json.loads(finished.stdout)) == []
    assert path.read_bytes()[18:20] == b"\x01\x01"  # the host's journal mode


@pytest.mark.skipif(sqlite3.sqlite_version_info >= OLDEST_SAFE_SQLITE, reason="this Python's SQLite is safe with WAL")
def test_an_old_sqlite_does_not_touch_a_database_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    stopped = """
import os, sys
from credit_wallet import CreditWallet
CreditWallet.open(f"sqlite:///{sys.argv[1]}").create(monthly_budget_yen=100)
os._exit(0)  # what a killed service leaves: part of the database is in its log
"""
    subprocess.run([sys.executable, "-c", stopped, str(path)], check=True)
    log = path.with_name(path.name + "-wal")
    before = path.read_bytes(), log.read_bytes()
    finished = start_job("--db", str(path), without_packages=True)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert f"{path} is in WAL mode and this Python's SQLite {sqlite3.sqlite_version} can corrupt it" in finished.stderr
    assert (path.read_bytes(), log.read_bytes()) == before
    assert run_job(str(path))["wallets_scanned"] == 1


def test_what_the_ledger_logs_meanwhile_is_not_on_stdout(either_url: str) -> None:
    """Unset or as a program left it, structlog prints on stdout, where the report is."""
    structlog.configure()
    with PlainSql(either_url) as host:
        host.wallet(balance_yen=100, monthly_budget_yen=100)
    assert run_job(either_url, "--cycle", "2026-05")["wallets_scanned"] == 1
