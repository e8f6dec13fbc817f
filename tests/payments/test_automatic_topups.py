"""Automatic top-ups: how much, how often, and what ends them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import stripe
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from installation import (
    ASKS_ALWAYS,
    DECLINED_LATER,
    FRAUDULENT,
    Installation,
    emitted,
)
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.payments.service import StripePayments
from credit_wallet.rules.declines import decline_kind
from credit_wallet.runtime.steady_clock import SteadyClock

pytestmark = pytest.mark.usefixtures("no_pauses")


def test_an_automatic_top_up_closes_the_whole_gap_at_once(installation: Installation) -> None:
    """Wallets were topped up by one increment at a time, for weeks and unnoticed (lago-api #6103, #6177)."""
    wallet_id = installation.payer(threshold=5_000, step=300)
    [done] = installation.payments.run_automatic()
    assert (done.wallet_id, done.status, done.amount_yen) == (wallet_id, "credited", 5_100)
    assert installation.wallets.balance(wallet_id) == 5_150
    assert installation.payments.run_automatic() == []
    installation.hear(order=Random(1), times=2)
    assert installation.wallets.balance(wallet_id) == 5_150
    assert [payment.received for payment in installation.made(wallet_id)] == [50, 5_100]


@pytest.mark.parametrize(
    ("spent", "paid"), [("0.5", 51), ("0.000001", 51), ("49.999999", 100), ("1", 51), ("1.000001", 52)]
)
def test_an_automatic_top_up_of_a_balance_below_the_yen_reaches_the_threshold(
    installation: Installation, spent: str, paid: int
) -> None:
    """Payments are whole yen: the balance counts rounded down."""
    wallet_id = installation.payer(threshold=100, step=1)
    installation.wallets.charge(wallet_id, spent, idempotency_key="spend")
    [done] = installation.payments.run_automatic()
    assert (done.status, done.amount_yen) == ("credited", paid)
    assert 100 <= installation.wallets.balance(wallet_id).balance < 101
    assert installation.payments.run_automatic() == []
    installation.hear(order=Random(1), times=2)
    assert 100 <= installation.wallets.balance(wallet_id).balance < 101
    assert installation.wallets.verify() == []


def test_an_automatic_top_up_repays_a_debt_below_the_yen_whole(installation: Installation) -> None:
    wallet_id = installation.payer(threshold=100, step=1)
    by_hand = installation.wallets.topup(wallet_id, "10.4", idempotency_key="by hand")
    installation.wallets.charge(wallet_id, "60.1", idempotency_key="spend")
    installation.wallets.reverse(by_hand.txn_id, "10.4", idempotency_key="reverse")
    balance = installation.wallets.balance(wallet_id)
    assert (str(balance.balance), str(balance.debt), balance.debt_yen) == ("0", "10.1", 11)
    [done] = installation.payments.run_automatic()
    assert (done.status, done.amount_yen) == ("credited", 111)
    assert str(installation.wallets.balance(wallet_id).balance) == "100.9"


def test_spending_faster_than_top_ups_makes_one_payment_at_a_time(installation: Installation) -> None:
    """Bursts of recharges went out without a guard (recoupable #1858)."""
    wallet_id = installation.payer()
    for burst in range(4):
        installation.payments.run_automatic()
        installation.payments.run_automatic()
        installation.wallets.charge_many([(wallet_id, 9, f"{burst}-{position}") for position in range(100)])
    assert [payment.amount for payment in installation.made(wallet_id)] == [50, 600, 600, 600, 600]
    assert installation.kept(wallet_id) == installation.moved(wallet_id)


def test_a_payment_whose_end_is_not_known_counts_as_on_its_way(shaky: Installation, faults: StripeFaults) -> None:
    """Pending top-ups were not counted, and another was made (lago-api #1962)."""
    wallet_id = shaky.payer()
    faults.timeout_after_processing(path="payment_intents", times=3)
    [lost] = shaky.payments.run_automatic()
    assert lost.status == "payment_provider_error"
    for _ in range(3):
        assert [each.status for each in shaky.payments.run_automatic()] == ["topup_in_flight"]
    assert len(shaky.made(wallet_id)) == 2
    shaky.clock.advance(minutes=1)
    assert shaky.payments.reconcile().changed == 1
    assert shaky.wallets.balance(wallet_id) == 650
    shaky.hear(times=2)
    assert shaky.payments.reconcile().changed == 0
    assert shaky.kept(wallet_id) == shaky.moved(wallet_id) == 650


def test_a_charge_that_never_reached_stripe_is_sent_again_under_its_name(
    shaky: Installation, faults: StripeFaults
) -> None:
    wallet_id = shaky.payer()
    faults.timeout_before_processing(path="payment_intents", times=3)
    shaky.payments.run_automatic()
    assert len(shaky.made(wallet_id)) == 1
    shaky.clock.advance(minutes=11)
    assert shaky.payments.reconcile().problems == []
    assert [payment.received for payment in shaky.made(wallet_id)] == [50, 600]
    assert shaky.wallets.balance(wallet_id) == 650


@pytest.mark.parametrize("same_customer", [True, False])
def test_a_charge_whose_answer_was_lost_is_not_made_again_with_another_card(
    shaky: Installation, faults: StripeFaults, same_customer: bool
) -> None:
    wallet_id = shaky.payer()
    faults.timeout_after_processing(path="payment_intents", times=3)
    shaky.payments.run_automatic()
    customer = (
        shaky.wallets.topups.payer(wallet_id).customer if same_customer else shaky.payments.gateway.new_customer(99)
    )
    card = shaky.fake.new_card(str(customer), set_up=True)
    first = next(topup for topup in shaky.wallets.topups.list(wallet_id) if topup.origin == "owner")
    shaky.wallets.topups.settle(
        wallet_id, first.topup_id, PaymentFact(observed_at=1, customer=customer, payment_method=card)
    )
    shaky.clock.advance(minutes=11)
    shaky.payments.reconcile()
    assert [payment.received for payment in shaky.made(wallet_id)] == [50, 600]
    assert shaky.kept(wallet_id) == shaky.moved(wallet_id) == 650


@pytest.mark.parametrize("lost", [True, False])
def test_what_was_sent_too_long_ago_to_send_again_is_looked_for_or_given_up(
    shaky: Installation, faults: StripeFaults, lost: bool
) -> None:
    wallet_id = shaky.payer()
    break_it = faults.timeout_after_processing if lost else faults.timeout_before_processing
    break_it(path="payment_intents", times=3)
    shaky.payments.run_automatic()
    shaky.clock.advance(days=40)
    assert shaky.payments.reconcile().problems == []
    topup = shaky.wallets.topups.list(wallet_id)[0]
    assert (topup.status, topup.reason) == (("credited", None) if lost else ("canceled", "never_sent"))
    assert shaky.kept(wallet_id) == shaky.moved(wallet_id) == (650 if lost else 50)
    assert shaky.wallets.topups.due() == ([] if lost else [wallet_id])


def test_what_may_be_too_old_to_send_again_is_not_sent_while_the_clock_is_in_doubt(
    shaky: Installation, faults: StripeFaults
) -> None:
    """A virtual machine that was paused for 30 hours goes on from where it was; Stripe has forgotten the key."""
    wallet_id = shaky.payer()
    faults.timeout_before_processing(path="payment_intents", times=3)
    shaky.payments.run_automatic()
    shaky.clock.advance(minutes=11)
    paused = timedelta(0)
    believed = SteadyClock(lambda: (shaky.clock() + paused).timestamp(), lambda: shaky.clock().timestamp())
    paused = timedelta(hours=30)
    assert believed() == shaky.clock()
    assert StripePayments(shaky.wallets, shaky.settings, believed).reconcile().problems == []
    assert [payment.received for payment in shaky.made(wallet_id)] == [50]
    topup = shaky.wallets.topups.list(wallet_id)[0]
    assert (topup.status, topup.reason) == ("canceled", "never_sent")


def test_a_declined_card_is_tried_three_times_and_no_more(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.payer(DECLINED_LATER)
    for days in (1, 3, 7):
        [done] = installation.payments.run_automatic()
        assert (done.status, done.detail) == ("failed", "generic_decline")
        assert installation.payments.run_automatic() == []
        installation.hear(order=Random(days), times=2)
        installation.clock.advance(hours=24 * days - 1)
        assert installation.payments.run_automatic() == []
        installation.clock.advance(hours=1)
    state = installation.wallets.topups.automatic_state(wallet_id)
    assert (state.state, state.reason) == ("stopped", "generic_decline")
    installation.clock.advance(days=100)
    assert installation.payments.run_automatic() == []
    assert len(installation.made(wallet_id)) == 4
    assert [each["reason"] for each in emitted(host, "auto_topup.stopped")] == ["generic_decline"]


def test_a_decline_counts_once_whatever_stripes_clock_says(wallets: CreditWallet, installation: Installation) -> None:
    wallet_id = installation.payer(DECLINED_LATER)
    behind = Clock(installation.clock() - timedelta(seconds=5))
    Installation(wallets, installation.fake, behind).payments.run_automatic()
    installation.hear()
    assert wallets.topups.payer(wallet_id).failures == 1
    assert wallets.topups.list(wallet_id)[0].status == "failed"


def test_a_card_that_will_never_pay_is_charged_once(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.payer(FRAUDULENT)
    [done] = installation.payments.run_automatic()
    assert (done.status, done.detail) == ("failed", "fraudulent")
    installation.clock.advance(days=30)
    assert installation.payments.run_automatic() == []
    assert installation.wallets.topups.automatic_state(wallet_id).state == "stopped"
    assert [each["reason"] for each in emitted(host, "auto_topup.stopped")] == ["fraudulent"]
    installation.pay(wallet_id, 60, "by hand, with another card")
    assert installation.wallets.topups.automatic_state(wallet_id).state == "ready"
    assert [each.status for each in installation.payments.run_automatic()] == ["credited"]


def test_a_wallet_without_a_card_is_told_so_once(installation: Installation, host: PlainSql) -> None:
    """Where there was no default payment method, silently nothing happened (openstory #328)."""
    wallet_id = installation.owner(auto_topup_threshold=500, auto_topup_amount=300)
    for _ in range(3):
        [done] = installation.payments.run_automatic()
        assert done.status == "topup_stopped"
        assert "no saved payment method" in str(done.detail)
    state = installation.wallets.topups.automatic_state(wallet_id)
    assert (state.state, state.reason) == ("stopped", "no_payment_method")
    assert [each["reason"] for each in emitted(host, "auto_topup.stopped")] == ["no_payment_method"]
    installation.pay(wallet_id, 60)
    assert [each.status for each in installation.payments.run_automatic()] == ["credited"]


def detached(installation: Installation, wallet_id: int) -> None:
    client_at(installation).v1.payment_methods.detach(str(installation.wallets.topups.payer(wallet_id).payment_method))


def moved_to_another_customer(installation: Installation, wallet_id: int) -> None:
    remember(installation, wallet_id, payment_method=installation.fake.new_card(new_customer(installation)))


def unknown(installation: Installation, wallet_id: int) -> None:
    remember(installation, wallet_id, payment_method="pm_unknown")


def of_a_deleted_customer(installation: Installation, wallet_id: int) -> None:
    client_at(installation).v1.customers.delete(str(installation.wallets.topups.payer(wallet_id).customer))


def of_an_unknown_customer(installation: Installation, wallet_id: int) -> None:
    remember(installation, wallet_id, customer="cus_unknown")


def left_behind_by_a_new_customer(installation: Installation, wallet_id: int) -> None:
    remember(installation, wallet_id, customer=new_customer(installation))


def client_at(installation: Installation) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_123", base_addresses={"api": installation.fake.url})


def new_customer(installation: Installation) -> str:
    return client_at(installation).v1.customers.create().id


def remember(installation: Installation, wallet_id: int, **of_the_payer: str) -> None:
    """Have the ledger believe that the wallet pays so: news of another payment said it."""
    topups = installation.wallets.topups
    other_id = topups.request(wallet_id, 500, idempotency_key="another").topup_id
    topups.settle(wallet_id, other_id, PaymentFact(observed_at=1, status="canceled", **of_the_payer))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lose",
    [
        detached,
        moved_to_another_customer,
        unknown,
        of_a_deleted_customer,
        of_an_unknown_customer,
        left_behind_by_a_new_customer,
    ],
)
def test_a_card_that_is_gone_from_stripe_is_told_as_such(
    installation: Installation, host: PlainSql, lose: Callable[[Installation, int], None]
) -> None:
    wallet_id = installation.payer()
    lose(installation, wallet_id)
    [done] = installation.payments.run_automatic()
    assert (done.status, done.detail) == ("failed", "payment_method_gone")
    assert installation.payments.run_automatic() == []
    installation.clock.advance(days=1)
    installation.payments.reconcile()
    assert installation.payments.run_automatic() == []
    state = installation.wallets.topups.automatic_state(wallet_id)
    assert (state.state, state.reason) == ("stopped", "payment_method_gone")
    assert [each["reason"] for each in emitted(host, "auto_topup.stopped")] == ["payment_method_gone"]
    assert len(installation.made(wallet_id)) == 1
    installation.pay(wallet_id, 60, "by hand, with another card")
    assert [each.status for each in installation.payments.run_automatic()] == ["credited"]


def test_a_card_that_is_gone_is_told_as_such_when_stripe_is_lost_meanwhile(
    shaky: Installation, faults: StripeFaults
) -> None:
    wallet_id = shaky.payer()
    detached(shaky, wallet_id)
    faults.timeout_before_processing(method="GET", path="payment_methods/pm_", times=3)
    [done] = shaky.payments.run_automatic()
    assert (done.status, done.detail, len(faults.fired)) == ("failed", "payment_method_gone", 3)


def test_another_refusal_of_a_saved_card_is_told_in_stripes_words(shaky: Installation, faults: StripeFaults) -> None:
    wallet_id = shaky.payer()

    def refuse(said: dict[str, Any]) -> None:
        said.clear()
        said["error"] = {"type": "invalid_request_error", "message": "Your account cannot do this."}

    faults.change_answers(refuse, method="POST", path="payment_intents", status=400)
    [done] = shaky.payments.run_automatic()
    assert done.detail == "invalid_request: Your account cannot do this."
    assert shaky.wallets.topups.automatic_state(wallet_id).state == "stopped"


@pytest.mark.parametrize("heard_first", [False, True])
def test_when_the_bank_wants_the_owner_there_is_a_page_to_pay_on(
    installation: Installation, host: PlainSql, heard_first: bool
) -> None:
    wallet_id = installation.payer(ASKS_ALWAYS)
    [done] = installation.payments.run_automatic()
    assert (done.status, done.detail) == ("failed", "authentication_required")
    if heard_first:
        installation.hear(order=Random(4), times=2)
    assert installation.payments.run_automatic() == []
    state = installation.wallets.topups.automatic_state(wallet_id)
    assert (state.state, state.reason) == ("stopped", "authentication_required")
    [page] = [topup for topup in installation.wallets.topups.list(wallet_id) if topup.flow == "checkout"]
    assert (page.status, page.amount_yen) == ("requires_action", 600)
    assert state.action_url == page.action_url
    assert str(page.action_url).startswith(installation.fake.url)
    assert [each["action_url"] for each in emitted(host, "topup.requires_action")] == [page.action_url]
    intent = installation.fake.pay(str(page.checkout_session), ASKS_ALWAYS)
    installation.fake.authenticate(intent["id"])
    installation.hear(order=Random(4), times=2)
    assert installation.wallets.balance(wallet_id) == 650
    assert installation.wallets.topups.automatic_state(wallet_id).state == "ready"
    assert [payment.status for payment in installation.made(wallet_id)] == ["succeeded", "canceled", "succeeded"]
    assert len([each for each in installation.wallets.topups.list(wallet_id) if each.flow == "checkout"]) == 1


@pytest.mark.parametrize("path", ["checkout/sessions", "payment_intents/pi_"])
def test_the_page_comes_also_when_stripe_is_lost_on_the_way_to_it(
    shaky: Installation, faults: StripeFaults, path: str
) -> None:
    wallet_id = shaky.payer(ASKS_ALWAYS)
    faults.timeout_before_processing(method=None, path=path, times=3)
    shaky.payments.run_automatic()
    assert len(faults.fired) == 3
    shaky.hear()
    assert shaky.wallets.topups.automatic_state(wallet_id).action_url is not None
    assert len([each for each in shaky.wallets.topups.list(wallet_id) if each.flow == "checkout"]) == 1


def test_caps_bound_automatic_top_ups_and_are_told(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, host: PlainSql
) -> None:
    """A top-up was blocked by its own limit, silently (lago-api #5992)."""
    clock.set(clock().replace(day=10))
    installation = Installation(wallets, fake, clock, auto_daily_yen=700, auto_monthly_yen=1_300)
    wallet_id = installation.payer()
    assert [each.status for each in installation.payments.run_automatic()] == ["credited"]
    installation.spend(wallet_id, 650)
    for _ in range(3):
        [done] = installation.payments.run_automatic()
        assert done.status == "topup_limit_reached"
        assert "¥100 left" in str(done.detail)
    assert [each["left_yen"] for each in emitted(host, "auto_topup.limit_reached")] == [100]
    assert str(wallets.topups.automatic_state(wallet_id).reason).startswith("limit_reached")
    clock.advance(days=1)
    assert [each.status for each in installation.payments.run_automatic()] == ["credited"]
    clock.advance(days=1)
    installation.spend(wallet_id, 600, "more")
    assert [each.status for each in installation.payments.run_automatic()] == ["topup_limit_reached"]
    assert sum(payment.received for payment in installation.made(wallet_id)) == 1_250


def test_a_disabled_wallet_is_not_topped_up(installation: Installation) -> None:
    wallet_id = installation.payer()
    installation.wallets.freeze(wallet_id)
    assert {each.status for each in installation.payments.run_automatic()} <= {"wallet_disabled"}
    assert len(installation.made(wallet_id)) == 1


@pytest.mark.parametrize(
    ("code", "advice", "kind"),
    [
        ("insufficient_funds", None, "later"),
        ("generic_decline", "01", "later"),
        (None, None, "later"),
        ("issuer_not_available", None, "soon"),
        ("processing_error", None, "soon"),
        ("expired_card", None, "never"),
        ("lost_card", None, "never"),
        ("stolen_card", None, "never"),
        ("generic_decline", "03", "never"),
        ("insufficient_funds", "21", "never"),
        ("authentication_required", None, "person"),
        ("payment_intent_authentication_failure", None, "person"),
    ],
)
def test_declines_are_of_four_kinds(code: str | None, advice: str | None, kind: str) -> None:
    assert decline_kind(code, advice) == kind
