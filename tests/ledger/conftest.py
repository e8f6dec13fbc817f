"""A wallet with credit."""

from __future__ import annotations

import pytest

from credit_wallet import CreditWallet


@pytest.fixture
def payer(wallets: CreditWallet) -> int:
    """A wallet with ¥1,000."""
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="credit")
    return wallet_id
