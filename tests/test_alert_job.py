"""The hourly alert job: right on migration 281 alone and on the whole schema, and once per threshold."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clock import Clock
from plain_sql import MIGRATION_281, PlainSql

from credit_wallet import CreditWallet
from credit_wallet.alerts.job import FiredAlert
from credit_wallet.stores import OLDEST_SAFE_SQLITE

ROOT = Path(__file__).resolve().parents[1]
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wallet.db"


def run_job(path: Path, *options: str) -> Report:
    """Run the script; it must succeed and say nothing but the report on stdout."""
    finished = start_job("--db", str(path), *options)
    assert finished.returncode == 0, finished.stderr
    [line] = finished.stdout.splitlines()
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
    rows = host.run("SELECT payload FROM am_credit_outbox WHERE kind = 'alert_fired' ORDER BY event_id")
    return [json.loads(payload) for (payload,) in rows]


def stored(host: PlainSql) -> list[tuple[Any, ...]]:
    return host.run(
        "SELECT wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen FROM am_credit_spending_alert "
        "ORDER BY alert_id"
    )


# On either schema


def seed_schema(path: Path) -> None:
    PlainSql.with_281(path).__exit__()


def whole_schema(path: Path) -> None:
    CreditWallet.open(f"sqlite:///{path}").close()


on_either_schema = pytest.mark.parametrize("schema", [seed_schema, whole_schema])
Schema = Callable[[Path], None]


@on_either_schema
def test_the_worked_example_of_the_contract(path: Path, schema: Schema) -> None:
    schema(path)
    with PlainSql(path) as host:
        wallet_id = host.wallet(balance_yen=20_000, monthly_budget_yen=10_000)
        host.move(wallet_id, "charge", -12_000, MAY)
        assert run_job(path, "--cycle", "2026-05") == {
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
        assert fired(run_job(path, "--cycle", "2026-05")) == []
        host.move(wallet_id, "charge", -5_000, JUNE)
        assert fired(run_job(path, "--cycle", "2026-06")) == [(wallet_id, 50, 5_000, 10_000)]
        assert fired(run_job(path, "--cycle", "2026-06")) == []
        assert [row[1:3] for row in stored(host)] == [
            (50, "2026-05"),
            (80, "2026-05"),
            (100, "2026-05"),
            (50, "2026-06"),
        ]


@on_either_schema
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
    path: Path, schema: Schema, spent_yen: int, budget_yen: int, thresholds: list[int]
) -> None:
    schema(path)
    with PlainSql(path) as host:
        wallet_id = host.wallet(balance_yen=spent_yen, monthly_budget_yen=budget_yen)
        if spent_yen:
            host.move(wallet_id, "charge", -spent_yen, MAY)
        report = run_job(path, "--cycle", "2026-05")
    assert fired(report) == [(wallet_id, pct, spent_yen, budget_yen) for pct in thresholds]


@on_either_schema
def test_only_charges_of_the_cycle_count(path: Path, schema: Schema) -> None:
    schema(path)
    with PlainSql(path) as host:
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
        assert fired(run_job(path, "--cycle", "2026-05")) == [(wallet_id, 50, 60, 100)]


@on_either_schema
def test_wallets_without_a_budget_or_switched_off_are_not_scanned(path: Path, schema: Schema) -> None:
    schema(path)
    with PlainSql(path) as host:
        for columns in ({"monthly_budget_yen": 0}, {"monthly_budget_yen": 10, "enabled": 0}):
            host.move(host.wallet(balance_yen=100, **columns), "charge", -100, MAY)
        host.wallet(monthly_budget_yen=10)
        report = run_job(path, "--cycle", "2026-05")
    assert (report["wallets_scanned"], fired(report)) == (1, [])


@on_either_schema
def test_a_dry_run_leaves_even_a_read_only_file_as_it_is(path: Path, schema: Schema) -> None:
    schema(path)
    with PlainSql(path) as host:
        wallet_id = host.wallet(balance_yen=100, monthly_budget_yen=100)
        host.move(wallet_id, "charge", -80, MAY)
    before = path.read_bytes()
    path.chmod(0o444)
    report = run_job(path, "--cycle", "2026-05", "--dry-run")
    assert path.read_bytes() == before
    path.chmod(0o644)
    assert report["dry_run"] is True
    assert fired(report) == [(wallet_id, 50, 80, 100), (wallet_id, 80, 80, 100)]
    assert fired(run_job(path, "--cycle", "2026-05")) == fired(report)
    assert fired(run_job(path, "--cycle", "2026-05", "--dry-run")) == []


@on_either_schema
def test_without_a_cycle_the_current_utc_month_is_meant(path: Path, schema: Schema) -> None:
    schema(path)
    with PlainSql(path) as host:
        wallet_id = host.wallet(balance_yen=100, monthly_budget_yen=100)
        host.run("INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (1, -50, 'charge')")
        [(month,)] = host.run("SELECT substr(occurred_at, 1, 7) FROM am_credit_transaction_log")
        report = run_job(path)
    assert report["billing_cycle"] == month
    assert fired(report) == [(wallet_id, 50, 50, 100)]


# Beside the rail


def test_what_the_rail_fired_the_job_does_not_fire_again(wallets: CreditWallet, path: Path) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    outcome = wallets.charge(wallet_id, 85, idempotency_key="charge")
    assert [alert.threshold_pct for alert in outcome.alerts] == [50, 80]
    with PlainSql(path) as host:
        before = stored(host)
        assert fired(run_job(path, "--cycle", "2026-05")) == []
        assert stored(host) == before
        assert [alert["threshold_pct"] for alert in told(host)] == [50, 80]


def test_what_the_job_fired_the_rail_does_not_fire_again(wallets: CreditWallet, path: Path) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    with PlainSql(path) as host:
        host.move(wallet_id, "charge", -85, MAY)
        assert fired(run_job(path, "--cycle", "2026-05")) == [(wallet_id, 50, 85, 100), (wallet_id, 80, 85, 100)]
        assert wallets.charge(wallet_id, 5, idempotency_key="after").alerts == ()
        outcome = wallets.charge(wallet_id, 10, idempotency_key="at the budget")
        assert [alert.threshold_pct for alert in outcome.alerts] == [100]
        assert fired(run_job(path, "--cycle", "2026-05")) == []
        assert [alert["threshold_pct"] for alert in told(host)] == [50, 80, 100]
    assert wallets.verify() == []


def test_charges_of_both_writers_are_added_up(wallets: CreditWallet, path: Path) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    wallets.charge(wallet_id, 30, idempotency_key="charge")
    with PlainSql(path) as host:
        host.move(wallet_id, "charge", -25, MAY)
        assert fired(run_job(path, "--cycle", "2026-05")) == [(wallet_id, 50, 55, 100)]
        wallets.charge(wallet_id, 1, idempotency_key="adopts")
        host.move(wallet_id, "charge", -24, MAY)
        assert fired(run_job(path, "--cycle", "2026-05")) == [(wallet_id, 80, 80, 100)]
        assert told(host) == [
            {
                "wallet_id": wallet_id,
                "threshold_pct": threshold_pct,
                "spent_yen": spent_yen,
                "budget_yen": 100,
                "billing_cycle": "2026-05",
            }
            for threshold_pct, spent_yen in [(50, 55), (80, 80)]
        ]


def test_charges_adopted_since_the_last_run_are_found(wallets: CreditWallet, path: Path) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    with PlainSql(path) as host:
        host.move(wallet_id, "topup", 1_000, MAY)
        host.move(wallet_id, "charge", -100, MAY)
        wallets.topup(wallet_id, 1, idempotency_key="adopts")
        assert [alert[1] for alert in fired(run_job(path, "--cycle", "2026-05"))] == [50, 80, 100]
        assert len(told(host)) == 3


def test_a_lowered_budget_fires_at_the_next_run(wallets: CreditWallet, path: Path) -> None:
    wallet_id = wallets.create(monthly_budget_yen=1_000).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    wallets.charge(wallet_id, 90, idempotency_key="charge")
    wallets.configure(wallet_id, monthly_budget_yen=100)
    assert fired(run_job(path, "--cycle", "2026-05")) == [(wallet_id, 50, 90, 100), (wallet_id, 80, 90, 100)]


def test_a_past_month_is_told_from_what_the_wallet_left_behind(wallets: CreditWallet, path: Path, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    wallets.charge(wallet_id, 60, idempotency_key="May")
    clock.set(datetime(2026, 6, 10, tzinfo=UTC))
    wallets.charge(wallet_id, 1, idempotency_key="June")
    wallets.configure(wallet_id, monthly_budget_yen=100)
    assert fired(run_job(path, "--cycle", "2026-06")) == []
    assert fired(run_job(path, "--cycle", "2026-05")) == [(wallet_id, 50, 60, 100)]
    with PlainSql(path) as host:
        host.move(wallet_id, "charge", -20, MAY)
        assert fired(run_job(path, "--cycle", "2026-05")) == [(wallet_id, 80, 80, 100)]
    assert wallets.charge(wallet_id, 60, idempotency_key="June again").alerts[0].billing_cycle == "2026-06"


def test_the_library_runs_the_same_job(wallets: CreditWallet, path: Path) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    with PlainSql(path) as host:
        host.move(wallet_id, "topup", 1_000, MAY)
        host.move(wallet_id, "charge", -50, MAY)
        assert wallets.run_alerts(dry_run=True).alerts_fired == [FiredAlert(wallet_id, 50, 50, 100)]
        assert told(host) == []
        assert wallets.run_alerts().alerts_fired == [FiredAlert(wallet_id, 50, 50, 100)]
        assert wallets.run_alerts().alerts_fired == []
        assert len(told(host)) == 1


# Time zones


@pytest.mark.parametrize("adopted", [False, True], ids=["plain", "adopted"])
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
    wallets: CreditWallet, path: Path, occurred_at: str, cycle: str, adopted: bool
) -> None:
    with PlainSql(path) as host:
        wallet_id = host.wallet(balance_yen=100, monthly_budget_yen=100, time_zone="Asia/Tokyo")
        host.move(wallet_id, "charge", -50, occurred_at)
        if adopted:
            assert wallets.verify() == []
        [other] = {"2026-05", "2026-06"} - {cycle}
        assert fired(run_job(path, "--cycle", other)) == []
        assert fired(run_job(path, "--cycle", cycle)) == [(wallet_id, 50, 50, 100)]
        assert stored(host) == [(wallet_id, 50, cycle, 50, 100)]


def test_each_wallet_is_told_of_its_own_current_month(wallets: CreditWallet, path: Path, clock: Clock) -> None:
    clock.set(datetime(2026, 5, 31, 20, tzinfo=UTC))
    with PlainSql(path) as host:
        for time_zone in ("UTC", "Asia/Tokyo"):
            wallet_id = host.wallet(balance_yen=100, monthly_budget_yen=100, time_zone=time_zone)
            host.move(wallet_id, "charge", -50, "2026-05-31T19:00:00Z")
        report = wallets.run_alerts()
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


@pytest.mark.parametrize(
    "cycle", ["2026-13", "2026-00", "2026-5", "202605", "2026-05-01", "May", "", "0000-01", "9999-12", "２０２６-05"]
)
def test_a_cycle_that_is_none_is_wrong_usage(path: Path, cycle: str) -> None:
    seed_schema(path)
    finished = start_job("--db", str(path), "--cycle", cycle)
    assert finished.returncode == 2
    assert "--cycle must be YYYY-MM" in finished.stderr
    assert finished.stdout == ""


def test_verbose_logs_each_alert_on_stderr(path: Path) -> None:
    seed_schema(path)
    with PlainSql(path) as host:
        host.move(host.wallet(balance_yen=100, monthly_budget_yen=100), "charge", -50, MAY)
    finished = start_job("--db", str(path), "--cycle", "2026-05", "-v")
    assert "threshold_pct=50" in finished.stderr
    assert fired(json.loads(finished.stdout)) == [(1, 50, 50, 100)]


def test_a_database_of_something_else_fails_with_its_name(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"certainly no database" * 100)
    finished = start_job("--db", str(other))
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "other.db" in finished.stderr


# With the standard library alone


def test_it_runs_on_a_seed_database_with_the_standard_library_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as host:
        host.executescript(MIGRATION_281.read_text(encoding="utf-8"))
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
def test_an_old_sqlite_does_not_touch_a_database_in_wal_mode(path: Path) -> None:
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
    assert run_job(path)["wallets_scanned"] == 1
