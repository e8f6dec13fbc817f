"""Nothing is kept without a word: every table says for how long, the settings count, and doctor shows it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clock import Clock
from databases import on_both_databases
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.cli.doctor import examine
from credit_wallet.stores.jobs import copying, growth
from credit_wallet.worker import JOBS

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "retention.md"


def test_every_table_says_for_how_long_it_keeps_its_rows() -> None:
    tables = {table.name for table in copying.TABLES}
    assert tables == growth.TABLES
    documented = re.findall(r"^\| `(am_credit_\w+)` \| (.+) \|$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    days = growth.Days(idempotency=2, closed=90, notices=90)._asdict()
    assert dict(documented) == {table: kept.format(**days) for table, kept, _ in growth._TABLES}


@on_both_databases
def test_the_worker_keeps_as_long_as_is_set_and_doctor_shows_what_is_there(
    db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    [prune] = [job for job in JOBS if job.name == "prune_idempotency_keys"]
    with CreditWallet.open(db_url, clock=clock) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 10, idempotency_key="old")
        clock.advance(days=4)
        monkeypatch.setenv("CREDIT_WALLET_IDEMPOTENCY_KEPT_DAYS", "5")
        assert prune.run(wallets) == 0
        kept = {each.name: each for each in wallets.maintenance.growth(growth.Days(2, 90, 90))}
        assert (kept["idempotency"].rows, kept["idempotency"].oldest, kept["idempotency"].is_late) == (
            1,
            "2026-03-01",
            False,
        )
        clock.advance(days=1)
        assert {each.name for each in wallets.maintenance.growth(growth.Days(2, 90, 90)) if each.is_late} == {
            "idempotency"
        }
        monkeypatch.setenv("CREDIT_WALLET_IDEMPOTENCY_KEPT_DAYS", "3")
        assert prune.run(wallets) == 1
        assert "idempotency" not in {each.name for each in wallets.maintenance.growth(growth.Days(2, 90, 90))}
        found = wallets.maintenance.backlog()
        assert (found.events, found.deliveries, found.dead_deliveries, found.topups) == (0, 0, 0, {})
        assert found.database_bytes > 100_000
    findings = {each.check: each for each in examine(db_url)}
    shown = findings["kept transaction_log"]
    assert (shown.ok, shown.detail) == (True, "for good: 1 row, the oldest of 2026-03-01")


def test_doctor_says_who_deletes_what_is_over(db_url: str) -> None:
    with CreditWallet.open(db_url) as wallets:
        wallets.topup(wallets.create().wallet_id, 10, idempotency_key="old")
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_idempotency SET created_on = '00010'")
    found = {each.check: each for each in examine(db_url)}["kept idempotency"]
    assert "1970-01-11" in found.detail
    assert found.detail.endswith("; the background jobs of serve and worker delete older ones")
