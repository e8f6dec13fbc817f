"""The operators' overview: what days brought in and took out, what needs a person, and what it costs to know."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases, on_every_database
from plain_sql import PlainSql
from query_plans import Recorded, plans

from credit_wallet import CreditWallet
from credit_wallet.domain.ledger_overview import DayFigures, LedgerOverview
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.errors import InsufficientFunds, InvalidRequest
from credit_wallet.stores import overview_reads

pytestmark = on_both_databases


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 28, 12, tzinfo=UTC))


def looked_at(wallets: CreditWallet, zone: str = "UTC") -> LedgerOverview:
    while wallets.maintenance.count_totals():
        pass
    return wallets.ledger_overview(zone=zone)


def figures(day: DayFigures) -> dict[str, Decimal | int]:
    names = ("charges", "paid_in", "given", "spent", "refunded", "lapsed", "taken_back")
    return {name: getattr(day, name) for name in names if getattr(day, name)}


@on_every_database
def test_each_day_has_what_came_in_and_went_out(wallets: CreditWallet, clock: Clock) -> None:
    one, two = (wallets.create().wallet_id for _ in range(2))
    clock.set(datetime(2026, 11, 14, 0, tzinfo=UTC))  # the first of fifteen days
    wallets.topup(one, "100.50", idempotency_key="paid")
    gone = wallets.topup(one, 9, idempotency_key="mistyped").txn_id
    wallets.topup(two, 40, idempotency_key="gift", promo=True, expires_at="2026-11-20T10:00:00Z")
    clock.set(datetime(2026, 11, 21, 9, 0, tzinfo=UTC))
    charged = wallets.charge(one, "3.30", idempotency_key="c")
    wallets.charge(one, 1, idempotency_key="d")
    clock.set(datetime(2026, 11, 21, 13, tzinfo=UTC))
    wallets.charge(one, 5, idempotency_key="later that day")
    clock.set(datetime(2026, 11, 28, 12, tzinfo=UTC))
    wallets.refund(charged.txn_id, "0.30", idempotency_key="r")
    wallets.take_back(gone, note="twice", idempotency_key="t")
    wallets.transfers.create(one, two, 2, idempotency_key="between wallets")
    wallets.adjust(one, 4, reason="goodwill", note="sorry", idempotency_key="a")
    wallets.maintenance.expire_due()
    shown = looked_at(wallets)
    days = {day.day: figures(day) for day in shown.days if figures(day)}
    assert len(shown.days) == 15
    assert (shown.days[0].day, shown.days[-1].day) == ("2026-11-14", "2026-11-28")
    assert days == {
        "2026-11-14": {"paid_in": Decimal("109.5"), "given": 40},
        "2026-11-20": {"lapsed": 40},
        "2026-11-21": {"charges": 3, "spent": Decimal("9.3")},
        "2026-11-28": {"refunded": Decimal("0.3"), "taken_back": 5},
    }
    assert (shown.last_week.day, figures(shown.last_week)) == ("2026-11-21", {"charges": 2, "spent": Decimal("4.3")})
    assert shown.last_week.ends_at == "2026-11-21T12:00:00.000Z"
    assert [shown.wallets, shown.paid, shown.promo, shown.debt] == [2, Decimal("91.5"), 4, 0]
    assert shown.counted_to is not None


def test_days_begin_and_end_by_the_clocks_that_were_asked_for(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    for number, (hour, minute) in enumerate(((14, 59), (15, 0), (18, 14), (18, 15), (18, 29), (18, 30))):
        clock.set(datetime(2026, 11, 27, hour, minute, tzinfo=UTC))
        wallets.topup(wallet_id, 10**number, idempotency_key=f"k{number}")
    clock.set(datetime(2026, 11, 28, 12, tzinfo=UTC))
    for zone, yesterday, today in (
        ("UTC", 111_111, 0),
        ("Asia/Tokyo", 1, 111_110),
        ("Asia/Kathmandu", 111, 111_000),  # 5:45 ahead
        ("Asia/Kolkata", 11_111, 100_000),
    ):
        shown = looked_at(wallets, zone)
        assert [day.paid_in_yen for day in shown.days[-2:]] == [yesterday, today], zone
    for wrong in ("Mars/Olympus", "", "localtime", "../etc"):
        with pytest.raises(InvalidRequest):
            wallets.ledger_overview(zone=wrong)


def test_days_with_23_and_25_hours_are_days(wallets: CreditWallet, clock: Clock) -> None:
    clock.set(datetime(2026, 11, 2, 12, tzinfo=UTC))
    shown = looked_at(wallets, "America/New_York")
    assert len(shown.days) == 15
    [long] = [day for day in shown.days if day.day == "2026-11-01"]
    assert (long.starts_at, long.ends_at) == ("2026-11-01T04:00:00.000Z", "2026-11-02T05:00:00.000Z")


def test_entries_are_counted_once_and_forgotten_after_forty_days(
    wallets: CreditWallet, clock: Clock, db_url: str
) -> None:
    wallet_id = wallets.create().wallet_id
    for number in range(4):
        wallets.topup(wallet_id, 10, idempotency_key=f"k{number}")
        looked_at(wallets)
    assert looked_at(wallets).days[-1].paid_in_yen == 40
    with PlainSql(db_url) as sql:
        assert sql.run("SELECT sum(entries) FROM am_credit_quarter_total") == [(4,)]
        clock.advance(days=41)
        wallets.charge(wallet_id, 1, idempotency_key="c")
        assert figures(looked_at(wallets).days[-1]) == {"charges": 1, "spent": 1}
        assert sql.run("SELECT sum(entries) FROM am_credit_quarter_total") == [(1,)]


def failed(wallets: CreditWallet, wallet_id: int, key: str) -> str:
    topup_id = wallets.topups.request(wallet_id, 100, idempotency_key=key).topup_id
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=1, status="failed", reason="card_declined"))
    return topup_id


def test_what_needs_a_person_is_counted_and_the_first_of_it_named(
    wallets: CreditWallet, clock: Clock, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [wallets.create(label=f"customer {number}").wallet_id for number in range(5)]
    for each in looked_at(wallets).cases:
        assert (each.count, each.more, each.first) == (0, False, [])
    wallets.adjust(ids[0], -7, reason="fraud", note="n", allow_debt=True, idempotency_key="a")
    wallets.adjust(ids[1], "-90.50", reason="fraud", note="n", allow_debt=True, idempotency_key="a")
    with pytest.raises(InsufficientFunds):
        wallets.charge(ids[2], 5, idempotency_key="c")
    old = failed(wallets, ids[3], "old")
    clock.advance(days=20)
    first, second = failed(wallets, ids[3], "new"), failed(wallets, ids[4], "newer")
    with PlainSql(db_url) as sql:
        sql.run("INSERT INTO am_credit_payer (wallet_id, stopped, updated_at) VALUES (?, 1, '2026-12-18')", ids[3])
        sql.run(
            "INSERT INTO am_credit_target (wallet_id, url, created_at, confirm_by) "
            "VALUES (0, 'mailto:a@example.com', '2026-12-18', ?)",
            "2026-12-20T00:00:00.000Z",
        )
    found = {each.kind: each for each in looked_at(wallets).cases}
    counts = {kind: (each.count, [case.id for case in each.first]) for kind, each in found.items()}
    assert counts == {
        "wallets_in_debt": (2, [str(ids[1]), str(ids[0])]),  # who owes most first
        "wallets_exhausted": (1, [str(ids[2])]),
        "topups_failed": (2, sorted((first, second), reverse=True)),
        "topups_uncredited": (0, []),
        "auto_topups_stopped": (1, [str(ids[3])]),
        "deliveries_dead": (0, []),
        "targets_unconfirmed": (1, [found["targets_unconfirmed"].first[0].id]),
    }
    assert old not in (first, second)
    owes = found["wallets_in_debt"].first[0]
    assert (owes.wallet_id, owes.label, owes.amount, owes.amount_yen) == (ids[1], "customer 1", Decimal("90.5"), 91)
    declined = found["topups_failed"].first[0]
    assert (declined.amount_yen, declined.reason) == (100, "card_declined")
    assert (found["targets_unconfirmed"].first[0].wallet_id, found["targets_unconfirmed"].first[0].label) == (0, None)
    monkeypatch.setattr(overview_reads, "COUNTED", 1)
    monkeypatch.setattr(overview_reads, "SHOWN", 1)
    [debts, *_] = looked_at(wallets).cases
    assert (debts.count, debts.more, len(debts.first)) == (1, True, 1)


def test_a_payment_that_went_through_later_needs_nobody(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    failed(wallets, wallet_id, "a")
    clock.advance(hours=1)
    topup_id = wallets.topups.request(wallet_id, 100, idempotency_key="b").topup_id
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=1, status="succeeded", received_yen=100))
    assert {each.kind: each.count for each in looked_at(wallets).cases}["topups_failed"] == 0
    assert looked_at(wallets).days[-1].paid_in_yen == 100


def test_no_statement_reads_a_whole_table(wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="k")
    looked_at(wallets)
    reader = wallets._ledger.reader
    recorded = Recorded(reader.source)
    monkeypatch.setattr(reader, "source", recorded)
    wallets.ledger_overview()
    asked: dict[str, Any] = dict(recorded.asked)
    named = {"since": "2026-11-01", "most": 1_001, "shown": 5}
    asked |= dict.fromkeys(overview_reads.SQL.values(), named)
    for plan in plans(recorded, db_url, asked):
        for line in plan.splitlines():
            is_whole = re.search("SCAN (am_credit_|w|c)", line) and "INDEX" not in line  # the rest are bounded parts
            assert not is_whole or "am_credit_totals" in line, plan
            assert "Seq Scan" not in line or "am_credit_totals" in line, plan
