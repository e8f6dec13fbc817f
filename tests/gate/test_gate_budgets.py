"""Budgets at the gate: who is refused, how, and that nothing that was served is free."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from clock import Clock
from facilitator import Facilitator
from gated import Application, Front, gated
from http_answers import assert_problem, funded
from mcp_types import CallToolResult, TextContent
from served import Served
from service import OPERATOR_KEY, Api, new_app
from streaming import START, Caller, Signal, chunk

from credit_wallet import BudgetExhausted, CreditWallet
from credit_wallet.domain.budget_views import BudgetView
from credit_wallet.domain.views import CreatedWallet, Transaction
from credit_wallet.gate.costs import COST
from credit_wallet.middleware import X402, Item, charge_for
from credit_wallet.wire.asgi import Receive, Scope, Send

PRICES = """
[[price]]
item = "search"
unit_price_yen = 3

[[price]]
item = "tokens"
unit_price_yen = "0.5"
"""


@pytest.fixture(params=["embedded", "remote"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    wallets.prices.apply(PRICES)
    return funded(wallets)


def charges(front: Front) -> list[tuple[str | None, Decimal | int]]:
    history = reversed(front.wallets.history(front.wallet.wallet_id, limit=1_000))
    found: list[Transaction] = [each for each in history if each.txn_type == "charge"]
    assert front.wallets.show(front.wallet.wallet_id).held_yen == 0
    assert front.wallets.verify() == []
    return [(each.item, -each.amount) for each in found]


def streaming(signal: Signal | None = None, *reports: dict[str, Any]) -> Application:
    """An answer in pieces, of which the reports are made one by one."""

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send(START)
        await send(chunk(b"first"))
        for report in reports:
            charge_for(scope).capture(**report)
            await send(chunk(b"more"))
        if signal is not None:
            await signal.meet()
        await send(chunk(b"last", more=False))

    return Application(handler)


def used(wallets: CreditWallet, budget: BudgetView) -> tuple[Decimal | int, ...]:
    shown = wallets.budgets.show(budget.budget_id)
    return shown.spent, shown.held, shown.left


# Refusals


def test_a_limit_on_calls_is_a_rate_limit(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, clock: Clock
) -> None:
    budget = wallets.budgets.create(wallet.wallet_id, limit_calls=2, window="minute", label="calm")
    clock.advance(seconds=17.5)
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        assert [front.call().status_code for _ in range(2)] == [200, 200]
        refused = front.call()
        assert_problem(refused, 429, "call_limit_reached", max_amount="0", retry_at="2026-05-15T12:01:00.000Z")
        assert refused.headers["retry-after"] == "43"
        assert refused.headers["x-wallet-balance"] == "9994"
        assert refused.json()["budget"]["budget_id"] == budget.budget_id
        assert app.ran == 2
        clock.advance(seconds=43)
        assert front.call().status_code == 200
    assert charges(front) == [(None, 3)] * 3


def test_a_retry_of_a_paid_call_is_no_other_call(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    wallets.budgets.create(wallet.wallet_id, limit_calls=1, window="day")
    with gated(Application(), wallets, wallet, where, price_yen=3) as front:
        assert [front.call(key=key).status_code for key in ("a", "a", "b", "a")] == [200, 200, 429, 200]
    assert charges(front) == [(None, 3)]


def test_a_limit_that_no_waiting_helps_says_no_time(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    wallets.budgets.create(wallet.wallet_id, limit_calls=0, window="total", scope={"tool": "search"})
    with gated(Application(), wallets, wallet, where, price_yen=3, facts={"tool": "search"}) as front:
        refused = front.call()
    assert_problem(refused, 429, "call_limit_reached", retry_at=None)
    assert "retry-after" not in refused.headers


def test_x402_is_offered_for_what_a_budget_of_yen_refuses(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    wallets.budgets.create(wallet.wallet_id, limit_yen=5, window="day")
    wallets.budgets.create(wallet.wallet_id, limit_calls=1, window="hour", scope={"tool": "rare"})
    with Served(Facilitator()) as served:
        x402 = X402(
            pay_to="0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            network="eip155:84532",
            asset="0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            units_per_yen=6_700,
            facilitator_url=served.url,
            extra={"name": "USDC", "version": "2"},
        )
        with gated(Application(), wallets, wallet, price_yen=3, x402=x402) as front:
            assert front.call().status_code == 200
            refused = front.call()
            assert_problem(refused, 402, "budget_exhausted", max_amount="2")
            assert "payment-required" in refused.headers


def test_an_agent_does_not_choose_the_budget_of_a_seller_s_fact(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    budget = wallets.budgets.create(wallet.wallet_id, limit_yen=5, window="day", scope={"tool": "search"})
    with gated(Application(), wallets, wallet, where, price_yen=3, facts={"tool": "search"}) as front:
        other = {"X-Wallet-Facts": "tool=free, run=r1"}
        assert [front.call(headers=other).status_code for _ in range(2)] == [200, 402]
    assert used(wallets, budget) == (3, 0, 2)


# What was served is paid


def test_what_a_stream_reports_is_paid_past_a_budget_that_its_hold_did_not_know(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    budget = wallets.budgets.create(wallet.wallet_id, limit_yen=5, window="day", scope={"item": "tokens"})
    calls = wallets.budgets.create(wallet.wallet_id, limit_calls=1, window="day", scope={"item": "tokens"})
    app = streaming(None, {"item": "tokens", "quantity": 20}, {"item": "tokens", "quantity": 40})
    with gated(app, wallets, wallet, where, hold=100) as front:
        for _ in range(2):
            assert front.call().content == b"firstmoremorelast"
            front.stage.wait()
    assert charges(front) == [("tokens", 30)] * 2
    assert used(wallets, budget) == (60, 0, 0)
    assert used(wallets, calls) == (2, 0, 0)


def test_a_hold_that_names_its_item_is_refused_before_the_handler_runs(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    budget = wallets.budgets.create(wallet.wallet_id, limit_yen=50, window="day", scope={"item": "tokens"})
    app = streaming(None, {"item": "tokens", "quantity": 20})
    with gated(app, wallets, wallet, where, hold=Item("tokens", 90)) as front:
        assert front.call().status_code == 200
        front.stage.wait()
        refused = front.call()
        front.stage.wait()
    assert_problem(refused, 402, "budget_exhausted", max_amount="40", missing="5")
    assert app.ran == 1
    assert charges(front) == [("tokens", 10)]
    assert used(wallets, budget) == (10, 0, 40)


def test_a_stream_holds_until_it_is_over(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    """Its budget is reserved while it runs: another call of the same run waits for what is given back."""
    budget = wallets.budgets.create(wallet.wallet_id, limit_yen=100, window="day", scope={"run": "*"})
    signal = Signal()
    app = streaming(signal, {"item": "tokens", "quantity": 20})
    with gated(app, wallets, wallet, where, hold=60, facts={"run": "r1"}) as front:
        caller = Caller(front)
        signal.wait()
        assert used(wallets, budget) == (0, 60, 40)
        refused = front.call()
        assert_problem(refused, 402, "budget_exhausted", max_amount="40", retry_at=None)
        assert refused.json()["budget"] | {"resets_at": None} == {
            "budget_id": budget.budget_id,
            "label": None,
            "value": "r1",
            "unit": "yen",
            "window": "day",
            "limit": "100",
            "spent": "0",
            "held": "60",
            "left": "40",
            "resets_at": None,
        }
        signal.go.set()
        caller.read_until(b"last")
        front.stage.wait(2)
        assert used(wallets, budget) == (10, 0, 90)
        assert front.call().status_code == 200
        front.stage.wait()
    assert charges(front) == [("tokens", 10)] * 2


def test_a_caller_who_leaves_a_stream_pays_past_the_budget(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    budget = wallets.budgets.create(wallet.wallet_id, limit_yen=5, window="day", scope={"item": "tokens"})
    signal = Signal()
    with gated(streaming(signal, {"item": "tokens", "quantity": 20}), wallets, wallet, where, hold=100) as front:
        caller = Caller(front)
        caller.read_until(b"more")
        signal.wait()
        caller.leave()
        front.stage.left(10)
        signal.go.set()
        front.stage.wait()
    assert charges(front) == [("tokens", 10)]
    assert used(wallets, budget) == (10, 0, 0)


def test_what_is_above_the_hold_stops_at_a_budget(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    """Up to the balance means as far as the wallet lets: its budgets bound what the hold did not reserve."""
    budget = wallets.budgets.create(wallet.wallet_id, limit_yen=12, window="day")
    app = streaming(None, {"item": "tokens", "quantity": 40})
    with gated(app, wallets, wallet, where, hold=10, above="up_to_balance") as front:
        assert front.call().status_code == 200
        front.stage.wait()
    assert charges(front) == [("tokens", 12)]
    assert used(wallets, budget) == (12, 0, 0)


def test_a_tool_that_reports_another_item_is_paid(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    from limits import tool_calls  # the SDK takes a second to import

    wallets.budgets.create(wallet.wallet_id, limit_yen=1, window="day", scope={"item": "tokens"})
    reported = CallToolResult(
        content=[TextContent(type="text", text="done")], _meta={COST: {"item": "tokens", "quantity": 20}}
    )
    with gated(Application(), wallets, wallet) as front:
        assert tool_calls(wallets, wallet.owner_token, reported, hold=50, calls=2) == ["done", "done"]
    assert charges(front) == [("tokens", 10)] * 2


# A seller's own captures


def test_a_capture_of_what_is_not_served_is_refused_and_says_what_passes(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    wallets.charge(wallet.wallet_id, 9_900, idempotency_key="all but 100")
    budget = wallets.budgets.create(wallet.wallet_id, limit_yen=5, window="hour", scope={"item": "tokens"})
    with Api(new_app(wallets)) as api:
        asked = {"wallet_id": wallet.wallet_id, "amount_yen": 100, "ttl_seconds": 7200}
        hold_id = api.call("POST", "/credit/hold", OPERATOR_KEY, key="h", json=asked).json()["hold_id"]

        def capture(key: str, quantity: int, **others: Any) -> Any:
            body = {"hold_id": hold_id, "item": "tokens", "quantity": quantity, **others}
            return api.call("POST", "/credit/capture", OPERATOR_KEY, key=key, json=body)

        refused = capture("a", 20)
        at = "2026-05-15T13:00:00.000Z"
        assert_problem(refused, 402, "budget_exhausted", max_amount="5", retry_at=None, missing="5")
        assert capture("b", 10, final=False).json()["amount"] == "5"
        assert capture("c", 2).json()["retry_at"] == at
        clock.advance(hours=1)
        assert capture("c", 2).json()["amount"] == "1"
    assert used(wallets, budget) == (1, 0, 4)
    assert wallets.verify() == []


def test_the_library_says_the_same(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    wallets.budgets.create(wallet.wallet_id, limit_yen="4.5", window="total", scope={"item": "tokens"}, label="few")
    hold = wallets.hold(wallet.wallet_id, 100, idempotency_key="h")
    with pytest.raises(BudgetExhausted) as refused:
        wallets.capture(hold.hold_id, item="tokens", quantity=20)
    budget = refused.value.budget
    assert budget is not None
    assert (budget.label, budget.unit, budget.limit, budget.left) == ("few", "yen", Decimal("4.5"), Decimal("4.5"))
    assert (refused.value.max_amount, refused.value.max_amount_yen, refused.value.retry_at) == (Decimal("4.5"), 4, None)
    assert wallets.capture(hold.hold_id, item="tokens", quantity=9).amount == Decimal("4.5")
