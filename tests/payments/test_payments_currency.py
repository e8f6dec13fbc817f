"""Amounts are read with their currency: what is not a whole number of yen moves nothing, and is reported to a person.

Stripe counts in the smallest unit of a currency: 1000 are ten dollars, a thousand won, a thousand yen, one dinar. Where
an amount is read, and tried here in another currency:

- PaymentIntents: of webhooks, of answers to new ones and to saved cards, of look-ups and comparisons, of those whose
  row is lost, and in a payment that waits;
- refunds and disputes, delivered one by one, listed with their payment, and in the answer to paying credit back;
- Checkout Sessions, whose page may offer the currency of the payer's country, which is why that is turned off;
- what remains of a bank transfer (``test_topups_under_way.py``).

Cash balances and the balance of the account are not read as amounts.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from installation import Installation, event_of, intent_of
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.payments.facts import Yen, yen_of

Json = dict[str, Any]
OTHERS = ["usd", "eur", "krw", "kwd", "vnd", "", "jp", "jpyc", " jpy", "\uff4a\uff50\uff59", None, 392, ["jpy"]]
"""Cents, won without decimals, dinars of a thousand fils; what is no currency; fullwidth letters."""

MISSING = object()


@pytest.fixture
def installation(wallets: CreditWallet, fake: FakeStripe, clock: Clock, faults: StripeFaults) -> Installation:
    """An installation whose calls to Stripe pass the proxy, which may say otherwise."""
    return Installation(wallets, fake, clock, api_url=faults.url, pay_back=True)


def told(host: PlainSql) -> list[Json]:
    """What people were told of amounts that are not in yen, oldest first."""
    rows = host.run("SELECT payload FROM am_credit_outbox WHERE kind = 'topup.currency_mismatch' ORDER BY event_id")
    return [json.decode(row[0]) for row in rows]


def put(subject: Json, **fields: object) -> None:
    """Change an object of Stripe's, or take out what is ``MISSING``."""
    for name, value in fields.items():
        if value is MISSING:
            subject.pop(name, None)
        else:
            subject[name] = value


def changed(event: Json, **fields: object) -> Json:
    """An event about an object with other fields."""
    event = deepcopy(event)
    put(event["data"]["object"], **fields)
    return event


def saying(kind: str, **fields: object) -> Callable[[Json], None]:
    """What changes every object of a kind in an answer, wherever in it."""

    def change(said: Any) -> None:
        if isinstance(said, dict):
            if said.get("object") == kind:
                put(said, **fields)
            for value in said.values():
                change(value)
        elif isinstance(said, list):
            for value in said:
                change(value)

    return change


def event(installation: Installation, kind: str) -> Json:
    """The news of a kind."""
    return [each for each in installation.news() if each["type"] == kind][-1]


def paid(installation: Installation, wallet_id: int, key: str = "topup") -> tuple[str, Json]:
    """A top-up that was paid, and the event that says so, which nobody has heard yet."""
    topup = installation.request(wallet_id, key=key)
    installation.fake.pay(intent_of(topup))
    return topup.topup_id, event(installation, "payment_intent.succeeded")


# An amount, pure


@pytest.mark.parametrize("currency", ["jpy", "JPY", "Jpy"])
def test_yen_are_yen_however_they_are_written(currency: str) -> None:
    assert yen_of({"amount": 1_000, "currency": currency}, "amount") == Yen(1_000)
    assert yen_of({"amount": 0, "currency": currency}, "amount") == Yen(0)


@pytest.mark.parametrize("currency", OTHERS)
def test_another_currency_has_no_yen(currency: object) -> None:
    read = yen_of({"id": "pi_1", "amount": 1_000, "currency": currency}, "amount")
    assert read.amount_yen == 0
    assert "amount 1000 of pi_1, currency " in str(read.mismatch)


@pytest.mark.parametrize("amount", [100.7, 1_000.0, "1000", True, None, [], -1, 10**12 + 1, 10**30])
def test_what_is_no_whole_number_is_no_amount(amount: object) -> None:
    read = yen_of({"id": "pi_1", "amount": amount, "currency": "jpy"}, "amount")
    assert read.amount_yen == 0
    assert read.mismatch is not None


def test_what_is_told_is_one_plain_line() -> None:
    read = yen_of({"id": "pi; 1\n", "amount": "<b>" * 90, "currency": "usd; x"}, "amount")
    assert ";" not in str(read.mismatch)
    assert "\n" not in str(read.mismatch)
    assert len(str(read.mismatch)) < 300


# Payments


@pytest.mark.parametrize("currency", [*OTHERS, MISSING])
def test_a_payment_in_another_currency_credits_nothing_and_is_told_once(
    installation: Installation, host: PlainSql, currency: object
) -> None:
    wallets, wallet_id = installation.wallets, installation.owner()
    topup_id, succeeded = paid(installation, wallet_id)
    for _ in range(3):
        assert installation.deliver(changed(succeeded, currency=currency)) == "reported"
    topup = wallets.topups.show(topup_id)
    assert (topup.status, topup.received_yen, topup.credited_yen) == ("failed", 0, 0)
    assert str(topup.reason).startswith("currency_mismatch: amount_received 1000 of pi_")
    [notice] = told(host)
    assert (notice["wallet_id"], notice["topup_id"]) == (wallet_id, topup_id)
    assert notice["payment_intent"] == topup.payment_intent
    assert "amount_received 1000" in notice["reason"]
    assert (wallets.balance(wallet_id), wallets.history(wallet_id)) == (0, [])
    assert wallets.topups.payer(wallet_id).payment_method is None
    assert wallets.verify() == []


def test_a_payment_in_capital_yen_is_credited(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.owner()
    _, succeeded = paid(installation, wallet_id)
    assert installation.deliver(changed(succeeded, currency="JPY")) == "settled"
    assert (installation.wallets.balance(wallet_id), told(host)) == (1_000, [])


@pytest.mark.parametrize(
    "fields",
    [
        {"amount_received": 1_000.5},
        {"amount_received": "1000"},
        {"amount_received": True},
        {"amount_received": -1_000},
        {"amount_received": 10**20},
        {"amount_received": MISSING, "amount": MISSING},
        {"amount_received": None, "amount": 100.7},
    ],
)
def test_a_payment_of_no_whole_amount_credits_nothing(
    installation: Installation, host: PlainSql, fields: dict[str, object]
) -> None:
    wallet_id = installation.owner()
    topup_id, succeeded = paid(installation, wallet_id)
    assert installation.deliver(changed(succeeded, **fields)) == "reported"
    assert installation.wallets.topups.show(topup_id).status == "failed"
    assert installation.wallets.balance(wallet_id) == 0
    assert told(host) != []


def test_what_was_received_counts_and_not_what_was_asked_for(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup_id, succeeded = paid(installation, wallet_id)
    assert installation.deliver(changed(succeeded, amount_received=0)) == "settled"
    assert installation.wallets.balance(wallet_id) == 0
    installation.deliver(changed(succeeded, amount_received=400))
    assert installation.wallets.topups.show(topup_id).credited_yen == 400


def test_a_payment_that_waits_in_another_currency_is_told_in_time(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    processing = event_of(
        "payment_intent.processing",
        {
            "id": topup.payment_intent,
            "object": "payment_intent",
            "status": "processing",
            "amount": 1_000,
            "amount_received": 0,
            "currency": "usd",
            "metadata": {
                "credit_installation": installation.wallets.topups.installation_id(),
                "credit_wallet_id": str(wallet_id),
                "credit_topup_id": topup.topup_id,
            },
        },
        installation.clock,
    )
    assert installation.deliver(processing) == "reported"
    waiting = installation.wallets.topups.show(topup.topup_id)
    assert (waiting.status, len(told(host))) == ("pending", 1)
    assert str(waiting.reason).startswith("currency_mismatch: amount 1000 of pi_")


@pytest.mark.parametrize("topup_id", ["tu_unknown", "tu_" + "0" * 30])
def test_a_payment_without_a_row_gets_none_for_another_currency(
    installation: Installation, host: PlainSql, topup_id: str
) -> None:
    """A signed event with this ledger's metadata and ``currency: usd`` brought ¥1,000."""
    wallet_id = installation.owner()
    _, succeeded = paid(installation, wallet_id)
    stray = {
        "credit_installation": installation.wallets.topups.installation_id(),
        "credit_wallet_id": str(wallet_id),
        "credit_topup_id": topup_id,
    }
    for _ in range(2):
        assert installation.deliver(changed(succeeded, id="pi_stray", currency="usd", metadata=stray)) == "reported"
    assert [topup.payment_intent for topup in installation.wallets.topups.list(wallet_id)] != ["pi_stray"]
    assert (installation.wallets.balance(wallet_id), len(told(host))) == (0, 1)
    assert told(host)[0]["payment_intent"] == "pi_stray"
    assert installation.wallets.verify() == []


def test_a_second_payment_for_a_top_up_leaves_its_row_alone(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.owner()
    topup_id, succeeded = paid(installation, wallet_id)
    installation.deliver(succeeded)
    assert installation.deliver(changed(succeeded, id="pi_other", currency="usd")) == "reported"
    topup = installation.wallets.topups.show(topup_id)
    assert (topup.status, topup.reason) == ("credited", None)
    assert [each["topup_id"] for each in told(host)] == ["tu_pi_other"]
    assert installation.wallets.balance(wallet_id) == 1_000


def test_what_turns_out_to_be_yen_is_credited_after_all(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup_id, succeeded = paid(installation, wallet_id)
    installation.deliver(changed(succeeded, currency="usd"))
    installation.deliver(succeeded)
    topup = installation.wallets.topups.show(topup_id)
    assert (topup.status, installation.wallets.balance(wallet_id)) == ("credited", 1_000)
    assert str(topup.reason).startswith("currency_mismatch"), "what was wrong with it can still be seen"


def test_a_top_up_that_was_given_up_says_so_as_well(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.payments.cancel(topup.topup_id)
    canceled = event(installation, "payment_intent.canceled")
    installation.deliver(changed(canceled, status="succeeded", amount_received=1_000, currency="eur"))
    settled = installation.wallets.topups.show(topup.topup_id)
    assert (settled.status, len(told(host))) == ("canceled", 1)
    assert str(settled.reason).startswith("currency_mismatch")


def test_the_next_payment_is_free_to_come(installation: Installation) -> None:
    wallet_id = installation.owner()
    _, succeeded = paid(installation, wallet_id)
    installation.deliver(changed(succeeded, currency="usd"))
    installation.pay(wallet_id, 700, "in yen")
    assert installation.wallets.balance(wallet_id) == 700


# What is looked up


LOOKS: list[Any] = [
    pytest.param(lambda installation, topup_id: installation.payments.show(topup_id), id="shown"),
    pytest.param(lambda installation, topup_id: installation.payments.cancel(topup_id), id="given up"),
    pytest.param(lambda installation, _: installation.request(1), id="asked for again"),
    pytest.param(lambda installation, _: installation.payments.reconcile(), id="compared"),
]


@pytest.mark.parametrize("currency", ["usd", "krw", MISSING])
@pytest.mark.parametrize("look", LOOKS)
def test_a_look_up_in_another_currency_credits_nothing(
    installation: Installation,
    faults: StripeFaults,
    host: PlainSql,
    look: Callable[[Installation, str], object],
    currency: object,
) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.fake.pay(intent_of(topup))
    faults.change_answers(saying("payment_intent", currency=currency))
    for _ in range(2):
        look(installation, topup.topup_id)
    found = installation.wallets.topups.show(topup.topup_id)
    assert (found.status, installation.wallets.balance(wallet_id)) == ("failed", 0)
    assert (str(found.reason)[:17], len(told(host))) == ("currency_mismatch", 1)
    [problem, *_] = installation.payments.reconcile().problems
    assert "amount_received 1000" in problem


def test_a_saved_card_that_pays_in_another_currency_stops_automatic_top_ups(
    installation: Installation, faults: StripeFaults, host: PlainSql
) -> None:
    wallet_id = installation.payer()
    faults.change_answers(saying("payment_intent", currency="usd"), method="POST")
    [done] = installation.payments.run_automatic()
    assert (done.status, str(done.detail)[:17]) == ("failed", "currency_mismatch")
    assert installation.payments.run_automatic() == []
    state = installation.wallets.topups.automatic_state(wallet_id)
    assert (state.state, str(state.reason)[:17]) == ("stopped", "currency_mismatch")
    assert (installation.wallets.balance(wallet_id), len(told(host))) == (50, 1)


@pytest.mark.parametrize("kind", ["payment_intent", "checkout.session"])
def test_a_page_in_another_currency_credits_nothing(installation: Installation, host: PlainSql, kind: str) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id, flow="checkout")
    session = str(installation.wallets.topups.show(topup.topup_id).checkout_session)
    if kind == "payment_intent":
        installation.fake.pay(session)
        news = event(installation, "payment_intent.succeeded")
    else:
        installation.fake.expire_session(session)
        news = event(installation, "checkout.session.expired")
    assert installation.deliver(changed(news, currency="usd")) == "reported"
    assert (installation.wallets.balance(wallet_id), len(told(host))) == (0, 1)


def test_a_page_is_asked_for_in_yen_only(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Json] = []
    sessions = installation.payments.gateway.api.v1.checkout.sessions
    create = sessions.create

    def heard(params: Any, once: Any) -> Any:
        asked.append(params)
        return create(params, once)

    monkeypatch.setattr(sessions, "create", heard)
    installation.request(installation.owner(), flow="checkout")
    assert asked[0]["adaptive_pricing"] == {"enabled": False}


# What is taken back


@pytest.mark.parametrize("kind", ["refund", "dispute"])
@pytest.mark.parametrize("currency", ["usd", "krw", "", MISSING])
def test_what_is_taken_in_another_currency_takes_nothing_and_is_told(
    installation: Installation, host: PlainSql, kind: str, currency: object
) -> None:
    wallets, wallet_id = installation.wallets, installation.owner()
    topup = installation.pay(wallet_id)
    take = installation.fake.refund if kind == "refund" else installation.fake.dispute
    name = take(intent_of(topup), 300)
    news = [each for each in installation.news() if each["data"]["object"]["id"] == name]
    for each in news * 2:
        assert installation.deliver(changed(each, currency=currency)) == "reported"
    found = wallets.topups.show(topup.topup_id)
    assert (found.status, found.clawbacks) == ("credited", ())
    assert wallets.balance(wallet_id) == 1_000
    assert str(found.reason).startswith(f"currency_mismatch: amount 300 of {name}, currency ")
    assert [each["topup_id"] for each in told(host)] == [topup.topup_id]
    for each in news:
        installation.deliver(each)
    assert wallets.balance(wallet_id) == 700, "in yen it counts"
    assert wallets.verify() == []


@pytest.mark.parametrize("kind", ["refund", "dispute"])
@pytest.mark.parametrize("amount", [300.5, "300", True, -300, None])
def test_what_is_taken_is_a_whole_number(installation: Installation, kind: str, amount: object) -> None:
    wallet_id = installation.owner()
    topup = installation.pay(wallet_id)
    take = installation.fake.refund if kind == "refund" else installation.fake.dispute
    name = take(intent_of(topup), 300)
    news = [each for each in installation.news() if each["data"]["object"]["id"] == name]
    assert {installation.deliver(changed(each, amount=amount)) for each in news} == {"reported"}
    assert installation.wallets.balance(wallet_id) == 1_000


@pytest.mark.parametrize("kind", ["refund", "dispute"])
@pytest.mark.parametrize("delivered", [True, False])
def test_what_is_listed_in_another_currency_takes_nothing(
    installation: Installation, faults: StripeFaults, host: PlainSql, kind: str, delivered: bool
) -> None:
    """``charge.refunded`` and comparisons list a payment's refunds and disputes."""
    wallet_id = installation.owner()
    topup = installation.pay(wallet_id)
    faults.change_answers(saying(kind, currency="usd"))
    installation.fake.refund(intent_of(topup), 300)
    installation.fake.dispute(intent_of(topup), 200)
    if delivered:
        assert installation.deliver(event(installation, "charge.refunded")) == "reported"
    else:
        [problem] = installation.payments.reconcile().problems
        assert "currency usd" in problem
    other = 200 if kind == "refund" else 300
    assert installation.wallets.balance(wallet_id) == 1_000 - other
    assert len(told(host)) == 1


def test_several_are_all_named_in_the_row_whatever_their_order(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.owner()
    topup = installation.pay(wallet_id)
    refund = installation.fake.refund(intent_of(topup), 300)
    dispute = installation.fake.dispute(intent_of(topup), 200)
    news = [changed(each, currency="eur") for each in installation.news() if "amount" in each["data"]["object"]]
    Random(3).shuffle(news)
    for each in [each for each in news if each["data"]["object"]["id"] in (refund, dispute)] * 2:
        installation.deliver(each)
    reason = str(installation.wallets.topups.show(topup.topup_id).reason)
    assert reason.count("currency eur") == 2
    assert refund in reason
    assert dispute in reason
    assert len(told(host)) == 2


def test_paying_back_in_another_currency_is_told(
    installation: Installation, faults: StripeFaults, host: PlainSql
) -> None:
    start = installation.clock()
    installation.clock.set(start.replace(year=start.year + 1, month=2, day=15))
    topup = installation.pay(installation.owner(), 10_000)
    installation.clock.set(installation.clock().replace(month=6))
    faults.change_answers(saying("refund", currency="usd"))
    installation.payments.pay_back(topup.topup_id, 500, idempotency_key="back")
    assert installation.wallets.balance(topup.wallet_id) == 9_500
    assert [each["topup_id"] for each in told(host)] == [topup.topup_id]
    installation.clock.set(start)
