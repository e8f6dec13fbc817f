"""A copy that is interrupted goes on, and never with a source that has changed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from copied_book import (
    Book,
    assert_equal,
    assert_goes_on,
    assert_is_half_copied,
    copy,
    copy_in_a_process,
    die_copying,
    on_plain_tables,
    rows_of,
    until,
)
from databases import on_postgres
from faulty_proxy import FaultyProxy
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import (
    CopyRefused,
    DatabaseUnavailable,
)

pytestmark = on_postgres


MOMENTS = (
    ("copying am_credit_wallet", 0),
    ("copying am_credit_transaction_log", 49),
    ("copying am_credit_idempotency", 21),
    ("comparing am_credit_wallet", 7),
    ("comparing am_credit_seal", 3),
    ("verifying", 0),
)


def test_a_copy_that_is_killed_again_and_again_goes_on(book: Book, target: str) -> None:
    for doing, done in MOMENTS:
        die_copying(book, target, doing, done)
        assert_is_half_copied(book, target)
    assert copy(book.url, target, book.now).resumed
    assert_equal(book, target)
    assert_goes_on(book, target)


@on_plain_tables
@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("am_credit_transaction_log", "txn_id = 40"),
        ("am_credit_idempotency", "idempotency_key = 'agent'"),
        ("am_credit_seal", "seal_id = 3"),
    ],
)
def test_a_copy_that_is_killed_within_a_transaction_goes_on(book: Book, target: str, table: str, row: str) -> None:
    """A row of the same key, of somebody else's who has not committed, keeps the copy waiting in the middle."""
    columns = [name for (name,) in PlainSql(book.url).run(f"SELECT name FROM pragma_table_info('{table}')")]
    [values] = PlainSql(book.url).run(f"SELECT {', '.join(columns)} FROM {table} WHERE {row}")
    with psycopg.connect(target) as other:
        marks = ", ".join(["%s"] * len(columns))
        other.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
        copier = copy_in_a_process(book, target)
        with psycopg.connect(target, autocommit=True) as host:
            blocked = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
            until(lambda: host.execute(blocked, [other.info.backend_pid]).fetchall() != [(0,)])
        copier.kill()
        copier.wait()
        other.rollback()
    assert_is_half_copied(book, target)
    assert copy(book.url, target, book.now).resumed
    assert_equal(book, target)


@on_plain_tables
def test_a_copy_that_loses_the_server_says_so_and_goes_on(book: Book, target: str) -> None:
    with FaultyProxy(urlsplit(target).port or 5432) as proxy:

        def cut(doing: str, _done: int, _of: int) -> None:
            if doing == "copying am_credit_hold":
                proxy.cut_all()

        with pytest.raises(DatabaseUnavailable):
            copy(book.url, proxy.url(target), book.now, cut)
    assert_is_half_copied(book, target)
    assert copy(book.url, target, book.now).resumed
    assert_equal(book, target)


@on_plain_tables
def test_a_copy_does_not_go_on_with_a_source_that_has_changed(book: Book, target: str) -> None:
    die_copying(book, target, "copying am_credit_key")
    with CreditWallet.open(book.url, clock=book.clock()) as wallets:
        wallets.charge(book.plain_id, 1, idempotency_key="between")
    before = rows_of(target, book.url)
    with pytest.raises(CopyRefused, match="SRC has changed since this copy was begun"):
        copy(book.url, target, book.now)
    assert rows_of(target, book.url) == before
    assert_is_half_copied(book, target)


@on_plain_tables
def test_a_change_that_cannot_be_seen_at_once_is_found_by_comparing(book: Book, target: str) -> None:
    die_copying(book, target, "comparing am_credit_wallet")
    with PlainSql(book.url) as host:
        host.run(f"UPDATE am_credit_key SET label = 'renamed' WHERE key_id = {book.key_id}")
    with pytest.raises(CopyRefused, match="is not the same in DST and SRC"):
        copy(book.url, target, book.now)
    assert_is_half_copied(book, target)


@on_plain_tables
def test_another_ledger_is_not_copied_over_half_of_one(book: Book, target: str, tmp_path: Path) -> None:
    die_copying(book, target, "copying am_credit_key")
    url = f"sqlite:///{tmp_path / 'other.db'}"
    CreditWallet.open(url).close()
    with pytest.raises(CopyRefused, match="or is another ledger"):
        copy(url, target, book.now)


@on_plain_tables
@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("UPDATE am_credit_lot SET granted_yen = granted_yen + 1 WHERE lot_id = 2", "am_credit_lot"),
        (
            "INSERT INTO am_credit_outbox VALUES (9999, 1, 'topup.due', '{}', '2026-05-15T12:00:00Z', NULL, NULL, 1)",
            "am_credit_outbox",
        ),
    ],
)
def test_what_somebody_else_writes_into_the_copy_is_found(book: Book, target: str, change: str, table: str) -> None:
    die_copying(book, target, "comparing am_credit_wallet")
    with PlainSql(target) as host:
        host.run(change)
    with pytest.raises(CopyRefused, match=f"{table} .*copy into a new, empty database"):
        copy(book.url, target, book.now)
    assert_is_half_copied(book, target)
