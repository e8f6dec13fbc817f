"""What is told of a budget that is crossed: once for each window, value, limit and share, however often agents come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from budgeted import change, make
from clock import Clock
from databases import on_every_database
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import WalletError

pytestmark = on_every_database

_numbers = count()
RUNS = (("run", "*"),)


@pytest.fixture
def host(db_url: str, wallets: CreditWallet) -> Iterator[PlainSql]:
    assert not wallets.maintenance.waiting()
    with PlainSql(db_url) as opened:
        yield opened


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000_000, idempotency_key="topup")
    return wallet_id


def spend(wallets: CreditWallet, wallet_id: int, amount: str, **of: Any) -> None:
    """Charge, whether it is refused or not."""
    with suppress(WalletError):
        wallets.charge(wallet_id, amount, idempotency_key=f"told-{next(_numbers)}", **of)


def told(host: PlainSql) -> list[dict[str, Any]]:
    rows = host.run("SELECT kind, payload FROM am_credit_outbox WHERE kind LIKE 'budget.%' ORDER BY event_id")
    return [{"kind": kind, **json.decode(payload)} for kind, payload in rows]


def shares(host: PlainSql) -> list[int | None]:
    """The share of each crossing; None where a budget was used up."""
    return [event.get("threshold_pct") for event in told(host)]


def test_a_share_is_told_of_once_in_a_window_and_a_refusal_once(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    make(wallets, wallet_id, 10)
    for day in range(2):
        for amount in ("7.9", "0.1", "0.1", "1.9", "1", "1", "0.5"):
            spend(wallets, wallet_id, amount)
        assert shares(host) == [80, 100, None] * (day + 1)
        clock.advance(days=1)


def test_each_value_is_told_of_and_none_twice(wallets: CreditWallet, wallet_id: int, host: PlainSql) -> None:
    make(wallets, wallet_id, 10, scope=RUNS)
    for _ in range(3):
        wallets.charge_many(
            [
                Charge(wallet_id, f"r-{next(_numbers)}", 10 * MICROS, usage=Usage(None, 0, (("run", f"r{run}"),), ()))
                for run in range(200)
            ]
        )
    events = Counter((event["kind"], event.get("threshold_pct"), event["value"]) for event in told(host))
    assert set(events.values()) == {1}
    assert len(events) == 3 * 200


def test_callers_at_once_on_two_nodes_are_told_of_once(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, db_url: str, clock: Clock
) -> None:
    make(wallets, wallet_id, 30, scope=RUNS)
    with CreditWallet.open(db_url, clock=clock) as second, ThreadPoolExecutor(16) as callers:
        for number in range(160):
            node = (wallets, second)[number % 2]
            callers.submit(spend, node, wallet_id, "1", facts={"run": f"r{number % 4}"})
    events = Counter((event["kind"], event.get("threshold_pct"), event["value"]) for event in told(host))
    assert set(events.values()) == {1}
    assert len(events) == 3 * 4
    assert wallets.verify() == []


@pytest.mark.parametrize("window", ["minute", "hour", "rolling:1m"])
def test_windows_shorter_than_a_day_are_told_of_once_a_day(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock, window: str
) -> None:
    make(wallets, wallet_id, 3, unit="calls", window=window)
    for day in range(2):
        clock.set(datetime(2026, 5, 16 + day, 12, tzinfo=UTC))
        for _ in range(3):
            for _ in range(5):
                spend(wallets, wallet_id, "1")
            clock.advance(hours=1)
    assert shares(host) == [80, 100, None] * 2


def test_another_limit_is_told_of_anew_and_the_same_again_is_not(
    wallets: CreditWallet, wallet_id: int, host: PlainSql
) -> None:
    budget_id = make(wallets, wallet_id, 10)
    spend(wallets, wallet_id, "10")
    change(wallets, wallet_id, budget_id, limit_micros=20 * MICROS)
    spend(wallets, wallet_id, "6")
    assert [(event["limit"], event["threshold_pct"]) for event in told(host)] == [("10", 80), ("10", 100), ("20", 80)]
    change(wallets, wallet_id, budget_id, limit_micros=10 * MICROS)
    spend(wallets, wallet_id, "1")
    assert len(told(host)) == 4
    assert told(host)[-1]["kind"] == "budget.exhausted"


def test_holding_and_releasing_free_of_charge_is_told_of_once(
    wallets: CreditWallet, wallet_id: int, host: PlainSql
) -> None:
    make(wallets, wallet_id, 10)
    for _ in range(10):
        hold_id = wallets.hold(wallet_id, "10", idempotency_key=f"h{next(_numbers)}").hold_id
        spend(wallets, wallet_id, "1")
        wallets.release(hold_id)
    [event] = told(host)
    assert (event["kind"], event["held"], event["left"], event["refused"]) == ("budget.exhausted", "10", "0", "1")


def test_values_with_commas_are_told_of_apart(wallets: CreditWallet, wallet_id: int, host: PlainSql) -> None:
    make(wallets, wallet_id, 10, scope=(("project", "*"), ("run", "*")))
    for project, run in (("a", "b, c"), ("a, b", "c")):
        spend(wallets, wallet_id, "8", facts={"project": project, "run": run})
    assert [event["values"] for event in told(host)] == [
        {"project": "a", "run": "b, c"},
        {"project": "a, b", "run": "c"},
    ]
    assert [event["value"] for event in told(host)] == [r"a, b\, c", r"a\, b, c"]
