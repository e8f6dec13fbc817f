"""A purchase that was given back and is bought again at another price is what it cost the second time.

Who would lose: a buyer whose first try was free and whose second, paid one is given back for nothing; a seller who
delivers after all and is paid the price of the first try.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from clock import Clock
from databases import on_every_database
from priced import NOON, TIERED, cost

from credit_wallet import CreditWallet

pytestmark = on_every_database

PRICED = '[[price]]\nitem = "tokens"\nunit_price_yen = "{}"\n'


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def bought(wallets: CreditWallet, payer: int, quantity: int, hold_seconds: int | None = None) -> Decimal:
    bought = wallets.purchases.buy(
        payer, item="tokens", quantity=quantity, purchase_key="p", attempt="a", hold_seconds=hold_seconds
    )
    return bought.amount


@pytest.mark.parametrize("hold_seconds", [None, 60])
def test_what_was_free_at_first_comes_back_whole(wallets: CreditWallet, payer: int, hold_seconds: int | None) -> None:
    wallets.prices.apply(TIERED)
    assert bought(wallets, payer, 500, hold_seconds) == 0
    wallets.purchases.undo(payer, "p", attempt="a")
    cost(wallets, payer, "uses up what is free", "tokens", 1_000)
    before = wallets.balance(payer)
    assert bought(wallets, payer, 500, hold_seconds) == 100
    assert wallets.purchases.undo(payer, "p", attempt="a").amount == 100
    assert wallets.balance(payer) == before
    assert wallets.verify() == []


def test_who_is_served_after_all_pays_the_price_of_the_last_try(wallets: CreditWallet, payer: int) -> None:
    for unit_price, price in (("1", 10), ("3.5", 35)):
        wallets.prices.apply(PRICED.format(unit_price))
        assert bought(wallets, payer, 10) == price
        wallets.purchases.undo(payer, "p", attempt="a")
    before = wallets.balance(payer)
    assert wallets.purchases.serve(payer, "p", attempt="a").amount == 35
    assert wallets.balance(payer) == before - 35
    [charge] = wallets.history(payer, limit=1)
    assert charge.price_version == 2
    assert wallets.verify() == []
