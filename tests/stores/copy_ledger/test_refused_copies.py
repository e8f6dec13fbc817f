"""What is not copied, and leaves both sides as they were."""

from __future__ import annotations

import subprocess
import sys

import pytest
from copied_book import PATIENCE_SECONDS, Book, assert_equal, assert_is_half_copied, copy, on_plain_tables
from databases import on_postgres
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import (
    CopyRefused,
    DatabaseLocked,
    WalletError,
)
from credit_wallet.stores.sqlite import connection

pytestmark = on_postgres


HAVE_OPEN = """
import sys
from credit_wallet import CreditWallet
from credit_wallet.notices.targets import OPERATOR, TargetSettings
with CreditWallet.open(sys.argv[1]) as wallets:
    print(wallets.balance(1), flush=True)
    sys.stdin.readline()
    print(wallets.charge(1, 1, idempotency_key="in use").replayed)
"""

CHARGE = """
import sys
from credit_wallet import CreditWallet
from credit_wallet.notices.targets import OPERATOR, TargetSettings
from credit_wallet.errors import WalletError
from credit_wallet.stores.sqlite import connection
connection.BUSY_TIMEOUT_MS = 20
try:
    with CreditWallet.open(sys.argv[1]) as wallets:
        wallets.charge(1, 1, idempotency_key="meanwhile")
except WalletError as error:
    print(error.code)
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds a SQLite file locked gives up soon."""
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_MS", 20)


def assert_is_untouched(target: str) -> None:
    with PlainSql(target) as host:
        assert host.run("SELECT count(*) FROM pg_class WHERE relname ~ 'credit'") == [(0,)]


@on_plain_tables
@pytest.mark.usefixtures("impatient")
def test_a_source_that_another_process_has_open_is_not_copied(book: Book, nothing: str) -> None:
    arguments = [sys.executable, "-c", HAVE_OPEN, book.url]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert int(other.stdout.readline())
        with pytest.raises(DatabaseLocked):
            copy(book.url, nothing, book.now)
        assert other.communicate("go on\n", PATIENCE_SECONDS)[0].strip() == "False"
    assert_is_untouched(nothing)
    copy(book.url, nothing, book.now)
    assert_equal(book, nothing)


@on_plain_tables
@pytest.mark.usefixtures("impatient")
def test_a_source_that_this_process_has_open_is_not_copied(book: Book, nothing: str) -> None:
    with CreditWallet.open(book.url, clock=book.clock()), pytest.raises(DatabaseLocked):
        copy(book.url, nothing, book.now)
    assert_is_untouched(nothing)


@on_plain_tables
def test_nobody_can_use_the_source_meanwhile(book: Book, target: str) -> None:
    answers = []

    def charge_meanwhile(doing: str, done: int, of: int) -> None:
        if doing == "comparing am_credit_seal" and done == of:
            tried = subprocess.run([sys.executable, "-c", CHARGE, book.url], capture_output=True, text=True, check=True)
            answers.append(tried.stdout.strip())

    copy(book.url, target, book.now, charge_meanwhile)
    assert answers == ["database_locked"]
    assert_equal(book, target)


@on_plain_tables
def test_a_target_that_holds_a_ledger_is_left_alone(book: Book, target: str) -> None:
    with CreditWallet.open(target) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 10, idempotency_key="topup")
        with pytest.raises(CopyRefused, match="the target has a ledger already; take an empty database"):
            copy(book.url, target, book.now)
        assert wallets.charge(wallet_id, 1, idempotency_key="after").balance_yen == 9
        assert wallets.verify() == []
    CreditWallet.open(target).close()


@on_plain_tables
def test_a_copy_is_not_made_twice(book: Book, target: str) -> None:
    copy(book.url, target, book.now)
    with pytest.raises(CopyRefused, match="the target has a ledger already"):
        copy(book.url, target, book.now)
    CreditWallet.open(target, clock=book.clock()).close()


@on_plain_tables
def test_a_source_that_breaks_an_invariant_is_not_copied(book: Book, nothing: str) -> None:
    with PlainSql(book.url) as host:
        host.run("UPDATE am_credit_wallet SET held_yen = held_yen + 1 WHERE wallet_id = ?", book.capped_id)
    with pytest.raises(CopyRefused, match=f"SRC breaks .* wallet {book.capped_id}: .*run credit-wallet verify"):
        copy(book.url, nothing, book.now)
    assert_is_untouched(nothing)


@on_plain_tables
def test_a_source_with_columns_of_the_hosts_needs_them_in_the_target(book: Book, target: str) -> None:
    with PlainSql(book.url) as host:
        host.run("ALTER TABLE am_credit_wallet ADD COLUMN tenant TEXT")
        host.run("UPDATE am_credit_wallet SET tenant = 'a' || wallet_id")
    with pytest.raises(
        CopyRefused, match="am_credit_wallet has columns in SRC that DST lacks: tenant; add them to DST"
    ):
        copy(book.url, target, book.now)
    with PlainSql(target) as host:
        host.run("ALTER TABLE am_credit_wallet ADD COLUMN tenant TEXT")
    copy(book.url, target, book.now)
    assert_equal(book, target)


@on_plain_tables
def test_text_that_postgresql_cannot_hold_is_told_of(book: Book, target: str) -> None:
    with PlainSql(book.url) as host:
        host.run("UPDATE am_credit_key SET label = 'a' || char(0) || 'b' WHERE key_id = 1")
    with pytest.raises(WalletError, match="NUL"):
        copy(book.url, target, book.now)
    assert_is_half_copied(book, target)
