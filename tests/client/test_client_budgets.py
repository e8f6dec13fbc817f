"""Budgets through both clients; and what a client does when a budget refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from both_clients import Clients
from clock import Clock
from http_answers import funded
from served import Served
from service import OPERATOR_KEY, new_app
from weather import Weather

from credit_wallet import CreditWallet, SpendingRefused
from credit_wallet.client import Retries
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import BudgetExhausted, BudgetNotFound, CallLimitReached, InsufficientFunds, InvalidRequest

PATIENT = Retries(attempts=3, first_pause_seconds=0.0, total_seconds=30.0)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


@pytest.fixture
def weather(wallets: CreditWallet) -> Weather:
    return Weather(new_app(wallets))


@pytest.fixture(params=["sync", "async"])
def clients(request: pytest.FixtureRequest, weather: Weather) -> Iterator[Clients]:
    with Served(weather) as served, asyncio.Runner() as runner:
        yield Clients(request.param, served.url, runner)


@pytest.fixture
def owner(clients: Clients, wallet: CreatedWallet) -> Any:
    return clients.client(wallet.owner_token)


def test_a_budget_is_made_used_changed_and_deleted(owner: Any) -> None:
    made = owner.budgets.create(limit_yen=Decimal("9.5"), window="day", scope={"tool": "search"}, label="searches")
    assert (made.budget_id, made.limit, made.unit, made.scope) == (
        "budget-1",
        Decimal("9.5"),
        "yen",
        {"tool": "search"},
    )
    owner.charge(8, facts={"tool": "search"})
    with pytest.raises(BudgetExhausted) as refused:
        owner.charge(2, facts={"tool": "search"})
    assert (refused.value.max_amount, refused.value.max_amount_yen) == (Decimal("1.5"), 1)
    assert refused.value.retry_at == "2026-05-16T00:00:00.000Z"
    budget = refused.value.budget
    assert budget is not None
    assert (budget.budget_id, budget.spent, budget.left, budget.window) == (
        "budget-1",
        Decimal(8),
        Decimal("1.5"),
        "day",
    )
    raised = owner.budgets.configure("budget-1", raised_limit_yen="20", raised_until="2026-05-15")
    assert (raised.limit, raised.raised_limit, raised.left) == (Decimal("9.5"), 20, 12)
    assert owner.budgets.configure("budget-1", raised_until=None).left == Decimal("1.5")
    assert owner.budgets.configure("budget-1", limit_yen=0, mode="alert", shares_pct=[50]).shares_pct == (50,)
    assert [each.budget_id for each in owner.budgets.list()] == ["budget-1"]
    assert owner.budgets.show("budget-1").spent == 8
    assert owner.budgets.values("budget-1") == []
    assert owner.budgets.delete("budget-1").limit == 0
    with pytest.raises(BudgetNotFound):
        owner.budgets.show("budget-1")
    log = owner.budgets.changes(budget_id="budget-1")
    assert (len(log), log[0].after, log[-1].before, log[-1].changed_by) == (5, None, None, "payer")
    assert owner.budgets.changes(before=log[1].change_id, limit=1)[0] == log[2]


def test_a_limit_on_calls_of_each_value(owner: Any) -> None:
    made = owner.budgets.create(limit_calls=1, window="rolling:1h", scope={"run": "*"}, mode="shadow")
    for run in ("r1", "r1", "r2"):
        owner.charge(1, facts={"run": run})
    shown = owner.budgets.show(made.budget_id)
    assert (shown.refusals, shown.refused, shown.values) == (1, 1, 2)
    assert [(each.value, each.spent) for each in owner.budgets.values(made.budget_id)] == [("r1", 1), ("r2", 1)]
    assert [each.value for each in owner.budgets.values(made.budget_id, after="r1", limit=5)] == ["r2"]


def test_a_key_is_configured(owner: Any) -> None:
    key_id = owner.keys.create(label="agent", group="acme/research").key_id
    changed = owner.keys.configure(key_id, monthly_cap_yen=5, label=None)
    assert (changed.monthly_cap_yen, changed.label, changed.group) == (5, None, "acme/research")
    assert owner.keys.configure(key_id, group=None).group is None
    assert [each.budget_id for each in owner.budgets.list(key_id=key_id)] == [f"key-{key_id}"]


def test_what_cannot_be_a_limit_is_refused_before_it_is_sent(owner: Any, weather: Weather) -> None:
    for limit in (1.5, "1e3", -1, "0.0000001"):
        with pytest.raises(InvalidRequest, match="limit_yen"):
            owner.budgets.create(limit_yen=limit, window="day")
    assert weather.keys == []
    with pytest.raises(InvalidRequest, match="send either"):
        owner.budgets.create(window="day")


def test_the_balance_refuses_in_the_same_words(owner: Any) -> None:
    with pytest.raises(SpendingRefused) as refused:
        owner.charge(10_001)
    assert isinstance(refused.value, InsufficientFunds)
    assert (refused.value.budget, refused.value.max_amount, refused.value.retry_at) == (None, Decimal(10_000), None)


# What a client repeats


def test_a_client_waits_for_a_limit_that_passes_in_its_time(
    clients: Clients, wallet: CreatedWallet, wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds=seconds)

    async def wait_for(seconds: float) -> None:
        wait(seconds)

    monkeypatch.setattr("credit_wallet.client.httpx_transports.HttpxTransport.pause", lambda _, pause: wait_for(pause))
    monkeypatch.setattr(
        "credit_wallet.client.httpx_transports.AsyncHttpxTransport.pause", lambda _, pause: wait_for(pause)
    )
    wallets.budgets.create(wallet.wallet_id, limit_calls=1, window="minute")
    clock.advance(seconds=37.2)
    patient = clients.client(wallet.owner_token, retries=PATIENT)
    patient.charge(3)
    assert patient.charge(3).balance_yen == 9_994
    assert waits == [23]


def test_a_client_does_not_wait_for_what_takes_longer(
    clients: Clients, wallet: CreatedWallet, wallets: CreditWallet, weather: Weather
) -> None:
    wallets.budgets.create(wallet.wallet_id, limit_calls=1, window="hour")
    wallets.budgets.create(wallet.wallet_id, limit_calls=0, window="total", scope={"tool": "x"})
    patient = clients.client(wallet.owner_token, retries=PATIENT)
    patient.charge(3)
    for facts in (None, {"tool": "x"}):
        weather.keys.clear()
        with pytest.raises(CallLimitReached) as refused:
            patient.charge(3, facts=facts)
        assert len(weather.keys) == 1
        assert (refused.value.retry_at is None) == (facts is not None)


def test_a_seller_does_not_wait_for_its_buyer(
    clients: Clients, wallet: CreatedWallet, wallets: CreditWallet, clock: Clock, weather: Weather
) -> None:
    wallets.budgets.create(wallet.wallet_id, limit_calls=0, window="minute")
    clock.advance(seconds=59)
    seller = clients.client(OPERATOR_KEY, retries=PATIENT)
    with pytest.raises(CallLimitReached):
        seller.purchases.buy(3, idempotency_key="a", attempt="1", payer_token=wallet.owner_token)
    with pytest.raises(CallLimitReached):
        seller.charge(3, payer_token=wallet.owner_token)
    assert len(weather.keys) == 2
