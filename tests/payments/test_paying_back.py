"""Unused credit that is paid back, inside the limits of the law."""

from __future__ import annotations

from datetime import date, datetime
from random import Random

import pytest
from clock import Clock
from fake_stripe import StripeFaults
from installation import (
    Installation,
    intent_of,
    pay_back,
)

from credit_wallet.errors import (
    IdempotencyConflict,
    PayBackNotAllowed,
    PaymentProviderError,
    RefundExceedsCharge,
    TopupNotFound,
)
from credit_wallet.rules.pay_back import base_dates, pay_back_room

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 3, 31), (date(2025, 9, 30), date(2025, 3, 31))),
        (date(2026, 4, 1), (date(2026, 3, 31), date(2025, 9, 30))),
        (date(2026, 9, 30), (date(2026, 3, 31), date(2025, 9, 30))),
        (date(2026, 10, 1), (date(2026, 9, 30), date(2026, 3, 31))),
        (date(2027, 1, 1), (date(2026, 9, 30), date(2026, 3, 31))),
        (date(2028, 2, 29), (date(2027, 9, 30), date(2027, 3, 31))),
    ],
)
def test_base_dates_are_the_ends_of_march_and_september(today: date, expected: tuple[date, date]) -> None:
    assert base_dates(today) == expected


@pytest.mark.parametrize(
    ("issued", "unused", "paid_back", "allowed", "left"),
    [
        (10_000, 0, 0, 2_000, 2_000),
        (10_004, 0, 1_999, 2_000, 1),
        (1_000, 100_000, 0, 5_000, 5_000),
        (1_000, 4_019, 0, 200, 200),
        (1_000, 0, 300, 200, 0),
        (0, 0, 0, 0, 0),
    ],
)
def test_the_law_allows_a_fifth_of_what_was_issued_or_a_twentieth_of_what_was_unused(
    issued: int, unused: int, paid_back: int, allowed: int, left: int
) -> None:
    class Figures:
        def issued_yen(self, start: str, end: str) -> int:
            assert (start, end) == ("2025-09-30T15:00:00.000Z", "2026-03-31T15:00:00.000Z")
            return issued

        def unused_yen(self, end: str) -> int:
            assert end == "2026-03-31T15:00:00.000Z"
            return unused

        def paid_back_yen(self, start: str) -> int:
            assert start == "2026-03-31T15:00:00.000Z"
            return paid_back

        def paid_back_without_cause_yen(self, start: str) -> int:
            raise AssertionError(start)  # what is left is a matter of every entry

    room = pay_back_room(Figures(), datetime.fromisoformat("2026-03-31T15:00:00Z"))
    assert (room.base_date, room.allowed_yen, room.left_yen) == ("2026-03-31", allowed, left)


def test_paying_back_is_off_unless_the_operator_allows_it(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup = installation.pay(wallet_id)
    with pytest.raises(PayBackNotAllowed, match="CREDIT_WALLET_PAY_BACK=on"):
        pay_back(installation, topup.topup_id, 1)
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000
    with pytest.raises(TopupNotFound):
        pay_back(installation, installation.request(wallet_id, key="page", flow="checkout").topup_id, 1)


def test_unused_credit_is_paid_back_once_and_within_the_limits_of_the_law(generous: tuple[Installation, str]) -> None:
    installation, topup_id = generous
    wallet_id = installation.wallets.topups.show(topup_id).wallet_id
    with pytest.raises(PayBackNotAllowed) as refusal:
        pay_back(installation, topup_id, 2_001)
    assert refusal.value.details["left_yen"] == 2_000
    for _ in range(3):
        assert pay_back(installation, topup_id, 1_500).status == "credited"
    with pytest.raises(IdempotencyConflict):
        pay_back(installation, topup_id, 1_400)
    installation.hear(order=Random(1), times=2)
    installation.payments.reconcile()
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == installation.wallets.balance(wallet_id)
    assert installation.wallets.balance(wallet_id) == 8_500
    assert installation.wallets.topups.pay_back_room().left_yen == 500
    with pytest.raises(PayBackNotAllowed):
        pay_back(installation, topup_id, 501, "more")
    installation.spend(wallet_id, 8_400)
    with pytest.raises(RefundExceedsCharge) as too_much:
        pay_back(installation, topup_id, 101, "more")
    assert too_much.value.details["refundable_yen"] == 100


def test_what_is_unused_below_the_yen_stays_in_the_wallet(generous: tuple[Installation, str]) -> None:
    installation, topup_id = generous
    wallet_id = installation.wallets.topups.show(topup_id).wallet_id
    installation.wallets.charge(wallet_id, "9000.3", idempotency_key="spend")
    with pytest.raises(RefundExceedsCharge) as too_much:
        pay_back(installation, topup_id, 1_000)
    assert too_much.value.details["refundable_yen"] == 999
    pay_back(installation, topup_id, 999)
    assert str(installation.wallets.balance(wallet_id).balance) == "0.7"
    room = installation.wallets.topups.pay_back_room()
    assert (room.issued_yen, room.unused_yen, room.left_yen) == (10_000, 10_000, 1_001)
    assert installation.wallets.verify() == []


@pytest.mark.parametrize("hours", [0, 25])  # Stripe forgets idempotency keys after a day
@pytest.mark.parametrize("processed", [True, False])
def test_when_the_answer_is_lost_the_same_key_pays_back_once(
    generous: tuple[Installation, str], faults: StripeFaults, clock: Clock, processed: bool, hours: int
) -> None:
    installation, topup_id = generous
    wallet_id = installation.wallets.topups.show(topup_id).wallet_id
    lose = faults.timeout_after_processing if processed else faults.timeout_before_processing
    lose(path="refunds", times=3)
    with pytest.raises(PaymentProviderError):
        pay_back(installation, topup_id)
    assert installation.wallets.balance(wallet_id) == 9_500
    clock.advance(hours=hours)
    pay_back(installation, topup_id)
    installation.hear()
    installation.payments.reconcile()
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 9_500


def test_what_stripe_does_not_pay_back_comes_again_for_good(generous: tuple[Installation, str]) -> None:
    installation, topup_id = generous
    topup = installation.wallets.topups.show(topup_id)
    before = installation.wallets.topups.pay_back_room()
    dispute = installation.fake.dispute(intent_of(topup), 1_000)
    for _ in range(2):
        with pytest.raises(PayBackNotAllowed, match="returned to the wallet"):
            pay_back(installation, topup_id)
    installation.hear()
    assert installation.wallets.balance(topup.wallet_id) == 9_000
    installation.fake.close_dispute(dispute, won=True)
    installation.hear()
    with pytest.raises(PayBackNotAllowed):
        pay_back(installation, topup_id)
    assert installation.kept(topup.wallet_id) == installation.moved(topup.wallet_id) == 10_000
    assert installation.wallets.topups.pay_back_room() == before
    pay_back(installation, topup_id, key="another")
    assert installation.kept(topup.wallet_id) == installation.moved(topup.wallet_id) == 9_500


def test_what_was_paid_back_and_did_not_arrive_comes_again(generous: tuple[Installation, str]) -> None:
    installation, topup_id = generous
    topup = installation.wallets.topups.show(topup_id)
    pay_back(installation, topup_id)
    [refund] = [event["data"]["object"] for event in installation.news() if event["type"] == "refund.created"]
    installation.fake.settle_refund(refund["id"], success=False)
    installation.hear(order=Random(3), times=2)
    assert installation.wallets.balance(topup.wallet_id) == 10_000
    assert installation.wallets.topups.pay_back_room().left_yen == 2_000
    with pytest.raises(PayBackNotAllowed):
        pay_back(installation, topup_id)
    assert installation.kept(topup.wallet_id) == installation.moved(topup.wallet_id) == 10_000


def test_credit_that_comes_again_is_not_issued_again(generous: tuple[Installation, str]) -> None:
    installation, topup_id = generous
    topup = installation.wallets.topups.show(topup_id)
    installation.fake.close_dispute(installation.fake.dispute(intent_of(topup)), won=True)
    installation.news()
    installation.payments.reconcile()
    installation.clock.set(installation.clock().replace(month=11))
    assert installation.wallets.topups.pay_back_room().issued_yen == 0
