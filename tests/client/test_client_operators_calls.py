"""What operators ask with either client: the price book, and a top-up of any wallet."""

from __future__ import annotations

import asyncio

import pytest
from served import Served
from service import OPERATOR_KEY, new_app

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient, WalletClient
from credit_wallet.errors import TopupNotFound

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"
"""


def test_an_operator_applies_prices_and_reads_what_each_version_changed(wallets: CreditWallet) -> None:
    with Served(new_app(wallets)) as service:
        with WalletClient(service.url, OPERATOR_KEY) as client:
            assert client.price_book.show().version == 0
            assert client.price_book.apply(PRICES, dry_run=True).dry_run
            [change] = client.price_book.apply(PRICES).changes
            assert (change.change, change.item) == ("added", "search")
            assert [price.item for price in client.price_book.show().prices] == ["search"]

        async def revisions() -> list[int]:
            async with AsyncWalletClient(service.url, OPERATOR_KEY) as client:
                return [each.version for each in (await client.price_book.revisions()).revisions]

        assert asyncio.run(revisions()) == [1]


def test_a_topup_that_is_nobodys_is_not_found(wallets: CreditWallet) -> None:
    with (
        Served(new_app(wallets)) as service,
        WalletClient(service.url, OPERATOR_KEY) as client,
        pytest.raises(TopupNotFound),
    ):
        client.topups.show_any("tu_20bca0ada1f6dda73b61b97a92eb5d")
