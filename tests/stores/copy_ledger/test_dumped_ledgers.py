"""A ledger on PostgreSQL backed up into a file, and restored from one."""

from __future__ import annotations

from pathlib import Path

import pytest
from copied_book import Book, Shell, assert_equal, assert_goes_on, copy, on_plain_tables
from msgspec import json
from plain_sql import PlainSql

from credit_wallet.stores.jobs import copying

pytestmark = on_plain_tables

_LAST_IDS = "SELECT name, seq FROM sqlite_sequence WHERE seq > 0 ORDER BY name"


def test_all_of_a_ledger_is_in_its_backup_and_comes_back(
    book: Book, target: str, nothing: str, run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(book.url, target, book.now)
    monkeypatch.setattr(copying, "ROWS_A_CHUNK", 100)
    file = tmp_path / "copy.db"
    made = run("--db", target, "--json", "backup", str(file))
    assert made.code == 0
    assert json.decode(made.out)["verified"] is True
    assert file.stat().st_mode & 0o777 == 0o600
    assert_equal(book, f"sqlite:///{file}")
    with PlainSql(book.url) as first, PlainSql(f"sqlite:///{file}") as dumped:
        assert dumped.run(_LAST_IDS) == first.run(_LAST_IDS)

    restored = run("--db", nothing, "--json", "restore", str(file))
    assert restored.code == 0
    assert json.decode(restored.out)["seal"] == json.decode(made.out)["seal"]
    assert_goes_on(book, nothing)
    assert json.decode(run("--db", nothing, "--json", "restore", str(file)).out)["code"] == "copy_refused"


def test_a_host_that_added_columns_is_told_to_use_its_own_tools(target: str, run: Shell, tmp_path: Path) -> None:
    with PlainSql(target) as host:
        host.run("ALTER TABLE am_credit_wallet ADD COLUMN tenant TEXT")
    answer = run("--db", target, "backup", str(tmp_path / "copy.db"))
    assert answer.code == 1
    assert answer.err.startswith("backup_refused: am_credit_wallet of ")
    assert "tenant" in answer.err
    assert not [*tmp_path.glob("*copy.db*")]
