"""What comes after a wallet was closed, merged or handed over: requests, debts, references, cards and notices.

Who would get it wrong: an operator who goes on with a dead wallet, a customer who comes back, a bank that takes a
payment back late, an owner who pays for what the next one spends.
"""

from __future__ import annotations

from typing import Any

import pytest
from databases import on_both_databases

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import Clawback, PaymentFact
from credit_wallet.errors import ClosingBlocked, WalletClosed
from credit_wallet.notices.targets import WantedTarget

pytestmark = on_both_databases

LEAVES: dict[str, Any] = {"note": "contract ended"}


def pay(wallets: CreditWallet, wallet_id: int, yen: int, key: str) -> str:
    topup_id = wallets.topups.request(wallet_id, yen, idempotency_key=key).topup_id
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=1, status="succeeded", received_yen=yen))
    return topup_id


def test_nothing_new_begins_in_a_wallet_that_is_closed(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.close_wallet(wallet_id, **LEAVES)
    for begin in (
        lambda: wallets.rotate_owner_token(wallet_id),
        lambda: wallets.keys.create(wallet_id),
        lambda: wallets.secrets.register(wallet_id, "a" * 64),
        lambda: wallets.budgets.create(wallet_id, limit_yen=5, window="day"),
        lambda: wallets.grants.create(wallet_id, 5),
    ):
        with pytest.raises(WalletClosed):
            begin()
    assert [*wallets.secrets.list(wallet_id), *wallets.keys.list(wallet_id), *wallets.grants.list(wallet_id)] == []


def test_a_merge_that_was_done_is_answered_again_when_the_other_wallet_is_closed_too(wallets: CreditWallet) -> None:
    first, second, third = (wallets.create().wallet_id for _ in range(3))
    wallets.topup(first, 5, idempotency_key="t")
    done = wallets.merge(first, second, **LEAVES)
    wallets.merge(second, third, **LEAVES)
    assert wallets.merge(first, second, **LEAVES) == done
    assert wallets.balance(third).balance_yen == 5


def test_a_debt_that_comes_after_closing_is_written_off_by_closing_again(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    topup_id = pay(wallets, wallet_id, 500, "pays")
    wallets.charge(wallet_id, 500, idempotency_key="spent")
    wallets.close_wallet(wallet_id, **LEAVES)
    disputed = Clawback("dp_1", "dispute", 400, "withdrawn")
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=2, clawbacks=(disputed,)))
    assert wallets.show(wallet_id).debt_yen == 400
    assert wallets.close_wallet(wallet_id, **LEAVES, write_off_debt=True).debt_yen == 0
    assert wallets.verify() == []


def test_the_debt_of_a_merged_wallet_is_written_off_as_well(wallets: CreditWallet) -> None:
    first, second = (wallets.create().wallet_id for _ in range(2))
    topup_id = pay(wallets, first, 500, "pays")
    wallets.charge(first, 500, idempotency_key="spent")
    wallets.merge(first, second, **LEAVES)
    disputed = Clawback("dp_1", "dispute", 400, "withdrawn")
    wallets.topups.settle(first, topup_id, PaymentFact(observed_at=2, clawbacks=(disputed,)))
    shown = wallets.close_wallet(first, **LEAVES, write_off_debt=True)
    assert (shown.debt_yen, shown.merged_into) == (0, second)


def test_the_reference_of_a_closed_wallet_can_be_had_again(wallets: CreditWallet) -> None:
    old = wallets.create(reference="cust_1").wallet_id
    wallets.close_wallet(old, **LEAVES)
    with pytest.raises(WalletClosed):
        wallets.create(reference="cust_1")
    with pytest.raises(WalletClosed):
        wallets.hand_over(old, None, rotate_token=True)
    wallets.hand_over(old, "cust_1 until 2026")
    assert wallets.create(reference="cust_1").wallet_id != old
    assert wallets.verify() == []


def test_who_had_a_wallet_pays_nothing_and_hears_nothing_of_it(wallets: CreditWallet) -> None:
    """What the new owner spends is not charged to a card that somebody else saved, whatever is told of old payments."""

    def paid(customer: str, **more: Any) -> PaymentFact:
        saved: dict[str, Any] = {"customer": customer, "payment_method": f"pm of {customer}", **more}
        return PaymentFact(observed_at=1, status="succeeded", received_yen=500, **saved)

    wallet_id = wallets.create(reference="cust_1", auto_topup_threshold=100, auto_topup_amount=500).wallet_id
    old_id = wallets.topups.request(wallet_id, 500, idempotency_key="1").topup_id
    with pytest.raises(ClosingBlocked, match=old_id):
        wallets.hand_over(wallet_id, "cust_2", rotate_token=True)
    assert wallets.find(reference="cust_1").wallet_id == wallet_id
    wallets.topups.settle(wallet_id, old_id, paid("old"))
    wallets.targets.set(wallet_id, [WantedTarget(url="https://example.com/old")])
    assert wallets.topups.payer(wallet_id).payment_method == "pm of old"
    wallets.hand_over(wallet_id, "cust_2", rotate_token=True)
    shown = wallets.show(wallet_id)
    assert (shown.auto_topup_threshold, shown.auto_topup_amount, wallets.targets.list(wallet_id)) == (0, 0, [])
    disputed = (Clawback("dp_1", "dispute", 100, "withdrawn"),)
    for customer, wanted in ((None, None), ("new", "pm of new")):
        if customer is not None:
            new_id = wallets.topups.request(wallet_id, 500, idempotency_key="2").topup_id
            wallets.topups.settle(wallet_id, new_id, paid(customer))
        wallets.topups.settle(wallet_id, old_id, paid("old", clawbacks=disputed))
        assert wallets.topups.payer(wallet_id).payment_method == wanted
    assert wallets.verify() == []
