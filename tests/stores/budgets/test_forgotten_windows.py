"""What no budget needs is deleted, and nothing that a budget needs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from background import funded
from budgeted import NINE, delete, held_in, make, named_by, spent_in
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import BudgetExhausted
from credit_wallet.stores.jobs import budget_pruning

pytestmark = on_every_database


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_pruning, "ROWS_A_STEP", 3)


def steps_of(db_url: str, budget_id: int) -> int:
    with PlainSql(db_url) as ledger:
        [(steps,)] = ledger.run("SELECT count(*) FROM am_credit_budget_step WHERE budget_id = ?", budget_id)
    return int(steps)


def test_windows_are_kept_for_a_week_after_their_end(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    minutes = make(wallets, wallet_id, 100, window="minute")
    days = make(wallets, wallet_id, 100)
    total = make(wallets, wallet_id, 100, window="total", scope=(("run", "*"),))
    for number in range(10):
        wallets.charge(wallet_id, 1, idempotency_key=str(number), facts={"run": str(number)})
        clock.advance(minutes=1)
    clock.set(NINE + timedelta(days=7, minutes=5))
    assert wallets.maintenance.prune_budgets() == 4
    assert wallets.maintenance.prune_budgets() == 0
    assert len(spent_in(db_url, minutes)) == 6
    clock.advance(days=1)
    assert wallets.maintenance.prune_budgets() == 7
    assert (spent_in(db_url, minutes), spent_in(db_url, days)) == ({}, {})
    assert len(spent_in(db_url, total)) == 10


def test_steps_are_kept_as_long_as_the_counter_has_them(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10, window="rolling:1m")
    for number in range(10):
        wallets.charge(wallet_id, 1, idempotency_key=str(number))
        clock.advance(seconds=1)
    clock.advance(days=1, minutes=1)
    assert wallets.maintenance.prune_budgets() == 0
    wallets.charge(wallet_id, 9, idempotency_key="later")
    assert wallets.maintenance.prune_budgets() == 10
    assert steps_of(db_url, budget_id) == 1
    clock.advance(seconds=59)
    with pytest.raises(BudgetExhausted) as refused:
        wallets.charge(wallet_id, 2, idempotency_key="too much")
    assert named_by(refused)["spent"] == "9"


def test_a_node_whose_clock_is_behind_keeps_its_window(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    """Another node, which is hours ahead, moves the counter on and prunes."""
    clock.set(NINE)
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 10, window="rolling:1m")
    wallets.charge(wallet_id, 10, idempotency_key="a")
    with CreditWallet.open(db_url, clock=Clock(NINE + timedelta(hours=5))) as ahead:
        ahead.charge(wallet_id, 1, idempotency_key="b")
        ahead.maintenance.prune_budgets()
    clock.advance(seconds=1)
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 1, idempotency_key="c")
    assert wallets.verify() == []


def test_values_that_are_no_longer_used_go_with_their_steps(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10, window="rolling:1m", scope=(("run", "*"),))
    for number in range(10):
        wallets.charge(wallet_id, 1, idempotency_key=str(number), facts={"run": str(number)})
    clock.advance(days=63)
    assert wallets.maintenance.prune_budgets() == 20
    assert (spent_in(db_url, budget_id), steps_of(db_url, budget_id)) == ({}, 0)
    wallets.charge(wallet_id, 10, idempotency_key="again", facts={"run": "1"})
    assert spent_in(db_url, budget_id) == {("", "1"): 10}


def test_counters_of_a_deleted_budget_go_after_a_week(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    budget_ids = [make(wallets, wallet_id, 100, window=window) for window in ("total", "rolling:31d")]
    for number in range(5):
        wallets.charge(wallet_id, 1, idempotency_key=str(number))
        clock.advance(seconds=1)
    wallets.hold(wallet_id, 7, idempotency_key="hold", ttl_seconds=30 * 86_400)
    for budget_id in budget_ids:
        delete(wallets, wallet_id, budget_id)
    assert wallets.maintenance.prune_budgets() == 0
    clock.advance(days=7, seconds=1)
    assert wallets.maintenance.prune_budgets() == 2 + 2 + 5
    for budget_id in budget_ids:
        assert (spent_in(db_url, budget_id), held_in(db_url, budget_id)) == ({}, {})
