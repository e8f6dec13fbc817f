"""A ledger in a file in which something of everything has happened, copied into PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from clock import Clock
from msgspec import json, structs
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.topups import Clawback, PaymentFact
from credit_wallet.errors import (
    MigrationError,
)
from credit_wallet.stores import Progress
from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at
from credit_wallet.stores.jobs.copying import Copied, copy_ledger

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
    "am_credit_entry_name",
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
    "am_credit_month_total",
    "am_credit_totals",
    "am_credit_quarter_total",
    "am_credit_usage",
    "am_credit_usage_start",
    "am_credit_seller",
    "am_credit_secret",
    "am_credit_sale",
    "am_credit_cycle_segment",
    "am_credit_clawback",
    "am_credit_price_version",
    "am_credit_price",
    "am_credit_tier_usage",
    "am_credit_budget",
    "am_credit_budget_spent",
    "am_credit_budget_held",
    "am_credit_budget_step",
    "am_credit_budget_change",
    "am_credit_transfer",
    "am_credit_act",
    "am_credit_operator",
    "am_credit_operator_key",
    "am_credit_revoked_token",
    "am_credit_session",
    "am_credit_link",
    "am_credit_grant",
    "am_credit_grant_occurrence",
    "am_credit_auto_topup_consent",
    "am_credit_reference",
    "am_credit_profile",
    "am_credit_search_term",
    "am_credit_erasure",
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


def say_nothing(_doing: str, _done: int, _of: int) -> None:
    pass


def copy(source: str, target: str, now: datetime, progress: Progress = say_nothing) -> Copied:
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
            table: sorted(map(_written, host.run(f"SELECT {other.run(names, table)[0][0]} FROM {table}")), key=repr)
            for table in TABLES
        }


def _written(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """PostgreSQL's driver reads JSON, which SQLite has as text."""
    return tuple(json.encode(value).decode() if isinstance(value, dict | list) else value for value in row)


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
        assert wallets.maintenance.credit_grants() == 0
        granted = wallets.grants.create(wallet_id, 3)
        assert [each.grant_id for each in wallets.grants.list()] == [*range(1, granted.grant_id + 1)]
        assert wallets.maintenance.credit_grants() == 1
        assert [alert.threshold_pct for alert in wallets.charge(wallet_id, 9, idempotency_key="alert").alerts] == [
            50,
            80,
        ]
        until(wallets.maintenance.seal)
        assert wallets.verify() == []


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


class Answer(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


Shell: TypeAlias = Callable[..., Answer]
