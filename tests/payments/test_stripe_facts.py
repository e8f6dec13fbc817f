"""What Stripe says is asked what it is of, and how it is made, before anything moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from clock import Clock
from fake_stripe import FakeStripe
from fake_stripe.webhooks import signature
from installation import SECRET, Installation, delivery, event_of, intent_of
from msgspec import json
from service import Api, new_app
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.errors import InvalidEvent, InvalidSignature, PaymentProviderError
from credit_wallet.payments import gateway
from credit_wallet.payments.deliveries import SIGNED_SECONDS

Json = dict[str, Any]

NO_MONEY: list[object] = [100.7, 100.0, "100", True, None, -100, [100], {"yen": 100}, 10**13, 1e3]
NO_OBJECT: list[object] = [[], None, "pi_1", 7, True, [{}]]
ODD: list[object] = [7, True, [], ["x"], {"x": []}, 1.5, "", "x" * 300, {}]


@pytest.fixture
def api(installation: Installation) -> Iterator[Api]:
    with Api(new_app(installation.wallets, payments=installation.payments)) as opened:
        yield opened


def news_of(installation: Installation, wallet_id: int) -> dict[str, Json]:
    """An event of every type that is handled, about a payment that nobody has heard of yet."""
    topup = installation.request(wallet_id)
    page = installation.request(installation.owner(), flow="checkout")
    installation.fake.pay(intent_of(topup))
    heard = {event["type"]: event for event in installation.news()}
    paid = heard["payment_intent.succeeded"]["data"]["object"]
    metadata = paid["metadata"] | {"credit_wallet_id": str(page.wallet_id), "credit_topup_id": page.topup_id}
    session = {"id": "cs_1", "payment_intent": None, "metadata": metadata, "amount_total": 1_000, "currency": "jpy"}
    taken = {"id": "x_1", "amount": 300, "currency": "jpy", "payment_intent": paid["id"]}
    declined = {"status": "requires_payment_method", "last_payment_error": {"code": "card_declined"}}
    at_the_bank = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.test"}}
    subjects: dict[str, Json] = {
        "payment_intent.created": paid,
        "payment_intent.payment_failed": paid | declined,
        "payment_intent.requires_action": paid | {"status": "requires_action", "next_action": at_the_bank},
        "payment_intent.canceled": paid | {"status": "canceled", "cancellation_reason": "abandoned"},
        "payment_intent.succeeded": paid,
        "checkout.session.completed": session | {"status": "complete"},
        "checkout.session.expired": session | {"status": "expired"},
        "charge.dispute.created": taken | {"status": "warning_needs_response"},
        "charge.dispute.funds_withdrawn": taken | {"status": "needs_response"},
        "charge.refunded": {"id": "ch_1", "payment_intent": paid["id"]},
        "refund.created": taken | {"status": "succeeded", "metadata": {}},
        "charge.refund.updated": taken | {"status": "succeeded", "metadata": {}},
    }
    return {
        kind: event_of(kind, deepcopy(subject), installation.clock) | {"livemode": False}
        for kind, subject in subjects.items()
    }


def deliver(api: Api, event: object) -> tuple[int, str]:
    body = json.encode(event)
    answer = api.call(
        "POST",
        "/webhooks/stripe",
        content=body,
        headers={"Stripe-Signature": signature(body, [SECRET], int(time.time()))},
    )
    return answer.status_code, answer.text


def test_whatever_shape_an_event_has_nothing_breaks_and_nothing_moves_unless_it_is_whole(
    installation: Installation, api: Api
) -> None:
    """Every type that is handled, with every field that is read, and some values that it cannot have."""
    wallet_id = installation.owner()
    events = news_of(installation, wallet_id)
    for kind, event in events.items():
        for subject in NO_OBJECT:
            status, text = deliver(api, event | {"data": {"object": subject}})
            assert status == 400, (kind, subject, text)
        for data in NO_OBJECT:
            assert deliver(api, event | {"data": data})[0] == 400
        for name in ("created", "type"):
            wrong: object
            for wrong in (None, 1.5, True, [], {}, -1):
                assert deliver(api, event | {name: wrong})[0] == 400, (kind, name, wrong)
        for field in list(event["data"]["object"]):
            for odd in NO_MONEY if field.startswith("amount") else ODD:
                status, text = deliver(api, event | {"data": {"object": event["data"]["object"] | {field: odd}}})
                assert status in (200, 400, 404, 502), (kind, field, odd, text)
    # Amounts beside the one that was paid are not read, and what was paid is looked up for other events.
    assert installation.wallets.balance(wallet_id) in (0, 700, 1_000)
    assert installation.wallets.verify() == []


@pytest.mark.parametrize("value", NO_MONEY)
@pytest.mark.parametrize("field", ["amount_received", "amount"])
def test_money_that_is_no_whole_number_of_yen_moves_nothing(
    installation: Installation, field: str, value: object
) -> None:
    wallet_id = installation.owner()
    event = news_of(installation, wallet_id)["payment_intent.succeeded"]
    subject = event["data"]["object"]
    subject[field] = value
    if field == "amount":
        subject["amount_received"] = value
    if value is None:
        subject.pop("amount")
        subject.pop("amount_received", None)
    with capture_logs():
        assert installation.deliver(event) == "reported"
    assert installation.wallets.balance(wallet_id) == 0


@pytest.mark.parametrize(
    ("key", "livemode", "taken"),
    [
        ("sk_test_1", False, True),
        ("rk_test_1", False, True),
        ("sk_live_1", False, False),
        ("rk_live_1", False, False),
        ("sk_test_1", True, False),
        ("rk_test_1", True, False),
        ("sk_test_1", "false", False),
        ("sk_test_1", 0, False),
    ],
)
def test_test_money_is_no_money_and_live_money_no_test(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, key: str, livemode: Any, taken: bool
) -> None:
    test = Installation(wallets, fake, clock)
    wallet_id = test.owner()
    event = news_of(test, wallet_id)["payment_intent.succeeded"] | {"livemode": livemode}
    installation = Installation(wallets, fake, clock, secret_key=key)
    if taken:
        assert installation.deliver(event) == "settled"
    else:
        with capture_logs() as logs, pytest.raises(InvalidEvent):
            installation.deliver(event)
        assert [log["event"] for log in logs] == ["delivery_refused"]
    assert wallets.balance(wallet_id) == (1_000 if taken else 0)


def test_an_object_is_asked_as_its_event_is(installation: Installation) -> None:
    wallet_id = installation.owner()
    event = news_of(installation, wallet_id)["payment_intent.succeeded"]
    event["data"]["object"]["livemode"] = True
    with pytest.raises(InvalidEvent, match="live money"):
        installation.deliver(event)
    assert installation.wallets.balance(wallet_id) == 0


def test_what_is_looked_up_is_asked_as_well(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = Installation(wallets, fake, clock)
    wallet_id = test.owner()
    topup = test.request(wallet_id)
    fake.pay(intent_of(topup))
    monkeypatch.setattr(gateway, "is_live", lambda _: True)
    live = Installation(wallets, fake, clock)
    with pytest.raises(PaymentProviderError, match="test money"):
        live.payments.show(topup.topup_id)
    report = live.payments.reconcile()
    assert report.changed == 0
    assert any("test money" in problem for problem in report.problems)
    assert wallets.balance(wallet_id) == 0


def test_an_event_of_another_account_is_refused(installation: Installation) -> None:
    wallet_id = installation.owner()
    event = news_of(installation, wallet_id)["payment_intent.succeeded"] | {"account": "acct_1"}
    with pytest.raises(InvalidEvent, match="acct_1"):
        installation.deliver(event)
    assert installation.wallets.balance(wallet_id) == 0


@pytest.mark.parametrize(
    "metadata",
    [
        {"credit_wallet_id": "one"},
        {"credit_wallet_id": "-1"},
        {"credit_wallet_id": "1" * 19},
        {"credit_wallet_id": 1},
        {"credit_wallet_id": None},
        {"credit_topup_id": ""},
    ],
)
def test_metadata_that_somebody_has_changed_are_refused(installation: Installation, metadata: Json) -> None:
    event = news_of(installation, installation.owner())["payment_intent.succeeded"]
    event["data"]["object"]["metadata"] |= metadata
    with pytest.raises(InvalidEvent):
        installation.deliver(event)


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [(SIGNED_SECONDS - 30, True), (-SIGNED_SECONDS + 30, True), (SIGNED_SECONDS + 30, False), (365 * 86_400, False)],
)
def test_a_delivery_is_signed_just_now_and_not_in_the_future(
    installation: Installation, seconds: int, taken: bool
) -> None:
    body, _ = delivery(news_of(installation, installation.owner())["payment_intent.succeeded"])
    header = signature(body, [SECRET], int(time.time()) + seconds)

    def send() -> str:
        return installation.payments.deliver(body, header)

    _require(send, taken)


def test_of_two_times_that_are_signed_the_later_counts(installation: Installation) -> None:
    body, _ = delivery(news_of(installation, installation.owner())["payment_intent.succeeded"])
    now = int(time.time())
    header = f"t={now},{signature(body, [SECRET], now + 86_400)}"
    _require(lambda: installation.payments.deliver(body, header), taken=False)


@pytest.mark.parametrize("time_of_no_use", ["abc", "", "9" * 5_000])
def test_a_second_time_that_is_none_is_no_signature(installation: Installation, time_of_no_use: str) -> None:
    body, header = delivery(news_of(installation, installation.owner())["payment_intent.succeeded"])
    _require(lambda: installation.payments.deliver(body, f"{header},t={time_of_no_use}"), taken=False)


def test_what_is_nested_beyond_measure_is_refused(installation: Installation) -> None:
    body = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    header = signature(body, [SECRET], int(time.time()))
    _require(lambda: installation.payments.deliver(body, header), taken=False)


def _require(send: Callable[[], str], taken: bool) -> None:
    if taken:
        assert send() == "settled"
    else:
        with pytest.raises(InvalidSignature):
            send()
