"""No way by which credit comes in carries a wallet past the most that it can hold."""

from __future__ import annotations

import pytest
from amounts import yen
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.errors import InvalidAmount

pytestmark = on_every_database

CEILING_YEN = 1_000


@pytest.fixture
def full(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> CreditWallet:
    """A full wallet, 1, which was charged 100 before its last top-up and holds 200."""
    monkeypatch.setattr("credit_wallet.rules.credit.MAX_BALANCE_MICROS", yen(CEILING_YEN))
    wallets.create()
    wallets.topup(1, 1_000, idempotency_key="start")
    wallets.charge(1, 100, idempotency_key="charge")
    wallets.hold(1, 200, idempotency_key="hold")
    wallets.topup(1, 100, idempotency_key="more")
    return wallets


def test_a_refund_waits_until_there_is_room(full: CreditWallet) -> None:
    charge = next(entry for entry in full.history(1) if entry.txn_type == "charge")
    for amount_yen in (None, 1, "0.000001"):
        with pytest.raises(InvalidAmount, match="would exceed"):
            full.refund(charge.txn_id, amount_yen, idempotency_key="refund")
    assert full.balance(1) == 800
    full.charge(1, 100, idempotency_key="room")
    full.refund(charge.txn_id, idempotency_key="refund")
    assert full.balance(1) + full.balance(1).held_yen == CEILING_YEN
    assert full.verify() == []


def test_what_is_held_comes_back_into_a_full_wallet(full: CreditWallet) -> None:
    with pytest.raises(InvalidAmount, match="would exceed"):
        full.topup(1, "0.000001", idempotency_key="one micro more")
    full.release(1)
    assert full.balance(1) == CEILING_YEN
    assert full.verify() == []
