"""A ledger that takes payments from the fake of Stripe; what Stripe delivers comes when a test says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from clock import Clock
from fake_stripe import FakeStripe, Payment
from fake_stripe.webhooks import signature
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import Flow, Offer, PaymentFact
from credit_wallet.domain.views import TopupView
from credit_wallet.payments.replies import TopupReply
from credit_wallet.payments.service import StripePayments
from credit_wallet.payments.settings import PaymentSettings

Json = dict[str, Any]

SECRET = "whsec_of_the_tests"  # noqa: S105
FIRST_DAY = datetime(2030, 1, 15, 12, tzinfo=UTC)
"""Later than now, since deliveries that were signed long ago are refused."""

ASKS_ALWAYS = "4000002760003184"
DECLINED = "4000000000000002"
DECLINED_LATER = "4000000000000341"
"""Can be saved; its charges are declined."""
FRAUDULENT = "4100000000000019"


class Calendar:
    """Gives each test some days of its own, so that what tests before have left at Stripe is old to it."""

    def __init__(self) -> None:
        self.clock = Clock(FIRST_DAY)

    def next(self) -> Clock:
        """The clock, at noon of a day well after all that has happened so far."""
        self.clock.set(self.clock().replace(hour=12, minute=0, second=0, microsecond=0))
        self.clock.advance(days=4)
        return self.clock

    def seconds(self) -> float:
        """The time for the fake of Stripe."""
        return self.clock().timestamp()


class Installation:
    """Payments on a ledger, with what has happened at Stripe and was not heard of yet."""

    def __init__(
        self, wallets: CreditWallet, fake: FakeStripe, clock: Clock, *, api_url: str | None = None, **settings: Any
    ) -> None:
        self.wallets, self.fake, self.clock = wallets, fake, clock
        self.settings = PaymentSettings(
            **{
                "secret_key": "sk_test_123",
                "webhook_secrets": (SECRET,),
                "api_url": api_url or fake.url,
                "return_url": "https://wallet.test/paid",
                **settings,
            }
        )
        self.payments = StripePayments(wallets, self.settings, clock)
        self._since = self._heard = len(fake.events())

    def reopen(self, wallets: CreditWallet) -> None:
        """Go on with the same ledger, opened afresh, as a new process does."""
        self.wallets = wallets
        self.payments = StripePayments(wallets, self.settings, self.clock)

    def owner(self, **settings: Any) -> int:
        """A new, empty wallet."""
        wallet_id: int = self.wallets.create(**settings).wallet_id
        return wallet_id

    def payer(self, card: str | None = None, *, threshold: int = 500, step: int = 300) -> int:
        """A wallet of ¥50, below its threshold, whose owner has paid once and saved a card; perhaps another later."""
        wallet_id = self.owner(auto_topup_threshold=threshold, auto_topup_amount=step)
        paid = self.pay(wallet_id, 50)
        if card is not None:
            self.save(wallet_id, paid.topup_id, card)
        self.clock.advance(seconds=1)
        return wallet_id

    def save(self, wallet_id: int, topup_id: str, card: str) -> str:
        """The owner saves a card, which the bank has not authenticated."""
        method = self.fake.new_card(str(self.wallets.topups.payer(wallet_id).customer), card)
        fact = PaymentFact(observed_at=int(self.clock().timestamp()), payment_method=method)
        self.wallets.topups.settle(wallet_id, topup_id, fact)
        return method

    def request(
        self,
        wallet_id: int,
        amount_yen: int = 1_000,
        key: str = "topup",
        flow: Flow = "intent",
        offer: Offer | None = None,
    ) -> TopupReply:
        """The owner asks for a top-up."""
        return self.payments.request(wallet_id, amount_yen, idempotency_key=key, flow=flow, offer=offer)

    def pay(self, wallet_id: int, amount_yen: int = 1_000, key: str = "first") -> TopupView:
        """The owner asks for a top-up and pays it with a card, which is heard of."""
        topup = self.request(wallet_id, amount_yen, key)
        self.fake.pay(intent_of(topup))
        self.hear()
        return self.wallets.topups.show(topup.topup_id)

    def spend(self, wallet_id: int, amount_yen: int, key: str = "spend") -> None:
        """Charge the wallet."""
        self.wallets.charge(wallet_id, amount_yen, idempotency_key=key)

    def news(self) -> list[Json]:
        """What has happened at Stripe since this was asked last, oldest first."""
        events = self.fake.events()
        since, self._heard = self._heard, len(events)
        return events[since:]

    def hear(self, *types: str, order: Random | None = None, times: int = 1) -> list[str]:
        """Deliver what has happened (of these types only, when given), shuffled and repeated as told."""
        events = [event for event in self.news() if not types or event["type"] in types] * times
        if order is not None:
            order.shuffle(events)
        return [self.deliver(event) for event in events]

    def deliver(self, event: Json, secrets: Sequence[str] = (SECRET,), age_seconds: int = 0) -> str:
        """Deliver one event as Stripe does."""
        body, header = delivery(event, secrets, age_seconds)
        return self.payments.deliver(body, header)

    def made(self, wallet_id: int) -> list[Payment]:
        """The payments that were made at Stripe for a wallet of this ledger, oldest first."""
        own = {"credit_installation": self.wallets.topups.installation_id(), "credit_wallet_id": str(wallet_id)}
        made = [event for event in self.fake.events()[self._since :] if event["type"] == "payment_intent.created"]
        intents = [event["data"]["object"] for event in made]
        return [self.fake.payment_intent(each["id"]) for each in intents if own.items() <= each["metadata"].items()]

    def moved(self, wallet_id: int) -> int:
        """What the ledger says came in through payments and was not taken back; debt counts as taken back."""
        entries = self.wallets.history(wallet_id, limit=1_000)
        came = sum(entry.amount_yen for entry in entries if entry.txn_type in ("topup", "reversal"))
        return came - self.wallets.show(wallet_id).debt_yen

    def kept(self, wallet_id: int) -> int:
        """What Stripe has received for a wallet and not given back."""
        return sum(each.received - each.refunded - each.disputed for each in self.made(wallet_id))


def intent_of(topup: TopupReply | TopupView) -> str:
    """The PaymentIntent's id of a top-up that has one."""
    assert topup.payment_intent is not None
    return topup.payment_intent


def delivery(event: Json, secrets: Sequence[str] = (SECRET,), age_seconds: int = 0) -> tuple[bytes, str]:
    """The body and the signature of a delivery."""
    body = json.encode(event)
    return body, signature(body, secrets, int(time.time()) - age_seconds)


def event_of(kind: str, subject: Json, at: Callable[[], datetime]) -> Json:
    """An event about something that the fake of Stripe does not have."""
    return {
        "id": "evt_test",
        "object": "event",
        "created": int(at().timestamp()),
        "type": kind,
        "data": {"object": subject},
    }


def session_of(installation: Installation, topup: TopupReply) -> str:
    """The Checkout Session's id of a top-up."""
    session = installation.wallets.topups.show(topup.topup_id).checkout_session
    assert session is not None
    return session


def pay_back(installation: Installation, topup_id: str, amount_yen: int = 500, key: str = "back") -> TopupReply:
    """The operator pays unused credit back."""
    return installation.payments.pay_back(topup_id, amount_yen, idempotency_key=key)


def emitted(host: PlainSql, kind: str) -> list[dict[str, Any]]:
    """The payloads of the events of a kind, oldest first."""
    rows = host.run("SELECT payload FROM am_credit_outbox WHERE kind = ? ORDER BY event_id", kind)
    return [json.decode(row[0]) for row in rows]


Tell = Callable[[Installation], object]
CHANNELS: list[Any] = [
    pytest.param(lambda installation: installation.hear(), id="delivered"),
    pytest.param(lambda installation: installation.hear(order=Random(5), times=2), id="shuffled"),
    pytest.param(lambda installation: (installation.news(), installation.payments.reconcile()), id="looked up"),
]
