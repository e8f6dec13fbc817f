"""Calls sold by the price book and below the yen; with the wallets in the gate's process and behind the service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx
import pytest
from gated import Application, Front, answer, gated, start
from http_answers import assert_problem, funded
from served import Served
from service import OPERATOR_KEY, new_app
from streaming import START, Caller, Signal, chunk
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient
from credit_wallet.domain.views import CreatedWallet, Transaction
from credit_wallet.middleware import CreditGate, GatedRequest, Item, charge_for, priced
from credit_wallet.wire.asgi import Receive, Scope, Send

CREDIT_YEN = 10_000

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "tokens.input"
unit_price_yen = "0.2"
per = 1000

[[price]]
item = "tokens.output"
unit_price_yen = "0.6"
per = 1000
"""

INPUT = {"item": "tokens.input", "quantity": 1_000}

Spent = list[tuple[str | None, Decimal | int, Decimal]]


@pytest.fixture(params=["embedded", "remote"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    wallets.prices.apply(PRICES)
    return funded(wallets)


def charges(front: Front) -> list[Transaction]:
    history = reversed(front.wallets.history(front.wallet.wallet_id, limit=1_000))
    return [each for each in history if each.txn_type == "charge"]


def spent(front: Front) -> Spent:
    """Item, quantity and amount of every charge; and the books are right to the micro."""
    found = charges(front)
    balance = front.wallets.balance(front.wallet.wallet_id)
    assert front.wallets.verify() == []
    assert balance.balance == CREDIT_YEN + sum(each.amount for each in found)
    assert balance.held_micros == 0
    return [(each.item, each.quantity or 0, each.amount) for each in found]


def reporting(*reports: dict[str, Any] | str) -> Application:
    """An application that captures each report before it answers."""

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        for report in reports:
            if isinstance(report, dict):
                charge_for(scope).capture(**report)
            else:
                charge_for(scope).capture(report)
        await answer(send)

    return Application(handler)


# Below the yen


@pytest.mark.parametrize("price", ["3.30", Decimal("3.3"), lambda _: "3.3", lambda _: Decimal("3.30")])
def test_a_call_costs_less_than_a_yen_more(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, price: Any
) -> None:
    with gated(Application(), wallets, wallet, where, price_yen=price) as front:
        got = front.call()
        assert (got.headers["x-wallet-balance"], got.headers["x-wallet-balance-exact"]) == ("9996", "9996.7")
    assert spent(front) == [(None, Decimal(0), Decimal("-3.3"))]


def test_a_thousand_calls_add_up(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def calls() -> None:
        gate: Any = CreditGate(Application(), wallets, price_yen="0.000001")
        headers = [(b"authorization", f"Bearer {wallet.owner_token}".encode())]

        async def one() -> None:
            scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}

            async def receive() -> Any:
                return await asyncio.get_running_loop().create_future()

            async def send(message: Any) -> None:
                pass

            await gate(scope, receive, send)

        await asyncio.gather(*(one() for _ in range(1_000)))
        await gate.aclose()

    asyncio.run(calls())
    assert wallets.balance(wallet.wallet_id).balance == Decimal("9999.999")
    assert wallets.verify() == []


def test_a_refusal_says_exactly_what_is_missing(wallets: CreditWallet, where: str) -> None:
    poor = wallets.create()
    wallets.topup(poor.wallet_id, "3.29", idempotency_key="little")
    with gated(Application(), wallets, poor, where, price_yen="3.30") as front:
        refused = front.call()
    assert_problem(refused, 402, "insufficient_funds")
    assert refused.json()["balance"] == "3.29"
    assert (refused.json()["missing"], refused.json()["missing_yen"]) == ("0.01", 1)
    assert (refused.headers["x-wallet-balance"], refused.headers["x-wallet-balance-exact"]) == ("3", "3.29")


# Items


@pytest.mark.parametrize(
    ("price", "quantity", "amount"),
    [
        ("search", 1, "-3.3"),
        (Item("search", 2), 2, "-6.6"),
        (Item("tokens.input", "1.5"), Decimal("1.5"), "-0.0003"),
        (lambda request: "search" if request.query_params.get("q") else None, 1, "-3.3"),
        (lambda _: Item("search", 3), 3, "-9.9"),
    ],
)
def test_a_call_costs_what_the_price_book_says(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, price: Any, quantity: Any, amount: str
) -> None:
    name = "tokens.input" if isinstance(price, Item) and price.name != "search" else "search"
    with gated(Application(), wallets, wallet, where, price=price) as front:
        assert front.call("/?q=1").status_code == 200
    assert spent(front) == [(name, quantity, Decimal(amount))]
    assert charges(front)[0].price_version == 1


def test_a_route_costs_what_the_price_book_says(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    @priced("search", facts={"tool": "search"})
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send)

    with gated(Application(handler), wallets, wallet, where, facts={"seller": "acme", "tool": "other"}) as front:
        assert front.call().status_code == 200
    assert spent(front) == [("search", 1, Decimal("-3.3"))]
    assert charges(front)[0].facts == {"seller": "acme", "tool": "search"}


def test_a_retry_after_a_change_of_prices_costs_nothing(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    with gated(Application(), wallets, wallet, where, price="search") as front:
        first = front.call(key="a")
        wallets.prices.apply(PRICES.replace("3.30", "5"))
        again = front.call(key="a")
        other = front.call(key="b")
    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 200)
    assert again.headers["idempotent-replayed"] == "true"
    assert spent(front) == [("search", 1, Decimal("-3.3")), ("search", 1, Decimal(-5))]
    assert [each.price_version for each in charges(front)] == [1, 2]


def test_a_retry_may_tell_other_facts(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    with gated(Application(), wallets, wallet, where, price="search") as front:
        for run in ("r1", "r2"):
            assert front.call(key="a", headers={"X-Wallet-Facts": f"run={run}"}).status_code == 200
    assert [each.agent_facts for each in charges(front)] == [{"run": "r1"}]


def test_a_price_that_has_gone_is_the_sellers_fault_and_nothing_is_free(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    app = Application()
    with gated(app, wallets, wallet, where, price="search") as front:
        assert front.call(key="a").status_code == 200
        wallets.prices.apply(PRICES.replace('"search"', '"find"'))
        with capture_logs() as logs:
            refused = front.call()
        assert front.call(key="a").status_code == 200  # paid for before
    assert_problem(refused, 500, "price_missing")
    assert app.ran == 2
    assert "gate_price_missing" in [line["event"] for line in logs]
    assert spent(front) == [("search", 1, Decimal("-3.3"))]


@pytest.mark.parametrize(
    "options", [{"price": "nothing"}, {"hold": Item("nothing", 5)}, {"hold": 5, "items": ["nothing"]}]
)
def test_a_gate_does_not_start_without_its_prices(
    wallets: CreditWallet, wallet: CreatedWallet, options: dict[str, Any]
) -> None:
    assert wallet
    sent = start(CreditGate(Application(), wallets, **options))
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "no price for nothing" in sent[0]["message"]
    assert "prices apply" in sent[0]["message"]


def test_a_gate_starts_with_what_only_some_can_buy(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    """Prices of groups, of single wallets, and of later. A gate of the service cannot see them, and logs it."""
    wallets.prices.apply(
        '[[price]]\nitem = "own"\nunit_price_yen = 1\nwallet_id = 1\n'
        '[[price]]\nitem = "club"\nunit_price_yen = 1\ngroup = "club"\n'
        '[[price]]\nitem = "later"\nunit_price_yen = 1\nvalid_from = 2099-01-01T00:00:00Z\n'
    )
    assert wallet
    with Served(new_app(wallets)) as service:
        for item in ("own", "club", "later", "nothing"):
            seller = wallets if where == "embedded" else AsyncWalletClient(service.url, OPERATOR_KEY)
            with capture_logs() as logs:
                sent = start(CreditGate(Application(), seller, price=item))
            refused = where == "embedded" and item == "nothing"
            assert sent[0]["type"] == f"lifespan.startup.{'failed' if refused else 'complete'}"
            assert any(line["event"] == "gate_price_missing" for line in logs) == (where == "remote")


@pytest.mark.parametrize("name", ["Search", "search!", "", "a" * 65, "a..b", 3.5])
def test_what_cannot_be_an_item_is_refused_at_once(wallets: CreditWallet, name: Any) -> None:
    with pytest.raises(ValueError, match=r"name of an item|must be yen"):
        CreditGate(Application(), wallets, price=name)


@pytest.mark.parametrize("quantity", [0, -1, 1.5, True, "", "1e3", "NaN", Decimal("NaN"), Decimal("-Infinity"), 10**13])
def test_what_cannot_be_a_quantity_is_refused_at_once(quantity: Any) -> None:
    with pytest.raises(ValueError, match="a quantity must be"):
        Item("search", quantity)


# Several captures


@pytest.mark.parametrize("hold", [5, "5", Item("search", 2)])
def test_a_call_is_captured_in_parts(wallets: CreditWallet, wallet: CreatedWallet, where: str, hold: Any) -> None:
    app = reporting(
        {"item": "tokens.input", "quantity": 1_234},
        {"item": "tokens.output", "quantity": 10},
        {"item": "tokens.output", "quantity": "5.5", "facts": {"model": "small"}},
        {"item": "tokens.output", "quantity": 20},
        {"item": "tokens.input", "quantity": 0},
        "1.2",
        {"amount_yen": "1.1", "facts": {"model": "none"}},
    )
    with gated(app, wallets, wallet, where, hold=hold, facts={"model": "large"}) as front:
        assert front.call(headers={"X-Wallet-Facts": "run=r1"}).status_code == 200
        front.stage.wait()
    assert spent(front) == [
        ("tokens.input", 1_234, Decimal("-0.2468")),
        ("tokens.output", 30, Decimal("-0.018")),
        ("tokens.output", Decimal("5.5"), Decimal("-0.0033")),
        (None, 0, Decimal("-1.1")),
    ]
    assert [each.facts["model"] for each in charges(front)] == ["large", "large", "small", "none"]
    assert [each.agent_facts for each in charges(front)] == [{"run": "r1"}] * 4


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([], [(None, "-5")]),
        ([{"item": "search", "quantity": 0}], []),
        (["0"], []),
        ([{"item": "search", "quantity": 2}], [(None, "-5")]),
        ([INPUT, {"item": "search", "quantity": 2}], [("tokens.input", "-0.2"), (None, "-4.8")]),
        ([{"item": "nothing", "quantity": 1}], [(None, "-5")]),
        ([{"item": "search"}, {"item": "nothing", "quantity": 1}], [("search", "-3.3"), (None, "-1.7")]),
    ],
)  # fmt: skip
def test_what_is_above_the_hold_or_has_no_price_takes_the_hold(
    wallets: CreditWallet,
    wallet: CreatedWallet,
    where: str,
    reports: Sequence[Any],
    expected: list[tuple[str | None, str]],
) -> None:
    with gated(reporting(*reports), wallets, wallet, where, hold=5) as front:
        assert front.call().status_code == 200
        front.stage.wait()
    found = [(item, str(amount)) for item, _, amount in spent(front)]
    assert found == expected


def test_what_is_above_the_hold_is_taken_of_the_balance_where_the_gate_is_told_so(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    app = reporting({"item": "search", "quantity": 2}, {"item": "tokens.output", "quantity": 1_000})
    with gated(app, wallets, wallet, where, hold=5, above="up_to_balance") as front:
        assert front.call().status_code == 200
        front.stage.wait()
    assert spent(front) == [("search", 2, Decimal("-6.6")), ("tokens.output", 1_000, Decimal("-0.6"))]


def test_a_hold_of_an_item_that_nobody_reports_is_spent_whole(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    with gated(Application(), wallets, wallet, where, hold=Item("search", 2)) as front:
        assert front.call().status_code == 200
        front.stage.wait()
    assert spent(front) == [("search", 2, Decimal("-6.6"))]


BAD: list[dict[str, Any]] = [
    {"item": "search", "quantity": -1},
    {"item": "search", "quantity": 1.5},
    {"item": "search", "quantity": "NaN"},
    {"item": "search", "quantity": Decimal("NaN")},
    {"item": "search", "quantity": True},
    {"item": "search", "quantity": 10**13},
    {"item": "Search"},
    {"item": "search", "facts": {"Model": "x"}},
    {"item": "search", "facts": {f"k{number}": "x" for number in range(9)}},
    {"item": "search", "amount_yen": 3},
    {"amount_yen": 3, "quantity": 2},
    {"quantity": 2},
    {"amount_yen": 3, "facts": {"model": ""}},
    {},
    {"amount_yen": "-1"},
    {"amount_yen": "5.000001"},
]


@pytest.mark.parametrize("bad", BAD)
def test_a_report_that_cannot_be_fails_the_call_or_takes_the_hold(
    wallets: CreditWallet, wallet: CreatedWallet, bad: dict[str, Any]
) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        purchase = charge_for(scope)
        purchase.capture(item="search")
        if scope["path"] == "/begun":
            await send(START)
            await send(chunk(b"first"))
        purchase.capture(**bad)

    with gated(Application(handler), wallets, wallet, hold=5) as front:
        assert front.call("/before").status_code == 500
        assert spent(front) == []
        with pytest.raises(httpx.RemoteProtocolError, match=r"peer closed|Server disconnected|incomplete"):
            front.call("/begun")
        front.stage.wait(2)
    assert [amount for _, _, amount in spent(front)] == [Decimal(-5)]


def test_a_cut_stream_is_paid_for_as_far_as_it_was_measured(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    signal = Signal()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        purchase = charge_for(scope)
        purchase.capture(item="tokens.input", quantity=1_000)
        await send(START)
        for _ in range(5):
            await send(chunk(b"token "))
            purchase.capture(item="tokens.output", quantity=100)
        await signal.meet()
        while (await receive())["type"] != "http.disconnect":
            pass

    with gated(Application(stream), wallets, wallet, where, hold=5) as front:
        caller = Caller(front)
        caller.read_until(b"token ")
        signal.wait()
        caller.leave()
        signal.go.set()
        front.stage.wait()
    assert spent(front) == [("tokens.input", 1_000, Decimal("-0.2")), ("tokens.output", 500, Decimal("-0.3"))]


def test_a_caller_who_leaves_before_the_first_byte_pays_nothing_of_what_was_measured(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    signal = Signal()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        charge_for(scope).capture(item="tokens.input", quantity=1_000)
        await signal.meet()
        while (await receive())["type"] != "http.disconnect":
            pass
        await send(START)
        await send(chunk(b"too late", more=False))

    with gated(Application(stream), wallets, wallet, where, hold=5) as front:
        caller = Caller(front)
        signal.wait()
        caller.leave()
        signal.go.set()
        front.stage.wait()
    assert spent(front) == []


def test_a_charge_has_no_parts(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(reporting({"item": "search"}), wallets, wallet, price_yen=3) as front:
        assert front.call().status_code == 500
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN


def test_a_purchase_says_what_it_costs(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        purchase = charge_for(scope)
        await answer(send, body=f"{purchase.amount} {purchase.amount_yen}".encode())

    with gated(Application(handler), wallets, wallet, where, price="search") as front:
        assert front.call().text == "3.3 3"


def test_a_price_may_depend_on_the_request_and_be_free(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    def price(request: GatedRequest) -> str | None:
        return {"/search": "3.3", "/zero": "0"}.get(request.path)

    with gated(Application(), wallets, wallet, price_yen=price) as front:
        statuses = [front.call(path, token=None).status_code for path in ("/free", "/zero", "/search")]
        assert statuses == [200, 200, 401]


# What costs nothing

FREE = '[[price]]\nitem = "free"\nunit_price_yen = 0\n[[price]]\nitem = "pages"\n' + (
    'tiers = [{up_to = 2, unit_price_yen = "0"}, {unit_price_yen = "1.5"}]'
)


@pytest.mark.parametrize("options", [{"price": "free"}, {"hold": Item("free", 5)}])
def test_an_item_may_cost_nothing(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, options: dict[str, Any]
) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send, 500 if scope["path"] == "/fails" else 200)

    wallets.prices.apply(FREE)
    with gated(Application(handler), wallets, wallet, where, **options) as front:
        assert [front.call(path, key=path[1:] or "a").status_code for path in ("/", "/", "/fails", "/")] == [
            200,
            200,
            500,
            200,
        ]
        assert front.call(token=None).status_code == 401
        front.stage.wait(5)
    assert {amount for _, _, amount in spent(front)} <= {Decimal(0)}
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN


def test_free_units_are_used_up(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send, 500 if scope["path"] == "/fails" else 200)

    wallets.prices.apply(FREE)
    with gated(Application(handler), wallets, wallet, where, price="pages") as front:
        for path in ("/", "/fails", "/", "/", "/fails", "/"):
            front.call(path)
            front.stage.wait()
    history = reversed(wallets.history(wallet.wallet_id))
    assert [str(each.amount) for each in history if each.amount and each.txn_type != "topup"] == [
        "-1.5",
        "-1.5",
        "1.5",
        "-1.5",
    ]
    assert wallets.verify() == []
