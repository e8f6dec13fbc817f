"""Top-ups that an owner asks for, from the wish to the credit: the real SDK against the fake of Stripe."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import stripe
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from installation import (
    ASKS_ALWAYS,
    DECLINED,
    Installation,
    intent_of,
    session_of,
)

from credit_wallet import CreditWallet
from credit_wallet.errors import (
    IdempotencyConflict,
    InvalidAmount,
    PaymentProviderError,
    TopupInFlight,
    TopupNotFound,
    WalletNotFound,
)

PAYING = "4242424242424242"
pytestmark = pytest.mark.usefixtures("no_pauses")


def test_a_card_payment_is_credited_once_and_the_card_is_saved(installation: Installation) -> None:
    wallets = installation.wallets
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    assert (topup.status, topup.amount_yen, topup.replayed) == ("pending", 1_000, False)
    assert topup.client_secret is not None
    assert topup.client_secret.startswith(intent_of(topup))
    installation.fake.pay(intent_of(topup))
    assert wallets.balance(wallet_id) == 0
    assert installation.hear() == ["ignored", "settled", "ignored", "ignored", "settled"]
    assert wallets.balance(wallet_id) == 1_000
    payer = wallets.topups.payer(wallet_id)
    assert payer.payment_method is not None
    assert payer.customer is not None
    assert [step.status for step in wallets.topups.steps(topup.topup_id)] == ["requested", "pending", "credited"]
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000
    assert wallets.verify() == []


def test_a_declined_card_says_why_and_another_card_may_pay(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.fake.pay(intent_of(topup), DECLINED)
    installation.hear()
    declined = installation.wallets.topups.show(topup.topup_id)
    assert (declined.status, declined.reason) == ("failed", "generic_decline")
    installation.fake.pay(intent_of(topup))
    installation.hear()
    assert installation.wallets.topups.show(topup.topup_id).status == "credited"
    assert installation.wallets.balance(wallet_id) == 1_000


@pytest.mark.parametrize(
    ("success", "status", "reason"),
    [(True, "credited", None), (False, "failed", "payment_intent_authentication_failure")],
)
def test_a_card_whose_bank_asks_is_credited_when_the_owner_answers(
    installation: Installation, success: bool, status: str, reason: str | None
) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.fake.pay(intent_of(topup), ASKS_ALWAYS)
    installation.hear()
    assert installation.wallets.topups.show(topup.topup_id).status == "requires_action"
    installation.fake.authenticate(intent_of(topup), success=success)
    installation.hear()
    settled = installation.wallets.topups.show(topup.topup_id)
    assert (settled.status, settled.reason) == (status, reason)
    assert installation.wallets.balance(wallet_id) == (1_000 if success else 0)


def test_a_konbini_payment_is_credited_when_the_slip_is_paid(vouchers: Installation) -> None:
    wallet_id = vouchers.owner()
    topup = vouchers.request(wallet_id)
    vouchers.fake.pay(intent_of(topup), "konbini")
    vouchers.hear()
    waiting = vouchers.wallets.topups.show(topup.topup_id)
    assert waiting.status == "requires_action"
    assert str(waiting.action_url).startswith(vouchers.fake.url)
    vouchers.clock.advance(hours=1)
    vouchers.fake.pay_voucher(intent_of(topup))
    [processing, *rest] = vouchers.news()
    vouchers.deliver(processing)
    assert (processing["type"], vouchers.wallets.balance(wallet_id)) == ("payment_intent.processing", 0)
    with pytest.raises(TopupInFlight):
        vouchers.request(wallet_id, key="while the money is on its way")
    for event in rest:
        vouchers.deliver(event)
    assert vouchers.wallets.balance(wallet_id) == 1_000
    assert vouchers.wallets.topups.payer(wallet_id).payment_method is None


def test_a_konbini_slip_that_nobody_pays_fails(vouchers: Installation) -> None:
    wallet_id = vouchers.owner()
    topup = vouchers.request(wallet_id)
    vouchers.fake.pay(intent_of(topup), "konbini")
    vouchers.fake.expire_voucher(intent_of(topup))
    vouchers.hear(order=Random(1))
    settled = vouchers.wallets.topups.show(topup.topup_id)
    assert (settled.status, settled.reason) == ("failed", "payment_intent_payment_attempt_expired")
    assert vouchers.wallets.balance(wallet_id) == 0


@pytest.mark.parametrize("excess_yen", [0, 5])
def test_a_bank_transfer_in_parts_is_credited_once_it_is_whole(vouchers: Installation, excess_yen: int) -> None:
    wallet_id = vouchers.owner()
    topup = vouchers.request(wallet_id)
    vouchers.fake.pay(intent_of(topup), "customer_balance")
    vouchers.fake.fund(intent_of(topup), 400)
    vouchers.hear()
    assert vouchers.wallets.topups.show(topup.topup_id).status == "requires_action"
    assert vouchers.wallets.balance(wallet_id) == 0
    vouchers.fake.fund(intent_of(topup), 600 + excess_yen)
    vouchers.hear()
    assert vouchers.wallets.balance(wallet_id) == 1_000
    assert installation_cash(vouchers, wallet_id) == excess_yen


def installation_cash(installation: Installation, wallet_id: int) -> int:
    """What is left of a customer's bank transfers."""
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": installation.fake.url})
    balance = client.v1.customers.cash_balance.retrieve(str(installation.wallets.topups.payer(wallet_id).customer))
    return balance.available["jpy"] if balance.available else 0


@pytest.mark.parametrize("flow", ["intent", "checkout"])
def test_a_card_is_saved_where_a_slip_could_have_paid_as_well(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, flow: Any
) -> None:
    installation = Installation(wallets, fake, clock, methods=("card", "konbini"))
    with_card, with_slip = installation.owner(), installation.owner()
    for wallet_id, method in ((with_card, PAYING), (with_slip, "konbini")):
        topup = installation.request(wallet_id, flow=flow)
        session = wallets.topups.show(topup.topup_id).checkout_session
        intent = fake.pay(session or intent_of(topup), method)
        if method == "konbini":
            fake.pay_voucher(intent["id"])
    installation.hear()
    assert (wallets.balance(with_card), wallets.balance(with_slip)) == (1_000, 1_000)
    assert wallets.topups.payer(with_card).payment_method is not None
    assert wallets.topups.payer(with_slip).payment_method is None


@pytest.mark.parametrize("seed", range(3))
def test_a_page_that_was_paid_is_credited_once(installation: Installation, seed: int) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id, flow="checkout")
    assert (topup.checkout_url, topup.client_secret) == (topup.action_url, None)
    assert str(topup.checkout_url).startswith(installation.fake.url)
    installation.fake.pay(session_of(installation, topup), DECLINED)
    installation.fake.pay(session_of(installation, topup))
    installation.hear(order=Random(seed), times=2)
    assert installation.wallets.balance(wallet_id) == 1_000
    assert installation.wallets.topups.payer(wallet_id).payment_method is not None
    assert installation.payments.show(topup.topup_id).checkout_url is None


@pytest.mark.parametrize("tried", [False, True])
def test_a_page_that_nobody_paid_in_time_is_canceled(installation: Installation, tried: bool) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id, flow="checkout")
    if tried:
        installation.fake.pay(session_of(installation, topup), DECLINED)
    installation.fake.expire_session(session_of(installation, topup))
    installation.hear(order=Random(2))
    settled = installation.wallets.topups.show(topup.topup_id)
    assert settled.status == "canceled"
    assert installation.wallets.balance(wallet_id) == 0


@pytest.mark.parametrize("paid", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_a_slip_from_a_page_is_credited_when_it_is_paid(vouchers: Installation, paid: bool, seed: int) -> None:
    wallet_id = vouchers.owner()
    topup = vouchers.request(wallet_id, flow="checkout")
    intent = vouchers.fake.pay(session_of(vouchers, topup), "konbini")
    vouchers.hear()
    assert vouchers.wallets.topups.show(topup.topup_id).status == "requires_action"
    vouchers.clock.advance(days=1)
    (vouchers.fake.pay_voucher if paid else vouchers.fake.expire_voucher)(intent["id"])
    vouchers.hear(order=Random(seed))
    assert vouchers.wallets.topups.show(topup.topup_id).status == ("credited" if paid else "failed")
    assert vouchers.wallets.balance(wallet_id) == (1_000 if paid else 0)


@pytest.mark.parametrize("amount", [49, 500_001, 0, -1, True, 1.5, "1000"])
def test_an_amount_out_of_bounds_is_not_asked_for(installation: Installation, amount: Any) -> None:
    wallet_id = installation.owner()
    with pytest.raises(InvalidAmount) as refusal:
        installation.request(wallet_id, amount)
    assert refusal.value.details["field"] == "amount_yen"
    assert installation.wallets.topups.list(wallet_id) == []
    assert installation.news() == []


def test_a_retry_is_the_same_payment_and_another_request_a_conflict(installation: Installation) -> None:
    wallet_id = installation.owner()
    first = installation.request(wallet_id)
    again = installation.request(wallet_id)
    assert (again.payment_intent, again.client_secret) == (first.payment_intent, first.client_secret)
    assert again.replayed
    with pytest.raises(IdempotencyConflict):
        installation.request(wallet_id, 2_000)
    assert len(installation.made(wallet_id)) == 1
    with pytest.raises(WalletNotFound):
        installation.request(99)


def test_looking_at_a_top_up_credits_what_stripe_has_received(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    assert installation.payments.show(topup.topup_id).client_secret == topup.client_secret
    installation.fake.pay(intent_of(topup), DECLINED)
    declined = installation.payments.show(topup.topup_id)
    assert (declined.status, declined.client_secret) == ("failed", topup.client_secret)
    installation.fake.pay(intent_of(topup))
    assert installation.payments.show(topup.topup_id).status == "credited"
    assert installation.wallets.balance(wallet_id) == 1_000
    with pytest.raises(TopupNotFound):
        installation.payments.show("tu_unknown")


@pytest.mark.parametrize("flow", ["intent", "checkout"])
@pytest.mark.parametrize("tried", [False, True])
def test_a_top_up_that_was_given_up_cannot_be_paid_any_more(installation: Installation, flow: Any, tried: bool) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id, flow=flow)
    target = topup.payment_intent or session_of(installation, topup)
    if tried:
        installation.fake.pay(target, DECLINED)
        installation.hear()
    assert installation.payments.cancel(topup.topup_id).status == "canceled"
    with pytest.raises(Exception, match=r"cancel|expired"):
        installation.fake.pay(target)
    assert installation.payments.cancel(topup.topup_id).status == "canceled"
    installation.hear(order=Random(3))
    assert installation.request(wallet_id, flow=flow).status == "canceled"
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 0


def test_a_top_up_that_was_paid_meanwhile_is_credited_instead_of_given_up(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.fake.pay(intent_of(topup))
    assert installation.payments.cancel(topup.topup_id).status == "credited"
    assert installation.wallets.balance(wallet_id) == 1_000


@pytest.mark.parametrize("flow", ["intent", "checkout"])
def test_a_lost_answer_makes_no_second_payment(shaky: Installation, faults: StripeFaults, flow: Any) -> None:
    wallet_id = shaky.owner()
    faults.timeout_after_processing(path="payment_intents|sessions", times=3)
    with pytest.raises(PaymentProviderError):
        shaky.request(wallet_id, flow=flow)
    assert len(faults.fired) == 3
    topup = shaky.request(wallet_id, flow=flow)
    shaky.fake.pay(topup.payment_intent or session_of(shaky, topup))
    shaky.hear(times=2)
    assert len(shaky.made(wallet_id)) == 1
    assert shaky.wallets.balance(wallet_id) == 1_000


def test_the_sdk_repeats_what_failed_under_the_same_name(shaky: Installation, faults: StripeFaults) -> None:
    wallet_id = shaky.owner()
    faults.error(500, after_processing=True, path="customers")
    faults.timeout_after_processing(path="payment_intents")
    faults.error(503, path="payment_intents")
    shaky.request(wallet_id)
    assert len(faults.fired) == 3
    assert len(shaky.made(wallet_id)) == 1
    assert len([each for each in shaky.news() if each["type"] == "customer.created"]) == 1


def test_a_top_up_whose_answer_was_lost_can_be_given_up(shaky: Installation, faults: StripeFaults) -> None:
    wallet_id = shaky.owner()
    faults.timeout_after_processing(path="payment_intents", times=3)
    with pytest.raises(PaymentProviderError):
        shaky.request(wallet_id)
    [topup] = shaky.wallets.topups.list(wallet_id)
    assert (topup.status, topup.payment_intent) == ("requested", None)
    assert shaky.payments.cancel(topup.topup_id).status == "canceled"
    assert [payment.status for payment in shaky.made(wallet_id)] == ["canceled"]
