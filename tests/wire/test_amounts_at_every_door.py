"""Exact amounts, items and facts: what is taken and refused is the same at every door."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from math import floor
from typing import Any

import httpx
import pytest
from doors import CREDIT_YEN, DOORS, Door, figures, filled, on_the_command_line
from shell import Shell

from credit_wallet import CreditWallet
from credit_wallet.client import WalletClient
from credit_wallet.errors import InvalidAmount, InvalidRequest

TAKEN: dict[Any, str] = {
    1: "1",
    3: "3",
    "3": "3",
    "3.3": "3.3",
    "3.30": "3.3",
    "3.300000": "3.3",
    "0.000001": "0.000001",
    "0.5": "0.5",
    "9999.999999": "9999.999999",
    "10000": "10000",
    Decimal("3.30"): "3.3",
    Decimal("0.0003"): "0.0003",
    Decimal("1E+3"): "1000",
}
"""What is taken as an amount, and what is charged."""

REFUSED_TEXTS = (
    *("", " ", "3 ", " 3", "3\n", "three", "3.", ".3", "3.3.3", "03", "1,000", "1_0", "３", "¥3", "0x3", "1e3", "3E-1"),
    *("0", "0.0", "0.000000", "-3", "-0.5", "+3", "NaN", "nan", "Infinity", "-Infinity", "3.3000001", "0.0000001"),
    *("1000000000000.000001", "1000000000001", "9" * 40, "0." + "3" * 40),
)
REFUSED: tuple[Any, ...] = (
    *REFUSED_TEXTS,
    *(0, -3, 10**12 + 1, 10**30, True, False, 3.0, 3.3, 1e3, [], {}, None, [3], {"amount_yen": 3}),
)
REFUSED_DECIMALS = tuple(
    map(Decimal, ("0", "-3", "NaN", "sNaN", "Infinity", "3.3000001", "1E+13", "1E-7", "1E+999999"))
)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, wallets: CreditWallet) -> Iterator[Door]:
    filled(wallets)
    with DOORS[request.param](wallets) as charge:
        yield charge


@pytest.mark.parametrize("amount", TAKEN, ids=repr)
def test_an_exact_amount_is_taken_and_said_both_ways(door: Door, wallets: CreditWallet, amount: Any) -> None:
    exact = Decimal(TAKEN[amount])
    left = CREDIT_YEN - exact
    answer = door(amount_yen=amount)
    assert figures(answer) == (floor(exact), exact, floor(left), left)
    assert (answer["amount"], answer["replayed"]) == (TAKEN[amount], False)
    assert wallets.show(1).balance == left
    assert door(amount_yen=amount) == answer | {"replayed": True}
    assert wallets.show(1).balance == left


def test_what_is_no_amount_is_refused_and_moves_nothing(door: Door, wallets: CreditWallet) -> None:
    for amount in REFUSED:
        answer = door(amount_yen=amount)
        assert (answer["code"], answer["field"]) == ("invalid_amount", "amount_yen"), (amount, answer)
    assert wallets.show(1).balance == CREDIT_YEN


@pytest.mark.parametrize("amount", REFUSED_DECIMALS, ids=str)
def test_a_decimal_that_is_no_amount_is_refused(wallets: CreditWallet, amount: Decimal) -> None:
    filled(wallets)
    with pytest.raises(InvalidAmount):
        wallets.charge(1, amount, idempotency_key="key")
    assert wallets.show(1).balance == CREDIT_YEN


@pytest.mark.parametrize("precision", [1, 4, 28])
def test_a_decimal_is_exact_in_any_context_of_the_host(wallets: CreditWallet, precision: int) -> None:
    filled(wallets)
    with localcontext(prec=precision):
        charged = wallets.charge(1, Decimal("1234.500001"), idempotency_key="key")
        with pytest.raises(InvalidAmount):
            wallets.charge(1, Decimal("3.3000000000000000000000000000001"), idempotency_key="more places")
        balance = wallets.show(1).balance
    assert (charged.amount, balance) == (Decimal("1234.500001"), Decimal("8765.499999"))


def test_an_amount_is_the_same_request_however_it_is_written(wallets: CreditWallet) -> None:
    filled(wallets)
    first = wallets.charge(1, "3.30", idempotency_key="key")
    for same in ("3.3", Decimal("3.3"), Decimal("3.300")):
        assert wallets.charge(1, same, idempotency_key="key").txn_id == first.txn_id
    whole = wallets.charge(1, 3, idempotency_key="whole")
    assert wallets.charge(1, "3", idempotency_key="whole").txn_id == whole.txn_id


PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "tokens.input"
unit_price_yen = "0.2"
per = 1000
"""

SOLD: list[tuple[dict[str, Any], str]] = [
    ({"item": "search"}, "3.3"),
    ({"item": "search", "quantity": 2}, "6.6"),
    ({"item": "search", "quantity": "0.5"}, "1.65"),
    ({"item": "tokens.input", "quantity": 1_234}, "0.2468"),
    ({"item": "tokens.input", "quantity": "0.001", "facts": {"tool": "search", "run": "r 1"}}, "0"),
]


ITEM_DOORS = [name for name in DOORS if name != "charge_many"]
"""A list of the library names an item by a command, not by a tuple."""


@pytest.mark.parametrize("name", ITEM_DOORS)
@pytest.mark.parametrize(("asked", "exact"), SOLD, ids=str)
def test_an_item_costs_what_the_price_book_says(
    wallets: CreditWallet, name: str, asked: dict[str, Any], exact: str
) -> None:
    filled(wallets)
    wallets.prices.apply(PRICES)
    with DOORS[name](wallets) as charge:
        answer = charge(**asked)
        wallets.prices.apply(PRICES.replace("3.30", "4.40").replace("0.2", "0.3"))
        assert charge(**asked) == answer | {"replayed": True}
    assert (answer["amount"], answer["price_version"]) == (exact, 1)
    [entry] = wallets.history(1, limit=1)
    assert (entry.item, entry.quantity) == (asked["item"], Decimal(asked.get("quantity", 1)))
    assert (entry.facts, entry.agent_facts) == (asked.get("facts", {}), {})


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"item": "search", "amount_yen": 3}, "invalid_request", "amount_yen"),
    ({}, "invalid_amount", "amount_yen"),
    ({"amount_yen": 3, "quantity": 2}, "invalid_request", "quantity"),
    ({"item": "search", "quantity": 0}, "invalid_request", "quantity"),
    ({"item": "search", "quantity": 0.5}, "invalid_request", "quantity"),
    ({"item": "search", "quantity": "x"}, "invalid_request", "quantity"),
    ({"item": "search", "quantity": True}, "invalid_request", "quantity"),
    ({"item": "search", "quantity": 10**12 + 1}, "invalid_request", "quantity"),
    ({"item": "Search"}, "invalid_request", "item"),
    ({"item": "a" * 65}, "invalid_request", "item"),
    ({"item": "a..b"}, "invalid_request", "item"),
    ({"amount_yen": 3, "facts": {f"k{number}": "x" for number in range(9)}}, "invalid_request", "facts"),
    ({"amount_yen": 3, "facts": {"Tool": "x"}}, "invalid_request", "facts"),
    ({"amount_yen": 3, "facts": {"k" * 33: "x"}}, "invalid_request", "facts"),
    ({"amount_yen": 3, "facts": {"tool": ""}}, "invalid_request", "facts"),
    ({"amount_yen": 3, "facts": {"tool": "x" * 65}}, "invalid_request", "facts"),
    ({"amount_yen": 3, "facts": {"tool": "\u0000"}}, "invalid_request", "facts"),
    ({"amount_yen": 3, "facts": {"tool": 1}}, "invalid_request", "facts"),
    ({"amount_yen": 3, "facts": ["tool"]}, "invalid_request", "facts"),
    ({"item": "unheard.of"}, "item_not_priced", "item"),
]


@pytest.mark.parametrize("name", ITEM_DOORS)
def test_what_says_no_price_is_refused_and_moves_nothing(wallets: CreditWallet, name: str) -> None:
    filled(wallets)
    wallets.prices.apply(PRICES)
    with DOORS[name](wallets) as charge:
        for asked, code, field in WRONG:
            answer = charge(**asked)
            assert answer["code"] == code, (asked, answer)
            if code != "item_not_priced":
                assert str(answer["field"]).partition(".")[0] == field, (asked, answer)
    assert wallets.show(1).balance == CREDIT_YEN


def test_the_command_line_takes_and_refuses_the_same(shell: Shell) -> None:
    shell("wallet", "create")
    shell("topup", 1, CREDIT_YEN, "--key", "start")
    for amount in REFUSED_TEXTS:
        assert on_the_command_line(shell, amount_yen=amount)["code"] in (None, "invalid_amount"), amount
    assert shell.json("wallet", "show", 1)["balance"] == str(CREDIT_YEN)
    answer = on_the_command_line(shell, amount_yen="3.30")
    assert figures(answer) == (3, Decimal("3.3"), 9_996, Decimal("9996.7"))
    assert shell.fields("wallet", "show", 1)["balance"] == "¥9,996.7"


def unreachable(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was called")


CALLS: list[Callable[[WalletClient, Any], Any]] = [
    lambda client, amount: client.charge(amount),
    lambda client, amount: client.hold(amount),
    lambda client, amount: client.capture(1, amount),
    lambda client, amount: client.refund(1, amount),
    lambda client, amount: client.charge_many([(1, amount, "key")]),
    lambda client, amount: client.purchases.buy(amount, idempotency_key="key", attempt="a"),
    lambda client, amount: client.wallets.topup(1, amount),
]


@pytest.mark.parametrize("call", CALLS)
def test_the_client_refuses_a_float_before_anything_is_sent(call: Callable[[WalletClient, Any], Any]) -> None:
    with WalletClient("http://wallet.test", "token", transport=httpx.MockTransport(unreachable)) as client:
        for amount in (3.3, 3.0, float("nan"), True):
            with pytest.raises(InvalidAmount, match="amount_yen") as refused:
                call(client, amount)
            assert refused.value.details["field"] == "amount_yen"
        with pytest.raises(InvalidRequest):
            client.charge(item="search", quantity=0.5)  # type: ignore[arg-type]


def test_the_client_sends_whole_yen_as_a_number_and_others_as_text() -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(418)

    with WalletClient("http://wallet.test", "token", transport=httpx.MockTransport(answer)) as client:
        for amount in (3, "3.0", Decimal("3.30")):
            with pytest.raises(Exception, match="418"):
                client.charge(amount)
    assert [each["amount_yen"] for each in sent] == [3, 3, "3.3"]
    assert {*sent[0]} == {"amount_yen"}
