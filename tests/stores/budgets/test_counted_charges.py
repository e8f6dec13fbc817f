"""Charges and holds count in the budgets that they match, in the transaction that moves the money."""

from __future__ import annotations

from datetime import timedelta

import pytest
from background import funded
from budgeted import NINE, change, delete, held_in, make, named_by, spent_in
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.errors import BudgetExhausted, CallLimitReached
from credit_wallet.stores import budget_jobs

pytestmark = on_every_database

TODAY = "2026-05-15T00:00:00.000Z"


def test_a_cap_counts_what_is_spent_in_its_window(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10)
    wallets.charge(wallet_id, 6, idempotency_key="a")
    with pytest.raises(BudgetExhausted) as refused:
        wallets.charge(wallet_id, 5, idempotency_key="b")
    assert named_by(refused)["budget_id"] == f"budget-{budget_id}"
    assert refused.value.details["retry_at"] == "2026-05-16T00:00:00.000Z"
    wallets.charge(wallet_id, 4, idempotency_key="c")
    clock.advance(days=1)
    wallets.charge(wallet_id, 10, idempotency_key="d")
    assert spent_in(db_url, budget_id) == {(TODAY, ""): 10, ("2026-05-16T00:00:00.000Z", ""): 10}


def test_a_clock_that_steps_back_finds_what_was_spent(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10, window="minute")
    wallets.charge(wallet_id, 6, idempotency_key="a")
    clock.advance(minutes=1)
    wallets.charge(wallet_id, 7, idempotency_key="b")
    clock.set(NINE + timedelta(seconds=30))
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 5, idempotency_key="c")
    wallets.charge(wallet_id, 4, idempotency_key="d")
    clock.advance(minutes=1)
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 4, idempotency_key="e")
    assert [*spent_in(db_url, budget_id).values()] == [10, 7]


def test_each_value_has_a_limit_of_its_own(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10, window="total", scope=(("run", "*"),))
    for run in ("r1", "r2"):
        wallets.charge(wallet_id, 8, idempotency_key=run, facts={"run": run})
        with pytest.raises(BudgetExhausted) as refused:
            wallets.charge(wallet_id, 3, idempotency_key=f"{run} more", facts={"run": run})
        assert named_by(refused)["value"] == run
    wallets.charge(wallet_id, 100, idempotency_key="no run")
    assert spent_in(db_url, budget_id) == {("", "r1"): 8, ("", "r2"): 8}


def test_a_limit_on_calls_counts_a_hold_once(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 2, unit="calls")
    hold = wallets.hold(wallet_id, 50, idempotency_key="hold")
    assert held_in(db_url, budget_id) == {"": 1}
    wallets.capture(hold.hold_id, amount_yen=10, final=False, idempotency_key="part")
    wallets.capture(hold.hold_id, amount_yen=10)
    assert held_in(db_url, budget_id) == {}
    wallets.charge(wallet_id, 1, idempotency_key="a")
    with pytest.raises(CallLimitReached):
        wallets.charge(wallet_id, 1, idempotency_key="b")
    assert [*spent_in(db_url, budget_id).values()] == [2]


def test_holds_reserve_across_windows(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE.replace(hour=23))
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10)
    hold = wallets.hold(wallet_id, 7, idempotency_key="hold", ttl_seconds=24 * 3600)
    clock.advance(hours=2)
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 4, idempotency_key="a")
    wallets.charge(wallet_id, 3, idempotency_key="b")
    assert held_in(db_url, budget_id) == {"": 7}
    wallets.capture(hold.hold_id, amount_yen=5)
    assert held_in(db_url, budget_id) == {}
    assert spent_in(db_url, budget_id) == {("2026-05-16T00:00:00.000Z", ""): 8}


def test_open_holds_reserve_in_a_new_budget(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    one = wallets.hold(wallet_id, 7, idempotency_key="one", facts={"tool": "search"})
    wallets.hold(wallet_id, 5, idempotency_key="two")
    budget_id = make(wallets, wallet_id, 10, scope=(("tool", "search"),))
    calls = make(wallets, wallet_id, 10, unit="calls", scope=())
    assert (held_in(db_url, budget_id), held_in(db_url, calls)) == ({"": 7}, {"": 2})
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 4, idempotency_key="a", facts={"tool": "search"})
    wallets.release(one.hold_id)
    assert (held_in(db_url, budget_id), held_in(db_url, calls)) == ({}, {"": 1})
    wallets.charge(wallet_id, 4, idempotency_key="b", facts={"tool": "search"})


def test_however_many_holds_there_are_they_reserve(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_jobs, "HOLDS_A_STEP", 4)
    monkeypatch.setattr(budget_jobs, "ROWS_A_STATEMENT", 3)
    wallet_id = funded(wallets)
    holds = [
        wallets.hold(wallet_id, "1.5", idempotency_key=str(number), facts={"run": f"r{number % 7}"})
        for number in range(11)
    ]
    budget_id = make(wallets, wallet_id, 3, scope=(("run", "*"),))
    assert held_in(db_url, budget_id) == {f"r{number}": 3 if number < 4 else 1 for number in range(7)}
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 1, idempotency_key="full", facts={"run": "r0"})
    for hold in holds:
        wallets.capture(hold.hold_id, amount_yen=1)
    assert held_in(db_url, budget_id) == {}
    assert {value: spent for (_, value), spent in spent_in(db_url, budget_id).items()} == {
        f"r{number}": 2 if number < 4 else 1 for number in range(7)
    }


def test_a_shadow_records_what_it_would_refuse(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10, mode="shadow")
    for number in range(3):
        wallets.charge(wallet_id, 6, idempotency_key=str(number))
    assert [*spent_in(db_url, budget_id).values()] == [6]


def test_a_deleted_budget_counts_nothing(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10)
    hold = wallets.hold(wallet_id, 7, idempotency_key="hold")
    delete(wallets, wallet_id, budget_id)
    wallets.charge(wallet_id, 20, idempotency_key="a")
    wallets.capture(hold.hold_id, amount_yen=7)
    assert spent_in(db_url, budget_id) == {}


def test_a_changed_limit_counts_at_once_and_a_raise_until_it_ends(wallets: CreditWallet, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10)
    wallets.charge(wallet_id, 10, idempotency_key="a")
    change(wallets, wallet_id, budget_id, limit_micros=12 * 10**6)
    wallets.charge(wallet_id, 2, idempotency_key="b")
    change(wallets, wallet_id, budget_id, raised_micros=20 * 10**6, raised_until="2026-05-15T10:00:00.000Z")
    wallets.charge(wallet_id, 4, idempotency_key="c")
    clock.advance(hours=1)
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 1, idempotency_key="d")


def test_two_nodes_count_together(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 10, scope=(("run", "*"),))
    with CreditWallet.open(db_url, clock=clock) as other:
        other.charge(wallet_id, 4, idempotency_key="a", facts={"run": "r1"})
        wallets.charge(wallet_id, 4, idempotency_key="b", facts={"run": "r1"})
        for node in (wallets, other):
            with pytest.raises(BudgetExhausted):
                node.charge(wallet_id, 3, idempotency_key="c", facts={"run": "r1"})
        delete(other, wallet_id, make(other, wallet_id, 1))
        make(other, wallet_id, 9)
        with pytest.raises(BudgetExhausted):
            wallets.charge(wallet_id, 10, idempotency_key="d", facts={"run": "r2"})
    with CreditWallet.open(db_url, clock=clock) as restarted, pytest.raises(BudgetExhausted):
        restarted.charge(wallet_id, 3, idempotency_key="e", facts={"run": "r1"})
