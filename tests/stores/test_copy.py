"""``credit-wallet copy``: a whole ledger from SQLite to PostgreSQL, row by row, and on it goes there."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import psycopg
import pytest
from clock import Clock
from databases import Databases, on_postgres
from faulty_proxy import FaultyProxy
from msgspec import structs
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.cli import app as cli
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.topups import Clawback, PaymentFact
from credit_wallet.errors import (
    BudgetExhausted,
    CopyRefused,
    DatabaseLocked,
    DatabaseUnavailable,
    InsufficientFunds,
    KeyCapExhausted,
    MigrationError,
    WalletError,
)
from credit_wallet.notices.targets import OPERATOR, TargetSettings
from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at
from credit_wallet.stores.jobs import copying
from credit_wallet.stores.jobs.copying import Copied, copy_ledger
from credit_wallet.stores.jobs.notice_queue import Places
from credit_wallet.stores.sqlite import connection as sqlite_connection

pytestmark = on_postgres
on_plain_tables = pytest.mark.databases("postgres")
"""For what is the same with partitions."""

TABLES = {
    "am_credit_wallet",
    "am_credit_transaction_log",
    "am_credit_spending_alert",
    "am_credit_lot",
    "am_credit_hold",
    "am_credit_purchase",
    "am_credit_returned",
    "am_credit_cycle_spend",
    "am_credit_end",
    "am_credit_key",
    "am_credit_idempotency",
    "am_credit_outbox",
    "am_credit_seal",
    "am_credit_topup",
    "am_credit_topup_history",
    "am_credit_payer",
    "am_credit_installation",
    "am_credit_threshold_alert",
    "am_credit_target",
    "am_credit_delivery",
    "am_credit_mail_count",
    "am_credit_hour_spend",
    "am_credit_counted",
    "am_credit_seller",
    "am_credit_secret",
    "am_credit_sale",
    "am_credit_cycle_segment",
    "am_credit_clawback",
}
ODD_TEXTS = (
    "tea 🫖 für zwei, 二人分のお茶",
    'O\'Neill said "50 % off"; DROP TABLE am_credit_wallet; --',
    "a\tb\nc\r\nd\\e\\n\\N\\.",
    "\\N",
    "\\.",
    "",
    " ",
    "NULL",
    ":name %s %% {} $1",
    "\u202e\u0301\x7f\x01",
)
PAID = PaymentFact(
    observed_at=30,
    status="succeeded",
    received_yen=1_000,
    payment_intent="pi_1",
    clawbacks=(Clawback("re_1", "refund", 100, "withdrawn"),),
    customer="cus_1",
    payment_method="pm_1",
)
PATIENCE_SECONDS = 60

Rows: TypeAlias = dict[str, list[tuple[Any, ...]]]


class Movement(NamedTuple):
    """A call of the wallet's and what came of it."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    outcome: Outcome


class Book(NamedTuple):
    """A ledger on SQLite with everything that can be in one, and how it came to be."""

    path: Path
    now: datetime
    movements: list[Movement]
    capped_id: int
    """A wallet whose budget is a cap with ¥100 left of it."""
    key_id: int
    """An agent key of that wallet with ¥50 left of its cap."""
    plain_id: int
    """A wallet that plain SQL made and wrote to after the wallet was closed."""

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def clock(self) -> Clock:
        return Clock(self.now)


class Writer:
    """Writes a book."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self.clock = Clock(datetime(2026, 2, 10, 9, tzinfo=UTC))
        self.wallets = CreditWallet.open(self.url, clock=self.clock)
        self.movements: list[Movement] = []

    def move(self, name: str, *arguments: Any, **options: Any) -> Outcome:
        outcome = attrgetter(name)(self.wallets)(*arguments, **options)
        assert isinstance(outcome, Outcome)
        self.movements.append(Movement(name, arguments, options, outcome))
        return outcome

    def month(self, wallet_ids: Sequence[int], key_ids: Sequence[int]) -> None:
        """What happens in a month; ends in the next one."""
        cycle = self.clock().isoformat()[:7]
        for number, wallet_id in enumerate(wallet_ids):
            name = f"{cycle} 🔑 '{number}' \\"
            paid = self.move("topup", wallet_id, 2_000, idempotency_key=f"{name} paid", note=ODD_TEXTS[number])
            expiry = (self.clock() + timedelta(days=9 + number)).isoformat()
            self.move(
                "topup", wallet_id, 300, idempotency_key=f"{name} promo", promo=True, expires_at=expiry, note="gift"
            )
            for turn, text in enumerate(ODD_TEXTS):
                self.move(
                    "charge", wallet_id, 40 + turn, idempotency_key=f"{name} {turn} {text.strip()[:9]!r}", note=text
                )
            spent = self.move("charge", wallet_id, 60, idempotency_key=f"{name} agent", key_id=key_ids[number])
            self.move("refund", spent.txn_id, 25, idempotency_key=f"{name} refund", note="half")
            self.move("refund", self.movements[-3].outcome.txn_id, idempotency_key=f"{name} refund all")
            held = self.move("hold", wallet_id, 90, idempotency_key=f"{name} hold", note=ODD_TEXTS[0])
            self.move("capture", held.hold_id, 55)
            released = self.move("hold", wallet_id, 80, idempotency_key=f"{name} hold 2", key_id=key_ids[number])
            self.move("release", released.hold_id, idempotency_key=f"{name} release")
            self.move("topup", wallet_id, 33, idempotency_key=f"{name} lapses", expires_at=expiry, promo=True)
            self.move("hold", wallet_id, 70, idempotency_key=f"{name} expires", ttl_seconds=60, key_id=key_ids[number])
            self.purchases(wallet_id, name)
            self.move("reverse", paid.txn_id, 100, idempotency_key=f"{name} reverse", note="clawed back")
        self.clock.advance(days=15)
        self.wallets.maintenance.expire_due()
        self.wallets.alerts.run()
        self.wallets.maintenance.seal()
        self.clock.advance(days=16)

    def purchases(self, wallet_id: int, name: str) -> None:
        """One that is served, one that is given back, one that is under way; charged and held."""
        for number, hold_seconds in enumerate((None, 60)):
            for act in ("serve", "undo", "renew"):
                key = f"{name} {act} {number}"
                self.wallets.purchases.buy(wallet_id, 5, purchase_key=key, attempt="a", hold_seconds=hold_seconds)
                getattr(self.wallets.purchases, act)(wallet_id, key, attempt="a")


def write(path: Path) -> Book:
    writer = Writer(path)
    wallets, clock = writer.wallets, writer.clock
    wallet_ids = [
        wallets.create().wallet_id,
        wallets.create(label=ODD_TEXTS[0], monthly_budget_yen=600, time_zone="Asia/Tokyo").wallet_id,
        wallets.create(label=ODD_TEXTS[1], auto_topup_threshold=2_200, auto_topup_amount=9_000).wallet_id,
    ]
    key_ids = [
        wallets.keys.create(wallet_id, label=ODD_TEXTS[2], monthly_cap_yen=150).key_id for wallet_id in wallet_ids
    ]
    wallets.configure(wallet_ids[1], alert_thresholds_pct=[10, 120], low_balance_yen=1_000)
    wallets.targets.add(wallet_ids[1], TargetSettings(url="https://example.com/hook", time_zone="Asia/Tokyo"))
    wallets.targets.add(OPERATOR, TargetSettings(url="https://example.com/all", kinds=("budget.threshold_reached",)))
    for _ in range(3):
        writer.month(wallet_ids, key_ids)
    wallets.targets.add(wallet_ids[1], TargetSettings(url="mailto:owner@example.com"), mail=True)
    wallets.notices.lease([Places("webhook", 0, 0, 10)])
    wallets.keys.revoke(key_ids[0])
    wallets.keys.rotate(key_ids[1])
    wallets.rotate_owner_token(wallet_ids[1])
    wallets.secrets.register(wallet_ids[2], sha256(b"host's own").hexdigest(), key_ids[2])
    for label in ODD_TEXTS[:2]:
        seller = wallets.sellers.create(label=label)
    wallets.sellers.revoke(seller.seller_id)
    wallets.keys.create(wallet_ids[2], expires_at="2027-01-01T00:00:00Z")
    wallets.configure(wallet_ids[2], enabled=False)

    poor_id = wallets.create().wallet_id
    clawed_back = writer.move("topup", poor_id, 500, idempotency_key="topup")
    writer.move("charge", poor_id, 450, idempotency_key="charge")
    writer.move("reverse", clawed_back.txn_id, 500, idempotency_key="reverse")
    assert wallets.balance(poor_id).debt_yen == 450

    paying_id = wallets.create().wallet_id
    paid = writer.move("topups.request", paying_id, 1_000, idempotency_key="paid 🧾")
    wallets.topups.settle(paying_id, paid.topup_id or "", PAID)
    writer.move("topups.pay_back", paying_id, paid.topup_id, 200, idempotency_key="paid back")
    sold = writer.move("charge", paying_id, 5, idempotency_key="sold", actor="seller:1")
    writer.move("refund", sold.txn_id, idempotency_key="sold back", actor="seller:1")
    failed = writer.move("topups.request", paying_id, 70, idempotency_key="failed")
    wallets.topups.settle(
        paying_id, failed.topup_id or "", PaymentFact(observed_at=40, status="failed", reason=ODD_TEXTS[1])
    )
    writer.move("topups.request", paying_id, 500, idempotency_key="under way", flow="checkout")

    capped_id = wallets.create(monthly_budget_yen=1_000, budget_mode="cap").wallet_id
    key_id = wallets.keys.create(capped_id, monthly_cap_yen=500).key_id
    writer.move("topup", capped_id, 5_000, idempotency_key="topup")
    writer.move("charge", capped_id, 450, idempotency_key="agent", key_id=key_id)
    writer.move("charge", capped_id, 400, idempotency_key="owner")
    writer.move("hold", capped_id, 50, idempotency_key="open", ttl_seconds=9_999)

    with PlainSql(writer.url) as host:
        adopted_id = host.wallet(balance_yen=10)
        host.move(adopted_id, "topup", 90, clock().isoformat())
        wallets.alerts.run()
        assert wallets.verify() == []
        writer.move("charge", adopted_id, 5, idempotency_key="backfills")
        wallets.maintenance.watch_spending()
        while wallets.maintenance.seal():
            pass
        wallets.close()
        plain_id = host.wallet(balance_yen=3, monthly_budget_yen=100)
        host.move(plain_id, "topup", 200, clock().isoformat())
        host.move(plain_id, "charge", -60, clock().isoformat())
        host.move(adopted_id, "charge", -7, clock().isoformat())
    return Book(path, clock(), writer.movements, capped_id, key_id, plain_id)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return write(tmp_path_factory.mktemp("book") / "wallet.db")


@pytest.fixture
def book(written: Book, tmp_path: Path) -> Book:
    """A book of the test's own."""
    return written._replace(path=Path(shutil.copy(written.path, tmp_path)))


@pytest.fixture(params=["nothing", "seed", "ledger"])
def any_target(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """A database with nothing in it, with migration 281 alone, with all tables; all of them empty."""
    with getattr(databases, request.param)() as url:
        yield url


@pytest.fixture
def target(db_url: str) -> str:
    """An empty ledger."""
    return db_url


def say_nothing(_doing: str, _done: int, _of: int) -> None:
    pass


def copy(source: str, target: str, now: datetime, progress: copying.Progress = say_nothing) -> Copied:
    return copy_ledger(sqlite_database_at(source), postgres_database_at(target), now, progress)


def until(happens: Callable[[], object]) -> None:
    """Return when something has happened that depends on others who use the server."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def rows_of(url: str, columns_of: str) -> Rows:
    """Every table, in the columns that ``columns_of`` has."""
    with PlainSql(columns_of) as other, PlainSql(url) as host:
        names = "SELECT group_concat(name, ', ') FROM pragma_table_info(?)"
        return {
            table: sorted(host.run(f"SELECT {other.run(names, table)[0][0]} FROM {table}"), key=repr)
            for table in TABLES
        }


def assert_equal(book: Book, target: str) -> None:
    here, there = rows_of(book.url, book.url), rows_of(target, book.url)
    for table in TABLES:
        assert here[table]
        assert there[table] == here[table]


def assert_goes_on(book: Book, target: str) -> None:
    """Everything sent before is remembered, and what is new gets ids of its own."""
    with CreditWallet.open(target, clock=book.clock()) as wallets:
        assert wallets.verify() == []
        for movement in book.movements:
            replay = attrgetter(movement.name)(wallets)(*movement.arguments, **movement.options)
            assert replay == structs.replace(movement.outcome, replayed=True)
        txn_ids = {movement.outcome.txn_id for movement in book.movements}
        hold_ids = {movement.outcome.hold_id for movement in book.movements}
        wallet_ids = {view.wallet_id for view in wallets.list()}
        key_ids = {key.key_id for wallet_id in wallet_ids for key in wallets.keys.list(wallet_id)}

        wallet_id = wallets.create(monthly_budget_yen=10).wallet_id
        assert wallet_id > max(wallet_ids)
        assert wallets.keys.create(wallet_id).key_id > max(key_ids)
        assert wallets.tokens.authenticate("host's own").key_id in key_ids
        assert wallets.sellers.create().seller_id == len(wallets.sellers.list()) == 3
        assert (wallets.topup(wallet_id, 100, idempotency_key="new").txn_id or 0) > max(filter(None, txn_ids))
        assert (wallets.hold(wallet_id, 1, idempotency_key="hold").hold_id or 0) > max(filter(None, hold_ids))
        assert [alert.threshold_pct for alert in wallets.charge(wallet_id, 9, idempotency_key="alert").alerts] == [
            50,
            80,
        ]
        until(wallets.maintenance.seal)
        assert wallets.verify() == []


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


# Interrupted

COPY_AND_DIE = """
import os, signal, sys
from datetime import datetime
from credit_wallet.stores.jobs import copying
from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at

source, target, now, chunk, doing, done_before_death = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def progress(what, done, of):
    if what == doing and done >= int(done_before_death):
        die()

copying.ROWS_A_CHUNK = int(chunk)
if doing == "verifying":
    copying._continue_sequences = die
copying.copy_ledger(
    sqlite_database_at(source), postgres_database_at(target), datetime.fromisoformat(now), progress
)
"""


def copy_in_a_process(book: Book, target: str, doing: str = "", done: int = 0) -> subprocess.Popen[bytes]:
    """Copy in chunks of 7 rows; die by SIGKILL when so many rows have come so far in what is being done."""
    arguments = [book.url, target, book.now.isoformat(), "7", doing, str(done)]
    return subprocess.Popen([sys.executable, "-c", COPY_AND_DIE, *arguments])


def die_copying(book: Book, target: str, doing: str, done: int = 0) -> None:
    assert copy_in_a_process(book, target, doing, done).wait(PATIENCE_SECONDS) == -signal.SIGKILL


def assert_is_half_copied(book: Book, target: str) -> None:
    with pytest.raises(MigrationError, match="was not finished; run the same credit-wallet copy again"):
        CreditWallet.open(target, clock=book.clock())


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
    with CreditWallet.open(book.url, clock=book.clock()) as wallets:
        wallets.keys.revoke(book.key_id)
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


# Refused

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
from credit_wallet.stores.sqlite import connection as sqlite_connection
sqlite_connection.BUSY_TIMEOUT_MS = 20
try:
    with CreditWallet.open(sys.argv[1]) as wallets:
        wallets.charge(1, 1, idempotency_key="meanwhile")
except WalletError as error:
    print(error.code)
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds a SQLite file locked gives up soon."""
    monkeypatch.setattr(sqlite_connection, "BUSY_TIMEOUT_MS", 20)


def assert_is_untouched(target: str) -> None:
    with PlainSql(target) as host:
        assert host.run("SELECT count(*) FROM pg_class WHERE relname ~ 'credit'") == [(0,)]


@pytest.fixture
def nothing(databases: Databases) -> Iterator[str]:
    """A database with nothing in it."""
    with databases.nothing() as url:
        yield url


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
        with pytest.raises(CopyRefused, match="DST holds a ledger already; copy into an empty database"):
            copy(book.url, target, book.now)
        assert wallets.charge(wallet_id, 1, idempotency_key="after").balance_yen == 9
        assert wallets.verify() == []
    CreditWallet.open(target).close()


@on_plain_tables
def test_a_copy_is_not_made_twice(book: Book, target: str) -> None:
    copy(book.url, target, book.now)
    with pytest.raises(CopyRefused, match="DST holds a ledger already"):
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


# The command


class Answer(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


Shell: TypeAlias = Callable[..., Answer]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Calls the command line in this process."""

    def run_here(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["credit-wallet", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, printed.out, printed.err)

    return run_here


@on_plain_tables
def test_the_command_answers_in_json_alone(book: Book, target: str, run: Shell) -> None:
    done = run("--json", "copy", book.url, target)
    assert done.code == 0
    assert all("event=opening_without_entries" in line for line in done.err.splitlines()), done.err  # a warning
    answer = json.loads(done.out)
    rows = rows_of(book.url, book.url)
    assert answer == {"resumed": False, **{table: len(rows[table]) for table in TABLES}}
    assert_equal(book, target)
    again = run("--json", "copy", book.url, target)
    assert again.code == 1
    assert json.loads(again.out)["code"] == "copy_refused"


@on_plain_tables
def test_the_command_goes_on_with_a_copy_that_was_killed(book: Book, target: str, run: Shell) -> None:
    die_copying(book, target, "copying am_credit_idempotency", 14)
    refused = run("--db", target, "wallet", "list")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("migration_error: a copy into ")
    done = run("copy", book.url, target)
    assert done.code == 0, done.err
    assert dict(line.split() for line in done.out.splitlines())["resumed"] == "yes"
    with CreditWallet.open(target) as wallets:
        wallets.maintenance.seal()  # as the worker would have for half a year
    assert run("--db", target, "verify").code == 0


SECRET = "s3cret"  # noqa: S105


@on_plain_tables
@pytest.mark.parametrize(
    ("source", "there", "code"),
    [
        ("{sqlite}", "{sqlite}", "invalid_request"),
        ("{postgres}", "{postgres}", "invalid_request"),
        ("{postgres}", "{sqlite}", "invalid_request"),
        ("wallet.db", "{postgres}", "invalid_request"),
        ("{sqlite}", "mysql://somebody:s3cret@127.0.0.1/wallet", "invalid_request"),
        ("{sqlite}", "postgresql://somebody:s3cret@127.0.0.1:port/wallet", "invalid_request"),
        ("{sqlite}", "postgresql://somebody:s3cret@127.0.0.1:1/wallet", "database_unavailable"),
        ("sqlite:////nowhere/wallet.db", "{postgres}", "no_ledger"),
    ],
)
def test_wrong_urls_are_told_of(book: Book, target: str, run: Shell, source: str, there: str, code: str) -> None:
    words = [url.format(sqlite=book.url, postgres=target) for url in (source, there)]
    told, answered = run("copy", *words), run("--json", "copy", *words)
    assert (told.code, told.out, answered.code) == (1, "", 1)
    assert any(line.startswith(f"{code}: ") for line in told.err.splitlines())  # between what is warned of
    assert json.loads(answered.out)["code"] == code
    assert SECRET not in told.err + answered.out + answered.err
    assert not Path("/nowhere").exists()
