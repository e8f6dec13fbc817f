"""Searches among a wallet's entries: every filter finds what it says, and no page looks at more than its share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases

from credit_wallet import CreditWallet
from credit_wallet.domain.entry_search import EntryFilter, Paid
from credit_wallet.domain.views import Transaction
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.transactions import entry_filter
from credit_wallet.stores import entry_search

pytestmark = on_both_databases

NOTES = ("GET /search", "100 % off", "snake_case", "back\\slash", 'a "quote"', "研究所 ＡＣＭＥ", "Straße", None)
ITEMS = ("search", "tokens.input")


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many steps, and jumps, within a few entries."""
    monkeypatch.setattr(entry_search, "STEPS", 7)
    monkeypatch.setattr(entry_search, "PASSED", 20)


@pytest.fixture
def wallet_id(wallets: CreditWallet, clock: Clock) -> int:
    """A wallet in Tokyo with charges, refunds and credit that expires over three months, beside another wallet."""
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    other = wallets.create().wallet_id
    price_items(wallets)
    draw = random.Random(7)
    for each in (wallet_id, other):
        wallets.topup(each, 100_000, idempotency_key="start")
    key_id = wallets.keys.create(wallet_id).key_id
    for number in range(60):
        clock.advance(hours=draw.choice((0, 1, 30)), seconds=number % 3)
        if number % 10 == 0:
            end = clock() + timedelta(hours=20)
            wallets.topup(wallet_id, 50, idempotency_key=f"gift {number}", promo=True, expires_at=end.isoformat())
        given: dict[str, Any] = {"item": ITEMS[number % 2]} if number % 3 == 0 else {"amount_yen": number % 5 + 1}
        charged = wallets.charge(
            wallet_id,
            given.get("amount_yen"),
            item=given.get("item"),
            quantity=1 if "item" in given else None,
            idempotency_key=f"k{number}",
            note=NOTES[number % len(NOTES)],
            key_id=key_id if number % 4 == 0 else None,
            reference=f"order-{number}" if number % 2 else None,
            facts={"tool": f"tool {number % 4}"},
        ).txn_id
        wallets.charge(other, 1, idempotency_key=f"k{number}", note="GET /search")
        if number % 6 == 0 and charged is not None:
            wallets.refund(charged, 1, idempotency_key=f"r{number}", note="sorry")
    return wallet_id


def price_items(wallets: CreditWallet) -> None:
    wallets.prices.apply("".join(f"[[price]]\nitem = '{item}'\nunit_price_yen = 3\n" for item in ITEMS))


def found(wallets: CreditWallet, wallet_id: int, limit: int = 5, **asked: Any) -> list[int]:
    """The ids of all steps; each looks at seven entries."""
    ids: list[int] = []
    before: int | None = None
    while True:
        step = wallets.transactions.search(wallet_id, limit=limit, before_txn_id=before, **asked)
        ids += [entry.txn_id for entry in step.entries]
        before = step.before_txn_id
        if before is None:
            return ids
        assert step.searched_to == wallets.transactions.show(before).occurred_at


def expected(wallets: CreditWallet, wallet_id: int, wanted: EntryFilter) -> list[int]:
    entries = wallets.history(wallet_id, limit=1_000)
    by_id = {entry.txn_id: entry for entry in entries}

    def paid(entry: Transaction) -> Paid:
        charge = by_id.get(entry.related_txn_id or 0) if entry.txn_type == "refund" else None
        return Paid() if charge is None else Paid(charge.key_id, charge.note, charge.item)

    return [entry.txn_id for entry in entries if wanted.fits(entry, paid(entry))]


FILTERS: tuple[dict[str, Any], ...] = (
    {"txn_type": "refund"},
    {"txn_type": "expire"},
    {"item": "search"},
    {"item": "search", "txn_type": "refund"},
    {"item": "nothing"},
    {"since": "2026-06"},
    {"until": "2026-06"},
    {"since": "2026-06-01", "until": "2026-06-10"},
    {"since": "2026-05-20T03:00:00+09:00", "until": "2026-05-20T18:00:00Z"},
    {"since": "2026-05-20T03:00:00", "until": "2026-05-22"},
    {"until": "2020-01-01"},
    {"since": "2030-01-01"},
    {"until": "2026-05-25", "item": "search"},
    {"query": "search"},
    {"query": "SEARCH get"},
    {"query": "%"},
    {"query": "_"},
    {"query": "\\"},
    {"query": '"quote"'},
    {"query": "100 % off"},
    {"query": "研究"},
    {"query": "acme"},
    {"query": "ａｃｍｅ 研究所"},
    {"query": "STRASSE"},
    {"query": "order-1"},
    {"query": "tool 3"},
    {"query": "sorry"},
    {"query": "tokens"},
    {"query": "facts"},  # a word of the ledger's own form, and of no entry
    {"query": "nowhere"},
    {"query": "'; DROP TABLE am_credit_wallet; --"},
    {"query": " "},
    {"query": "snake", "txn_type": "charge", "since": "2026-05-20", "until": "2026-07-01"},
)


def test_a_filter_finds_what_it_says_and_nothing_else(wallets: CreditWallet, wallet_id: int) -> None:
    empty = []
    for asked in FILTERS:
        wanted = expected(wallets, wallet_id, entry_filter("Asia/Tokyo", **asked))
        empty += [] if wanted else [asked]
        assert found(wallets, wallet_id, **asked) == wanted, asked
        assert found(wallets, wallet_id, limit=1, **asked) == wanted, asked
        assert [entry.txn_id for entry in wallets.history(wallet_id, limit=1_000, **asked)] == wanted, asked
    assert len(empty) == 6, empty


def test_days_are_those_of_the_wallet_and_times_without_a_zone_utc(wallets: CreditWallet, clock: Clock) -> None:
    ids = [wallets.create(time_zone=zone).wallet_id for zone in ("Asia/Tokyo", "UTC")]
    clock.set(clock().replace(day=19, hour=16))  # the 20th in Tokyo
    for wallet_id in ids:
        wallets.topup(wallet_id, 5, idempotency_key="a")
    assert [len(found(wallets, each, since="2026-05-20")) for each in ids] == [1, 0]
    assert [len(found(wallets, each, until="2026-05-19")) for each in ids] == [0, 1]
    assert [len(found(wallets, each, since="2026-05-19T16:00:00")) for each in ids] == [1, 1]
    assert [len(found(wallets, each, until="2026-05-19T16:00:00")) for each in ids] == [0, 0]


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"query": "a\0b"}, "query"),
    ({"query": "x" * 301}, "query"),
    ({"query": "a b c d e f g h i"}, "query"),
    ({"query": 5}, "query"),
    ({"since": "2026-06-02", "until": "2026-06-01"}, "since"),
    ({"since": "2026-06-01T00:00:00Z", "until": "2026-06-01T00:00:00Z"}, "since"),
    ({"since": "yesterday"}, "since"),
    ({"until": "2026-W20"}, "until"),
    ({"until": "99999-01-01"}, "until"),
    ({"item": "No Item"}, "item"),
    ({"item": "a" * 65}, "item"),
    ({"txn_type": "gift"}, "txn_type"),
)


def test_what_nothing_can_match_is_refused(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    for asked, field in REFUSED:
        for search in (wallets.transactions.search, wallets.history):
            with pytest.raises(InvalidRequest) as refused:
                search(wallet_id, **asked)
            assert refused.value.details["field"] == field
        with pytest.raises(InvalidRequest):
            wallets.transactions.find(reference="order-1", wallet_id=wallet_id, **asked)


def test_names_are_found_among_what_else_is_asked_for(wallets: CreditWallet, wallet_id: int) -> None:
    names: dict[str, Any] = {"reference": "order-9", "wallet_id": wallet_id}
    [entry] = wallets.transactions.find(**names)
    day = entry.occurred_at[:10]
    assert wallets.transactions.find(**names, query="order", item=entry.item, since=day) == [entry]
    others: tuple[dict[str, Any], ...] = (
        {"query": "nowhere"},
        {"item": "other"},
        {"since": "2027-01"},
        {"until": "2020-01"},
    )
    for other in others:
        assert wallets.transactions.find(**names, **other) == []


def steps_of(wallets: CreditWallet, wallet_id: int, **asked: Any) -> Iterator[int]:
    step = wallets.transactions.search(wallet_id, **asked)
    yield len(step.entries)
    while step.before_txn_id is not None:
        step = wallets.transactions.search(wallet_id, before_txn_id=step.before_txn_id, **asked)
        yield len(step.entries)


def test_a_search_of_some_days_passes_neither_what_came_later_nor_what_was_before(
    wallets: CreditWallet, wallet_id: int
) -> None:
    everything = len(list(steps_of(wallets, wallet_id, query="nowhere")))
    assert everything > 10
    of_a_day = {"since": "2026-06-01", "until": "2026-06-02", "query": "nowhere"}
    assert len(list(steps_of(wallets, wallet_id, **of_a_day))) <= 4


def test_a_wallet_between_many_others_is_found_by_its_credit_and_its_months(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_search, "PASSED", 1)
    rare, busy = (wallets.create().wallet_id for _ in range(2))
    wallets.topup(busy, 1_000, idempotency_key="start")
    for number in range(40):
        clock.advance(days=1)
        if number % 8 == 0:
            wallets.topup(rare, 5, idempotency_key=f"k{number}")
        for part in range(3):
            wallets.charge(busy, 1, idempotency_key=f"k{number}.{part}")
    for until in ("2026-05-16", "2026-05-20", "2026-06", "2026-06-10", "2026-07"):
        wanted = expected(wallets, rare, entry_filter("UTC", until=until))
        assert found(wallets, rare, until=until) == wanted
