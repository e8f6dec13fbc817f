"""Amounts below the yen in both databases: exact in and out, and whole for those who read plain SQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from random import Random
from typing import Any

import apsw
import psycopg
import pytest
from clock import Clock
from databases import on_every_database
from msgspec import structs
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import LIBRARY
from credit_wallet.domain.commands import (
    Buy,
    Capture,
    Charge,
    Command,
    Expire,
    Hold,
    Refund,
    Release,
    Reverse,
    Topup,
    Undo,
)
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MAX_AMOUNT_MICROS, MICROS
from credit_wallet.domain.outcomes import Bought, Captured, Charged, Held, Outcome, ToppedUp
from credit_wallet.domain.settings import NewWallet
from credit_wallet.domain.tokens import NewToken
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import InvalidAmount
from credit_wallet.stores import Store
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.new_wallets import create_wallet

pytestmark = on_every_database

STEPS = 120

WALLETS = 3


@pytest.fixture
def store(db_url: str, clock: Clock) -> Iterator[Store]:
    with closing(database_at(db_url).open_store(clock())) as opened:
        yield opened


@pytest.fixture
def host(store: Store, db_url: str) -> Iterator[PlainSql]:
    """A host that reads and writes the ledger by plain SQL while ``store`` has it open."""
    del store  # opened first
    with PlainSql(db_url) as opened:
        yield opened


def new_wallet(store: Store, clock: Clock, number: int = 1) -> int:
    token = NewToken(f"{number:064x}", "")
    wallet_id, _ = store.run(create_wallet, NewWallet(None, 0, 0, 0, "alert", "UTC"), token, LIBRARY, clock())
    return wallet_id


def new_key(host: PlainSql, wallet_id: int) -> int:
    [(key_id,)] = host.run(
        "INSERT INTO am_credit_key (wallet_id, token_hash, monthly_cap_yen, created_at) VALUES (?, ?, 0, ?) "
        "RETURNING key_id",
        wallet_id,
        f"{1_000 + wallet_id:064x}",
        "2026-05-01T00:00:00.000Z",
    )
    return int(key_id)


def carried_out(store: Store, clock: Clock, *commands: Command) -> list[Outcome]:
    outcomes = store.execute(commands, clock)
    for outcome in outcomes:
        assert isinstance(outcome, Outcome), outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Outcome)]


def detail_of(text: object) -> dict[str, Any]:
    """A column of JSON, which drivers read as they like."""
    if isinstance(text, dict):
        return text
    return json.loads(text) if isinstance(text, str) else {}


# What must be true of the rows after every step, in whole yen and to the micro


def whole_yen_add_up(host: PlainSql, wallet_id: int) -> None:
    [(recorded, entered)] = host.run(
        """
        SELECT balance_yen + held_yen - opening_yen,
               CAST((SELECT coalesce(sum(amount_yen), 0) FROM am_credit_transaction_log e
                     WHERE e.wallet_id = w.wallet_id) AS BIGINT)
        FROM am_credit_wallet w WHERE wallet_id = ?
        """,
        wallet_id,
    )
    assert recorded == entered


def micros_add_up(host: PlainSql, wallet_id: int) -> None:
    [(balance_yen, balance_fraction, held_yen, ledger_fraction, opening_yen, open_lots, last_txn_id)] = host.run(
        "SELECT balance_yen, balance_fraction, held_yen, ledger_fraction, opening_yen, open_lots, last_txn_id "
        "FROM am_credit_wallet WHERE wallet_id = ?",
        wallet_id,
    )
    balance = balance_yen * MICROS + balance_fraction
    ledger = (balance_yen + held_yen) * MICROS + ledger_fraction
    assert balance == sum(part[2] * MICROS + sum(part[4:]) for part in json.loads(open_lots))

    held = host.run(
        "SELECT amount_yen - captured_yen, amount_fraction - captured_fraction FROM am_credit_hold "
        "WHERE wallet_id = ? AND status = 'open'",
        wallet_id,
    )
    assert ledger - balance == sum(yen * MICROS + fraction for yen, fraction in held)

    entries = chain_of(host, wallet_id)
    assert [txn_id for txn_id, *_ in entries][-1:] == [last_txn_id][: len(entries)]
    after = opening_yen * MICROS
    for _, amount_yen, ledger_balance_yen, lots, detail in entries:
        amount = detail.get("micros", amount_yen * MICROS)
        assert amount_yen == (after + amount) // MICROS - after // MICROS
        after += amount
        assert after == ledger_balance_yen * MICROS + detail.get("fraction", 0)
        assert abs(amount) == sum(part[1] * MICROS + sum(part[2:]) for part in json.loads(lots))
    assert after == ledger


def chain_of(host: PlainSql, wallet_id: int) -> list[tuple[Any, ...]]:
    """Id, yen, ledger balance in yen, lots and detail of a wallet's entries, along its chain."""
    rows = host.run(
        "SELECT txn_id, prev_txn_id, amount_yen, ledger_balance_yen, lots, CAST(detail AS TEXT) "
        "FROM am_credit_transaction_log WHERE wallet_id = ?",
        wallet_id,
    )
    after = {prev_txn_id: (txn_id, *rest, detail_of(detail)) for txn_id, prev_txn_id, *rest, detail in rows}
    chain, at = [], 0
    while at in after:
        chain.append(after[at])
        at = after[at][0]
    assert len(chain) == len(rows)
    return chain


# A host and a buyer who do anything


class Walk:
    """Random movements of wallets, a host's plain SQL among them. ``known`` is what they may come back to."""

    def __init__(self, seed: int, store: Store, host: PlainSql, clock: Clock, wallet_ids: list[int]) -> None:
        self.random, self.store, self.host, self.clock = Random(seed), store, host, clock
        self.wallet_ids = wallet_ids
        self.keys = {wallet_id: new_key(host, wallet_id) for wallet_id in wallet_ids}
        self.known: dict[str, list[tuple[int, int]]] = {"charge": [], "hold": [], "topup": []}
        self.done: Counter[str] = Counter()
        self.number = 0

    def step(self) -> None:
        if self.random.random() < 0.15:
            self.move_by_plain_sql()
            return
        if self.random.random() < 0.1:
            self.clock.advance(hours=self.random.choice((1, 30, 24 * 20)))
        commands = [self.command() for _ in range(self.random.choice((1, 1, 2, 8)))]
        for command, outcome in zip(commands, self.store.execute(commands, self.clock), strict=True):
            if not isinstance(outcome, Outcome):
                continue
            self.done[type(command).__name__] += 1
            if isinstance(outcome, Charged | Captured) or (isinstance(outcome, Bought) and outcome.txn_id):
                self.known["charge"].append((outcome.wallet_id, outcome.txn_id or 0))
            elif isinstance(outcome, Held):
                self.known["hold"].append((outcome.wallet_id, outcome.hold_id))
            elif isinstance(outcome, ToppedUp):
                self.known["topup"].append((outcome.wallet_id, outcome.txn_id))

    def amount(self) -> int:
        return self.random.choice((1, 500_000, 1_000_000, 3_300_000, 999_999, self.random.randrange(1, 30 * MICROS)))

    def command(self) -> Command:
        self.number += 1
        wallet_id, key, amount = self.random.choice(self.wallet_ids), f"k{self.number}", self.amount()
        key_id = self.random.choice((None, self.keys[wallet_id]))
        usage = self.random.choice((None, None, Usage(None, 0, (("tool", "search"),), (("run", "r1"),))))
        kind = self.random.randrange(10)
        if kind < 2:
            at = format_instant(self.clock() + timedelta(days=self.random.randrange(1, 40)))
            promo = self.random.random() < 0.5
            return Topup(wallet_id, key, amount * self.random.randrange(1, 9), promo, self.random.choice((None, at)))
        if kind < 5:
            return Charge(wallet_id, key, amount, None, key_id, usage)
        if kind == 5:
            return Hold(wallet_id, key, amount, self.random.choice((60, 90_000)), None, key_id, usage)
        if kind == 6:
            return Buy(wallet_id, key, key, amount, self.random.choice((None, 60)), key_id=key_id, usage=usage)
        if kind == 7 and self.known["hold"]:
            wallet_id, hold_id = self.random.choice(self.known["hold"])
            if self.random.random() < 0.3:
                return Release(wallet_id, key, hold_id)
            return Capture(wallet_id, key, hold_id, amount // 3 + 1, self.random.random() < 0.5, "up_to_balance")
        if kind == 8 and self.known["charge"]:
            wallet_id, txn_id = self.random.choice(self.known["charge"])
            return Refund(wallet_id, key, txn_id, self.random.choice((None, amount // 2 + 1)))
        if kind == 9 and self.known["topup"] and self.random.random() < 0.3:
            wallet_id, txn_id = self.random.choice(self.known["topup"])
            return Reverse(wallet_id, key, txn_id, amount)
        return Expire(wallet_id)

    def move_by_plain_sql(self) -> None:
        wallet_id, amount_yen = self.random.choice(self.wallet_ids), self.random.randrange(1, 20)
        kind = self.random.choice(("topup", "charge"))
        with suppress(apsw.ConstraintError, psycopg.errors.CheckViolation):  # the host has less than that
            self.host.move(
                wallet_id, kind, amount_yen if kind == "topup" else -amount_yen, format_instant(self.clock())
            )
            self.done["plain SQL"] += 1


@pytest.mark.parametrize("seed", range(3))
def test_after_every_step_whole_yen_and_micros_add_up(
    store: Store, host: PlainSql, db_url: str, clock: Clock, seed: int
) -> None:
    wallet_ids = [new_wallet(store, clock, number) for number in range(1, WALLETS + 1)]
    walk = Walk(seed, store, host, clock, wallet_ids)
    for _ in range(STEPS):
        walk.step()
        for wallet_id in wallet_ids:
            whole_yen_add_up(host, wallet_id)
        carried_out(store, clock, *(Expire(wallet_id) for wallet_id in wallet_ids))  # what plain SQL wrote is taken in
        for wallet_id in wallet_ids:
            whole_yen_add_up(host, wallet_id)
            micros_add_up(host, wallet_id)
    assert walk.done.keys() >= {
        "plain SQL",
        "Charge",
        "Hold",
        "Capture",
        "Release",
        "Refund",
        "Topup",
        "Reverse",
        "Buy",
    }
    store.close()
    with CreditWallet.open(db_url, clock=clock) as wallets:
        assert wallets.verify() == []


# What a host may write


def test_plain_sql_is_whole_yen_whatever_it_says_in_detail(
    store: Store, host: PlainSql, db_url: str, clock: Clock
) -> None:
    wallet_id = new_wallet(store, clock)
    carried_out(store, clock, Topup(wallet_id, "credit", 10 * MICROS), Charge(wallet_id, "exact", 3_300_000))
    for amount_yen, detail in ((-2, '{"micros":-2700000,"fraction":1}'), (0, '{"micros":-1}'), (0, "{}")):
        with host.transaction():
            host.run(
                "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, detail) VALUES (?, ?, ?, ?)",
                wallet_id,
                amount_yen,
                "charge",
                detail,
            )
            host.run("UPDATE am_credit_wallet SET balance_yen = balance_yen + ?", amount_yen)
    [charged] = carried_out(store, clock, Charge(wallet_id, "all of it", 4_700_000))
    assert charged.balance_micros == 0
    assert [(amount_yen, detail) for _, amount_yen, _, _, detail in chain_of(host, wallet_id)] == [
        (10, {}),
        (-4, {"micros": -3_300_000, "fraction": 700_000}),
        (-2, {"fraction": 700_000}),
        (0, {"micros": 0, "fraction": 700_000}),
        (0, {"micros": 0, "fraction": 700_000}),
        (-4, {"micros": -4_700_000}),
    ]
    whole_yen_add_up(host, wallet_id)
    micros_add_up(host, wallet_id)
    store.close()
    with CreditWallet.open(db_url, clock=clock) as wallets:
        assert [violation.check for violation in wallets.verify()] == ["details"] * 2  # of 0 yen, for nothing


def test_a_host_that_adds_yen_leaves_what_is_below_them(store: Store, host: PlainSql, clock: Clock) -> None:
    wallet_id = new_wallet(store, clock)
    carried_out(
        store,
        clock,
        Topup(wallet_id, "credit", 10 * MICROS),
        Charge(wallet_id, "exact", 300_000),
        Hold(wallet_id, "hold", 900_000),
    )
    columns = "balance_yen, balance_fraction, held_yen, ledger_fraction"
    assert host.run(f"SELECT {columns} FROM am_credit_wallet") == [(8, 800_000, 1, 700_000)]
    host.move(wallet_id, "topup", 5)
    assert host.run(f"SELECT {columns} FROM am_credit_wallet") == [(13, 800_000, 1, 700_000)]
    [released] = carried_out(store, clock, Release(wallet_id, "release", 1))
    assert (released.amount_micros, released.balance_micros) == (900_000, 14_700_000)
    assert host.run(f"SELECT {columns} FROM am_credit_wallet") == [(14, 700_000, 0, 700_000)]


def test_an_exact_outcome_is_replayed_exactly(store: Store, db_url: str, clock: Clock) -> None:
    wallet_id = new_wallet(store, clock)
    carried_out(store, clock, Topup(wallet_id, "credit", 10 * MICROS))
    commands = [
        Charge(wallet_id, "charge", 3_300_000, usage=Usage(None, 0, (("tool", "search"),))),
        Hold(wallet_id, "hold", 700_001),
        Capture(wallet_id, "capture", 1, 200_000),
        Refund(wallet_id, "refund", 2, 300_000),
    ]
    outcomes = [*carried_out(store, clock, *commands[:2]), *carried_out(store, clock, *commands[2:])]
    store.close()
    with closing(database_at(db_url).open_store(clock())) as reopened:
        again = carried_out(reopened, clock, *commands)
    assert again == [structs.replace(outcome, replayed=True) for outcome in outcomes]


@pytest.mark.parametrize("between", [700_000, 500_000], ids=["used up at once", "used up in between"])
@pytest.mark.parametrize(
    ("setting_aside", "closing"),
    [
        (Buy(1, "buy", "attempt", 200_000), Undo(1, "buy", "attempt")),
        (Buy(1, "buy", "attempt", 200_000, 60), Undo(1, "buy", "attempt")),
    ],
)
def test_what_is_given_back_in_its_own_batch_returns_to_its_lot(
    store: Store, db_url: str, clock: Clock, setting_aside: Buy, closing: Command, between: int
) -> None:
    """A purchase that is undone before it is committed. The lot, a gift that lapses, is used up."""
    wallet_id = new_wallet(store, clock)
    end = format_instant(clock() + timedelta(days=1))
    carried_out(store, clock, Topup(wallet_id, "gift", 700_000, True, end))
    if between == 700_000:
        setting_aside = structs.replace(setting_aside, amount_micros=between)
        carried_out(store, clock, setting_aside, closing)
    else:
        carried_out(store, clock, setting_aside, Charge(wallet_id, "rest", between), closing)
    store.close()
    with CreditWallet.open(db_url, clock=clock) as wallets:
        assert [(lot.kind, lot.expires_at) for lot in wallets.lots.list(wallet_id)] == [("promo", end)]
        assert wallets.verify() == []


def test_the_largest_balance_is_exact_too(store: Store, host: PlainSql, db_url: str, clock: Clock) -> None:
    wallet_id = new_wallet(store, clock)
    carried_out(store, clock, *(Topup(wallet_id, f"credit {n}", MAX_AMOUNT_MICROS) for n in range(9)))
    [refused] = store.execute([Topup(wallet_id, "a micro more", 1)], clock)
    assert isinstance(refused, InvalidAmount)
    carried_out(store, clock, Charge(wallet_id, "a micro less", 1), Hold(wallet_id, "hold", MAX_AMOUNT_MICROS))
    columns = "balance_yen, balance_fraction, held_yen, ledger_fraction"
    assert host.run(f"SELECT {columns} FROM am_credit_wallet") == [(8 * 10**12 - 1, 999_999, 10**12, 999_999)]
    assert host.run("SELECT CAST(max(ledger_balance_micros) AS BIGINT) FROM v_credit_transaction_exact") == [
        (9 * 10**18,)
    ]
    whole_yen_add_up(host, wallet_id)
    micros_add_up(host, wallet_id)
    store.close()
    with CreditWallet.open(db_url, clock=clock) as wallets:
        assert wallets.show(wallet_id).held == 10**12
        assert wallets.verify() == []
