"""Captures in wallets with budgets, of holds that are unlike what they capture."""

from __future__ import annotations

import pytest
from clock import Clock
from databases import on_both_databases

from credit_wallet import CreditWallet, HoldNotFound, InsufficientFunds
from credit_wallet.domain.commands import Above, Capture, Hold
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import Held
from credit_wallet.domain.usage import Usage

pytestmark = on_both_databases

FREE = '[[price]]\nitem = "free"\nunit_price_yen = 0\n'


@pytest.fixture
def bounded(wallets: CreditWallet, payer: int) -> int:
    """A wallet in which each run has a budget."""
    wallets.budgets.create(payer, limit_yen=100, window="day", scope={"run": "*"})
    return payer


def test_more_is_captured_of_a_hold_whose_item_was_free(wallets: CreditWallet, bounded: int) -> None:
    wallets.prices.apply(FREE)
    hold = wallets.hold(bounded, item="free", facts={"run": "r1"}, idempotency_key="h")
    wallets.capture(hold.hold_id, 5, above="up_to_balance")
    [value] = wallets.budgets.values("budget-1")
    assert (value.value, value.spent_micros, value.held_micros) == ("r1", 5 * MICROS, 0)


def test_a_hold_is_not_there_for_who_guesses_its_id_in_the_same_batch(wallets: CreditWallet, bounded: int) -> None:
    other = Usage(facts=(("run", "r2"),))
    held, refused = wallets._ledger.lanes.submit(
        [
            Hold(bounded, "h", 10 * MICROS, 900, None, None, Usage(facts=(("run", "r1"),))),
            Capture(bounded, "c", 1, 5 * MICROS, True, "reject", None, other),
        ]
    )
    assert isinstance(refused, HoldNotFound)
    assert isinstance(held, Held)
    assert wallets.capture(held.hold_id, 5, facts={"run": "r2"}).amount_micros == 5 * MICROS


@pytest.mark.parametrize(("later", "yen", "above"), [(60, 10, "reject"), (0, 15, "up_to_balance")])
def test_what_a_hold_captures_that_a_shadow_would_have_refused_is_proved(
    wallets: CreditWallet, payer: int, clock: Clock, later: int, yen: int, above: Above
) -> None:
    """It is not spent in the shadow: not in another window than the hold's either, nor what is above the hold."""
    wallets.budgets.create(payer, limit_yen=5, window="minute", mode="shadow")
    hold = wallets.hold(payer, 10, idempotency_key="h")
    clock.advance(seconds=later)
    wallets.capture(hold.hold_id, yen, above=above)
    assert wallets.budgets.show("budget-1").spent_micros == 0
    assert wallets.verify() == []


def test_a_capture_that_finds_no_balance_is_not_refused_as_a_call(wallets: CreditWallet, payer: int) -> None:
    """The hold's call is the last that a limit allows; its second capture is none."""
    wallets.budgets.create(payer, limit_calls=1, window="day")
    hold = wallets.hold(payer, 1_000, idempotency_key="h")
    wallets.capture(hold.hold_id, 1_000, final=False, above="up_to_balance", idempotency_key="first")
    with pytest.raises(InsufficientFunds):
        wallets.capture(hold.hold_id, 5, above="up_to_balance", idempotency_key="second")
    wallets.topup(payer, 5, idempotency_key="more")
    assert wallets.capture(hold.hold_id, 5, above="up_to_balance", idempotency_key="second").amount_micros == 5 * MICROS
