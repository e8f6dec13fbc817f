"""Webhook deliveries: signed, repeated, in any order, of others."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import stripe
from clock import Clock
from fake_stripe import FakeStripe
from fake_stripe.webhooks import signature
from installation import (
    ASKS_ALWAYS,
    DECLINED,
    SECRET,
    Installation,
    intent_of,
    session_of,
)
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import (
    DatabaseRefused,
    InvalidSignature,
)

pytestmark = pytest.mark.usefixtures("no_pauses")


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
