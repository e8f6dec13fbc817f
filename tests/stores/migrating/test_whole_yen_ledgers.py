"""A ledger of whole yen is taken over as it is: its rows, its answers and statements, its holds and its way back."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from operator import attrgetter
from typing import Any

import pytest
from clock import Clock
from databases import Databases, on_every_database
from migrated import NOW, POSTGRES_SCHEMA, SQLITE_SCHEMA
from msgspec import Struct
from plain_sql import PlainSql
from whole_yen_ledger import Answers, WholeYenLedger, lay_out, read, rows_of

from credit_wallet import CreditWallet
from credit_wallet.database_urls import is_postgres
from credit_wallet.errors import IdempotencyConflict, MigrationError
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at

pytestmark = on_every_database

EXACT_AMOUNTS = 296


class Old(Struct):
    """A database as the version without micros left it."""

    url: str
    ledger: WholeYenLedger
    clock: Clock

    @property
    def answers(self) -> Answers:
        return self.ledger.answers

    @property
    def open_holds(self) -> list[int]:
        [table] = [table for table in self.ledger.tables if table.table == "am_credit_hold"]
        hold_id, status = table.columns.index("hold_id"), table.columns.index("status")
        return [row[hold_id] for row in table.rows if row[status] == "open"]

    def made_by(self, key: str) -> int:
        """The entry or the hold that an idempotency key made."""
        [made] = [
            outcome[0] or outcome[1] for *_, call, outcome in self.answers.calls if call["idempotency_key"] == key
        ]
        return int(made)

    def open(self) -> CreditWallet:
        return CreditWallet.open(self.url, clock=self.clock)

    def settle(self, wallets: CreditWallet) -> None:
        """Leave no open hold and no debt, in whole yen."""
        for hold_id in self.open_holds:
            wallets.release(hold_id)
        for view in wallets.list():
            if view.debt_yen:
                wallets.topup(view.wallet_id, view.debt_yen, idempotency_key="owed")

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        return rows_of(self.url, self.ledger)

    def schema(self) -> list[str]:
        with PlainSql(self.url) as host:
            lines = host.run(POSTGRES_SCHEMA if is_postgres(self.url) else SQLITE_SCHEMA)
        return [str(line) for line in lines]


@pytest.fixture
def old(databases: Databases) -> Iterator[Old]:
    with databases.nothing() as url:
        ledger = read(url)
        lay_out(url, ledger, databases.partitions)
        yield Old(url, ledger, Clock(ledger.answers.now))


def test_every_row_stays_as_it_is(old: Old) -> None:
    before = old.rows()
    applied = database_at(old.url).upgrade(NOW).applied
    assert applied == [name for name in migrations.manifest() if int(name[:3]) >= EXACT_AMOUNTS]
    after = old.rows()
    assert all(row in after["am_credit_counted"] for row in before["am_credit_counted"])  # beside those of new jobs
    after["am_credit_counted"] = before["am_credit_counted"]
    assert after == before
    with old.open() as wallets:
        assert wallets.verify() == []
    assert old.rows()["am_credit_transaction_log"] == before["am_credit_transaction_log"]


def test_what_it_answered_is_answered_again(old: Old) -> None:
    with old.open() as wallets:
        for method, arguments, named, expected in old.answers.calls:
            outcome = attrgetter(method)(wallets)(*arguments, **named)
            assert outcome.replayed
            assert [outcome.txn_id, outcome.hold_id, outcome.amount_yen, outcome.balance_yen] == expected
            assert (outcome.amount, outcome.balance) == tuple(map(Decimal, expected[2:]))
        assert wallets.verify() == []


def test_an_old_key_with_an_amount_a_micro_off_is_a_conflict(old: Old) -> None:
    with old.open() as wallets, pytest.raises(IdempotencyConflict):
        wallets.charge(1, "120.000001", idempotency_key="9 charge", note="tea")


def test_statements_of_its_cycles_are_as_they_were(old: Old) -> None:
    with old.open() as wallets:
        wallets.topup(1, "0.5", idempotency_key="new")
        wallets.charge(1, "0.25", idempotency_key="newer")
        for wallet_id, cycle, opening_yen, closing_yen, entries in old.answers.statements:
            report = wallets.statement(wallet_id, cycle)
            is_going_on = (wallet_id, cycle) == (1, "2026-11")
            assert report.opening == opening_yen
            assert report.closing == closing_yen + Decimal("0.25" if is_going_on else 0)
            assert [
                [each.txn_id, each.amount_yen, each.txn_type, each.ledger_balance_yen, each.note]
                for each in (report.entries[:-2] if is_going_on else report.entries)
            ] == entries


def test_its_open_hold_is_captured_in_fractions(old: Old) -> None:
    with old.open() as wallets:
        hold_id = old.made_by("open")
        before = wallets.show(1)
        wallets.capture(hold_id, "3.30", idempotency_key="a third", final=False)
        wallets.capture(hold_id, "0.000001", idempotency_key="a micro", final=False)
        view = wallets.show(1)
        assert (view.balance, view.held) == (before.balance, before.held - Decimal("3.300001"))
        wallets.capture(hold_id, "10", idempotency_key="the rest")
        view = wallets.show(1)
        assert view.balance == before.balance + before.held - Decimal("13.300001")
        assert not view.held
        assert wallets.verify() == []


def test_its_charges_are_refunded_and_its_payments_taken_back_in_fractions(old: Old) -> None:
    with old.open() as wallets:
        before = wallets.balance(1).balance
        wallets.refund(old.made_by("9 agent"), "0.3", idempotency_key="a part")
        wallets.refund(old.made_by("9 agent"), idempotency_key="the rest")
        assert wallets.balance(1).balance == before + 500
        wallets.reverse(old.made_by("9 paid"), "0.5", idempotency_key="back")
        assert wallets.balance(1).balance == before + Decimal("499.5")
        assert wallets.verify() == []


# The way back


def test_a_ledger_that_is_still_whole_goes_back_to_what_it_was(old: Old) -> None:
    schema = old.schema()
    with old.open() as wallets:
        old.settle(wallets)
        wallets.charge(1, 5, idempotency_key="whole")
        while wallets.maintenance.seal():
            pass
    before = old.rows()
    undone = database_at(old.url).rollback(EXACT_AMOUNTS)
    assert undone == [name for name in migrations.manifest() if int(name[:3]) >= EXACT_AMOUNTS][::-1]
    assert old.schema() == schema
    after = old.rows()
    for table in before.keys() - {"am_credit_seal", "am_credit_counted", "am_credit_idempotency"}:
        assert after[table] == before[table], table
    assert {len(row[-1]) for row in before["am_credit_idempotency"]} == {len("20762"), len("2026-11-05")}
    assert {len(row[-1]) for row in after["am_credit_idempotency"]} == {len("2026-11-05")}
    with old.open() as wallets:
        assert wallets.verify() == []
        assert wallets.charge(1, 5, idempotency_key="whole").replayed


@pytest.mark.parametrize("what", ["charge", "hold", "topup", "facts"])
def test_a_ledger_that_says_more_than_whole_yen_does_not_go_back(old: Old, what: str) -> None:
    with old.open() as wallets:
        old.settle(wallets)
        if what == "charge":
            wallets.charge(1, "0.5", idempotency_key="half")
            wallets.charge(1, "0.5", idempotency_key="other half")
        elif what == "hold":
            wallets.release(wallets.hold(1, "0.5", idempotency_key="half").hold_id)
        elif what == "topup":
            wallets.topup(1, "0.000001", idempotency_key="micro")
        else:
            wallets.charge(1, 5, idempotency_key="told", facts={"tool": "search"})
    before = old.rows()
    with pytest.raises(MigrationError):
        database_at(old.url).rollback(EXACT_AMOUNTS)
    assert old.rows() == before
    with old.open() as wallets:
        assert wallets.verify() == []
