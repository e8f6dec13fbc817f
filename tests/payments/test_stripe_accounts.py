"""A ledger whose Stripe account is another than before: test money first and then real, or a customer deleted there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from clock import Clock
from fake_stripe import FakeStripe
from installation import Installation

from credit_wallet import CreditWallet
from credit_wallet.payments.reconcile import QUIET


@pytest.fixture(scope="module")
def accounts() -> Iterator[tuple[FakeStripe, FakeStripe]]:
    with FakeStripe() as old, FakeStripe() as new:
        yield old, new


@pytest.fixture
def before(wallets: CreditWallet, clock: Clock, accounts: tuple[FakeStripe, FakeStripe]) -> Installation:
    return Installation(wallets, accounts[0], clock)


@pytest.fixture
def after(wallets: CreditWallet, clock: Clock, accounts: tuple[FakeStripe, FakeStripe]) -> Installation:
    return Installation(wallets, accounts[1], clock)


@pytest.mark.parametrize("flow", ["intent", "checkout"])
def test_a_wallet_pays_at_the_new_account_as_a_new_customer(
    wallets: CreditWallet, before: Installation, after: Installation, flow: Any
) -> None:
    wallet_id = before.owner()
    before.pay(wallet_id)
    known = wallets.topups.payer(wallet_id).customer
    topup = after.request(wallet_id, key="again", flow=flow)
    after.fake.pay(wallets.topups.show(topup.topup_id).checkout_session or str(topup.payment_intent))
    assert after.payments.show(topup.topup_id).status == "credited"
    assert wallets.balance(wallet_id) == 2_000
    assert wallets.topups.payer(wallet_id).customer not in (None, known)
    assert wallets.verify() == []


def test_a_saved_card_of_the_old_account_is_told_and_another_takes_its_place(
    wallets: CreditWallet, before: Installation, after: Installation
) -> None:
    wallet_id = before.payer()
    [lost] = after.payments.run_automatic()
    assert (lost.status, wallets.topups.automatic_state(wallet_id).state) == ("failed", "stopped")
    topup = after.request(wallet_id, 100, "another card")
    after.fake.pay(str(topup.payment_intent))
    after.payments.show(topup.topup_id)
    assert wallets.topups.automatic_state(wallet_id).state == "ready"
    [paid] = after.payments.run_automatic()
    assert paid.status == "credited"


@pytest.mark.parametrize("flow", ["intent", "checkout"])
def test_what_was_open_at_the_old_account_is_given_up(
    wallets: CreditWallet, before: Installation, after: Installation, clock: Clock, flow: Any
) -> None:
    wallet_id = before.owner()
    topup = before.request(wallet_id, flow=flow)
    clock.advance(seconds=(QUIET + timedelta(seconds=1)).total_seconds())
    assert after.payments.reconcile().problems == []
    given_up = wallets.topups.show(topup.topup_id)
    assert (given_up.status, given_up.reason) == ("canceled", "unknown_to_stripe")
    assert after.payments.show(topup.topup_id).status == "canceled"


def test_what_was_given_up_and_is_paid_all_the_same_counts(
    wallets: CreditWallet, before: Installation, after: Installation
) -> None:
    """As when a wrong key was set for an hour."""
    wallet_id = before.owner()
    topup = before.request(wallet_id)
    assert after.payments.cancel(topup.topup_id).status == "canceled"
    before.fake.pay(str(topup.payment_intent))
    before.hear()
    assert wallets.topups.show(topup.topup_id).status == "credited"
    assert wallets.balance(wallet_id) == 1_000
