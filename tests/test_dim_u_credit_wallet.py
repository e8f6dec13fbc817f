"""The 24 cases of the seed contract: migration 281, the alert job, the manifests, and what no file may contain."""

from __future__ import annotations

import ast
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
MIGRATIONS = ROOT / "scripts" / "migrations"
JOB = ROOT / "scripts" / "etl" / "process_credit_wallet_alerts.py"

HASH = "a" * 64
OTHER_HASH = "b" * 64
FAMILIES = """
SELECT type, name FROM sqlite_master
WHERE name LIKE 'am_credit%' OR name LIKE 'v_credit%' OR name LIKE 'idx_am_credit%' ORDER BY name
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "host.db"


@pytest.fixture
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A host's database with migration 281 alone."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    run_script(connection, "281_credit_wallet.sql")
    yield connection
    connection.close()


def run_script(connection: sqlite3.Connection, name: str) -> None:
    connection.executescript((MIGRATIONS / name).read_text(encoding="utf-8"))


def add_wallet(connection: sqlite3.Connection, owner_token_hash: str = HASH, **columns: int) -> int:
    names = ", ".join(["owner_token_hash", *columns])
    marks = ", ".join("?" * (1 + len(columns)))
    cursor = connection.execute(
        f"INSERT INTO am_credit_wallet ({names}) VALUES ({marks})", (owner_token_hash, *columns.values())
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def add_entry(
    connection: sqlite3.Connection, wallet_id: int, txn_type: str, amount_yen: int, at: str = "2026-05-15T12:00:00.000Z"
) -> None:
    connection.execute(
        "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, occurred_at) VALUES (?, ?, ?, ?)",
        (wallet_id, amount_yen, txn_type, at),
    )


def add_alert(connection: sqlite3.Connection, wallet_id: int, threshold_pct: int, billing_cycle: str) -> None:
    connection.execute(
        "INSERT INTO am_credit_spending_alert (wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen) "
        "VALUES (?, ?, ?, 1, 1)",
        (wallet_id, threshold_pct, billing_cycle),
    )


def run_job(path: Path, *options: str, cycle: str = "2026-05") -> dict[str, Any]:
    command = [sys.executable, str(JOB), "--db", str(path), "--cycle", cycle, *options]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return report


def fired(report: dict[str, Any]) -> list[int]:
    return [alert["threshold_pct"] for alert in report["alerts_fired"]]


def stored_alerts(connection: sqlite3.Connection) -> list[tuple[str, int, int, int]]:
    return connection.execute(
        "SELECT billing_cycle, threshold_pct, spent_yen, budget_yen FROM am_credit_spending_alert ORDER BY alert_id"
    ).fetchall()


# Applying and rolling back


def test_281_makes_three_tables_and_a_view(database: sqlite3.Connection) -> None:
    made = database.execute(FAMILIES).fetchall()
    assert [name for kind, name in made if kind == "table"] == [
        "am_credit_spending_alert",
        "am_credit_transaction_log",
        "am_credit_wallet",
    ]
    assert [name for kind, name in made if kind == "view"] == ["v_credit_wallet_topup_due"]
    assert all(name.startswith(("idx_am_credit_", "sqlite_autoindex_")) for kind, name in made if kind == "index")


def test_281_applied_again_changes_nothing(database: sqlite3.Connection) -> None:
    add_entry(database, add_wallet(database, balance_yen=100), "topup", 100)
    before = list(database.iterdump())
    run_script(database, "281_credit_wallet.sql")
    assert list(database.iterdump()) == before


def test_the_rollback_drops_all_of_281_and_nothing_else(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE of_the_host (id INTEGER PRIMARY KEY)")
    add_alert(database, add_wallet(database), 50, "2026-05")
    run_script(database, "281_credit_wallet_rollback.sql")
    assert database.execute(FAMILIES).fetchall() == []
    assert database.execute("SELECT count(*) FROM of_the_host").fetchone() == (0,)


# CHECKs


def test_an_owner_hash_has_64_characters(database: sqlite3.Connection) -> None:
    for wrong in ("", HASH[1:], HASH + "a"):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            add_wallet(database, wrong)


def test_a_balance_is_never_negative(database: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        add_wallet(database, balance_yen=-1)
    wallet_id = add_wallet(database, balance_yen=2)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        database.execute("UPDATE am_credit_wallet SET balance_yen = balance_yen - 3 WHERE wallet_id = ?", (wallet_id,))


def test_an_entry_is_a_topup_a_charge_or_a_refund(database: sqlite3.Connection) -> None:
    wallet_id = add_wallet(database)
    for known, amount_yen in (("topup", 1), ("charge", -1), ("refund", 1)):
        add_entry(database, wallet_id, known, amount_yen)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        add_entry(database, wallet_id, "gift", 1)


def test_credits_are_positive_and_charges_negative(database: sqlite3.Connection) -> None:
    wallet_id = add_wallet(database)
    for txn_type, amount_yen in (
        ("topup", -1),
        ("refund", -1),
        ("charge", 1),
        ("topup", 0),
        ("refund", 0),
        ("charge", 0),
    ):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            add_entry(database, wallet_id, txn_type, amount_yen)


def test_a_threshold_is_50_80_or_100(database: sqlite3.Connection) -> None:
    wallet_id = add_wallet(database)
    for threshold_pct in (50, 80, 100):
        add_alert(database, wallet_id, threshold_pct, "2026-05")
    for wrong in (0, 49, 90, 101):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            add_alert(database, wallet_id, wrong, "2026-05")


def test_a_billing_cycle_has_seven_characters(database: sqlite3.Connection) -> None:
    wallet_id = add_wallet(database)
    for wrong in ("", "2026-5", "2026-05-01"):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            add_alert(database, wallet_id, 50, wrong)


# UNIQUEs


def test_an_owner_has_one_wallet(database: sqlite3.Connection) -> None:
    add_wallet(database, HASH)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        add_wallet(database, HASH)


def test_a_threshold_fires_once_per_wallet_and_cycle(database: sqlite3.Connection) -> None:
    one, other = add_wallet(database, HASH), add_wallet(database, OTHER_HASH)
    add_alert(database, one, 50, "2026-05")
    add_alert(database, one, 80, "2026-05")
    add_alert(database, one, 50, "2026-06")
    add_alert(database, other, 50, "2026-05")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        add_alert(database, one, 50, "2026-05")


# The job


def test_half_the_budget_fires_50(database: sqlite3.Connection, path: Path) -> None:
    wallet_id = add_wallet(database, monthly_budget_yen=10_000)
    add_entry(database, wallet_id, "charge", -5_000)
    report = run_job(path)
    assert report == {
        "dim": "U",
        "wave": 47,
        "dry_run": False,
        "billing_cycle": "2026-05",
        "wallets_scanned": 1,
        "alerts_fired": [{"wallet_id": wallet_id, "threshold_pct": 50, "spent_yen": 5_000, "budget_yen": 10_000}],
    }


def test_80_percent_fires_50_and_80(database: sqlite3.Connection, path: Path) -> None:
    add_entry(database, add_wallet(database, monthly_budget_yen=10_000), "charge", -8_000)
    assert fired(run_job(path)) == [50, 80]


def test_more_than_the_budget_fires_50_80_and_100(database: sqlite3.Connection, path: Path) -> None:
    add_entry(database, add_wallet(database, monthly_budget_yen=10_000), "charge", -12_000)
    assert fired(run_job(path)) == [50, 80, 100]
    assert stored_alerts(database) == [("2026-05", pct, 12_000, 10_000) for pct in (50, 80, 100)]


def test_a_second_run_in_the_cycle_fires_nothing(database: sqlite3.Connection, path: Path) -> None:
    add_entry(database, add_wallet(database, monthly_budget_yen=10_000), "charge", -12_000)
    run_job(path)
    before = stored_alerts(database)
    assert fired(run_job(path)) == []
    assert stored_alerts(database) == before


def test_the_next_cycle_fires_afresh(database: sqlite3.Connection, path: Path) -> None:
    wallet_id = add_wallet(database, monthly_budget_yen=10_000)
    add_entry(database, wallet_id, "charge", -12_000)
    run_job(path)
    add_entry(database, wallet_id, "charge", -6_000, at="2026-06-01T00:00:00.000Z")
    assert fired(run_job(path, cycle="2026-06")) == [50]
    assert stored_alerts(database)[-1] == ("2026-06", 50, 6_000, 10_000)


def test_a_dry_run_reports_and_writes_nothing(database: sqlite3.Connection, path: Path) -> None:
    add_entry(database, add_wallet(database, monthly_budget_yen=10_000), "charge", -12_000)
    report = run_job(path, "--dry-run")
    assert report["dry_run"] is True
    assert fired(report) == [50, 80, 100]
    assert stored_alerts(database) == []


def test_a_disabled_wallet_is_skipped(database: sqlite3.Connection, path: Path) -> None:
    add_entry(database, add_wallet(database, monthly_budget_yen=10_000, enabled=0), "charge", -12_000)
    report = run_job(path)
    assert (report["wallets_scanned"], report["alerts_fired"]) == (0, [])


def test_a_wallet_without_a_budget_is_skipped(database: sqlite3.Connection, path: Path) -> None:
    add_entry(database, add_wallet(database, monthly_budget_yen=0), "charge", -12_000)
    report = run_job(path)
    assert (report["wallets_scanned"], report["alerts_fired"]) == (0, [])


# The view


def test_the_view_lists_enabled_configured_wallets_below_their_threshold(database: sqlite3.Connection) -> None:
    due = {"auto_topup_threshold": 1_000, "auto_topup_amount": 5_000}
    low = add_wallet(database, "1" * 64, balance_yen=999, **due)
    add_wallet(database, "2" * 64, balance_yen=1_000, **due)
    add_wallet(database, "3" * 64, balance_yen=0)
    add_wallet(database, "4" * 64, balance_yen=0, auto_topup_threshold=1_000)
    add_wallet(database, "5" * 64, balance_yen=0, auto_topup_amount=5_000)
    add_wallet(database, "6" * 64, balance_yen=0, enabled=0, **due)
    listed = database.execute("SELECT * FROM v_credit_wallet_topup_due").fetchall()
    assert listed == [(low, "1" * 64, 999, 1_000, 5_000)]


# The manifests


def listed_in(manifest: str) -> list[str]:
    return (MIGRATIONS / manifest).read_text(encoding="utf-8").splitlines()


def test_the_boot_manifest_lists_281() -> None:
    assert "281_credit_wallet.sql" in listed_in("jpcite_boot_manifest.txt")


def test_its_mirror_lists_281() -> None:
    assert "281_credit_wallet.sql" in listed_in("autonomath_boot_manifest.txt")


# What no file contains


def project_files(*suffixes: str) -> Iterator[Path]:
    """Files of the project that end so, without what tools and builds leave behind."""
    left_behind = {"__pycache__", "build", "dist", "node_modules", "var"}
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in left_behind and (name[0] != "." or name == ".github")]
        yield from (Path(folder, name) for name in names if name.endswith(suffixes))


def imported_by(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_file_imports_an_llm_sdk() -> None:
    sdks = ("anthropic", "openai", "google.generativeai")
    found = [
        (str(source.relative_to(ROOT)), name)
        for source in project_files(".py")
        for name in imported_by(source)
        if any(name == sdk or name.startswith(f"{sdk}.") for sdk in sdks)
    ]
    assert found == []


def test_no_file_carries_the_legacy_brand() -> None:
    brands = ("".join(("税務", "会計", "AI")), ".".join(("-".join(("zeimu", "kaikei")), "ai")))
    kinds = (
        ".py",
        ".sql",
        ".txt",
        ".md",
        ".toml",
        ".yml",
        ".yaml",
        ".html",
        ".js",
        ".css",
        ".json",
        ".csv",
        ".cfg",
        ".sh",
    )
    texts = {path: path.read_text(encoding="utf-8") for path in project_files(*kinds)}
    assert len(texts) > 20
    assert [path for path, text in texts.items() if any(brand.lower() in text.lower() for brand in brands)] == []
