"""What the tests of delivery share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from notified import notifier_of
from receivers import Receiver, receiver

from credit_wallet import CreditWallet
from credit_wallet.delivery.notifier import Notifier


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def notifier(wallets: CreditWallet) -> Notifier:
    return notifier_of(wallets)


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    """A wallet with ¥1,000, a budget of ¥1,000, and notices from ¥400 downwards."""
    wallet_id = wallets.create(label="search", monthly_budget_yen=1_000).wallet_id
    wallets.configure(wallet_id, low_balance_yen=400)
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    return wallet_id
