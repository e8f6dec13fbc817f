"""Statements: what a cycle opened with, what came and went, what it closed with; as text, CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from textwrap import dedent

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import InvalidRequest, WalletNotFound
from credit_wallet.reports.statement import Statement, to_csv, to_json, to_text

pytestmark = on_every_database


def charge(wallets: CreditWallet, wallet_id: int, amount_yen: int, key: str = "charge", note: str | None = None) -> int:
    txn_id = wallets.charge(wallet_id, amount_yen, idempotency_key=key, note=note).txn_id
    assert txn_id is not None
    return txn_id


def totals(report: Statement) -> tuple[int, ...]:
    """Opening, top-ups, charges, refunds, expired, reversed, closing."""
    return (
        report.opening_yen,
        report.topups_yen,
        report.charges_yen,
        report.refunds_yen,
        report.expired_yen,
        report.reversed_yen,
        report.closing_yen,
    )


@pytest.fixture
def busy(wallets: CreditWallet, clock: Clock) -> int:
    """A wallet with entries of every type in May 2026, nothing in June, and two in July."""
    wallet_id = wallets.create(label="search", monthly_budget_yen=1_000).wallet_id
    topup = wallets.topup(wallet_id, 1_000, idempotency_key="first", note="card").txn_id
    assert topup is not None
    wallets.topup(wallet_id, 200, idempotency_key="gift", promo=True, expires_at="2026-05-20")
    charge_id = charge(wallets, wallet_id, 550, "calls", note="crawl, deep")
    wallets.refund(charge_id, 50, idempotency_key="failed")
    wallets.reverse(topup, 100, idempotency_key="clawback")
    clock.set(datetime(2026, 5, 20, tzinfo=UTC))
    wallets.topup(wallet_id, 70, idempotency_key="gift too", promo=True, expires_at="2026-05-21")
    clock.set(datetime(2026, 5, 21, tzinfo=UTC))
    wallets.maintenance.expire_due()
    clock.set(datetime(2026, 7, 1, tzinfo=UTC))
    charge(wallets, wallet_id, 100, "july")
    wallets.topup(wallet_id, 1, idempotency_key="july too")
    return wallet_id


# Figures


@pytest.mark.parametrize(
    ("cycle", "figures", "entries"),
    [
        ("2026-04", (0, 0, 0, 0, 0, 0, 0), 0),
        ("2026-05", (0, 1_270, -550, 50, -70, -100, 600), 7),
        ("2026-06", (600, 0, 0, 0, 0, 0, 600), 0),
        ("2026-07", (600, 1, -100, 0, 0, 0, 501), 2),
        ("2026-08", (501, 0, 0, 0, 0, 0, 501), 0),
        ("1000-01", (0, 0, 0, 0, 0, 0, 0), 0),
        ("9998-12", (501, 0, 0, 0, 0, 0, 501), 0),
    ],
)
def test_each_cycle_opens_with_what_the_one_before_closed_with(
    wallets: CreditWallet, busy: int, cycle: str, figures: tuple[int, ...], entries: int
) -> None:
    report = wallets.statement(busy, cycle)
    assert totals(report) == figures
    assert len(report.entries) == entries
    assert report.closing_yen == report.opening_yen + sum(entry.amount_yen for entry in report.entries)


def test_entries_stand_oldest_first_with_the_balance_they_left(wallets: CreditWallet, busy: int) -> None:
    entries = wallets.statement(busy, "2026-05").entries
    assert [(entry.txn_type, entry.amount_yen, entry.ledger_balance_yen) for entry in entries] == [
        ("topup", 1_000, 1_000),
        ("topup", 200, 1_200),
        ("charge", -550, 650),
        ("refund", 50, 700),
        ("reversal", -100, 600),
        ("topup", 70, 670),
        ("expire", -70, 600),
    ]


def test_open_holds_are_in_the_balance_until_they_are_spent(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    hold_id = wallets.hold(wallet_id, 60, idempotency_key="hold", ttl_seconds=30 * 24 * 3600).hold_id
    assert hold_id is not None
    assert wallets.statement(wallet_id, "2026-05").closing_yen == 100
    clock.set(datetime(2026, 6, 1, tzinfo=UTC))
    wallets.capture(hold_id, 40)
    assert totals(wallets.statement(wallet_id, "2026-06")) == (100, 0, -40, 0, 0, 0, 60)


def test_a_wallet_never_used_has_an_empty_statement(wallets: CreditWallet) -> None:
    report = wallets.statement(wallets.create().wallet_id, "2026-05")
    assert totals(report) == (0,) * 7
    assert (report.entries, report.alerts, report.label) == ([], [], None)


def test_alerts_of_the_cycle_stand_in_the_order_they_fired(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    for month, amount_yen in ((5, 85), (6, 50)):
        clock.set(datetime(2026, month, 2, tzinfo=UTC))
        charge(wallets, wallet_id, amount_yen, f"month {month}")
    assert [alert.threshold_pct for alert in wallets.statement(wallet_id, "2026-05").alerts] == [50, 80]
    assert [alert.threshold_pct for alert in wallets.statement(wallet_id, "2026-06").alerts] == [50]


@pytest.mark.parametrize(
    ("time_zone", "last_of_may", "first_of_june"),
    [
        ("UTC", "2026-05-31T23:59:59.999", "2026-06-01T00:00"),
        ("Asia/Tokyo", "2026-05-31T14:59:59.999", "2026-05-31T15:00"),
        ("America/New_York", "2026-06-01T03:59:59.999", "2026-06-01T04:00"),
        ("Asia/Kathmandu", "2026-05-31T18:14:59.999", "2026-05-31T18:15"),
    ],
)
def test_months_are_those_of_the_wallets_time_zone(
    wallets: CreditWallet, clock: Clock, time_zone: str, last_of_may: str, first_of_june: str
) -> None:
    wallet_id = wallets.create(time_zone=time_zone).wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    for at, amount_yen in ((last_of_may, 3), (first_of_june, 5)):
        clock.set(datetime.fromisoformat(at).replace(tzinfo=UTC))
        charge(wallets, wallet_id, amount_yen, at)
    may, june = (wallets.statement(wallet_id, cycle) for cycle in ("2026-05", "2026-06"))
    assert totals(may) == (0, 100, -3, 0, 0, 0, 97)
    assert totals(june) == (97, 0, -5, 0, 0, 0, 92)
    assert may.time_zone == time_zone


@pytest.mark.parametrize("cycle", ["2026-13", "2026-5", "202605", "", "may", "9999-12", "2026-05\n"])
def test_a_cycle_that_is_none_is_refused(wallets: CreditWallet, busy: int, cycle: str) -> None:
    with pytest.raises(InvalidRequest, match="cycle must be YYYY-MM"):
        wallets.statement(busy, cycle)


def test_a_wallet_that_is_not_there_has_no_statement(wallets: CreditWallet) -> None:
    with pytest.raises(WalletNotFound):
        wallets.statement(404, "2026-05")


# Beside plain SQL


@pytest.fixture
def host(seed_url: str) -> Iterator[PlainSql]:
    """Whoever has 281 alone, and writes a balance of ¥700 of which its entries explain ¥500."""
    with PlainSql(seed_url) as host:
        host.wallet(balance_yen=200)
        host.move(1, "topup", 600, "2026-04-10T00:00:00.000Z")
        host.move(1, "charge", -100, "2026-05-10 00:00:00")
        yield host


@pytest.mark.usefixtures("host")
def test_an_adopted_wallet_opens_with_what_no_entry_explains(seed_url: str, clock: Clock) -> None:
    with CreditWallet.open(seed_url, clock=clock) as wallets:
        assert [totals(wallets.statement(1, cycle)) for cycle in ("2026-03", "2026-04", "2026-05", "2026-06")] == [
            (200, 0, 0, 0, 0, 0, 200),
            (200, 600, 0, 0, 0, 0, 800),
            (800, 0, -100, 0, 0, 0, 700),
            (700, 0, 0, 0, 0, 0, 700),
        ]


def test_what_plain_sql_wrote_since_is_in_the_statement_once_it_is_adopted(
    host: PlainSql, seed_url: str, clock: Clock
) -> None:
    with CreditWallet.open(seed_url, clock=clock) as wallets:
        host.move(1, "charge", -30, "2026-05-15T11:00:00.000Z")
        assert wallets.verify() == []
        assert totals(wallets.statement(1, "2026-05")) == (800, 0, -130, 0, 0, 0, 670)


# Text


def test_the_text_has_totals_first_and_entries_after(wallets: CreditWallet, busy: int) -> None:
    shown = dedent("""\
        Statement of Wallet 1 (search) for 2026-05 (UTC)

          Opening balance                   ¥0
          Top-ups                       ¥1,270
          Charges                        -¥550
          Refunds                          ¥50
          Expired                         -¥70
          Reversed                       -¥100
          Closing balance                 ¥600
          Monthly budget                ¥1,000
          Alert at 50 %: ¥550 of ¥1,000 spent

            Charges         Charged        Refunded           Spent             Cap  Spent by
                  1            ¥550             ¥50            ¥500                  owner

            Charges         Charged        Refunded           Spent  Spent on
                  1            ¥550             ¥50            ¥500  crawl, deep

              Entry  Time                      Type              Amount           Balance  Note
                  1  2026-05-15T12:00:00.000Z  topup             ¥1,000            ¥1,000  card
                  2  2026-05-15T12:00:00.000Z  topup               ¥200            ¥1,200
                  3  2026-05-15T12:00:00.000Z  charge             -¥550              ¥650  crawl, deep
                  4  2026-05-15T12:00:00.000Z  refund               ¥50              ¥700
                  5  2026-05-15T12:00:00.000Z  reversal           -¥100              ¥600
                  6  2026-05-20T00:00:00.000Z  topup                ¥70              ¥670
                  7  2026-05-22T00:00:00.000Z  expire              -¥70              ¥600""")
    assert to_text(wallets.statement(busy, "2026-05")) == shown


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        ("plain", "plain"),
        ("全角　空白 and 👩‍💻", "全角　空白 and 👩‍💻"),
        ("call\n  9  2026-05-15T12:00:00.000Z  topup  ¥9,999", r"call\n  9  2026-05-15T12:00:00.000Z  topup  ¥9,999"),
        ("\x1b[2J\x1b[31mred", r"\x1b[2J\x1b[31mred"),
        ("over\rwritten", r"over\rwritten"),
        ("\x9b31m \u2028 \u202e", r"\x9b31m \u2028 \u202e"),
    ],
)
def test_a_note_stays_on_its_line_and_commands_no_terminal(wallets: CreditWallet, note: str, shown: str) -> None:
    wallet_id = wallets.create(label=note).wallet_id
    wallets.topup(wallet_id, 1, idempotency_key="start", note=note)
    lines = to_text(wallets.statement(wallet_id, "2026-05")).split("\n")
    assert lines[0] == f"Statement of Wallet {wallet_id} ({shown}) for 2026-05 (UTC)"
    assert lines[-1].endswith(f"¥1  {shown}")


# CSV and JSON

CSV_HEADING = (
    "txn_id,occurred_at,txn_type,amount_yen,ledger_balance_yen,key_id,note,"
    "amount,ledger_balance,item,quantity,price_version,facts,agent_facts,cause,reason,"
    "request_id,reference,metadata,idempotency_key"
)


def csv_of(wallets: CreditWallet, notes: list[str]) -> str:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start", note="start")
    for number, note in enumerate(notes):
        charge(wallets, wallet_id, 1, f"charge-{number}", note)
    return to_csv(wallets.statement(wallet_id, "2026-05"))


def test_the_csv_has_a_heading_and_a_line_per_entry(wallets: CreditWallet, busy: int) -> None:
    report = wallets.statement(busy, "2026-07")
    first, second = (entry.txn_id for entry in report.entries)
    assert to_csv(report) == (
        f"{CSV_HEADING}\r\n"
        f"{first},2026-07-01T00:00:00.000Z,charge,-100,500,,,-100,500,,,,,,,,,,,\r\n"
        f"{second},2026-07-01T00:00:00.000Z,topup,1,501,,,1,501,,,,,,grant,,,,,\r\n"
    )


def test_the_csv_names_the_agent_key_that_paid(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="start")
    key_id = wallets.keys.create(wallet_id).key_id
    wallets.charge(wallet_id, 1, idempotency_key="charge", key_id=key_id)
    rows = list(csv.DictReader(StringIO(to_csv(wallets.statement(wallet_id, "2026-05")))))
    assert [row["key_id"] for row in rows] == ["", str(key_id)]


@pytest.mark.parametrize(
    ("note", "quoted"),
    [
        ("plain", "plain"),
        ("one, two", '"one, two"'),
        ('say "yen"', '"say ""yen"""'),
        ("two\nlines", '"two\nlines"'),
        ("two\r\nlines", '"two\r\nlines"'),
        ("円; 元", "円; 元"),
    ],
)
def test_the_csv_is_quoted_as_rfc_4180_says(wallets: CreditWallet, note: str, quoted: str) -> None:
    text = csv_of(wallets, [note])
    assert text.endswith(f",charge,-1,999,,{quoted},-1,999,,,,,,,,,,,\r\n")
    assert list(csv.DictReader(StringIO(text, newline="")))[-1]["note"] == note


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_note_runs_as_a_formula(wallets: CreditWallet, begins: str) -> None:
    note = f'{begins}HYPERLINK("https://example.com","pay")'
    rows = list(csv.DictReader(StringIO(csv_of(wallets, [note, f"a{note}"]), newline="")))
    assert [row["note"] for row in rows] == ["start", f"'{note}", f"a{note}"]


def test_an_empty_cycle_is_the_heading_alone(wallets: CreditWallet, busy: int) -> None:
    assert to_csv(wallets.statement(busy, "2026-06")).splitlines() == [CSV_HEADING]


@pytest.mark.parametrize(
    ("time_zone", "shown"),
    [
        ("UTC", "2026-05-15T12:00:00.000Z"),
        ("Asia/Tokyo", "2026-05-15T21:00:00.000+09:00"),
        ("America/St_Johns", "2026-05-15T09:30:00.000-02:30"),
        ("Etc/UTC", "2026-05-15T12:00:00.000+00:00"),
    ],
)
def test_csv_and_text_have_the_times_of_the_wallets_zone_and_json_those_of_the_ledger(
    wallets: CreditWallet, time_zone: str, shown: str
) -> None:
    wallet_id = wallets.create(time_zone=time_zone).wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="start")
    report = wallets.statement(wallet_id, "2026-05")
    assert [row["occurred_at"] for row in csv.DictReader(StringIO(to_csv(report)))] == [shown]
    heading, line = to_text(report).splitlines()[-2:]
    assert line[heading.index("Time") :].startswith(f"{shown}  topup ")
    assert line.endswith(f"{'¥10':>16}")
    assert heading.index("Balance") + len("Balance") == line.index("¥10", line.index("¥10") + 1) + len("¥10")
    assert json.loads(to_json(report))["entries"][0]["occurred_at"] == "2026-05-15T12:00:00.000Z"


def test_a_statement_of_a_month_in_tokyo_begins_and_ends_at_its_midnights(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    clock.set(datetime(2026, 4, 30, 15, tzinfo=UTC))
    wallets.topup(wallet_id, 10, idempotency_key="first")
    clock.set(datetime(2026, 5, 31, 14, 59, 59, 999_000, tzinfo=UTC))
    wallets.topup(wallet_id, 10, idempotency_key="last")
    rows = csv.DictReader(StringIO(to_csv(wallets.statement(wallet_id, "2026-05"))))
    assert [row["occurred_at"] for row in rows] == ["2026-05-01T00:00:00.000+09:00", "2026-05-31T23:59:59.999+09:00"]


def test_what_plain_sql_wrote_for_a_time_is_shown_as_it_stands(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    with PlainSql(db_url) as host:
        host.move(wallet_id, "topup", 10, "2026-05-15 12:00:00")
        host.move(wallet_id, "topup", 10, "2026-05-15 noon")
    assert wallets.verify() == []
    rows = csv.DictReader(StringIO(to_csv(wallets.statement(wallet_id, "2026-05"))))
    assert [row["occurred_at"] for row in rows] == ["2026-05-15T21:00:00.000+09:00", "2026-05-15 noon"]


def test_the_json_has_every_figure_whole_and_exact(wallets: CreditWallet, busy: int) -> None:
    report = json.loads(to_json(wallets.statement(busy, "2026-05")))
    spent = {
        "charges": 1,
        "charged_yen": 550,
        "charged": "550",
        "refunded_yen": 50,
        "refunded": "50",
        "spent_yen": 500,
        "spent": "500",
    }
    no_item = {"price_version": None, "unit_price": None, "per": None, "price": None, "charges": 1, "quantity": "0"}
    assert {name: value for name, value in report.items() if name not in ("entries", "alerts")} == {
        "wallet_id": 1,
        "label": "search",
        "billing_cycle": "2026-05",
        "time_zone": "UTC",
        "opening_yen": 0,
        "opening": "0",
        "topups_yen": 1_270,
        "topups": "1270",
        "charges_yen": -550,
        "charges": "-550",
        "refunds_yen": 50,
        "refunds": "50",
        "expired_yen": -70,
        "expired": "-70",
        "reversed_yen": -100,
        "reversed": "-100",
        "transferred_in_yen": 0,
        "transferred_in": "0",
        "transferred_out_yen": 0,
        "transferred_out": "0",
        "adjusted_yen": 0,
        "adjusted": "0",
        "other_yen": 0,
        "other": "0",
        "left_out": [],
        "closing_yen": 600,
        "closing": "600",
        "monthly_budget_yen": 1_000,
        "seal": None,
        "spend_by_key": [{"key_id": None, "label": None, **spent, "monthly_cap_yen": 0}],
        "spend_by_note": [{"note": "crawl, deep", **spent}],
        "other_notes": None,
        "spend_by_item": [
            {"item": None, "quantity": "0", **spent, "prices": [{**no_item, "charged_yen": 550, "charged": "550"}]}
        ],
    }
    assert report["alerts"] == [
        {"threshold_pct": 50, "billing_cycle": "2026-05", "spent_yen": 550, "budget_yen": 1_000}
    ]
    assert report["entries"][2] == {
        "txn_id": 3,
        "wallet_id": 1,
        "amount_yen": -550,
        "amount": "-550",
        "txn_type": "charge",
        "occurred_at": "2026-05-15T12:00:00.000Z",
        "note": "crawl, deep",
        "ledger_balance_yen": 650,
        "ledger_balance": "650",
        "key_id": None,
        "related_txn_id": None,
        "hold_id": None,
        "item": None,
        "quantity": None,
        "price_version": None,
        "facts": {},
        "agent_facts": {},
        "cause": None,
        "reason": None,
        "request_id": None,
        "reference": None,
        "metadata": {},
        "idempotency_key": None,
    }
