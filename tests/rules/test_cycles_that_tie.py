"""A cycle opens with what the one before closed with, whatever the clocks of those who wrote the entries.

The kind: a month is taken from the date of an entry, and its opening from the entry's place in the chain. Those are two
orders, and where they differ a yen is counted twice or not at all. Where else they differ:

- nodes whose clocks are milliseconds or hours apart, on PostgreSQL, and processes on one SQLite file;
- a clock that is set back or forth, over one month or several;
- what plain SQL dates as it likes, back into months that were closed and ahead into months to come, with an offset, in
  other spellings of ISO 8601, and as no date at all, which is of no month and so before all of them;
- an entry that is dated when it fell due, after the month has ended (``test_lapsed_credit.py``);
- a wallet that is refused across the end of a month, which writes no row;
- ledgers that were there before entries were counted by their dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import pytest
from clock import Clock
from databases import Databases, on_every_database
from msgspec import structs
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import InsufficientFunds
from credit_wallet.reports.statement import Statement
from credit_wallet.stores.databases import database_at

pytestmark = on_every_database

CYCLES = [f"{year}-{month:02d}" for year in (2025, 2026, 2027) for month in range(1, 13)]


def moment(text: str) -> datetime:
    """An ISO 8601 time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Node(NamedTuple):
    clock: Clock
    wallets: CreditWallet
    url: str

    def charge(self, wallet_id: int, amount_yen: int, at: str, key: str | None = None) -> None:
        self.clock.set(moment(at))
        self.wallets.charge(wallet_id, amount_yen, idempotency_key=key or f"{at} {amount_yen}")


@contextmanager
def nodes_at(url: str, number: int = 2) -> Iterator[list[Node]]:
    """Nodes on one ledger, each with a clock of its own."""
    with ExitStack() as opened:
        clocks = [Clock(moment("2026-10-15T12:00")) for _ in range(number)]
        yield [Node(clock, opened.enter_context(CreditWallet.open(url, clock=clock)), url) for clock in clocks]


@pytest.fixture
def nodes(db_url: str) -> Iterator[list[Node]]:
    with nodes_at(db_url) as opened:
        yield opened


def assert_ties(wallets: CreditWallet, wallet_id: int, opening_yen: int = 0) -> list[Statement]:
    """Every cycle opens where the one before closed, and the entries are in one statement each."""
    statements = [wallets.statement(wallet_id, cycle) for cycle in CYCLES]
    view = wallets.show(wallet_id)
    assert statements[0].opening_yen == opening_yen
    for before, after in pairwise(statements):
        assert before.closing_yen == after.opening_yen, after.billing_cycle
    assert statements[-1].closing_yen == view.balance_yen + view.held_yen
    shown = [entry.txn_id for report in statements for entry in report.entries]
    assert sorted(shown) == sorted(entry.txn_id for entry in wallets.history(wallet_id, limit=1_000))
    return statements


def without_causes(statements: list[Statement]) -> list[Statement]:
    """The column of an entry's cause is of a later migration, and goes when this one is undone."""
    return [
        structs.replace(report, entries=[structs.replace(entry, cause=None) for entry in report.entries])
        for report in statements
    ]


def figures(wallets: CreditWallet, wallet_id: int, *cycles: str) -> list[tuple[int, int]]:
    """Opening and closing of each cycle."""
    reports = [wallets.statement(wallet_id, cycle) for cycle in cycles]
    return [(report.opening_yen, report.closing_yen) for report in reports]


# Clocks


def test_months_tie_when_a_slow_clock_writes_after_a_fast_one(nodes: list[Node]) -> None:
    fast, slow = nodes
    wallet_id = fast.wallets.create().wallet_id
    fast.wallets.topup(wallet_id, 1_000, idempotency_key="start")
    fast.charge(wallet_id, 10, "2026-11-01T00:00:00.010")
    slow.charge(wallet_id, 100, "2026-10-31T23:59:59.995")
    fast.charge(wallet_id, 5, "2026-11-01T00:00:00.020")
    assert figures(fast.wallets, wallet_id, "2026-10", "2026-11", "2026-12") == [(0, 900), (900, 885), (885, 885)]
    assert_ties(fast.wallets, wallet_id)
    assert fast.wallets.verify() == []


def test_months_tie_when_nodes_take_turns_around_midnight(nodes: list[Node]) -> None:
    fast, slow = nodes
    wallet_id = fast.wallets.create(time_zone="Asia/Tokyo").wallet_id
    fast.wallets.topup(wallet_id, 1_000, idempotency_key="start")
    for number in range(6):
        slow.charge(wallet_id, 7, f"2026-10-31T14:59:59.{900 + number}")
        fast.charge(wallet_id, 5, f"2026-10-31T15:00:00.{100 + number}")
    october, november = (fast.wallets.statement(wallet_id, cycle) for cycle in ("2026-10", "2026-11"))
    assert (october.charges_yen, november.charges_yen) == (-42, -30)
    assert_ties(slow.wallets, wallet_id)
    assert slow.wallets.verify() == []


@pytest.mark.parametrize(
    "months",
    [
        ("2026-10", "2026-12", "2026-10"),
        ("2026-10", "2026-11", "2026-10", "2026-11", "2026-12", "2026-09", "2027-01", "2026-11"),
        ("2026-10", "2025-10", "2026-10"),
        ("2026-10", "2027-12", "2025-01"),
    ],
)
def test_months_tie_when_the_clock_steps_over_them(nodes: list[Node], months: tuple[str, ...]) -> None:
    node = nodes[0]
    wallet_id = node.wallets.create().wallet_id
    node.wallets.topup(wallet_id, 10_000, idempotency_key="start")
    for number, month in enumerate(months):
        node.charge(wallet_id, 100 + number, f"{month}-20T10:00", f"charge-{number}")
        node.charge(wallet_id, 1, f"{month}-21T10:00", f"more-{number}")
    statements = assert_ties(node.wallets, wallet_id)
    spent = {report.billing_cycle: -report.charges_yen for report in statements if report.charges_yen}
    assert spent == {
        month: sum(101 + number for number, each in enumerate(months) if each == month) for month in set(months)
    }
    assert node.wallets.verify() == []


@pytest.mark.parametrize("turns", ["written", "refused", "refused and forgotten"])
def test_a_refusal_over_the_end_of_a_month_loses_nothing(db_url: str, turns: str) -> None:
    """A refused command carries the wallet into its cycle and writes no row of it."""
    with nodes_at(db_url) as (node, other):
        wallet_id = node.wallets.create().wallet_id
        node.wallets.topup(wallet_id, 100, idempotency_key="start")
        node.charge(wallet_id, 10, "2026-10-20T10:00")
        for number, day in enumerate(("2026-11-01", "2026-10-31", "2026-12-01", "2026-10-30", "2026-11-02")):
            node.clock.set(moment(f"{day}T12:00"))
            with pytest.raises(InsufficientFunds):
                node.wallets.charge(wallet_id, 1_000, idempotency_key=f"refused-{number}")
            if turns == "written":
                node.wallets.charge(wallet_id, 1, idempotency_key=f"charge-{number}")
            elif turns == "refused and forgotten":
                other.wallets.create()  # the writer reads wallets afresh
        node.charge(wallet_id, 20, "2026-12-20T10:00")
        assert_ties(node.wallets, wallet_id)
        assert node.wallets.verify() == []


def test_holds_are_in_the_books_until_they_are_spent(nodes: list[Node]) -> None:
    fast, slow = nodes
    wallet_id = fast.wallets.create().wallet_id
    fast.wallets.topup(wallet_id, 1_000, idempotency_key="start")
    hold_id = slow.wallets.hold(wallet_id, 400, idempotency_key="hold", ttl_seconds=86_400 * 30).hold_id
    assert hold_id is not None
    fast.charge(wallet_id, 10, "2026-11-01T00:00:00.010")
    slow.clock.set(moment("2026-10-31T23:59:59.995"))
    slow.wallets.capture(hold_id, 300)
    fast.charge(wallet_id, 1, "2026-11-01T00:00:00.020")
    assert figures(fast.wallets, wallet_id, "2026-10", "2026-11") == [(0, 700), (700, 689)]
    assert_ties(fast.wallets, wallet_id)
    assert fast.wallets.verify() == []


def test_a_wallet_that_was_never_used_has_empty_books(nodes: list[Node]) -> None:
    node = nodes[0]
    wallet_id = node.wallets.create().wallet_id
    for day in ("2026-10-15", "2026-11-15", "2026-10-15"):
        node.clock.set(moment(f"{day}T12:00"))
        with pytest.raises(InsufficientFunds):
            node.wallets.charge(wallet_id, 1, idempotency_key="refused")
    assert_ties(node.wallets, wallet_id)
    assert node.wallets.verify() == []


def test_a_statement_reads_its_own_cycle_and_not_what_came_after(nodes: list[Node]) -> None:
    """However long ago it was: nothing is found by walking back from the newest entry."""
    node = nodes[0]
    wallet_id = node.wallets.create().wallet_id
    node.clock.set(moment("2025-02-10T12:00"))
    node.wallets.topup(wallet_id, 1_000, idempotency_key="start")
    for number in range(20):
        node.charge(wallet_id, 1, f"2026-{1 + number // 2:02d}-{10 + number % 2}T12:00")
    assert [entry.amount_yen for entry in node.wallets.cycles.entries(wallet_id, "2025-02")] == [1_000]
    assert [entry.amount_yen for entry in node.wallets.cycles.entries(wallet_id, "2026-03")] == [-1, -1]
    assert_ties(node.wallets, wallet_id)


# Plain SQL


def test_months_tie_however_plain_sql_dates_its_entries(seed_url: str, clock: Clock) -> None:
    with PlainSql(seed_url) as host:
        host.wallet(balance_yen=50)
        for kind, amount_yen, at in (
            ("topup", 1_000, "2026-03-10T00:00:00.000Z"),
            ("charge", -10, "2026-05-10 00:00:00"),
            ("charge", -20, "2026-03-31T23:59:59.999Z"),
            ("charge", -30, "2027-02-01T00:00:00.000Z"),
            ("refund", 5, "2025-06-01"),
        ):
            host.move(1, kind, amount_yen, at)
        with CreditWallet.open(seed_url, clock=clock) as wallets:
            assert_ties(wallets, 1, opening_yen=50)
            wallets.charge(1, 100, idempotency_key="rail")
            host.move(1, "charge", -40, "2026-01-20T00:00:00.000Z")
            wallets.charge(1, 200, idempotency_key="rail again")
            host.move(1, "charge", -50, "2026-07-20T00:00:00.000Z")
            assert wallets.verify() == []
            reports = {report.billing_cycle: report for report in assert_ties(wallets, 1, opening_yen=50)}
            assert reports["2026-01"].charges_yen == -40
            assert reports["2026-05"].charges_yen == -310
            clock.advance(days=40)
            wallets.charge(1, 1, idempotency_key="june")
            assert_ties(wallets, 1, opening_yen=50)


@pytest.mark.partitions
def test_months_tie_in_the_wallets_time_zone_whatever_offset_plain_sql_writes(seed_url: str, clock: Clock) -> None:
    with PlainSql(seed_url) as host:
        host.wallet()
        host.move(1, "topup", 1_000, "2026-03-31T14:59:00.000Z")
        host.move(1, "charge", -10, "2026-04-01T00:30:00+09:00")
        with CreditWallet.open(seed_url, clock=clock) as wallets:
            wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
            host.move(wallet_id, "topup", 1_000, "2026-03-31T14:59:00.000Z")
            host.move(wallet_id, "charge", -10, "2026-04-01T00:30:00+09:00")
            host.move(wallet_id, "charge", -20, "2026-03-31T23:30:00+09:00")
            wallets.charge(wallet_id, 1, idempotency_key="rail")
            reports = {report.billing_cycle: report for report in assert_ties(wallets, wallet_id)}
            assert reports["2026-03"].charges_yen == -20
            assert reports["2026-04"].charges_yen == -10
            assert wallets.verify() == []


ODD_TIMES = (
    "2026-10-31T20:00:00+09:00",  # as text it is after the bound of November in Tokyo, as an instant before
    "2026-10-31 23:30:00+01:00",
    "20261031T235959Z",
    "2026-W44-6",
    "2026-10-31T23:59:60Z",
    "2026-10-31T24:00:00Z",
    "2026-10-31T23:59:59 UTC",
    "2026-10",
    "2026-13-01",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "1793000000",
    "yesterday",
    "",
)


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Tokyo", "Europe/Berlin"])
def test_months_tie_and_verify_agrees_however_plain_sql_writes_a_time(nodes: list[Node], time_zone: str) -> None:
    wallets = nodes[0].wallets
    for at in ODD_TIMES:
        nodes[0].clock.set(moment("2026-10-15T12:00"))
        wallet_id = wallets.create(time_zone=time_zone, label=at).wallet_id
        wallets.topup(wallet_id, 1_000, idempotency_key="start")
        nodes[0].charge(wallet_id, 7, "2026-10-30T00:00")
        with PlainSql(nodes[0].url) as host:
            host.move(wallet_id, "charge", -10, at)
        nodes[0].charge(wallet_id, 1, "2026-11-03T00:00")
        view = wallets.show(wallet_id)
        reports = [wallets.statement(wallet_id, cycle) for cycle in CYCLES]
        assert all(before.closing_yen == after.opening_yen for before, after in pairwise(reports)), at
        assert reports[-1].closing_yen == view.balance_yen, at
    assert wallets.verify() == []


# Ledgers that were there before


def test_a_ledger_from_before_has_books_once_it_is_opened(databases: Databases, clock: Clock) -> None:
    """Migration 289 undone and done again is what an older ledger is; what came since is counted as well."""
    with databases.ledger() as url:
        with nodes_at(url) as (fast, slow):
            ids = [fast.wallets.create(time_zone=zone).wallet_id for zone in ("UTC", "Asia/Tokyo", "Europe/Berlin")]
            empty_id = fast.wallets.create().wallet_id
            for wallet_id in ids:
                fast.clock.set(moment("2026-08-15T12:00"))
                fast.wallets.topup(wallet_id, 1_000, idempotency_key="start")
                for number, day in enumerate(("2026-09-30", "2026-10-01", "2026-10-31", "2026-11-01", "2026-10-31")):
                    (fast, slow)[number % 2].charge(wallet_id, 10 + number, f"{day}T23:30:00.{number:03d}")
                    fast.charge(wallet_id, 1, f"{day}T12:00", f"noon-{number}")
            expected = {wallet_id: assert_ties(fast.wallets, wallet_id) for wallet_id in ids}
        database_at(url).rollback(289)
        with CreditWallet.open(url, clock=clock) as wallets:
            for wallet_id in ids:
                assert without_causes(assert_ties(wallets, wallet_id)) == without_causes(expected[wallet_id])
            assert_ties(wallets, empty_id)
            clock.set(moment("2026-12-01T00:00"))
            wallets.charge(ids[0], 1, idempotency_key="december")
            clock.set(moment("2026-12-01T00:00") - timedelta(milliseconds=1))
            wallets.charge(ids[0], 1, idempotency_key="november")
            assert_ties(wallets, ids[0])
            assert wallets.verify() == []
