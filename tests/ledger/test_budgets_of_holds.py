"""A hold that a shadow would have refused reserves nothing there; its capture depends on what the shadow is by then."""

from __future__ import annotations

from decimal import Decimal

import pytest

from credit_wallet import CreditWallet
from credit_wallet.errors import BudgetExhausted


@pytest.fixture
def held(wallets: CreditWallet) -> tuple[int, str, int]:
    """A wallet, its shadow of ¥10, and a hold of ¥15 that it would have refused."""
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    shadow = wallets.budgets.create(wallet_id, limit_yen=10, window="total", mode="shadow")
    hold_id = wallets.hold(wallet_id, 15, idempotency_key="hold").hold_id
    assert hold_id is not None
    assert wallets.budgets.show(shadow.budget_id).refused == Decimal(15)
    return wallet_id, shadow.budget_id, hold_id


def test_a_capture_does_not_count_in_the_shadow(wallets: CreditWallet, held: tuple[int, str, int]) -> None:
    _, budget_id, hold_id = held
    wallets.capture(hold_id, 5)
    shown = wallets.budgets.show(budget_id)
    assert (shown.spent, shown.held, shown.refused) == (Decimal(0), Decimal(0), Decimal(15))
    assert wallets.verify() == []


def test_a_capture_is_checked_and_counted_by_what_is_a_cap_now(
    wallets: CreditWallet, held: tuple[int, str, int]
) -> None:
    _, budget_id, hold_id = held
    wallets.budgets.configure(budget_id, mode="cap")
    with pytest.raises(BudgetExhausted) as refused:
        wallets.capture(hold_id, 15, idempotency_key="too much")
    assert refused.value.max_amount == Decimal(10)
    wallets.capture(hold_id, 10, idempotency_key="what passes")
    assert wallets.budgets.show(budget_id).spent == Decimal(10)
    assert wallets.verify() == []


def test_a_capture_counts_in_what_notifies_now(wallets: CreditWallet, held: tuple[int, str, int]) -> None:
    _, budget_id, hold_id = held
    wallets.budgets.configure(budget_id, mode="alert")
    wallets.capture(hold_id, 15)
    assert wallets.budgets.show(budget_id).spent == Decimal(15)
    assert wallets.verify() == []
