"""A ledger copied from SQLite into PostgreSQL arrives as it is and goes on there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clock import Clock
from copied_book import ODD_TEXTS, PAID, TABLES, Book, assert_equal, assert_goes_on, copy, on_plain_tables, until
from databases import Databases, on_postgres
from msgspec import structs
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import (
    BudgetExhausted,
    InsufficientFunds,
    KeyCapExhausted,
)
from credit_wallet.stores.jobs import copying

pytestmark = on_postgres


@pytest.fixture(params=["nothing", "seed", "ledger"])
def any_target(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """A database with nothing in it, with migration 281 alone, with all tables; all of them empty."""
    with getattr(databases, request.param)() as url:
        yield url


# Copied


def test_everything_arrives_as_it_is(book: Book, any_target: str) -> None:
    copied = copy(book.url, any_target, book.now)
    assert not copied.resumed
    assert set(copied.rows) == TABLES
    assert_equal(book, any_target)
    assert_goes_on(book, any_target)


@on_plain_tables
def test_a_book_has_something_of_everything(book: Book) -> None:
    """What the other tests copy: no table is empty, and every kind of row is there."""
    with PlainSql(book.url) as host:
        tables = {name for (name,) in host.run("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert {table for table in tables if table.startswith("am_credit")} == TABLES

        def kinds(column: str, table: str) -> set[Any]:
            return {kind for (kind,) in host.run(f"SELECT {column} FROM {table}")}

        assert kinds("txn_type", "am_credit_transaction_log") == {"topup", "charge", "refund", "expire", "reversal"}
        assert kinds("status", "am_credit_hold") == {"open", "captured", "released", "expired"}
        assert kinds("kind", "am_credit_lot") == {"paid", "promo"}
        assert {"budget.threshold_reached", "topup.due"} <= kinds("kind", "am_credit_outbox")
        assert len(kinds("billing_cycle", "am_credit_cycle_spend")) >= 3
        assert {None, *ODD_TEXTS} <= kinds("note", "am_credit_transaction_log")
        assert kinds("debt_yen > 0", "am_credit_wallet") == {0, 1}
        assert kinds("status", "am_credit_topup") == {"credited", "failed", "requested"}
        assert kinds("revoked_at IS NULL", "am_credit_key") == {0, 1}
        assert kinds("revoked_at IS NULL", "am_credit_seller") == {0, 1}
        assert kinds("registered", "am_credit_secret") == {0, 1}
        assert kinds("seller_id", "am_credit_sale") == {1}
        assert kinds("length(fingerprint) = 32", "am_credit_idempotency") == {0, 1}
        assert kinds("substr(idempotency_key, -23, 1) = char(4)", "am_credit_idempotency") == {0, 1}
        assert None in kinds("prev_txn_id", "am_credit_transaction_log")
        assert host.run("SELECT count(*) > 3 FROM am_credit_seal") == [(1,)]


def test_small_chunks_come_to_the_same(book: Book, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "ROWS_A_CHUNK", 3)
    told: list[tuple[str, int, int]] = []
    copied = copy(book.url, target, book.now, lambda *progress: told.append(progress))
    assert_equal(book, target)
    for table, rows in copied.rows.items():
        for doing in ("copying", "comparing"):
            steps = [(done, of) for name, done, of in told if name == f"{doing} {table}"]
            assert steps == sorted(steps)
            assert steps[-1] == (rows, rows)


def test_caps_and_budgets_go_on_where_they_were(book: Book, target: str) -> None:
    copy(book.url, target, book.now)
    with CreditWallet.open(target, clock=book.clock()) as wallets:
        with pytest.raises(KeyCapExhausted):
            wallets.charge(book.capped_id, 51, idempotency_key="over the cap", key_id=book.key_id)
        assert wallets.charge(book.capped_id, 50, idempotency_key="last", key_id=book.key_id).warn_pct == 80
        with pytest.raises(BudgetExhausted):
            wallets.charge(book.capped_id, 51, idempotency_key="over the budget")
        held = next(each.outcome for each in book.movements if each.options.get("idempotency_key") == "open")
        assert [alert.threshold_pct for alert in wallets.capture(held.hold_id or 0, 50).alerts] == []
        fired = wallets.charge(book.capped_id, 50, idempotency_key="all").alerts
        assert [alert.threshold_pct for alert in fired] == [100]
        with pytest.raises(InsufficientFunds):
            wallets.charge(book.plain_id, 144, idempotency_key="more than plain SQL left")
        assert wallets.charge(book.plain_id, 143, idempotency_key="all").balance_yen == 0
        assert wallets.verify() == []


def test_a_payment_that_was_under_way_is_credited_once_where_it_was_copied_to(book: Book, target: str) -> None:
    copy(book.url, target, book.now)
    [under_way] = [each.outcome for each in book.movements if each.options.get("idempotency_key") == "under way"]
    paid = structs.replace(PAID, received_yen=500, clawbacks=(), payment_intent="pi_2")
    with CreditWallet.open(target, clock=book.clock()) as wallets:
        assert wallets.balance(under_way.wallet_id) == 700
        for _ in range(2):
            wallets.topups.settle(under_way.wallet_id, under_way.topup_id or "", paid)
            assert wallets.balance(under_way.wallet_id) == 1_200
        assert wallets.verify() == []


def test_seals_go_on_and_find_what_is_changed(book: Book, target: str) -> None:
    copy(book.url, target, book.now)
    with CreditWallet.open(target, clock=book.clock()) as wallets:
        until(lambda: wallets.maintenance.seal() == 3)  # of plain SQL, backfilled before they were copied
        assert wallets.verify() == []
        with PlainSql(target) as host:
            host.run("SET session_replication_role = replica")
            host.run("UPDATE am_credit_transaction_log SET note = 'changed' WHERE txn_id = 7")
        assert {violation.check for violation in wallets.verify()} == {"seals"}


@on_plain_tables
def test_a_ledger_without_wallets_arrives_too(tmp_path: Path, any_target: str, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    CreditWallet.open(url).close()
    rows = copy(url, any_target, clock()).rows
    assert {table for table in rows if rows[table]} == {"am_credit_installation", "am_credit_counted"}
    with CreditWallet.open(any_target) as wallets:
        assert wallets.create().wallet_id == 1


@on_plain_tables
def test_the_source_stays_as_it_is_and_can_be_used_again(book: Book, target: str) -> None:
    copy(book.url, target, book.now)
    with CreditWallet.open(book.url, clock=book.clock()) as wallets:
        assert wallets.verify() == []
        assert wallets.balance(book.plain_id) == 143
        assert not wallets.charge(book.plain_id, 1, idempotency_key="after").replayed
