"""Budgets and agent keys are made, changed and deleted; every change is logged, once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from background import funded
from budgeted import NINE, change, change_key, delete, make
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import OPERATOR, PAYER
from credit_wallet.domain.acts import OWNER
from credit_wallet.domain.budget_settings import BudgetSettings
from credit_wallet.domain.money import MICROS
from credit_wallet.errors import (
    BudgetExhausted,
    BudgetNotFound,
    DatabaseRefused,
    KeyNotFound,
    TooManyBudgets,
    WalletNotFound,
)
from credit_wallet.stores import budget_jobs

pytestmark = on_every_database


def log_of(db_url: str) -> list[tuple[Any, ...]]:
    """Subject, by whom, before and after."""
    with PlainSql(db_url) as ledger:
        rows = ledger.run("SELECT budget_id, changed_by, before, after FROM am_credit_budget_change ORDER BY change_id")
    return [(subject, by, *(text and json.loads(text) for text in texts)) for subject, by, *texts in rows]


def kinds_of(db_url: str, wallet_id: int) -> str:
    with PlainSql(db_url) as ledger:
        [(kinds,)] = ledger.run("SELECT budget_kinds FROM am_credit_wallet WHERE wallet_id = ?", wallet_id)
    return str(kinds)


def test_every_change_is_logged(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10, scope=(("run", "*"),))
    change(wallets, wallet_id, budget_id, limit_micros=12_500_000, label="runs")
    change(wallets, wallet_id, budget_id, label="runs")
    delete(wallets, wallet_id, budget_id)
    whole = {
        "label": None,
        "unit": "yen",
        "limit": "10",
        "window": "day",
        "scope": {"run": "*"},
        "mode": "cap",
        "shares_pct": [80, 100],
        "time_zone": "UTC",
        "week_start": "monday",
        "raised_limit": None,
        "raised_until": None,
    }
    changed = {"label": "runs", "limit": "12.5"}
    name = f"budget-{budget_id}"
    assert log_of(db_url) == [
        (name, OPERATOR, None, whole),
        (name, OPERATOR, {"label": None, "limit": "10"}, changed),
        (name, OPERATOR, whole | changed, None),
    ]


def test_who_changed_it_and_after_which_entry_is_logged(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10)
    last = wallets.charge(wallet_id, 1, idempotency_key="a").txn_id
    settings = BudgetSettings(mode="alert")
    wallets.acting(OWNER)._ledger.change_secrets(wallet_id, budget_jobs.configure_budget, budget_id, settings)
    with PlainSql(db_url) as ledger:
        rows = ledger.run("SELECT changed_by, after_txn_id FROM am_credit_budget_change ORDER BY change_id")
    assert rows[1] == (PAYER, last)


def test_the_monthly_budget_is_logged_as_well(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    wallets.configure(wallet_id, monthly_budget_yen=500)
    assert [(subject, after) for subject, _, _, after in log_of(db_url)] == [
        (f"monthly-{wallet_id}", {"limit": "500", "mode": "alert"})
    ]


def test_a_repeated_job_finds_what_it_did(wallets: CreditWallet, db_url: str) -> None:
    """It is not known whether a job was committed when the connection is lost with the commit's answer."""
    wallet_id = funded(wallets)
    first, second = make(wallets, wallet_id, 10), make(wallets, wallet_id, 10)
    assert first == second
    for _ in range(2):
        change(wallets, wallet_id, first, mode="alert")
        delete(wallets, wallet_id, first)
        if not log_of(db_url)[-1][3]:
            break
    deleted_at = delete(wallets, wallet_id, first)
    assert deleted_at == delete(wallets, wallet_id, first)
    assert len(log_of(db_url)) == 3


def test_the_wallet_knows_by_what_its_budgets_are_found(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    assert kinds_of(db_url, wallet_id) == ""
    made = [
        make(wallets, wallet_id, 10, scope=scope)
        for scope in ((), (("run", "*"),), (("run", "r1"),), ((".item", "search"), ("run", "*")))
    ]
    assert json.loads(kinds_of(db_url, wallet_id)) == {"": 1, ".item": 1, "run": 2}
    for budget_id in made:
        delete(wallets, wallet_id, budget_id)
    assert kinds_of(db_url, wallet_id) == ""


def test_limits_on_how_many_there_are(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet_id = funded(wallets)
    monkeypatch.setattr(budget_jobs, "MAX_AT_ANCHOR", 2)
    monkeypatch.setattr(budget_jobs, "MAX_KINDS", 2)
    monkeypatch.setattr(budget_jobs, "MAX_BUDGETS", 4)
    make(wallets, wallet_id, 10)
    make(wallets, wallet_id, 11)
    with pytest.raises(TooManyBudgets, match="for the same charges already"):
        make(wallets, wallet_id, 12)
    make(wallets, wallet_id, 10, scope=(("run", "r1"),))
    with pytest.raises(TooManyBudgets, match="2 different facts"):
        make(wallets, wallet_id, 10, scope=(("tool", "t1"),))
    make(wallets, wallet_id, 10, scope=(("run", "r2"),))
    with pytest.raises(TooManyBudgets, match="has 4 budgets"):
        make(wallets, wallet_id, 10, scope=(("run", "r3"),))


def test_few_budgets_are_for_each_value_of_the_same_charges(wallets: CreditWallet) -> None:
    wallet_id = funded(wallets)
    for limit_yen in range(10):
        make(wallets, wallet_id, limit_yen, scope=(("run", "*"), ("tool", "search")))
    with pytest.raises(TooManyBudgets, match=r"10 budgets .* are for each value") as refused:
        make(wallets, wallet_id, 10, scope=((".key_id", "*"), ("tool", "search")))
    assert refused.value.details["max"] == 10
    make(wallets, wallet_id, 10, scope=(("tool", "search"),))
    make(wallets, wallet_id, 10, scope=(("run", "*"), ("tool", "read")))


def test_what_is_not_there_is_not_found(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets)
    with pytest.raises(WalletNotFound):
        make(wallets, 99, 10)
    with pytest.raises(BudgetNotFound, match="budget-99"):
        change(wallets, wallet_id, 99, mode="alert")
    with pytest.raises(KeyNotFound):
        change_key(wallets, wallet_id, 99, label="x")
    budget_id = make(wallets, wallet_id, 10)
    delete(wallets, wallet_id, budget_id)
    clock.advance(seconds=1)
    for job in (lambda: delete(wallets, wallet_id, budget_id), lambda: change(wallets, wallet_id, budget_id, label="")):
        with pytest.raises(BudgetNotFound):
            job()


def test_a_key_moves_between_groups(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    key_id = wallets.keys.create(wallet_id, label="agent").key_id
    make(wallets, wallet_id, 10, scope=((".group", "acme"),))
    wallets.charge(wallet_id, 50, idempotency_key="a", key_id=key_id)
    change_key(wallets, wallet_id, key_id, group="acme/search", monthly_cap_yen=70)
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 11, idempotency_key="b", key_id=key_id)
    change_key(wallets, wallet_id, key_id, group="acmes", label=None)
    wallets.charge(wallet_id, 11, idempotency_key="c", key_id=key_id)
    name = f"key-{key_id}"
    assert [each for each in log_of(db_url) if each[0] == name] == [
        (name, OPERATOR, {"limit": "0", "group": None}, {"limit": "70", "group": "acme/search"}),
        (name, OPERATOR, {"label": "agent", "group": "acme/search"}, {"label": None, "group": "acmes"}),
    ]


def test_a_raise_is_told(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    until = "2026-05-16T00:00:00.000Z"
    budget_id = make(wallets, wallet_id, 10, raised_micros=20 * MICROS, raised_until=until)
    change(wallets, wallet_id, budget_id, raised_micros=30 * MICROS, raised_until=until)
    change(wallets, wallet_id, budget_id, raised_micros=None, raised_until=None)
    with PlainSql(db_url) as ledger:
        payloads = ledger.run("SELECT payload FROM am_credit_outbox WHERE kind = 'budget.raised' ORDER BY event_id")
    told = [json.loads(payload) for (payload,) in payloads]
    assert [(each["budget_id"], each["limit"], each["raised_limit"], each["raised_until"]) for each in told] == [
        (f"budget-{budget_id}", "10", "20", until),
        (f"budget-{budget_id}", "10", "30", until),
    ]


def test_the_log_is_kept_as_it_is(wallets: CreditWallet) -> None:
    make(wallets, funded(wallets), 10)
    for statement in (
        "DELETE FROM am_credit_budget_change",
        "UPDATE am_credit_budget_change SET changed_by = 'nobody'",
    ):
        with pytest.raises(DatabaseRefused, match="changes to budgets are kept as they are"):
            wallets._ledger.maintain(lambda connection, text=statement: connection.execute(text))
