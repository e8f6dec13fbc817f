"""Top-ups through Stripe, from the wish to the credit and back: the real SDK against the fake of Stripe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import stripe
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from fake_stripe.webhooks import signature
from installation import (
    ASKS_ALWAYS,
    DECLINED,
    DECLINED_LATER,
    FRAUDULENT,
    SECRET,
    Calendar,
    Installation,
    delivery,
    intent_of,
)
from msgspec import json
from plain_sql import PlainSql
from service import OPERATOR_KEY, Api, Service, credentials, free_port, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import CreatedWallet
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.errors import (
    DatabaseRefused,
    IdempotencyConflict,
    InvalidAmount,
    InvalidRequest,
    InvalidSignature,
    PayBackNotAllowed,
    PaymentProviderError,
    RefundExceedsCharge,
    TopupInFlight,
    TopupNotFound,
    WalletNotFound,
)
from credit_wallet.payments import factory as opening
from credit_wallet.payments.replies import TopupReply
from credit_wallet.payments.service import StripePayments
from credit_wallet.payments.settings import PaymentSettings, payment_settings
from credit_wallet.rules.declines import decline_kind
from credit_wallet.rules.pay_back import base_dates, pay_back_room
from credit_wallet.runtime.steady_clock import SteadyClock

PAYING = "4242424242424242"


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture(scope="module")
def fake(calendar: Calendar) -> Iterator[FakeStripe]:
    with FakeStripe(clock=calendar.seconds, retry_seconds=(0.01,)) as running:
        yield running


@pytest.fixture
def clock(calendar: Calendar) -> Clock:
    return calendar.next()


@pytest.fixture
def installation(wallets: CreditWallet, fake: FakeStripe, clock: Clock) -> Installation:
    return Installation(wallets, fake, clock)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tries again at once."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0)


@pytest.fixture
def faults(fake: FakeStripe) -> Iterator[StripeFaults]:
    with StripeFaults(fake) as proxy:
        yield proxy


@pytest.fixture
def shaky(wallets: CreditWallet, fake: FakeStripe, clock: Clock, faults: StripeFaults) -> Installation:
    """An installation whose calls to Stripe pass the proxy that breaks them."""
    return Installation(wallets, fake, clock, api_url=faults.url)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PlainSql]:
    """The ledger's database, by plain SQL."""
    with PlainSql(f"sqlite:///{tmp_path / 'wallet.db'}") as opened:
        yield opened


def told(host: PlainSql, kind: str) -> list[dict[str, Any]]:
    """What the world has been told of something, oldest first."""
    rows = host.run("SELECT payload FROM am_credit_outbox WHERE kind = ? ORDER BY event_id", kind)
    return [json.decode(row[0]) for row in rows]


# What an owner pays


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


@pytest.fixture
def vouchers(wallets: CreditWallet, fake: FakeStripe, clock: Clock) -> Installation:
    """An installation that takes konbini payments and bank transfers."""
    return Installation(wallets, fake, clock, methods=("konbini", "customer_balance"))


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


def session_of(installation: Installation, topup: TopupReply) -> str:
    """The Checkout Session's id of a top-up."""
    session = installation.wallets.topups.show(topup.topup_id).checkout_session
    assert session is not None
    return session


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


# What Stripe delivers


@pytest.mark.parametrize(
    ("header", "body"),
    [
        pytest.param(lambda body: signature(body, ["whsec_forged"], int(time.time())), None, id="forged"),
        pytest.param(lambda body: signature(body, [SECRET], int(time.time()) - 301), None, id="replayed"),
        pytest.param(lambda body: signature(body, [SECRET], int(time.time())), b"{}", id="another body"),
        pytest.param(lambda body: signature(body, [SECRET], int(time.time())), b"\xff", id="no text"),
        pytest.param(lambda body: signature(body, [SECRET], int(time.time())).replace("v1", "v0"), None, id="v0"),
        pytest.param(lambda _: None, None, id="none"),
        pytest.param(lambda _: "", None, id="empty"),
        pytest.param(lambda _: "t=now,v1=yes", None, id="no time"),
        pytest.param(lambda _: f"t={int(time.time())},v1=\u00e9", None, id="no hex"),
    ],
)
def test_a_delivery_that_stripe_did_not_sign_just_now_is_refused(
    installation: Installation, header: Callable[[bytes], str | None], body: bytes | None
) -> None:
    wallet_id = installation.owner()
    installation.fake.pay(intent_of(installation.request(wallet_id)))
    content = json.encode(installation.news()[-1])
    with pytest.raises(InvalidSignature):
        installation.payments.deliver(content if body is None else body, header(content))
    assert installation.wallets.balance(wallet_id) == 0


def test_what_is_signed_and_no_event_is_refused(installation: Installation) -> None:
    for body in (b"", b"[]", b"{"):
        with pytest.raises(InvalidSignature):
            installation.payments.deliver(body, signature(body, [SECRET], int(time.time())))


@pytest.mark.parametrize(
    "secrets", [("whsec_old",), ("whsec_new",), ("whsec_old", "whsec_new"), ("whsec_x", "whsec_new")]
)
def test_while_a_secret_is_rotated_both_are_good(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, secrets: tuple[str, ...]
) -> None:
    installation = Installation(wallets, fake, clock, webhook_secrets=("whsec_old", "whsec_new"))
    wallet_id = installation.owner()
    fake.pay(intent_of(installation.request(wallet_id)))
    assert "settled" in [installation.deliver(event, secrets) for event in installation.news()]
    assert wallets.balance(wallet_id) == 1_000
    with pytest.raises(InvalidSignature):
        installation.deliver({"id": "evt"}, ("whsec_older",))


def test_an_installation_without_a_secret_takes_no_delivery(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock
) -> None:
    installation = Installation(wallets, fake, clock, webhook_secrets=())
    with pytest.raises(InvalidSignature):
        installation.deliver({"id": "evt"}, ("",))


def test_a_delivery_that_comes_twice_credits_once(installation: Installation) -> None:
    """A duplicate webhook granted credit twice (opencode #28402, pollinations #10621, chatwoot #12988)."""
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.fake.pay(intent_of(topup))
    installation.hear(times=3)
    installation.clock.advance(days=3)
    for event in installation.fake.events("payment_intent.succeeded")[-1:]:
        installation.deliver(event)
    assert installation.wallets.balance(wallet_id) == 1_000
    assert len(installation.wallets.history(wallet_id)) == 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("won", [True, False])
def test_deliveries_in_any_order_and_number_come_to_the_same(installation: Installation, won: bool, seed: int) -> None:
    random = Random(seed)
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    fake, intent = installation.fake, intent_of(topup)
    fake.pay(intent, DECLINED)
    fake.pay(intent, ASKS_ALWAYS)
    fake.authenticate(intent)
    fake.refund(intent, 150)
    fake.settle_refund(fake.refund(intent, 50), success=False)
    fake.close_dispute(fake.dispute(intent, 500), won=won)
    events = installation.news() * 2
    random.shuffle(events)
    for position, event in enumerate(events):
        installation.deliver(event)
        installation.wallets.charge_many([(wallet_id, random.randrange(1, 60), f"charge-{position}")])
    settled = installation.wallets.topups.show(topup.topup_id)
    assert (settled.credited_yen, settled.reversed_yen) == (1_000, 150 if won else 650)
    assert installation.kept(wallet_id) == installation.moved(wallet_id)
    assert installation.wallets.verify() == []


def test_a_credit_that_failed_is_given_when_the_delivery_comes_again(
    installation: Installation, host: PlainSql
) -> None:
    """A delivery was noted as done before the credit was given, so that a failed credit was never tried again
    (LibreChat #13812).
    """
    wallet_id = installation.owner()
    installation.fake.pay(intent_of(installation.request(wallet_id)))
    event = installation.news()[-1]
    host.run(
        "CREATE TRIGGER closed BEFORE INSERT ON am_credit_transaction_log BEGIN SELECT raise(ABORT, 'closed'); END"
    )
    for _ in range(2):
        with pytest.raises(DatabaseRefused):
            installation.deliver(event)
    assert installation.wallets.balance(wallet_id) == 0
    host.run("DROP TRIGGER closed")
    assert [installation.deliver(event) for _ in range(2)] == ["settled", "settled"]
    assert installation.wallets.balance(wallet_id) == 1_000


def test_payments_of_others_at_the_same_account_are_left_alone(
    installation: Installation, fake: FakeStripe, clock: Clock, tmp_path: Path
) -> None:
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": fake.url})
    with CreditWallet.open(f"sqlite:///{tmp_path}/other.db", clock=clock) as wallets:
        other = Installation(wallets, fake, clock)
        theirs, ours = other.owner(), installation.owner()
        assert theirs == ours
        topup = other.request(theirs)
        fake.pay(intent_of(topup))
        no_ones = client.v1.payment_intents.create(
            {
                "amount": 900,
                "currency": "jpy",
                "payment_method": "pm_card_visa",
                "confirm": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            }
        )
        fake.refund(no_ones.id, 100)
        fake.refund(intent_of(topup), 100)
        fake.dispute(no_ones.id, 300)
        fake.dispute(intent_of(topup), 300)
        fake.expire_session(session_of(other, other.request(theirs, key="page", flow="checkout")))
        assert set(installation.hear()) == {"ignored"}
        report = installation.payments.reconcile()
        assert (report.changed, report.problems) == (0, [])
        assert installation.wallets.topups.list(ours) == []
        other.hear()
        assert (wallets.balance(theirs), installation.wallets.balance(ours)) == (600, 0)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("capability.updated", {"id": "acct_1"}),
        ("customer.created", {"id": "cus_1"}),
        ("setup_intent.succeeded", {"id": "seti_1", "metadata": {}}),
        ("payment_intent.succeeded", {"id": "pi_1", "metadata": None}),
        ("checkout.session.completed", {"id": "cs_1", "payment_intent": None, "metadata": None}),
        ("charge.dispute.created", {"id": "du_1", "payment_intent": None, "amount": 1}),
        ("charge.refunded", {"id": "ch_1", "payment_intent": None}),
        ("something.new", {}),
    ],
)
def test_events_about_nothing_of_ours_are_ignored(
    installation: Installation, kind: str, subject: dict[str, Any]
) -> None:
    event = {"id": "evt_1", "type": kind, "created": 1, "data": {"object": subject}}
    assert installation.deliver(event) == "ignored"


# What Stripe gives back


Tell = Callable[[Installation], object]
CHANNELS: list[Any] = [
    pytest.param(lambda installation: installation.hear(), id="delivered"),
    pytest.param(lambda installation: installation.hear(order=Random(5), times=2), id="shuffled"),
    pytest.param(lambda installation: (installation.news(), installation.payments.reconcile()), id="looked up"),
]


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


# What tops itself up


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
    assert [each["reason"] for each in told(host, "auto_topup.stopped")] == ["generic_decline"]


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
    assert [each["reason"] for each in told(host, "auto_topup.stopped")] == ["fraudulent"]
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
    assert [each["reason"] for each in told(host, "auto_topup.stopped")] == ["no_payment_method"]
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
    """Have the ledger believe that the wallet pays so."""
    [paid] = [each for each in installation.wallets.topups.list(wallet_id) if each.status == "credited"]
    installation.wallets.topups.settle(wallet_id, paid.topup_id, PaymentFact(observed_at=1, **of_the_payer))  # type: ignore[arg-type]


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
    assert [each["reason"] for each in told(host, "auto_topup.stopped")] == ["payment_method_gone"]
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
    assert [each["action_url"] for each in told(host, "topup.requires_action")] == [page.action_url]
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
    assert [each["left_yen"] for each in told(host, "auto_topup.limit_reached")] == [100]
    assert str(wallets.topups.automatic_state(wallet_id).reason).startswith("limit_reached")
    clock.advance(days=1)
    assert [each.status for each in installation.payments.run_automatic()] == ["credited"]
    clock.advance(days=1)
    installation.spend(wallet_id, 600, "more")
    assert [each.status for each in installation.payments.run_automatic()] == ["topup_limit_reached"]
    assert sum(payment.received for payment in installation.made(wallet_id)) == 1_250


def test_a_disabled_wallet_is_not_topped_up(installation: Installation) -> None:
    wallet_id = installation.payer()
    installation.wallets.configure(wallet_id, enabled=False)
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


# What is looked up


@pytest.mark.parametrize("days", [0.5, 3, 20])
def test_a_payment_is_credited_although_the_endpoint_was_down(installation: Installation, days: float) -> None:
    """People were charged and never credited while the webhook endpoint was down (recoupable #1858)."""
    wallet_id = installation.owner()
    paid, declined_first = installation.request(wallet_id), installation.request(wallet_id, 500, "other")
    installation.fake.pay(intent_of(declined_first), DECLINED)
    installation.hear()
    installation.clock.advance(hours=12)
    for topup in (paid, declined_first):
        installation.fake.pay(intent_of(topup))
    installation.fake.refund(intent_of(paid), 200)
    installation.clock.advance(days=days)
    assert installation.payments.reconcile().problems == []
    assert installation.wallets.balance(wallet_id) == 1_300
    assert installation.payments.reconcile().changed == 0
    installation.hear(order=Random(1))
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_300


def test_a_page_is_looked_up_as_well(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup, left = (installation.request(wallet_id, key=key, flow="checkout") for key in ("paid", "left"))
    installation.fake.pay(session_of(installation, topup))
    installation.clock.advance(days=2)
    assert installation.payments.reconcile().problems == []
    assert installation.wallets.balance(wallet_id) == 1_000
    assert installation.wallets.topups.show(left.topup_id).status == "canceled"


def test_what_nobody_pays_is_given_up_after_a_day(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.clock.advance(hours=23)
    installation.payments.reconcile()
    assert installation.wallets.topups.show(topup.topup_id).status == "pending"
    installation.clock.advance(hours=2)
    installation.payments.reconcile()
    assert installation.wallets.topups.show(topup.topup_id).status == "canceled"
    assert [payment.status for payment in installation.made(wallet_id)] == ["canceled"]


def test_a_slip_is_waited_for_as_long_as_it_can_be_paid(vouchers: Installation) -> None:
    wallet_id = vouchers.owner()
    topup = vouchers.request(wallet_id)
    vouchers.fake.pay(intent_of(topup), "konbini")
    vouchers.clock.advance(days=2)
    vouchers.payments.reconcile()
    assert vouchers.wallets.topups.show(topup.topup_id).status == "requires_action"
    vouchers.fake.pay_voucher(intent_of(topup))
    vouchers.clock.advance(days=5)
    vouchers.payments.reconcile()
    assert vouchers.wallets.balance(wallet_id) == 1_000


@pytest.mark.parametrize("tell", CHANNELS)
def test_a_payment_that_lost_its_row_is_credited_once(installation: Installation, host: PlainSql, tell: Tell) -> None:
    """As after a backup was restored, whose next top-ups may have the same names."""
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.fake.pay(intent_of(topup))
    for table in ("am_credit_topup", "am_credit_topup_history", "am_credit_idempotency", "am_credit_payer"):
        host.run(f"DELETE FROM {table}")
    tell(installation)
    tell(installation)
    installation.payments.reconcile()
    [found] = installation.wallets.topups.list(wallet_id)
    assert (found.origin, found.status, found.payment_intent) == ("found", "credited", topup.payment_intent)
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000
    assert installation.wallets.verify() == []


def test_a_payment_that_was_found_is_not_credited_again_when_its_owner_asks_again(
    installation: Installation, host: PlainSql
) -> None:
    """Stripe answers the same key with the same payment for a day."""
    wallet_id = installation.owner()
    before = installation.request(wallet_id)
    installation.fake.pay(intent_of(before))
    for table in ("am_credit_topup", "am_credit_topup_history", "am_credit_idempotency", "am_credit_payer"):
        host.run(f"DELETE FROM {table}")
    installation.hear()
    again = installation.request(wallet_id)
    assert (again.topup_id, again.status, again.reason) == (before.topup_id, "canceled", "paid_as_another")
    installation.clock.advance(minutes=11)
    installation.payments.reconcile()
    installation.hear(times=2)
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000
    assert installation.wallets.verify() == []


def test_a_payment_whose_name_another_has_now_is_credited_beside_it(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.owner()
    before = installation.request(wallet_id)
    installation.fake.pay(intent_of(before))
    for table in ("am_credit_topup", "am_credit_topup_history", "am_credit_idempotency"):
        host.run(f"DELETE FROM {table}")
    installation.clock.advance(days=2)
    after = installation.request(wallet_id)
    assert (after.topup_id, after.payment_intent) != (before.topup_id, before.payment_intent)
    assert after.topup_id == before.topup_id
    installation.fake.pay(intent_of(after))
    installation.hear(order=Random(2), times=2)
    assert sorted(topup.origin for topup in installation.wallets.topups.list(wallet_id)) == ["found", "owner"]
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 2_000


def test_a_payment_for_a_wallet_that_is_gone_is_reported(
    installation: Installation, fake: FakeStripe, clock: Clock, tmp_path: Path
) -> None:
    """As after a backup was restored that is older than the wallet."""
    wallet_id = installation.owner()
    fake.pay(intent_of(installation.request(wallet_id)))
    path = tmp_path / "restored.db"
    with CreditWallet.open(f"sqlite:///{path}", clock=clock) as wallets, PlainSql(f"sqlite:///{path}") as host:
        host.run("UPDATE am_credit_installation SET installation_id = ?", installation.wallets.topups.installation_id())
        restored = Installation(wallets, fake, clock)
        with pytest.raises(WalletNotFound):
            restored.deliver(installation.news()[-1])
        [problem] = restored.payments.reconcile().problems
    assert f"no wallet {wallet_id}" in problem


def test_what_a_wallet_cannot_take_is_reported_until_it_can(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    monkeypatch.setattr("credit_wallet.rules.credit.MAX_BALANCE_YEN", 999)
    installation.fake.pay(intent_of(topup))
    installation.hear()
    for _ in range(2):
        [problem] = installation.payments.reconcile().problems
        assert topup.topup_id in problem
        assert "paid and not credited" in problem
        installation.clock.advance(hours=1)
    monkeypatch.undo()
    assert installation.payments.reconcile().problems == []
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000


def test_when_stripe_is_away_nothing_is_lost(wallets: CreditWallet, fake: FakeStripe, clock: Clock) -> None:
    away = Installation(wallets, fake, clock, api_url=f"http://127.0.0.1:{free_port()}")
    wallet_id = away.owner()
    with pytest.raises(PaymentProviderError):
        away.request(wallet_id)
    with pytest.raises(PaymentProviderError):
        away.payments.reconcile()
    back = Installation(wallets, fake, clock)
    back.pay(wallet_id, key="topup")
    assert back.kept(wallet_id) == back.moved(wallet_id) == 1_000


def test_one_top_up_out_of_order_keeps_no_other_from_being_looked_up(shaky: Installation, faults: StripeFaults) -> None:
    first, second = shaky.owner(), shaky.owner()
    for wallet_id in (first, second):
        shaky.fake.pay(intent_of(shaky.request(wallet_id)))
    shaky.clock.advance(hours=1)
    faults.error(500, method="GET", path=intent_of(shaky.wallets.topups.list(first)[0]), times=3)
    report = shaky.payments.reconcile()
    assert len(report.problems) == 1
    assert shaky.wallets.balance(second) == 1_000
    shaky.payments.reconcile()
    assert shaky.wallets.balance(first) == 1_000


# What is paid back


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


@pytest.fixture
def generous(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, faults: StripeFaults
) -> Iterator[tuple[Installation, str]]:
    """An installation that pays back, with a top-up of ¥10,000 of the period before: ¥2,000 may be paid back."""
    start = clock()
    clock.set(start.replace(year=start.year + 1, month=2, day=15))
    installation = Installation(wallets, fake, clock, api_url=faults.url, pay_back=True)
    topup = installation.pay(installation.owner(), 10_000)
    clock.set(clock().replace(month=6))
    yield installation, topup.topup_id
    clock.set(start)


def pay_back(installation: Installation, topup_id: str, amount_yen: int = 500, key: str = "back") -> TopupReply:
    return installation.payments.pay_back(topup_id, amount_yen, idempotency_key=key)


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
        with pytest.raises(PayBackNotAllowed, match="has its credit again"):
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


# How it is set up


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CREDIT_WALLET_TOPUP_MIN_YEN", "0"),
        ("CREDIT_WALLET_TOPUP_MIN_YEN", "fifty"),
        ("CREDIT_WALLET_TOPUP_MIN_YEN", "-1"),
        ("CREDIT_WALLET_TOPUP_MIN_YEN", "\u0665\u0660"),
        ("CREDIT_WALLET_TOPUP_MAX_YEN", "49"),
        ("CREDIT_WALLET_TOPUP_MAX_YEN", "100000000"),
        ("CREDIT_WALLET_AUTO_TOPUP_DAILY_YEN", "1.5"),
        ("CREDIT_WALLET_AUTO_TOPUP_DAILY_YEN", "-1"),
        ("CREDIT_WALLET_AUTO_TOPUP_MONTHLY_YEN", "-3000000"),
        ("CREDIT_WALLET_AUTO_TOPUP_MONTHLY_YEN", "¥5"),
        ("CREDIT_WALLET_PAY_BACK", "yes"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(variable: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match="CREDIT_WALLET_") as refusal:
        payment_settings({"CREDIT_WALLET_STRIPE_KEY": "sk_test_1", variable: value})
    assert variable in str(refusal.value)


def test_settings_come_from_the_environment() -> None:
    assert payment_settings({}) is None
    assert payment_settings({"CREDIT_WALLET_STRIPE_KEY": "sk_1"}) == PaymentSettings(secret_key="sk_1")  # noqa: S106
    assert payment_settings(
        {
            "CREDIT_WALLET_STRIPE_KEY": "sk_1",
            "CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS": "whsec_1, whsec_2,",
            "CREDIT_WALLET_STRIPE_API_URL": "http://127.0.0.1:1",
            "CREDIT_WALLET_PAYMENT_METHODS": "card,konbini",
            "CREDIT_WALLET_RETURN_URL": "https://wallet.test/?from=stripe",
            "CREDIT_WALLET_TOPUP_MIN_YEN": "100",
            "CREDIT_WALLET_TOPUP_MAX_YEN": "99999999",
            "CREDIT_WALLET_AUTO_TOPUP_DAILY_YEN": "0",
            "CREDIT_WALLET_AUTO_TOPUP_MONTHLY_YEN": "7",
            "CREDIT_WALLET_PAY_BACK": "on",
        }
    ) == PaymentSettings(
        secret_key="sk_1",  # noqa: S106
        webhook_secrets=("whsec_1", "whsec_2"),
        api_url="http://127.0.0.1:1",
        methods=("card", "konbini"),
        return_url="https://wallet.test/?from=stripe",
        min_yen=100,
        max_yen=99_999_999,
        auto_daily_yen=0,
        auto_monthly_yen=7,
        pay_back=True,
    )


def test_test_money_goes_by_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_WALLET_PAYMENT_METHODS", "card,konbini,customer_balance")
    monkeypatch.setenv("CREDIT_WALLET_TOPUP_MAX_YEN", "5000")
    monkeypatch.setenv("CREDIT_WALLET_PAY_BACK", "on")
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS", "whsec_real")
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_API_URL", "http://127.0.0.1:1")
    with opening.test_money("http://wallet.test") as settings:
        assert settings.methods == ("card", "konbini", "customer_balance")
        assert (settings.max_yen, settings.pay_back) == (5_000, True)
        assert settings.return_url == "http://wallet.test/healthz"
        assert settings.webhook_secrets != ("whsec_real",)
        assert settings.api_url != "http://127.0.0.1:1"
    monkeypatch.setenv("CREDIT_WALLET_RETURN_URL", "https://wallet.test/paid")
    with opening.test_money("http://wallet.test") as settings:
        assert settings.return_url == "https://wallet.test/paid"


@pytest.mark.parametrize(
    ("variable", "value"), [("CREDIT_WALLET_TOPUP_MAX_YEN", "much"), ("CREDIT_WALLET_PAYMENT_METHODS", "card,cheque")]
)
def test_a_setting_that_test_money_cannot_follow_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidRequest, match=variable), opening.test_money("http://wallet.test"):
        pass


def test_the_documented_konbini_set_up_runs_with_test_money(tmp_path: Path) -> None:
    """``serve --test-payments`` with ``CREDIT_WALLET_PAYMENT_METHODS``: slip, transfer and card pay."""
    methods = {"CREDIT_WALLET_PAYMENT_METHODS": "card,konbini,customer_balance"}
    flag = "import sys; sys.argv.append('--test-payments')"
    with (
        Service(f"sqlite:///{tmp_path}/w.db", adjust=flag, environment=methods) as service,
        httpx.Client(base_url=service.url) as call,
    ):
        made = call.post("/operator/wallets", headers=credentials(OPERATOR_KEY, "wallet"), json={}).json()
        owner = made["owner_token"]
        for kind, later in (("konbini", True), ("customer_balance", True), (PAYING, False)):
            asked = {"amount_yen": 1_000, "checkout": True}
            topup = call.post("/credit/topup", headers=credentials(owner, kind), json=asked).json()
            page = call.get(topup["checkout_url"])
            assert f'value="{kind}"' in page.text
            slip = call.post(topup["checkout_url"], data={"with": kind})
            if later:
                waiting = call.get(f"/credit/topups/{topup['topup_id']}", headers=credentials(owner)).json()
                assert (slip.status_code, waiting["status"]) == (303, "requires_action")
                call.post(slip.headers["Location"], data={"do": "pay-voucher"})
            paid = call.get(f"/credit/topups/{topup['topup_id']}", headers=credentials(owner)).json()
            assert paid["status"] == "credited"
        wallet = call.get("/credit/wallet", headers=credentials(owner)).json()
        assert wallet["balance_yen"] == 3_000
    with CreditWallet.open(f"sqlite:///{tmp_path}/w.db") as wallets:
        assert wallets.topups.payer(made["wallet_id"]).payment_method is not None


# Over HTTP


@pytest.fixture
def owner(wallets: CreditWallet) -> CreatedWallet:
    return wallets.create()


@pytest.fixture
def api(installation: Installation) -> Iterator[Api]:
    with Api(new_app(installation.wallets, payments=installation.payments)) as opened:
        yield opened


def test_an_owner_tops_up_over_http(installation: Installation, api: Api, owner: CreatedWallet) -> None:
    answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    topup = answer.json()
    assert (answer.status_code, topup["status"], topup["checkout_url"]) == (201, "pending", None)
    assert "idempotent-replayed" not in answer.headers
    again = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert again.json() == topup | {"replayed": True}
    installation.fake.pay(topup["payment_intent"])
    results = set()
    for event in installation.news():
        body, header = delivery(event)
        answer = api.call("POST", "/webhooks/stripe", content=body, headers={"Stripe-Signature": header})
        results.add((answer.status_code, answer.json()["result"]))
    assert results == {(200, "settled"), (200, "ignored")}
    assert api.get("/credit/wallet", owner.owner_token).json()["balance_yen"] == 1_000
    [listed] = api.get("/credit/topups", owner.owner_token).json()["topups"]
    shown = api.get(f"/credit/topups/{topup['topup_id']}", owner.owner_token).json()
    assert (listed["status"], shown["status"], shown["client_secret"]) == ("credited", "credited", None)


def test_a_page_to_pay_on_over_http(installation: Installation, api: Api, owner: CreatedWallet) -> None:
    topup = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000, checkout=True).json()
    assert topup["checkout_url"].startswith(installation.fake.url)
    conflict = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "idempotency_conflict")
    given_up = api.call("DELETE", f"/credit/topups/{topup['topup_id']}", owner.owner_token)
    assert (given_up.status_code, given_up.json()["status"]) == (200, "canceled")


def test_another_payment_on_its_way_is_a_conflict(installation: Installation, api: Api, owner: CreatedWallet) -> None:
    first = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000).json()
    installation.fake.pay(first["payment_intent"], "pm_card_visa")
    event = next(event for event in installation.news() if event["type"] == "payment_intent.succeeded")
    event["data"]["object"]["status"] = "processing"
    installation.deliver(event)
    answer = api.post("/credit/topup", owner.owner_token, key="other", amount_yen=1_000)
    assert (answer.status_code, answer.json()["code"]) == (409, "topup_in_flight")
    assert answer.json()["topup_id"] == first["topup_id"]


@pytest.mark.parametrize("amount", [49, 500_001])
def test_bounds_of_an_amount_are_told(api: Api, owner: CreatedWallet, amount: int) -> None:
    answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=amount)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid_amount", "amount_yen")


def test_a_top_up_of_somebody_else_is_not_there(api: Api, owner: CreatedWallet, wallets: CreditWallet) -> None:
    topup = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000).json()
    other = wallets.create().owner_token
    for method in ("GET", "DELETE"):
        answer = api.call(method, f"/credit/topups/{topup['topup_id']}", other)
        assert (answer.status_code, answer.json()["code"]) == (404, "topup_not_found")
    assert api.get("/credit/topups", other).json() == {"topups": []}


def test_a_bad_gateway_leaves_a_top_up_that_the_same_key_finishes(
    shaky: Installation, faults: StripeFaults, owner: CreatedWallet
) -> None:
    with Api(new_app(shaky.wallets, payments=shaky.payments)) as api:
        faults.timeout_after_processing(path="payment_intents", times=3)
        answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
        assert (answer.status_code, answer.json()["code"]) == (502, "payment_provider_error")
        answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert len(shaky.made(owner.wallet_id)) == 1


@pytest.mark.parametrize("form", ["120", "%a, %d %b %Y %T GMT", "%A, %d-%b-%y %T GMT", "%a %b %e %T %Y"])
def test_how_long_stripe_asks_to_wait_is_passed_on(
    shaky: Installation, faults: StripeFaults, owner: CreatedWallet, form: str
) -> None:
    then = datetime.now(UTC) + timedelta(seconds=120)
    faults.error(429, path="customers", retry_after=then.strftime(form))
    with Api(new_app(shaky.wallets, payments=shaky.payments)) as api:
        answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    assert (answer.status_code, answer.json()["code"]) == (502, "payment_provider_error")
    assert 110 < int(answer.headers["Retry-After"]) <= 120


@pytest.mark.parametrize(
    "header", [b"", b"t=1,v1=00", b"t=99999999999,v1=\xe9", b"t=99999999999,v1=00" + b",v1=0" * 5_000]
)
def test_a_forged_delivery_is_answered_with_400(api: Api, header: bytes) -> None:
    answer = api.call("POST", "/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": header})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")


def test_what_a_delivery_says_twice_is_refused_and_a_strangers_is_not_even_read(api: Api) -> None:
    body = b'{"type": "x", "data": {"object": {"amount": 1, "amount": 2}}}'
    for header, code in ((signature(body, [SECRET], int(time.time())), "invalid_json"), ("s", "invalid_signature")):
        answer = api.call("POST", "/webhooks/stripe", content=body, headers={"Stripe-Signature": header})
        assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_delivery_that_stripe_must_be_asked_about_waits_for_it(shaky: Installation, faults: StripeFaults) -> None:
    wallet_id = shaky.owner()
    topup = shaky.pay(wallet_id)
    shaky.fake.refund(intent_of(topup), 100)
    body, header = delivery(next(event for event in shaky.news() if event["type"] == "refund.created"))
    faults.error(500, method="GET", times=3)
    with Api(new_app(shaky.wallets, payments=shaky.payments)) as api:
        answers = [
            api.call("POST", "/webhooks/stripe", content=body, headers={"Stripe-Signature": header}) for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [502, 200]
    assert shaky.wallets.balance(wallet_id) == 900


def test_an_operator_pays_back_over_http(generous: tuple[Installation, str]) -> None:
    installation, topup_id = generous
    path = f"/operator/topups/{topup_id}/pay-back"
    with Api(new_app(installation.wallets, payments=installation.payments)) as api:
        for _ in range(2):
            answer = api.post(path, OPERATOR_KEY, key="k", amount_yen=1_500)
            assert (answer.status_code, answer.json()["topup_id"]) == (200, topup_id)
        refused = api.post(path, OPERATOR_KEY, key="other", amount_yen=501)
        assert (refused.status_code, refused.json()["code"]) == (403, "pay_back_not_allowed")
        assert refused.json()["left_yen"] == 500
