"""Who spent and on what: by agent key and by note, in the statement and in history, refunds with their charges."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from io import StringIO
from typing import Any, NamedTuple

import pytest
from amounts import amounts, yen
from clock import Clock
from databases import on_every_database
from hypothesis import given
from hypothesis import strategies as st
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.views import Transaction
from credit_wallet.errors import InvalidRequest
from credit_wallet.reports.spending import MAX_NOTES, KeySpend, NoteSpend, OtherNotes, SpendingTotals
from credit_wallet.reports.statement import to_csv, to_text
from credit_wallet.stores import reads
from credit_wallet.stores.reads import CycleEntry

pytestmark = on_every_database


class Team(NamedTuple):
    """A wallet with two agent keys, which its owner and both agents have spent from in May 2026."""

    wallet_id: int
    crawler: int
    writer: int
    searched: int
    """The crawler's charge for a search."""


@pytest.fixture
def team(wallets: CreditWallet) -> Team:
    wallet_id = wallets.create(label="acme").wallet_id
    wallets.topup(wallet_id, 100_000, idempotency_key="start", note="invoice 1")
    crawler = wallets.keys.create(wallet_id, label="crawler", monthly_cap_yen=5_000).key_id
    writer = wallets.keys.create(wallet_id).key_id
    searched = charge(wallets, wallet_id, 300, "s1", "GET /search", crawler)
    charge(wallets, wallet_id, 400, "s2", "GET /search", crawler)
    charge(wallets, wallet_id, 2_000, "t1", "tool summarize", writer)
    charge(wallets, wallet_id, 50, "s3", "GET /search")
    charge(wallets, wallet_id, 7, "o1")
    return Team(wallet_id, crawler, writer, searched)


def charge(
    wallets: CreditWallet, wallet_id: int, amount_yen: int, key: str, note: str | None = None, key_id: int | None = None
) -> int:
    txn_id = wallets.charge(wallet_id, amount_yen, idempotency_key=key, note=note, key_id=key_id).txn_id
    assert txn_id is not None
    return txn_id


# The statement


def test_spending_is_told_by_key_the_most_expensive_first(wallets: CreditWallet, team: Team) -> None:
    assert wallets.statement(team.wallet_id, "2026-05").spend_by_key == [
        KeySpend(team.writer, None, 1, yen(2_000), 0, yen(2_000), 0),
        KeySpend(team.crawler, "crawler", 2, yen(700), 0, yen(700), 5_000),
        KeySpend(None, None, 2, yen(57), 0, yen(57), 0),
    ]


def test_spending_is_told_by_note_the_most_expensive_first(wallets: CreditWallet, team: Team) -> None:
    report = wallets.statement(team.wallet_id, "2026-05")
    assert report.spend_by_note == [
        NoteSpend("tool summarize", 1, yen(2_000), 0, yen(2_000)),
        NoteSpend("GET /search", 3, yen(750), 0, yen(750)),
        NoteSpend(None, 1, yen(7), 0, yen(7)),
    ]
    assert report.other_notes is None


def test_a_refund_counts_against_the_key_and_the_note_of_its_charge(wallets: CreditWallet, team: Team) -> None:
    wallets.refund(team.searched, 100, idempotency_key="r1", note="apology")
    wallets.refund(team.searched, 50, idempotency_key="r2")
    report = wallets.statement(team.wallet_id, "2026-05")
    assert KeySpend(team.crawler, "crawler", 2, yen(700), yen(150), yen(550), 5_000) in report.spend_by_key
    assert NoteSpend("GET /search", 3, yen(750), yen(150), yen(600)) in report.spend_by_note


def test_a_refund_of_an_earlier_months_charge_counts_in_its_own_month(
    wallets: CreditWallet, team: Team, clock: Clock
) -> None:
    clock.set(datetime(2026, 8, 1, tzinfo=UTC))
    wallets.refund(team.searched, 100, idempotency_key="late")
    assert wallets.statement(team.wallet_id, "2026-05").spend_by_key[1].refunded_yen == 0
    august = wallets.statement(team.wallet_id, "2026-08")
    assert august.spend_by_key == [KeySpend(team.crawler, "crawler", 0, 0, yen(100), -yen(100), 5_000)]
    assert august.spend_by_note == [NoteSpend("GET /search", 0, 0, yen(100), -yen(100))]


def test_a_captured_hold_is_spending_of_the_key_that_opened_it(wallets: CreditWallet, team: Team) -> None:
    hold_id = wallets.hold(team.wallet_id, 900, idempotency_key="h", note="POST /render", key_id=team.writer).hold_id
    assert hold_id is not None
    assert wallets.statement(team.wallet_id, "2026-05").spend_by_key[0].charged_yen == 2_000
    wallets.capture(hold_id, 600)
    report = wallets.statement(team.wallet_id, "2026-05")
    assert report.spend_by_key[0] == KeySpend(team.writer, None, 2, yen(2_600), 0, yen(2_600), 0)
    assert NoteSpend("POST /render", 1, yen(600), 0, yen(600)) in report.spend_by_note


def test_what_is_no_spending_is_left_out(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    topup = wallets.topup(wallet_id, 100, idempotency_key="start", note="invoice").txn_id
    assert topup is not None
    wallets.reverse(topup, 30, idempotency_key="clawback", note="dispute")
    wallets.keys.create(wallet_id, label="idle")
    report = wallets.statement(wallet_id, "2026-05")
    assert (report.spend_by_key, report.spend_by_note, report.other_notes) == ([], [], None)


def test_cheap_notes_beyond_the_first_are_one_line(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10_000, idempotency_key="start")
    for number in range(1, MAX_NOTES + 4):
        charge(wallets, wallet_id, number, f"c{number}", f"GET /{number}")
    report = wallets.statement(wallet_id, "2026-05")
    assert [line.spent_yen for line in report.spend_by_note] == list(range(MAX_NOTES + 3, 3, -1))
    assert report.other_notes == OtherNotes(3, 3, yen(6), 0, yen(6))


def test_a_refund_of_plain_sql_that_names_no_charge_is_the_owners(seed_url: str, clock: Clock) -> None:
    with PlainSql(seed_url) as host:
        host.wallet(balance_yen=430)
        host.move(1, "topup", 500, "2026-05-01T00:00:00.000Z")
        host.move(1, "charge", -100, "2026-05-02 00:00:00")
        host.move(1, "refund", 30, "2026-05-03 00:00:00")
    with CreditWallet.open(seed_url, clock=clock) as wallets:
        report = wallets.statement(1, "2026-05")
    assert report.spend_by_key == [KeySpend(None, None, 1, yen(100), yen(30), yen(70), 0)]
    assert report.spend_by_note == [NoteSpend(None, 1, yen(100), yen(30), yen(70))]


entries = st.lists(
    st.tuples(amounts(1_000), st.sampled_from([None, 1, 2]), st.text("ab", max_size=6) | st.none(), st.booleans()),
    max_size=60,
)


@pytest.mark.databases("sqlite")
@given(entries)
def test_both_ways_add_up_to_the_charges_and_refunds_of_the_cycle(
    made: list[tuple[int, int | None, str | None, bool]],
) -> None:
    charges = [
        entry(number, "charge", -micros, key_id, note) for number, (micros, key_id, note, _) in enumerate(made, 1)
    ]
    refunds = [
        entry(1_000 + each.txn_id, "refund", -each.amount_micros, None, None, each.txn_id)
        for each, (*_, given_back) in zip(charges, made, strict=True)
        if given_back
    ]
    paid = {charge.txn_id: charge for charge in charges}
    totals = SpendingTotals()
    totals.add(CycleEntry(charge, None, None, None) for charge in charges)
    totals.add(
        CycleEntry(each, paid[each.related_txn_id or 0].key_id, paid[each.related_txn_id or 0].note, None)
        for each in refunds
    )
    spent = totals.shown(lambda _: (None, 0))
    totals.close()
    ways: list[list[KeySpend | NoteSpend | OtherNotes]] = [[*spent.by_key], [*spent.by_note]]
    if spent.other_notes:
        ways[1].append(spent.other_notes)
    for lines in ways:
        assert sum(line.charges for line in lines) == len(charges)
        assert sum(line.charged_micros for line in lines) == -sum(each.amount_micros for each in charges)
        assert sum(line.refunded_micros for line in lines) == sum(each.amount_micros for each in refunds)
        assert all(line.spent_micros == line.charged_micros - line.refunded_micros for line in lines)
        assert [line.spent_micros for line in lines[:MAX_NOTES]] == sorted(
            (line.spent_micros for line in lines[:MAX_NOTES]), reverse=True
        )
    assert len(spent.by_note) <= MAX_NOTES


def entry(
    txn_id: int, txn_type: Any, amount_micros: int, key_id: int | None, note: str | None, related: int | None = None
) -> Transaction:
    at = "2026-05-15T12:00:00.000Z"
    return Transaction(txn_id, 1, amount_micros // MICROS, amount_micros, txn_type, at, note, 0, key_id, related, None)


# Its text and its CSV


def test_the_text_tells_who_spent_and_on_what(wallets: CreditWallet, team: Team) -> None:
    wallets.refund(team.searched, 100, idempotency_key="r1")
    for number in range(MAX_NOTES):
        charge(wallets, team.wallet_id, 10, f"c{number}", f"GET /item/{number}")
    parts = to_text(wallets.statement(team.wallet_id, "2026-05")).split("\n\n")
    assert parts[2].splitlines() == [
        "    Charges         Charged        Refunded           Spent             Cap  Spent by",
        "          1          ¥2,000              ¥0          ¥2,000                  key 2",
        "          2            ¥700            ¥100            ¥600          ¥5,000  key 1 (crawler)",
        "         22            ¥257              ¥0            ¥257                  owner",
    ]
    lines = parts[3].splitlines()
    assert lines[0] == "    Charges         Charged        Refunded           Spent  Spent on"
    assert lines[2] == "          3            ¥750            ¥100            ¥650  GET /search"
    assert lines[-1] == "          3             ¥27              ¥0             ¥27  (other notes: 3)"
    assert len(lines) == 1 + MAX_NOTES + 1


def test_the_csv_of_keys_has_a_line_per_key(wallets: CreditWallet, team: Team) -> None:
    assert to_csv(wallets.statement(team.wallet_id, "2026-05"), "keys") == (
        "key_id,label,charges,charged_yen,refunded_yen,spent_yen,monthly_cap_yen,charged,refunded,spent\r\n"
        f"{team.writer},,1,2000,0,2000,0,2000,0,2000\r\n"
        f"{team.crawler},crawler,2,700,0,700,5000,700,0,700\r\n"
        ",,2,57,0,57,0,57,0,57\r\n"
    )


def test_the_csv_of_notes_has_a_line_per_note_and_one_for_the_rest(wallets: CreditWallet, team: Team) -> None:
    charge(wallets, team.wallet_id, 9_000, "f", '=HYPERLINK("https://example.com")')
    for number in range(MAX_NOTES):
        charge(wallets, team.wallet_id, 10, f"c{number}", f"GET /item/{number}")
    rows = list(csv.reader(StringIO(to_csv(wallets.statement(team.wallet_id, "2026-05"), "notes"), newline="")))
    assert rows[:4] == [
        ["notes", "charges", "charged_yen", "refunded_yen", "spent_yen", "note", "charged", "refunded", "spent"],
        ["1", "1", "9000", "0", "9000", '\'=HYPERLINK("https://example.com")', "9000", "0", "9000"],
        ["1", "1", "2000", "0", "2000", "tool summarize", "2000", "0", "2000"],
        ["1", "3", "750", "0", "750", "GET /search", "750", "0", "750"],
    ]
    assert rows[-1] == ["4", "4", "37", "0", "37", "", "37", "0", "37"]


def test_a_label_commands_neither_terminal_nor_spreadsheet(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="start")
    key_id = wallets.keys.create(wallet_id, label="=1+1\x1b[2J").key_id
    charge(wallets, wallet_id, 1, "c", "\x1b[2J", key_id)
    report = wallets.statement(wallet_id, "2026-05")
    assert "\x1b" not in to_text(report)
    assert ",'=1+1" in to_csv(report, "keys")


# History


def found(wallets: CreditWallet, wallet_id: int, **wanted: Any) -> list[tuple[str, int]]:
    return [(each.txn_type, each.amount_yen) for each in wallets.history(wallet_id, **wanted)]


def test_history_of_a_key_is_its_charges_and_their_refunds(wallets: CreditWallet, team: Team) -> None:
    wallets.refund(team.searched, 100, idempotency_key="r1")
    assert found(wallets, team.wallet_id, key_id=team.crawler) == [("refund", 100), ("charge", -400), ("charge", -300)]
    assert found(wallets, team.wallet_id, key_id=team.writer) == [("charge", -2_000)]
    assert found(wallets, team.wallet_id, key_id=404) == []


def test_history_of_a_note_is_what_has_it_and_refunds_of_what_has_it(wallets: CreditWallet, team: Team) -> None:
    wallets.refund(team.searched, 100, idempotency_key="r1", note="apology")
    searches = [("refund", 100), ("charge", -50), ("charge", -400), ("charge", -300)]
    assert found(wallets, team.wallet_id, note="GET /search") == searches
    assert found(wallets, team.wallet_id, note="apology") == [("refund", 100)]
    assert found(wallets, team.wallet_id, note="invoice 1") == [("topup", 100_000)]
    assert found(wallets, team.wallet_id, note="GET /") == []


def test_filters_of_history_narrow_each_other(wallets: CreditWallet, team: Team) -> None:
    wallets.refund(team.searched, 100, idempotency_key="r1")
    assert found(wallets, team.wallet_id, key_id=team.crawler, txn_type="refund") == [("refund", 100)]
    assert found(wallets, team.wallet_id, key_id=team.crawler, note="tool summarize") == []
    assert found(wallets, team.wallet_id, key_id=team.writer, note="tool summarize", txn_type="charge") == [
        ("charge", -2_000)
    ]


@pytest.mark.parametrize("steps", [1, 2, 7, 1_000])
@pytest.mark.partitions
def test_pages_of_a_filtered_history_leave_nothing_out_and_repeat_nothing(
    wallets: CreditWallet, team: Team, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    for number in range(9):
        charge(wallets, team.wallet_id, 1 + number % 3, f"p{number}", "GET /page", team.crawler)
        charge(wallets, team.wallet_id, 1, f"q{number}", "GET /page", team.writer)
    monkeypatch.setattr(reads, "STEPS", steps)
    everything = wallets.history(team.wallet_id, limit=1_000)
    assert [entry.txn_id for entry in everything] == list(range(len(everything), 0, -1))
    for wanted in ({}, {"key_id": team.crawler}, {"note": "GET /page", "key_id": team.writer}, {"note": "GET /none"}):
        whole = [entry for entry in everything if all(getattr(entry, name) == wanted[name] for name in wanted)]
        for limit in (1, 3, 4, 1_000):
            assert paged(wallets, team.wallet_id, limit, wanted) == whole


def paged(wallets: CreditWallet, wallet_id: int, limit: int, wanted: dict[str, Any]) -> list[Transaction]:
    seen: list[Transaction] = []
    while page := wallets.history(wallet_id, limit=limit, before_txn_id=seen[-1].txn_id if seen else None, **wanted):
        assert len(page) <= limit
        seen += page
    return seen


def test_another_wallets_key_finds_nothing(wallets: CreditWallet, team: Team) -> None:
    stranger = wallets.create().wallet_id
    wallets.topup(stranger, 10, idempotency_key="start")
    assert found(wallets, stranger, key_id=team.crawler) == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"key_id": 0}, "key_id"),
        ({"key_id": True}, "key_id"),
        ({"key_id": "1"}, "key_id"),
        ({"note": "a\0b"}, "note"),
        ({"note": "x" * 501}, "note"),
        ({"note": 1}, "note"),
    ],
)
def test_a_filter_that_is_none_is_refused(
    wallets: CreditWallet, team: Team, wanted: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        wallets.history(team.wallet_id, **wanted)
    assert refusal.value.details["field"] == field
