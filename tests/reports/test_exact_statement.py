"""Statements below the yen: exact to the micro, item × quantity @ unit price, in every form."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from itertools import count, pairwise
from random import Random
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import PAYER
from credit_wallet.domain.cycle import format_instant
from credit_wallet.errors import WalletError
from credit_wallet.reports.statement import Statement, to_csv, to_json, to_text

pytestmark = on_every_database

FIRST = """
[[price]]
item = "search"
unit_price_yen = "3.3"

[[price]]
item = "tokens.input"
unit_price_yen = "0.2"
per = 1000
"""
SECOND = FIRST.replace('"3.3"', '"4.4"')

SHOWN = """\
Statement of Wallet 1 (agents) for 2026-05 (UTC)

  Opening balance            ¥0
  Top-ups                  ¥100.5
  Charges                  -¥12.346801
  Refunds                    ¥1.1
  Expired                    ¥0
  Reversed                   ¥0
  Closing balance           ¥89.253199

    Charges         Charged        Refunded           Spent             Cap  Spent by
          4      ¥12.346801            ¥1.1      ¥11.246801                  owner

    Charges         Charged        Refunded           Spent  Spent on
          3      ¥12.100001            ¥1.1      ¥11.000001  (no note)
          1       ¥0.2468              ¥0         ¥0.2468    chat

    Charges         Charged        Refunded           Spent  Item × quantity @ unit price
          2      ¥12.1                 ¥1.1      ¥11         search × 3
          1       ¥3.3                                         1 @ ¥3.3, price version 1
          1       ¥8.8                                         2 @ ¥4.4, price version 2
          1       ¥0.2468              ¥0         ¥0.2468    tokens.input × 1,234 @ ¥0.2 per 1,000
          1       ¥0.000001            ¥0         ¥0.000001  (no item)

      Entry  Time                      Type              Amount           Balance  Item          Quantity  Note
          1  2026-05-15T12:00:00.000Z  topup        ¥100.5            ¥100.5                               card
          2  2026-05-15T12:00:00.000Z  charge        -¥3.3             ¥97.2       search               1  [tool=web]
          3  2026-05-15T12:00:00.000Z  charge        -¥0.2468          ¥96.9532    tokens.input     1,234  chat
          4  2026-05-15T12:00:00.000Z  refund         ¥1.1             ¥98.0532
          5  2026-05-15T12:00:01.000Z  charge        -¥8.8             ¥89.2532    search               2  [agent: id=7]
          6  2026-05-15T12:00:01.000Z  charge        -¥0.000001        ¥89.253199"""


@pytest.fixture
def seller(wallets: CreditWallet, clock: Clock) -> int:
    """A wallet that bought searches before and after their price was raised, tokens, and something without an item."""
    wallets.prices.apply(FIRST)
    wallet_id = wallets.create(label="agents").wallet_id
    wallets.topup(wallet_id, "100.50", idempotency_key="start", note="card")
    first = wallets.charge(wallet_id, item="search", idempotency_key="1", facts={"tool": "web"})
    wallets.charge(wallet_id, item="tokens.input", quantity=1_234, idempotency_key="2", note="chat")
    wallets.refund(first.txn_id, "1.1", idempotency_key="3")
    wallets.prices.apply(SECOND)
    clock.advance(seconds=1)
    wallets.charge(wallet_id, item="search", quantity=2, idempotency_key="4", facts={"id": "7"}, actor=PAYER)
    wallets.charge(wallet_id, "0.000001", idempotency_key="5")
    return wallet_id


def test_the_text_names_item_quantity_and_price(wallets: CreditWallet, seller: int) -> None:
    report = wallets.statement(seller, "2026-05")
    assert to_text(report) == SHOWN
    assert_ties(report)


def test_the_largest_and_the_smallest_stand_in_their_columns(wallets: CreditWallet) -> None:
    item = "a_name_that_is_long." * 3 + "abcd"
    wallets.prices.apply(f'[[price]]\nitem = "{item}"\nunit_price_yen = "0.000001"\n')
    wallet_id = wallets.create().wallet_id
    for number in range(9):
        wallets.topup(wallet_id, 10**12, idempotency_key=f"{number}")
    wallets.charge(wallet_id, 10**12, idempotency_key="most")
    wallets.charge(wallet_id, item=item, quantity="0.5", idempotency_key="least")
    wallets.charge(wallet_id, item=item, quantity=1_000_000, idempotency_key="more")
    report = wallets.statement(wallet_id, "2026-05")
    assert (report.topups, report.charges) == (Decimal(9 * 10**12), Decimal("-1000000000001.000001"))
    assert_ties(report)
    heading, *lines = to_text(report).splitlines()[-13:]
    entries = [line.ljust(len(heading)) for line in lines]
    amount_end, balance_end = (heading.index(name) + len(name) for name in ("Amount", "Balance"))
    places = len(".000001")
    for line in entries[:9]:
        assert line[:amount_end].endswith("¥1,000,000,000,000" + " " * places)
    assert entries[8][:balance_end].endswith("  ¥9,000,000,000,000" + " " * places)
    assert entries[10][:balance_end].endswith("-¥0.000001  ¥7,999,999,999,999.999999")
    assert lines[11].endswith(f"  {item}  1,000,000")
    assert lines[10].endswith(f"  {item}          0.5")
    assert len({line.index("¥") for line in entries[:9]}) == 1


def test_the_csv_has_the_exact_amounts_after_the_columns_it_had(wallets: CreditWallet, seller: int) -> None:
    rows = list(csv.DictReader(StringIO(to_csv(wallets.statement(seller, "2026-05")))))
    assert [(row["amount_yen"], row["ledger_balance_yen"], row["amount"], row["ledger_balance"]) for row in rows] == [
        ("100", "100", "100.5", "100.5"),
        ("-3", "97", "-3.3", "97.2"),
        ("-1", "96", "-0.2468", "96.9532"),
        ("2", "98", "1.1", "98.0532"),
        ("-9", "89", "-8.8", "89.2532"),
        ("0", "89", "-0.000001", "89.253199"),
    ]
    assert [(row["item"], row["quantity"], row["price_version"], row["facts"], row["agent_facts"]) for row in rows] == [
        ("", "", "", "", ""),
        ("search", "1", "1", '{"tool":"web"}', ""),
        ("tokens.input", "1234", "1", "", ""),
        ("", "", "", "", ""),
        ("search", "2", "2", "", '{"id":"7"}'),
        ("", "", "", "", ""),
    ]


def test_the_csv_of_items_has_a_line_per_price_and_one_for_refunds(wallets: CreditWallet, seller: int) -> None:
    text = to_csv(wallets.statement(seller, "2026-05"), "items")
    assert text.splitlines() == [
        "item,price_version,unit_price,per,quantity,charges,charged_yen,refunded_yen,spent_yen,charged,refunded,spent",
        "search,1,3.3,1,1,1,3,0,3,3.3,0,3.3",
        "search,2,4.4,1,2,1,8,0,8,8.8,0,8.8",
        "search,,,,,0,0,1,-2,0,1.1,-1.1",
        "tokens.input,1,0.2,1000,1234,1,0,0,0,0.2468,0,0.2468",
        ",,,,,1,0,0,0,0.000001,0,0.000001",
    ]


def test_the_csv_of_keys_and_notes_is_exact_too(wallets: CreditWallet, seller: int) -> None:
    report = wallets.statement(seller, "2026-05")
    assert to_csv(report, "keys").splitlines()[1:] == [",,4,12,1,11,0,12.346801,1.1,11.246801"]
    assert to_csv(report, "notes").splitlines()[1:] == [
        "1,3,12,1,11,,12.100001,1.1,11.000001",
        "1,1,0,0,0,chat,0.2468,0,0.2468",
    ]


def test_the_json_is_whole_and_exact(wallets: CreditWallet, seller: int) -> None:
    report = json.loads(to_json(wallets.statement(seller, "2026-05")))
    assert {name: report[name] for name in ("topups_yen", "topups", "charges_yen", "charges", "closing")} == {
        "topups_yen": 100,
        "topups": "100.5",
        "charges_yen": -13,
        "charges": "-12.346801",
        "closing": "89.253199",
    }
    assert report["spend_by_item"][0]["prices"][0] == {
        "price_version": 1,
        "unit_price": "3.3",
        "per": 1,
        "charges": 1,
        "quantity": "1",
        "charged_yen": 3,
        "charged": "3.3",
        "price": "¥3.3",
    }
    assert report["entries"][4]["agent_facts"] == {"id": "7"}
    assert "micros" not in to_json(wallets.statement(seller, "2026-05"))


def test_an_agent_sees_its_own_items(wallets: CreditWallet, seller: int) -> None:
    key_id = wallets.keys.create(seller, label="mine").key_id
    wallets.charge(seller, item="search", idempotency_key="own", key_id=key_id)
    drawing = wallets.cycles.draw(seller, "2026-05", viewer_key_id=key_id)
    while drawing.add_up():
        pass
    head = drawing.head()
    drawing.close()
    assert [(line.item, line.quantity, line.charged) for line in head.spend_by_item] == [
        ("search", Decimal(1), Decimal("4.4"))
    ]
    assert head.charges == Decimal("-16.746801")


# To the micro, whatever is moved


@pytest.mark.parametrize("seed", range(3))
def test_every_division_of_a_cycle_ties_to_the_micro(wallets: CreditWallet, clock: Clock, seed: int) -> None:
    random = Random(seed)
    wallets.prices.apply(FIRST)
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    traffic = Traffic(wallets, wallet_id, clock, random)
    for month in (5, 6, 7):
        clock.set(datetime(2026, month, 3, tzinfo=UTC))
        for _ in range(40):
            traffic.move()
        wallets.prices.apply(FIRST.replace('"3.3"', f'"3.3{month}"'))
        clock.advance(days=2)
        wallets.maintenance.expire_due()
    reports = [wallets.statement(wallet_id, f"2026-{month:02}") for month in range(4, 9)]
    for report, following in pairwise(reports):
        assert_ties(report)
        assert following.opening == report.closing
    balance = wallets.balance(wallet_id)
    assert reports[0].opening == 0
    assert reports[-1].closing == balance.balance + balance.held
    assert wallets.verify() == []


class Traffic:
    """Movements of a wallet, most of them below the yen; what is refused moves nothing."""

    def __init__(self, wallets: CreditWallet, wallet_id: int, clock: Clock, random: Random) -> None:
        self._wallets, self._wallet_id, self._clock, self._random = wallets, wallet_id, clock, random
        self._key_id = wallets.keys.create(wallet_id, label="agent").key_id
        self._charges: list[int] = []
        self._holds: list[int] = []
        self._keys = count()

    def move(self) -> None:
        """Any one movement."""
        movements = (self._topup, self._charge, self._charge, self._buy, self._refund, self._hold, self._capture)
        with suppress(WalletError):
            self._random.choice(movements)()

    def _amount(self, most: int) -> Decimal:
        micros = self._random.randint(1, most * 10**6)
        return Decimal(micros).scaleb(-6) if self._random.random() < 0.8 else Decimal(micros % most + 1)

    def _who(self) -> dict[str, Any]:
        note = self._random.choice((None, "search", "chat"))
        key_id = self._random.choice((None, self._key_id))
        return {"idempotency_key": f"{self._wallet_id} {next(self._keys)}", "note": note, "key_id": key_id}

    def _topup(self) -> None:
        key = f"topup {next(self._keys)}"
        promo = self._random.random() < 0.3
        expires_at = format_instant(self._clock() + timedelta(days=1)) if promo else None
        self._wallets.topup(self._wallet_id, self._amount(20), idempotency_key=key, promo=promo, expires_at=expires_at)

    def _charge(self) -> None:
        self._charges.append(self._wallets.charge(self._wallet_id, self._amount(3), **self._who()).txn_id)

    def _buy(self) -> None:
        item, quantity = self._random.choice((("search", 1), ("search", 3), ("tokens.input", Decimal("12.345678"))))
        bought = self._wallets.charge(self._wallet_id, item=item, quantity=quantity, **self._who())
        self._charges.append(bought.txn_id)

    def _refund(self) -> None:
        if self._charges:
            amount = self._random.choice((None, self._amount(1)))
            key = f"refund {next(self._keys)}"
            self._wallets.refund(self._random.choice(self._charges), amount, idempotency_key=key)

    def _hold(self) -> None:
        self._holds.append(
            self._wallets.hold(self._wallet_id, self._amount(5), **self._who(), ttl_seconds=3600).hold_id
        )

    def _capture(self) -> None:
        if self._holds:
            hold_id = self._holds.pop()
            if self._random.random() < 0.3:
                self._wallets.release(hold_id)
            elif self._random.random() < 0.5:
                self._wallets.capture(hold_id, item="tokens.input", quantity=self._random.randint(1, 2_000))
            else:
                self._wallets.capture(hold_id, self._amount(1))


def assert_ties(report: Statement) -> None:
    """Opening and entries make the closing balance, and every division of the spending makes charges less refunds."""
    moved = report.topups + report.charges + report.refunds + report.expired + report.reversed
    assert report.opening + moved == report.closing
    assert sum(entry.amount for entry in report.entries) == moved
    if report.entries:
        assert report.entries[-1].ledger_balance == report.closing
        assert report.opening_yen + sum(entry.amount_yen for entry in report.entries) == report.closing_yen
    spent = -report.charges - report.refunds
    assert sum(line.spent for line in report.spend_by_key) == spent
    others = report.other_notes.spent if report.other_notes else 0
    assert sum(line.spent for line in report.spend_by_note) + others == spent
    assert sum(line.spent for line in report.spend_by_item) == spent
    for line in report.spend_by_item:
        assert sum(price.charged for price in line.prices) == line.charged
    rows = list(csv.DictReader(StringIO(to_csv(report))))
    assert sum(Decimal(row["amount"]) for row in rows) == moved
    of_items = csv.DictReader(StringIO(to_csv(report, "items")))
    assert sum(Decimal(row["spent"]) for row in of_items) == spent
    assert json.loads(to_json(report))["closing"] == str(report.closing)
