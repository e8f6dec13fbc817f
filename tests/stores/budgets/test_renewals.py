"""A budget that was used up, or refused, says when it starts anew: once for each window and value."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from budgeted import change, delete, make
from clock import Clock
from databases import Databases, on_every_database
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.errors import WalletError
from credit_wallet.notices.texts import Notice, message_of
from credit_wallet.stores.jobs import budget_renewals
from credit_wallet.worker import JOBS, Worker

pytestmark = on_every_database

TODAY = datetime(2026, 5, 15, tzinfo=UTC)
TOMORROW = format_instant(TODAY + timedelta(days=1))


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


def spend(wallets: CreditWallet, wallet_id: int, amount: str, key: str, **of: Any) -> None:
    """Charge, whether it is refused or not."""
    with suppress(WalletError):
        wallets.charge(wallet_id, amount, idempotency_key=key, **of)


def emit(wallets: CreditWallet) -> None:
    while wallets.maintenance.emit_renewals():
        pass


def told(host: PlainSql) -> list[dict[str, Any]]:
    rows = host.run("SELECT payload FROM am_credit_outbox WHERE kind = 'budget.renewed' ORDER BY event_id")
    return [json.decode(payload) for (payload,) in rows]


def test_a_budget_that_was_spent_whole_says_when_it_starts_anew_and_what_was_before(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    budget_id = make(wallets, wallet_id, 10)
    spend(wallets, wallet_id, "10", "all")
    emit(wallets)
    assert told(host) == []
    clock.set(TODAY + timedelta(days=1))
    for _ in range(2):
        emit(wallets)
    [event] = told(host)
    assert event == {
        "wallet_id": wallet_id,
        "budget_id": f"budget-{budget_id}",
        "label": None,
        "unit": "yen",
        "window": "day",
        "mode": "cap",
        "scope": {},
        "value": None,
        "values": {},
        "limit": "10",
        "spent": "10",
        "refusals": 0,
        "window_start": format_instant(TODAY),
        "window_end": TOMORROW,
    }


@pytest.mark.parametrize(
    ("amounts", "is_told"),
    [
        (["10"], True),
        (["9.5", "1"], True),  # less than a tenth is left, and a call is refused
        (["9.5"], False),
        (["8", "3"], False),  # the call was large
        ([], False),
        (["4", "4", "2"], True),
    ],
)
def test_only_a_window_in_which_it_was_used_up_or_refused_is_followed_by_an_event(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock, amounts: list[str], is_told: bool
) -> None:
    make(wallets, wallet_id, 10)
    for number, amount in enumerate(amounts):
        spend(wallets, wallet_id, amount, f"{number}")
    clock.advance(days=1)
    emit(wallets)
    assert len(told(host)) == is_told


@pytest.mark.parametrize(
    ("window", "later", "is_told"),
    [
        ("day", timedelta(days=1), True),
        ("week", timedelta(days=7), True),
        ("month", timedelta(days=31), True),
        ("minute", timedelta(hours=1), False),
        ("hour", timedelta(days=1), False),
        ("total", timedelta(days=400), False),
        ("rolling:24h", timedelta(days=2), False),
    ],
)
def test_windows_of_a_day_and_longer_are_told_of(
    wallets: CreditWallet,
    wallet_id: int,
    host: PlainSql,
    clock: Clock,
    window: str,
    later: timedelta,
    is_told: bool,
) -> None:
    make(wallets, wallet_id, 10, window=window)
    spend(wallets, wallet_id, "10", "all")
    spend(wallets, wallet_id, "10", "more")
    clock.advance(seconds=later.total_seconds())
    emit(wallets)
    assert [event["window"] for event in told(host)] == [window] * is_told


def test_each_window_and_each_value_is_told_of_once(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    make(wallets, wallet_id, 10, scope=(("run", "*"),))
    for day in range(2):
        for run in ("a", "b"):
            spend(wallets, wallet_id, "10", f"{day} {run}", facts={"run": run})
        spend(wallets, wallet_id, "1", f"{day} c", facts={"run": "c"})
        clock.advance(days=1)
        emit(wallets)
    assert [(event["window_end"][8:10], event["values"]) for event in told(host)] == [
        ("16", {"run": "a"}),
        ("16", {"run": "b"}),
        ("17", {"run": "a"}),
        ("17", {"run": "b"}),
    ]


def test_a_day_is_that_of_the_budgets_time_zone(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    make(wallets, wallet_id, 10, time_zone="Asia/Tokyo")
    spend(wallets, wallet_id, "10", "all")
    clock.set(datetime(2026, 5, 15, 14, 59, 59, tzinfo=UTC))
    emit(wallets)
    assert told(host) == []
    clock.set(datetime(2026, 5, 15, 15, tzinfo=UTC))
    emit(wallets)
    [event] = told(host)
    body = message_of([Notice(1, wallet_id, None, "budget.renewed", event, "", "Asia/Tokyo")], "en").body
    assert body.endswith("started anew at 2026-05-16 00:00 (Asia/Tokyo). In the window before, ¥10 of ¥10 was used.")


def test_a_budget_that_was_deleted_meanwhile_starts_no_more(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    budget_id = make(wallets, wallet_id, 10)
    spend(wallets, wallet_id, "10", "all")
    delete(wallets, wallet_id, budget_id)
    clock.advance(days=1)
    emit(wallets)
    assert told(host) == []
    assert wallets.maintenance.emit_renewals() == 0


def test_a_limit_that_is_raised_after_it_was_used_up_is_told_of_as_well(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    budget_id = make(wallets, wallet_id, 10)
    spend(wallets, wallet_id, "10", "all")
    change(wallets, wallet_id, budget_id, limit_micros=20 * MICROS)
    spend(wallets, wallet_id, "3.3", "more")
    clock.advance(days=1)
    emit(wallets)
    assert [(event["spent"], event["limit"]) for event in told(host)] == [("13.3", "20")]


def test_a_shadow_says_how_many_it_would_have_refused(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    make(wallets, wallet_id, 10, mode="shadow")
    for number in range(4):
        spend(wallets, wallet_id, "5", f"{number}")
    clock.advance(days=1)
    emit(wallets)
    assert [(event["mode"], event["spent"], event["refusals"]) for event in told(host)] == [("shadow", "10", 2)]


def test_a_shadow_that_would_have_refused_is_told_of_though_little_was_spent(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    make(wallets, wallet_id, 10, mode="shadow")
    spend(wallets, wallet_id, "11", "charge")
    held = wallets.hold(wallet_id, "12", idempotency_key="hold")
    wallets.capture(held.hold_id, 12, idempotency_key="capture")
    clock.advance(days=1)
    emit(wallets)
    assert [(event["spent"], event["refusals"]) for event in told(host)] == [("0", 2)]


def test_a_limit_of_0_has_nothing_that_starts_anew(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock
) -> None:
    """An agent makes it refuse as many values as it can think of, free of charge."""
    make(wallets, wallet_id, 0, scope=(("run", "*"),))
    for number in range(5):
        spend(wallets, wallet_id, "1", f"{number}", facts={"run": f"r{number}"})
    assert host.run("SELECT count(*) FROM am_credit_budget_spent") == [(0,)]
    assert host.run("SELECT count(*) FROM am_credit_outbox WHERE kind = 'budget.exhausted'") == [(1,)]
    clock.advance(days=1)
    emit(wallets)
    assert told(host) == []


def test_many_windows_are_told_of_in_steps(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_renewals, "WINDOWS_A_STEP", 7)
    make(wallets, wallet_id, 1, scope=(("run", "*"),))
    for number in range(20):
        spend(wallets, wallet_id, "1", f"{number}", facts={"run": f"r{number}"})
    clock.advance(days=1)
    assert [wallets.maintenance.emit_renewals() for _ in range(4)] == [7, 7, 6, 0]
    assert len({event["value"] for event in told(host)}) == 20


def test_workers_at_once_tell_of_each_window_once(
    wallets: CreditWallet, host: PlainSql, db_url: str, clock: Clock
) -> None:
    for number in range(5):
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 100, idempotency_key=f"topup {number}")
        make(wallets, wallet_id, 1, scope=(("run", "*"),))
        for run in range(4):
            spend(wallets, wallet_id, "1", f"{number} {run}", facts={"run": f"r{run}"})
    clock.advance(days=1)
    with CreditWallet.open(db_url, clock=clock) as second:
        threads = [threading.Thread(target=emit, args=(each,)) for each in (wallets, second, wallets, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = [(event["wallet_id"], event["value"]) for event in told(host)]
    assert len(events) == len(set(events)) == 20


def test_windows_that_ended_are_found_by_an_index(wallets: CreditWallet, host: PlainSql, databases: Databases) -> None:
    if databases.kind != "sqlite":
        pytest.skip("PostgreSQL scans small tables whatever the indexes")
    assert not wallets.maintenance.emit_renewals()
    for name in ("renewal_due", "renewals_due"):
        statement = budget_renewals.SQL[name].replace(":at", repr(TOMORROW)).replace(":limit", "200")
        plan = " ".join(row[-1] for row in host.run(f"EXPLAIN QUERY PLAN {statement}"))
        assert "idx_am_credit_budget_renewal" in plan
        assert "TEMP B-TREE" not in plan


def test_the_worker_tells(wallets: CreditWallet, wallet_id: int, host: PlainSql, clock: Clock) -> None:
    make(wallets, wallet_id, 10)
    spend(wallets, wallet_id, "10", "all")
    clock.advance(days=1)
    Worker(wallets, JOBS).run_due(0.0)
    assert len(told(host)) == 1
