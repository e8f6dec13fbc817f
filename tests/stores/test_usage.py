"""Usage on every database: what the job adds up at any moment is what a naive sum of the entries says."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql
from used import Book, Entry

from credit_wallet import CreditWallet
from credit_wallet.database_urls import is_postgres
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage_views import UsageReport
from credit_wallet.stores.jobs import usage
from credit_wallet.stores.jobs.proofs.usage import _adds_up, broken_usage

pytestmark = on_every_database

NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)
ZONES = ("UTC", "Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York")


@pytest.fixture
def wallets(db_url: str) -> Iterator[CreditWallet]:
    with CreditWallet.open(db_url, clock=Clock(NOW)) as opened:
        yield opened


@pytest.fixture
def book(db_url: str, wallets: CreditWallet) -> Iterator[Book]:
    assert wallets.list() == []  # the schema is there
    opened = Book(db_url, Random(15))
    yield opened
    opened.close()


def count(wallets: CreditWallet) -> None:
    while wallets.maintenance.count_usage():
        pass


def local_period(at: datetime, zone: str, every: str) -> str:
    local = at.astimezone(ZoneInfo(zone))
    if every == "hour":
        return local.replace(minute=0, second=0, microsecond=0).isoformat(timespec="minutes")
    return f"{local:%Y-%m-%d}" if every == "day" else f"{local:%Y-%m}"


def naive(book: Book, wallet: int, by: str | None, every: str, key_id: int | None, up_to: int) -> list[tuple[Any, ...]]:
    """All rows of a wallet, from its entries."""
    dimension = {"key": ".key", "item": ".item"}.get(by or "", by)
    found: dict[tuple[str, str | None], list[Entry]] = defaultdict(list)
    first = min((each.txn_id for each in book.entries if each.wallet == wallet and each.values), default=0)
    for entry in book.entries:
        if entry.txn_id < first:
            continue
        is_seen = key_id is None or entry.values.get(".key") == str(key_id)
        if entry.wallet == wallet and entry.txn_id <= up_to and is_seen:
            value = None if dimension is None else entry.values.get(dimension)
            found[local_period(entry.at, book.zones[wallet], every), value].append(entry)
    rows = []
    for (period, value), entries in sorted(found.items(), key=lambda each: (each[0][0], each[0][1] or "")):
        items = {entry.item for entry in entries}
        [item] = items if len(items) == 1 else [None]
        rows.append(
            (
                period,
                value,
                sum(entry.charges for entry in entries),
                Decimal(sum(entry.amount_micros for entry in entries)) / MICROS,
                Decimal(sum(entry.refunded_micros for entry in entries)) / MICROS,
                item,
                None if item is None else Decimal(sum(entry.quantity_micros for entry in entries)) / MICROS,
            )
        )
    return rows


def shown(report: UsageReport) -> list[tuple[Any, ...]]:
    return [
        (row.period, row.value, row.charges, row.amount, row.refunded, row.item, row.quantity) for row in report.rows
    ]


def all_pages(wallets: CreditWallet, wallet: int, limit: int = 1_000, **asked: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    cursor = None
    while True:
        report = wallets.usage(wallet, since="2026-03", until="2026-05", limit=limit, cursor=cursor, **asked)
        rows += shown(report)
        cursor = report.next_cursor
        if cursor is None:
            return rows
        assert len(report.rows) <= limit


def is_same(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> bool:
    """A row of charges without the dimension may not know that they are all for one item."""

    def without_item(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*row[:5], None, None) if row[1] is None else row

    return sorted(map(without_item, found), key=str) == sorted(map(without_item, expected), key=str)


def test_at_any_moment_it_is_the_naive_sum(wallets: CreditWallet, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MAX_ENTRIES", 37)
    mine = [book.add_wallet(zone) for zone in ZONES]
    random = Random(1)
    for _ in range(4):
        for _ in range(random.randrange(60, 120)):
            book.anything()
        for _ in range(random.randrange(4)):
            wallets.maintenance.count_usage()
        with wallets.maintenance._ledger.reader.source.snapshot() as snapshot:
            assert list(broken_usage(snapshot, in_whole_yen=False, counted_again=True)) == []
            assert _adds_up(snapshot, wallets.usage(mine[0]).counted_to_txn_id, in_whole_yen=False)
        wallet = random.choice(mine)
        up_to = wallets.usage(wallet).counted_to_txn_id
        for by in (None, "key", "item", "tool", "model", "run", "unknown"):
            for every in ("hour", "day", "month"):
                for key_id in (None, 7):
                    expected = naive(book, wallet, by, every, key_id, up_to)
                    found = all_pages(wallets, wallet, by=by, every=every, key_id=key_id)
                    assert is_same(found, expected), (by, every, key_id)


@pytest.mark.parametrize("every", ["hour", "day", "month"])
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_put_together_are_all_rows(wallets: CreditWallet, book: Book, every: str, limit: int) -> None:
    wallet = book.add_wallet("Asia/Kolkata")
    for _ in range(100):
        book.anything()
    count(wallets)

    for by in ("run", "tool", "key"):
        for key_id in (None, 7):
            asked: dict[str, Any] = {"by": by, "every": every, "key_id": key_id}
            whole = all_pages(wallets, wallet, **asked)
            assert all_pages(wallets, wallet, limit, **asked) == whole


def test_an_agents_page_begins_at_nothing_of_anothers(wallets: CreditWallet, book: Book) -> None:
    wallet = book.add_wallet("UTC")
    for number in range(10):
        book.charge(wallet, NOW, key_id=8, facts={"run": f"secret {number}"})
    book.charge(wallet, NOW, key_id=7, facts={"run": "zebra"})
    count(wallets)

    for limit in (1, 100):
        report = wallets.usage(wallet, by="run", key_id=7, limit=limit)
        assert ([row.value for row in report.rows], report.next_cursor) == (["zebra"], None)


def test_entries_are_counted_once_by_whoever_counts_first(wallets: CreditWallet, book: Book) -> None:
    wallet = book.add_wallet("UTC")
    book.charge(wallet, NOW, facts={"tool": "search"})
    source = wallets.maintenance._ledger.reader.source
    twice = [usage.count_next(source, 1, usage.Pace()), usage.count_next(source, 1, usage.Pace())]

    added = [wallets.maintenance._ledger.maintain(usage.add, counted, source.dialect) for counted in twice if counted]

    assert added == [True, False]
    assert [row.charges for row in wallets.usage(wallet, by="tool").rows] == [1]


def test_facts_of_high_cardinality_cut_the_steps(
    wallets: CreditWallet, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MAX_SUMS", 40)
    wallet = book.add_wallet("UTC")
    for number in range(60):
        book.charge(wallet, NOW, key_id=7, agent_facts={"run": f"r{number}"})
    steps = []
    while step := wallets.maintenance.count_usage():
        steps.append(step)

    assert sum(steps) == 60
    assert max(steps) < 20
    assert len(wallets.usage(wallet, by="run").rows) == 60


def test_what_sums_would_not_hold_is_not_added_up(wallets: CreditWallet, book: Book) -> None:
    wallet = book.add_wallet("UTC")
    for _ in range(20):
        book.charge(wallet, NOW, micros=10**18, item="free", quantity=10**18)
        count(wallets)
    many = "UPDATE am_credit_usage SET quantity_units = 9000000000000000000 WHERE wallet_id = ?"
    book.sql.run(many, wallet)
    book.charge(wallet, NOW, item="free", quantity=10**18)
    count(wallets)

    for every in ("day", "month"):
        [row] = wallets.usage(wallet, by="item", every=every).rows
        assert (row.charges, row.amount) == (21, Decimal(20 * 10**12 + 1))
        assert row.quantity is None


def test_entries_of_plain_sql_count_as_without_anything(wallets: CreditWallet, book: Book) -> None:
    wallet = book.add_wallet("Asia/Tokyo")
    book.charge(wallet, datetime(2026, 5, 1, tzinfo=UTC), facts={"model": "m-1"})
    insert = "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, occurred_at) VALUES (?, ?, ?, ?)"
    for written in (
        "2026-05-15 12:00:00",
        "2026-05-15T23:30:00+09:00",
        "2026-05-15",
        "tomorrow",
        "9999-12-31T23:59:59Z",
    ):
        book.sql.run(insert, wallet, -3, "charge", written)
    book.sql.run(insert, wallet, 2, "refund", "2026-05-15T12:00:00Z")
    count(wallets)

    _, row = wallets.usage(wallet, by="tool").rows
    assert (row.period, row.value, row.charges, row.amount, row.refunded) == (
        "2026-05-15",
        None,
        3,
        Decimal(9),
        Decimal(2),
    )


@pytest.mark.parametrize(
    "detail", ['{"micros": -5, "facts": {"tool": "theirs"}}', '{"item": 7}', "[]", '"text"', "not JSON"]
)
def test_what_a_host_wrote_into_a_detail_counts_for_nothing(wallets: CreditWallet, db_url: str, detail: str) -> None:
    if detail == "not JSON" and is_postgres(db_url):
        pytest.skip("PostgreSQL takes only JSON")
    wallet = wallets.create().wallet_id
    wallets.topup(wallet, 10, idempotency_key="credit")
    wallets.charge(wallet, "3.30", idempotency_key="own", facts={"tool": "ours"})
    with PlainSql(db_url) as host, host.transaction():
        host.run("UPDATE am_credit_wallet SET balance_yen = balance_yen - 2 WHERE wallet_id = ?", wallet)
        insert = (
            "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, occurred_at, detail) "
            "VALUES (?, -2, 'charge', ?, ?)"
        )
        host.run(insert, wallet, format_instant(NOW), detail)
    count(wallets)  # before it is backfilled
    wallets.maintenance.watch_spending()
    assert [(row.value, row.amount) for row in wallets.usage(wallet, by="tool").rows] == [
        (None, 2),
        ("ours", Decimal("3.3")),
    ]
    wallets.charge(wallet, 1, idempotency_key="backfills")
    count(wallets)
    assert wallets.verify(usage=True) == []


def test_more_yen_than_micros_fit_into_64_bits_stop_no_job(wallets: CreditWallet, db_url: str) -> None:
    wallet = wallets.create().wallet_id
    wallets.topup(wallet, 10, idempotency_key="credit")
    with PlainSql(db_url) as host:
        for number, (txn_type, amount_yen) in enumerate((("topup", 10**14), ("charge", -(10**14)))):
            host.move(wallet, txn_type, amount_yen)
            wallets.charge(wallet, "0.1", idempotency_key=f"backfills {number}")
    count(wallets)
    assert wallets.maintenance.watch_spending() == 0
    assert wallets.topups.pay_back_room().paid_back_yen == 0


def test_days_begin_at_the_midnight_of_the_zone(wallets: CreditWallet, book: Book) -> None:
    wallet = book.add_wallet("Asia/Kolkata")
    book.charge(wallet, datetime(2026, 5, 14, 18, 29, 59, 999_000, tzinfo=UTC), key_id=7)
    book.charge(wallet, datetime(2026, 5, 14, 18, 30, tzinfo=UTC))
    count(wallets)

    days = wallets.usage(wallet).rows
    hours = wallets.usage(wallet, every="hour").rows
    assert [(row.period, row.starts_at) for row in days] == [
        ("2026-05-14", "2026-05-13T18:30:00.000Z"),
        ("2026-05-15", "2026-05-14T18:30:00.000Z"),
    ]
    assert [(row.period, row.starts_at) for row in hours] == [
        ("2026-05-14T23:00+05:30", "2026-05-14T17:30:00.000Z"),
        ("2026-05-15T00:00+05:30", "2026-05-14T18:30:00.000Z"),
    ]


def test_counting_begins_with_the_first_charge_that_says_something(
    wallets: CreditWallet, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MAX_ENTRIES", 3)
    silent, mine = book.add_wallet("UTC"), book.add_wallet("UTC")
    for _ in range(5):
        book.charge(silent, NOW)
        book.charge(mine, NOW, micros=3_300_000)
    first = book.charge(mine, NOW + timedelta(minutes=20), item="search", quantity=MICROS)
    for _ in range(5):
        book.charge(silent, NOW)
        book.charge(mine, NOW)
    book.refund(first, NOW, MICROS)
    count(wallets)

    assert (wallets.usage(silent).rows, wallets.usage(silent).counted_from) == ([], None)
    assert [(row.charges, row.refunded) for row in wallets.usage(mine).rows] == [(6, Decimal(1))]
    assert wallets.usage(mine).counted_from == "2026-05-15T12:20:00.000Z"  # not all of the hour


def test_a_report_says_up_to_where_it_counts(wallets: CreditWallet, book: Book) -> None:
    wallet = book.add_wallet("UTC")
    assert (wallets.usage(wallet).counted_to_txn_id, wallets.usage(wallet).is_current) == (0, True)
    entry = book.charge(wallet, NOW)
    book.sql.run("UPDATE am_credit_wallet SET last_txn_id = ? WHERE wallet_id = ?", entry.txn_id, wallet)
    assert not wallets.usage(wallet).is_current

    count(wallets)

    report = wallets.usage(wallet)
    assert (report.counted_to_txn_id, report.counted_to, report.is_current) == (
        entry.txn_id,
        "2026-05-15T12:00:00.000Z",
        True,
    )
    assert asyncio.run(wallets.ausage(wallet)) == report


def test_since_and_until_include_their_days(wallets: CreditWallet, book: Book) -> None:
    wallet = book.add_wallet("Asia/Tokyo")
    for day in range(1, 29):
        book.charge(wallet, datetime(2026, 4, day, 3, tzinfo=UTC), key_id=7)
    count(wallets)

    def days(**asked: Any) -> list[date]:
        return [date.fromisoformat(row.period) for row in wallets.usage(wallet, **asked).rows]

    assert [day.day for day in days(since="2026-04-05", until="2026-04-07")] == [5, 6, 7]
    assert [day.day for day in days(since="2026-04-26T15:00:00Z", until="2026-04-27T15:00:00Z")] == [27]
    assert len(days(since="2026-04", until="2026-04")) == 28
