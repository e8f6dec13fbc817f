"""Both clients move credit between wallets, and read what has moved."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from served import Served
from service import OPERATOR_KEY, new_app

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient, WalletClient
from credit_wallet.errors import InvalidAmount, TransferNotAllowed, TransferNotFound


def test_an_owner_moves_credit_with_both_clients(wallets: CreditWallet) -> None:
    company, team = wallets.create(), wallets.create()
    wallets.topup(company.wallet_id, 1_000, idempotency_key="paid")
    with Served(new_app(wallets)) as service:
        with WalletClient(service.url, company.owner_token) as client:
            moved = client.transfers.create("250.5", team.owner_token, idempotency_key="first", note="for search")
            assert (moved.balance, moved.to_balance) == (Decimal("749.5"), Decimal("250.5"))
            again = client.transfers.create("250.5", team.owner_token, idempotency_key="first", note="for search")
            assert (again.transfer_id, again.replayed) == (moved.transfer_id, True)
            [out] = client.transfers.list().transfers
            assert out == client.transfers.show(moved.transfer_id) == wallets.transfers.show(moved.transfer_id)
            with pytest.raises(TransferNotAllowed) as refused:
                client.transfers.create(1, company.owner_token)
            assert refused.value.details["max_amount"] == "0"
            with pytest.raises(InvalidAmount) as mixed_up:
                client.transfers.create(team.owner_token, "250.5")
            assert team.owner_token not in str(mixed_up.value)

        async def back() -> None:
            async with AsyncWalletClient(service.url, team.owner_token) as client:
                assert (await client.transfers.create(50, company.owner_token)).to_balance_yen == 799
                newest, came = (await client.transfers.list()).transfers
                assert (newest.direction, came.direction, came.note) == ("out", "in", "for search")
                with pytest.raises(TransferNotFound):
                    await client.transfers.show("tr_9_0123456789abcdef01234567")

        asyncio.run(back())
        with WalletClient(service.url, OPERATOR_KEY) as operator:
            between = operator.transfers.between(company.wallet_id, team.wallet_id, 100, idempotency_key="operator")
            assert (between.balance_yen, between.to_balance_yen) == (699, 300)
    assert wallets.verify() == []
