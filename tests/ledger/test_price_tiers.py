"""Tiers: of what a wallet has used of an item in its billing cycle, counted exactly, whoever charges.

The adversaries: tiers crossed within a charge, within a batch and by many at once, refunds, and the end of a cycle.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from clock import Clock
from databases import on_both_databases, on_every_database
from priced import NOON, SEARCH, TIERED, cost

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import InsufficientFunds

pytestmark = on_every_database


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def test_tiers_are_of_what_the_wallet_used_in_the_cycle(wallets: CreditWallet, payer: int, clock: Clock) -> None:
    wallets.prices.apply(TIERED)
    assert cost(wallets, payer, "a", "tokens", 999) == 0
    assert cost(wallets, payer, "b", "tokens", 2) == Decimal("0.2")
    assert cost(wallets, payer, "c", "tokens", 1_499) == 999 * Decimal("0.2") + 500 * Decimal("0.1")
    other = wallets.create().wallet_id
    assert cost(wallets, other, "a", "tokens", 1_000) == 0  # the use of others does not count
    clock.set(datetime(2026, 12, 1, tzinfo=UTC))
    assert cost(wallets, payer, "d", "tokens", 1_000) == 0
    clock.set(NOON)
    assert cost(wallets, payer, "e", "tokens", 10) == 1  # a clock that goes back finds what was used then


def test_tiers_are_crossed_within_a_batch(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(TIERED)
    charges = [Charge(payer, str(number), 0, None, None, Usage("tokens", 600_000_000)) for number in range(4)]
    amounts = [outcome.amount for outcome in wallets.charge_many(charges)]  # type: ignore[union-attr]
    assert amounts == [0, 40, Decimal("120"), Decimal("80")]
    again = [outcome.amount for outcome in wallets.charge_many(charges)]  # type: ignore[union-attr]
    assert again == amounts
    assert cost(wallets, payer, "next", "tokens", 10) == 1


def test_a_refund_of_what_was_charged_before_there_were_tiers_frees_none(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format(1).replace("search", "tokens"))
    before = wallets.charge(payer, item="tokens", quantity=500, idempotency_key="before").txn_id
    wallets.prices.apply(TIERED)
    assert cost(wallets, payer, "a", "tokens", 1_000) == 0
    last = wallets.charge(payer, item="tokens", quantity=100, idempotency_key="b").txn_id
    wallets.prices.apply(TIERED + SEARCH.format(3))
    wallets.refund(before, idempotency_key="refund")
    assert cost(wallets, payer, "c", "tokens", 10) == 2
    wallets.refund(last, idempotency_key="refund of one that was counted")
    assert cost(wallets, payer, "d", "tokens", 990) == 198  # 1,010 were used
    assert cost(wallets, payer, "e", "tokens", 10) == 1


def test_the_cycle_is_the_wallets_own_month(wallets: CreditWallet, clock: Clock) -> None:
    tokyo = wallets.create(time_zone="Asia/Tokyo").wallet_id
    wallets.topup(tokyo, 1_000, idempotency_key="credit")
    wallets.prices.apply(TIERED)
    clock.set(datetime(2026, 11, 30, 14, 59, 59, 999_000, tzinfo=UTC))
    assert cost(wallets, tokyo, "a", "tokens", 1_001) == Decimal("0.2")
    clock.set(datetime(2026, 11, 30, 15, tzinfo=UTC))
    assert cost(wallets, tokyo, "b", "tokens", 1_000) == 0


def test_a_hold_uses_up_no_tier_and_a_capture_does(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(TIERED)
    cost(wallets, payer, "a", "tokens", 900)
    held = wallets.hold(payer, item="tokens", quantity=200, idempotency_key="b")
    assert held.amount == 20
    assert wallets.capture(held.hold_id, item="tokens", quantity=150).amount == 10
    assert cost(wallets, payer, "c", "tokens", 10) == 2


def test_a_refused_charge_uses_up_nothing(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(TIERED)
    with pytest.raises(InsufficientFunds):
        cost(wallets, payer, "a", "tokens", 1_000_000)
    assert cost(wallets, payer, "a", "tokens", 1_000) == 0


def test_a_refund_of_all_of_a_charge_takes_it_out_of_the_count_and_one_of_a_part_does_not(
    wallets: CreditWallet, payer: int
) -> None:
    wallets.prices.apply(TIERED)
    charged = wallets.charge(payer, item="tokens", quantity=1_500, idempotency_key="a")
    wallets.refund(charged.txn_id, 40, idempotency_key="part")
    assert wallets.prices.quote("tokens", 1, wallet_id=payer).amount == Decimal("0.2")
    wallets.refund(charged.txn_id, idempotency_key="rest")
    assert wallets.prices.quote("tokens", 1_000, wallet_id=payer).amount == 0


def test_a_refund_in_a_later_cycle_leaves_its_count_alone(wallets: CreditWallet, payer: int, clock: Clock) -> None:
    wallets.prices.apply(TIERED)
    charged = wallets.charge(payer, item="tokens", quantity=1_500, idempotency_key="a")
    clock.set(datetime(2026, 12, 1, tzinfo=UTC))
    cost(wallets, payer, "b", "tokens", 1_000)
    wallets.refund(charged.txn_id, idempotency_key="c")
    assert cost(wallets, payer, "d", "tokens", 1) == Decimal("0.2")


@pytest.mark.parametrize("quantity", [500, 1_500])
def test_a_purchase_that_is_undone_counts_as_use_only_when_it_was_served_after_all(
    wallets: CreditWallet, payer: int, quantity: int
) -> None:
    wallets.prices.apply(TIERED)
    wallets.purchases.buy(payer, item="tokens", quantity=quantity, purchase_key="p", attempt="a")
    wallets.purchases.undo(payer, "p", attempt="a")
    assert wallets.prices.quote("tokens", 1_000, wallet_id=payer).amount == 0
    wallets.purchases.serve(payer, "p", attempt="a")
    used = wallets.prices.quote("tokens", 1_000, wallet_id=payer).amount
    assert used == (100 if quantity == 500 else 150)


def test_use_is_counted_from_when_the_item_has_tiers_anywhere(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply('[[price]]\nitem = "tokens"\nunit_price_yen = 0\n')
    cost(wallets, payer, "a", "tokens", 5_000)
    wallets.prices.apply(
        TIERED + "valid_from = 2026-12-01T00:00:00Z\n" + '[[price]]\nitem = "tokens"\nunit_price_yen = 0\n'
    )
    cost(wallets, payer, "b", "tokens", 700)
    wallets.prices.apply(TIERED)
    assert cost(wallets, payer, "c", "tokens", 301) == Decimal("0.2")


def test_tiers_are_of_what_was_used_in_every_process(
    db_url: str, wallets: CreditWallet, payer: int, clock: Clock
) -> None:
    wallets.prices.apply(TIERED)
    with CreditWallet.open(db_url, clock=clock) as elsewhere:
        nodes = (wallets, elsewhere)
        amounts = [cost(nodes[number % 2], payer, str(number), "tokens", 500) for number in range(6)]
    assert amounts == [0, 0, 100, 100, 50, 50]


@on_both_databases
def test_tiers_are_exact_when_many_use_them_at_once(
    db_url: str, wallets: CreditWallet, payer: int, clock: Clock
) -> None:
    wallets.prices.apply(TIERED)
    with CreditWallet.open(db_url, clock=clock) as elsewhere, ThreadPoolExecutor(8) as threads:
        nodes = (wallets, elsewhere)
        jobs = [
            threads.submit(cost, nodes[number % 2], payer, str(number), "tokens", number % 50 + 1)
            for number in range(200)
        ]
        spent = sum(job.result() for job in jobs)
    used = sum(number % 50 + 1 for number in range(200))
    assert spent == 1_000 * Decimal("0.2") + (used - 2_000) * Decimal("0.1")
