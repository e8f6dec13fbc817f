"""Migration 296 takes a ledger of whole yen over as it is, and gives it back as long as whole yen can say it.

``ledger_of_295.json`` has the rows of a ledger that the release before 296 wrote, in which everything has happened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clock import Clock
from databases import Databases, on_every_database
from migrated import dump
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.config import is_postgres
from credit_wallet.domain.commands import Charge, Hold, Topup
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import IdempotencyConflict, MigrationError
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.jobs.copying import TABLES

pytestmark = on_every_database

BEFORE, EXACT = "295_credit_event_kinds.sql", "296_credit_exact_amounts.sql"

NOW = datetime(2026, 11, 5, 12, 10, tzinfo=UTC)

OLD: dict[str, dict[str, list[Any]]] = json.loads(
    (Path(__file__).parent / "ledger_of_295.json").read_text(encoding="utf-8")
)

UpTo = Callable[[str], None]


@pytest.fixture
def up_to(monkeypatch: pytest.MonkeyPatch) -> UpTo:
    """Have the product know the migrations up to one."""
    names = migrations.manifest()

    def limit(last: str) -> None:
        monkeypatch.setattr(migrations, "manifest", lambda: names[: names.index(last) + 1])

    return limit


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    """A database without anything in it."""
    with databases.nothing() as found:
        yield found


@pytest.fixture
def old_url(url: str, up_to: UpTo) -> str:
    """The old ledger, before 296."""
    up_to(BEFORE)
    database_at(url).upgrade(NOW)
    with PlainSql(url) as host:
        for own in ("am_credit_installation", "am_credit_counted"):
            host.run(f"DELETE FROM {own}")
        if not is_postgres(url):
            host.run("PRAGMA foreign_keys = OFF")
        ends = ("am_credit_end",)  # which triggers write beside the rows of keys and sellers
        for table in sorted(OLD, key=lambda name: (name != "am_credit_wallet", name in ends)):
            if table in ends:
                host.run(f"DELETE FROM {table}")
            columns = OLD[table]["columns"]
            for row in rows_of_old(table):
                marks = ", ".join("?" * len(columns))
                host.run(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", *row)
        if is_postgres(url):
            for numbered in TABLES:
                if numbered.numbered and numbered.name in OLD:
                    key = numbered.key[0]
                    host.run(
                        f"SELECT setval('{numbered.name}_{key}_seq', "
                        f"greatest(1, (SELECT coalesce(max({key}), 0) FROM {numbered.name})))"
                    )
    return url


def rows_of_old(table: str) -> list[tuple[Any, ...]]:
    return [
        tuple(bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for value in row)
        for row in OLD[table]["rows"]
    ]


def rows_of(host: PlainSql, table: str) -> list[tuple[Any, ...]]:
    """What is in a table now of the columns that it had then."""
    found = host.run(f"SELECT {', '.join(OLD[table]['columns'])} FROM {table}")
    return sorted(found, key=str)


def wallet_and_key_of(kind: str) -> tuple[int, str, int, int, int]:
    """Wallet, key, id, amount and balance of the first movement of which a key remembers an entry or a hold."""
    for key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, *_ in rows_of_old(
        "am_credit_idempotency"
    ):
        if fingerprint[1:].startswith(b"\xa6Charge" if kind == "charge" else b"\xa4Hold") and key >= " ":
            return wallet_id, key, txn_id if kind == "charge" else hold_id, amount_yen, balance_yen
    raise AssertionError(kind)


# Up


def test_every_row_of_an_old_ledger_is_what_it_was(old_url: str, up_to: UpTo) -> None:
    with PlainSql(old_url) as host:
        before = {table: rows_of(host, table) for table in OLD}
        assert before == {table: sorted(rows_of_old(table), key=str) for table in OLD}
        up_to(EXACT)
        assert database_at(old_url).upgrade(NOW).applied == [EXACT]
        assert {table: rows_of(host, table) for table in OLD} == before
        assert host.run("SELECT count(*) FROM am_credit_transaction_log WHERE detail IS NOT NULL") == [(0,)]
        assert host.run(
            "SELECT CAST(sum(balance_fraction + ledger_fraction + debt_fraction + cycle_spent_fraction) AS BIGINT) "
            "FROM am_credit_wallet"
        ) == [(0,)]


def test_an_old_ledger_proves_itself_and_goes_on_exactly(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with CreditWallet.open(old_url, clock=Clock(NOW)) as wallets:
        assert wallets.verify() == []
        before = wallets.balance(1)
        wallets.charge(1, "3.30", idempotency_key="exact")
        assert wallets.show(1).balance_micros == before * 1_000_000 - 3_300_000
        wallets.refund(wallets.history(1)[0].txn_id, "0.30", idempotency_key="some of it")
        assert wallets.verify() == []


def test_a_key_used_before_is_replayed_after(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with closing(database_at(old_url).open_store(NOW)) as store:
        wallet_id, key, txn_id, amount_yen, balance_yen = wallet_and_key_of("charge")
        [(note, key_id)] = [(row[5], row[9]) for row in rows_of_old("am_credit_transaction_log") if row[0] == txn_id]
        again = Charge(wallet_id, key, amount_yen * 1_000_000, note, key_id)
        [outcome] = store.execute([again], NOW)
        assert isinstance(outcome, Outcome)
        assert outcome.replayed
        assert (outcome.txn_id, outcome.amount_micros) == (txn_id, amount_yen * 1_000_000)
        assert outcome.balance_micros == balance_yen * 1_000_000
        [other] = store.execute([Charge(wallet_id, key, amount_yen * 1_000_000 + 1, note, key_id)], NOW)
        assert isinstance(other, IdempotencyConflict)


# Down again


def test_a_ledger_of_whole_yen_can_be_given_back(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dump(old_url)
    monkeypatch.undo()
    with closing(database_at(old_url).open_store(NOW)) as store:
        moved = store.execute([Charge(1, "whole", 3_000_000)], NOW)
        assert isinstance(moved[0], Outcome)
    with PlainSql(old_url) as host:
        host.run("UPDATE am_credit_wallet SET held_yen = 0, debt_yen = 0")  # a rollback wants nothing owed
    assert database_at(old_url).rollback(296)[-1] == EXACT
    after = dump(old_url)
    gone = [line for line in before if line not in after]
    assert all("am_credit_wallet'" in line or "sqlite_sequence" in line for line in gone), gone


@pytest.mark.parametrize(
    "command",
    [
        Charge(1, "below a yen", 1),
        Topup(1, "more than whole", 1_500_000),
        Hold(1, "held", 10_000_001),
    ],
    ids=lambda command: type(command).__name__,
)
def test_what_whole_yen_cannot_say_is_kept(url: str, command: Any) -> None:
    with closing(database_at(url).open_store(NOW)) as store:
        wallet_id = store.create_wallet("a" * 64, None, (0, 0), 0, "alert", "UTC", NOW)
        assert wallet_id == 1
        assert isinstance(store.execute([Topup(1, "credit", 100_000_000)], NOW)[0], Outcome)
        assert isinstance(store.execute([command], NOW)[0], Outcome)
    with PlainSql(url) as host:
        host.run("UPDATE am_credit_hold SET status = 'released'")
        host.run("UPDATE am_credit_wallet SET held_yen = 0")
    before = dump(url)
    with pytest.raises(MigrationError, match="amounts below the yen"):
        database_at(url).rollback(296)
    assert dump(url) == before


def test_more_than_can_be_exact_is_refused_in_words(url: str, up_to: UpTo) -> None:
    up_to(BEFORE)
    database_at(url).upgrade(NOW)
    with PlainSql(url) as host:
        host.wallet(balance_yen=9 * 10**12 + 1)
        before = dump(url)
        up_to(EXACT)
        with pytest.raises(MigrationError, match="a wallet has more than 9000000000000 yen"):
            database_at(url).upgrade(NOW)
        assert dump(url) == before
        host.run("UPDATE am_credit_wallet SET balance_yen = balance_yen - 1")
    assert database_at(url).upgrade(NOW).applied == [EXACT]


# For people with plain SQL


def test_the_view_says_amounts_as_decimals(url: str) -> None:
    with closing(database_at(url).open_store(NOW)) as store:
        store.create_wallet("a" * 64, None, (0, 0), 0, "alert", "UTC", NOW)
        for number, micros in enumerate((3_300_000, 1, 40_000_000)):
            store.execute([Topup(1, f"credit {number}", 20_000_000), Charge(1, f"charge {number}", micros)], NOW)
    with PlainSql(url) as host:
        host.move(1, "charge", -2)
        assert host.run(
            "SELECT txn_type, amount, CAST(amount_micros AS BIGINT), CAST(ledger_balance_micros AS BIGINT) "
            "FROM v_credit_transaction_exact ORDER BY txn_id"
        ) == [
            ("topup", "20", 20_000_000, 20_000_000),
            ("charge", "-3.3", -3_300_000, 16_700_000),
            ("topup", "20", 20_000_000, 36_700_000),
            ("charge", "-0.000001", -1, 36_699_999),
            ("topup", "20", 20_000_000, 56_699_999),
            ("charge", "-40", -40_000_000, 16_699_999),
            ("charge", "-2", -2_000_000, None),  # until it is taken in
        ]
