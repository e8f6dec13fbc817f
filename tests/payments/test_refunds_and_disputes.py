"""Payments that Stripe refunds or that are disputed, reported in every way that Stripe has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from installation import (
    CHANNELS,
    Installation,
    Tell,
    intent_of,
)

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize("tell", CHANNELS)
@pytest.mark.parametrize(
    ("refunds", "taken_yen"), [([300], 300), ([300, 200], 500), ([1_000], 1_000), ([None], 1_000), ([1, 1, 1], 3)]
)
def test_what_is_refunded_leaves_the_wallet(
    installation: Installation, tell: Tell, refunds: list[int | None], taken_yen: int
) -> None:
    wallet_id = installation.owner()
    topup = installation.pay(wallet_id)
    for refund in refunds:
        installation.fake.refund(intent_of(topup), refund)
    tell(installation)
    assert installation.wallets.balance(wallet_id) == 1_000 - taken_yen
    assert installation.wallets.topups.show(topup.topup_id).reversed_yen == taken_yen
    tell(installation)
    assert installation.kept(wallet_id) == installation.moved(wallet_id)


@pytest.mark.parametrize("tell", CHANNELS)
def test_a_refund_that_failed_gives_the_credit_again(installation: Installation, tell: Tell) -> None:
    wallet_id = installation.owner()
    topup = installation.pay(wallet_id)
    refund = installation.fake.refund(intent_of(topup), 400)
    installation.hear()
    assert installation.wallets.balance(wallet_id) == 600
    installation.clock.advance(days=20)
    installation.fake.settle_refund(refund, success=False)
    tell(installation)
    assert installation.wallets.balance(wallet_id) == 1_000
    assert installation.kept(wallet_id) == installation.moved(wallet_id)


def opened(installation: Installation, intent: str) -> str:
    return installation.fake.dispute(intent, 400)


def asked_about(installation: Installation, intent: str) -> str:
    return installation.fake.dispute(intent, 400, inquiry=True)


def escalated(installation: Installation, intent: str) -> str:
    dispute = asked_about(installation, intent)
    installation.hear()
    installation.fake.escalate_dispute(dispute)
    return dispute


@pytest.mark.parametrize("tell", CHANNELS)
@pytest.mark.parametrize(
    ("begin", "won", "taken_yen"),
    [
        (opened, None, 400),
        (opened, True, 0),
        (opened, False, 400),
        (asked_about, None, 0),
        (asked_about, True, 0),
        (escalated, None, 400),
        (escalated, True, 0),
        (escalated, False, 400),
    ],
)
def test_a_dispute_takes_the_money_until_it_is_won(
    installation: Installation,
    tell: Tell,
    begin: Callable[[Installation, str], str],
    won: bool | None,
    taken_yen: int,
) -> None:
    wallet_id = installation.owner()
    topup = installation.pay(wallet_id)
    dispute = begin(installation, intent_of(topup))
    if won is not None:
        installation.hear()
        installation.clock.advance(days=25)
        installation.fake.close_dispute(dispute, won=won)
    tell(installation)
    assert installation.wallets.balance(wallet_id) == 1_000 - taken_yen
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000 - taken_yen


def test_what_is_spent_of_a_disputed_payment_is_owed(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup = installation.pay(wallet_id)
    installation.spend(wallet_id, 900)
    dispute = installation.fake.dispute(intent_of(topup))
    installation.hear()
    assert installation.wallets.balance(wallet_id).debt_yen == 900
    installation.pay(wallet_id, 500, "repaid")
    assert installation.wallets.balance(wallet_id).debt_yen == 400
    installation.fake.close_dispute(dispute, won=True)
    installation.hear()
    assert (installation.wallets.balance(wallet_id), installation.wallets.show(wallet_id).debt_yen) == (600, 0)
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_500
