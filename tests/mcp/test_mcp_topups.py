"""Topping up with the tool: who gets a page to pay on, and what a failing provider looks like."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clock import Clock
from fake_stripe import FakeStripe
from installation import Calendar, Installation
from mcp_clients import over_http
from mcp_ledger import Ledger
from served import Served
from service import new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.errors import PaymentProviderError


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture(scope="module")
def fake(calendar: Calendar) -> Iterator[FakeStripe]:
    with FakeStripe(clock=calendar.seconds, retry_seconds=(0.01,)) as running:
        yield running


@pytest.fixture
def installation(wallets: CreditWallet, fake: FakeStripe, calendar: Calendar, clock: Clock) -> Installation:
    clock.set(calendar.next()())
    return Installation(wallets, fake, clock)


def test_an_owner_gets_a_page_to_pay_on_and_sees_when_it_was_paid(
    ledger: Ledger, installation: Installation, fake: FakeStripe
) -> None:
    ask = {"amount_yen": 1_500, "idempotency_key": "more"}
    with Served(new_app(ledger.wallets, payments=installation.payments)) as served:
        connection = over_http(served.url)
        guide = connection(ledger.owner.owner_token, lambda tools: tools.call("credit_wallet_topup", **ask))
        assert (guide["status"], guide["amount_yen"], guide["missing_yen"]) == ("pending", 1_500, 1_500)
        assert guide["what_to_do"].startswith(f"Open {guide['checkout_url']} in a browser and pay ¥1,500.")
        assert ledger.wallets.balance(ledger.owner.wallet_id) == 4_957  # asking moves nothing
        again = connection(ledger.owner.owner_token, lambda tools: tools.call("credit_wallet_topup", **ask))
        assert again["topup_id"] == guide["topup_id"]
        session = ledger.wallets.topups.show(guide["topup_id"]).checkout_session
        assert session is not None
        fake.pay(session)
        installation.hear()
        paid = connection(ledger.owner.owner_token, lambda tools: tools.call("credit_wallet_topup", **ask))
    assert (paid["status"], paid["missing_yen"], paid["checkout_url"]) == ("credited", 0, None)
    assert paid["balance_yen"] == 6_457
    assert ledger.wallets.verify() == []


def test_an_agent_key_asks_for_no_payment_where_there_are_payments(ledger: Ledger) -> None:
    payments = StandIn()
    with Served(new_app(ledger.wallets, payments=payments)) as served:
        guide = over_http(served.url)(
            ledger.agent.token, lambda tools: tools.call("credit_wallet_topup", amount_yen=100)
        )
    assert (guide["status"], payments.asked) == ("ask_the_owner", [])


def test_a_provider_that_fails_is_told_with_its_code(ledger: Ledger) -> None:
    payments = StandIn(PaymentProviderError("Stripe could not be reached", request_id="req_1"))
    with Served(new_app(ledger.wallets, payments=payments)) as served:
        told = over_http(served.url)(
            ledger.owner.owner_token, lambda tools: tools.refusal("credit_wallet_topup", amount_yen=100)
        )
    assert told == 'payment_provider_error: Stripe could not be reached\n{"request_id":"req_1"}'


def test_a_defect_is_told_without_its_details(ledger: Ledger) -> None:
    payments = StandIn(RuntimeError("the safe's number is 1234"))
    with Served(new_app(ledger.wallets, payments=payments)) as served:
        told = over_http(served.url)(
            ledger.owner.owner_token, lambda tools: tools.refusal("credit_wallet_topup", amount_yen=100)
        )
    assert told == "internal_error: the tool failed; no money is known to have moved"
