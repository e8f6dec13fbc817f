"""Money on its way: no second payment of a wallet is asked for, by its owner or by itself, while some may come.

Every kind, and whether it counts:

| money | counts |
|---|---|
| an automatic top-up: noted, sent with its answer lost, at the bank | yes |
| a payment that is ``processing``: a slip that was paid, a debit | yes |
| an amount that is authorised and not captured | yes |
| a konbini slip that nobody has paid yet, from a card form or a page | yes, as long as it can be paid |
| a bank transfer of which a part has come, or that cash of earlier ones has begun to pay | yes |
| a payment that the wallet could not be credited with | yes |
| a bank transfer of which nothing has come, which has no end | no |
| a card form or a page that nobody has used, a bank's question, a declined card | no |
| what was given up, has expired, or is credited | no |
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from amounts import yen
from clock import Clock
from fake_stripe import FakeStripe
from installation import ASKS_ALWAYS, DECLINED, Installation, intent_of

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.errors import TopupInFlight
from credit_wallet.payments.facts import intent_fact
from credit_wallet.payments.replies import TopupReply

CARD = "4242424242424242"


@pytest.fixture
def installation(wallets: CreditWallet, fake: FakeStripe, clock: Clock) -> Installation:
    return Installation(wallets, fake, clock, methods=("card", "konbini", "customer_balance"))


# As Stripe says it


SLIP = {"type": "konbini_display_details", "konbini_display_details": {"hosted_voucher_url": None, "expires_at": 1}}


def transfer(remaining: object = 1_000, currency: object = "jpy") -> dict[str, Any]:
    details = {"amount_remaining": remaining, "currency": currency, "hosted_instructions_url": "https://s.example/"}
    return {"type": "display_bank_transfer_instructions", "display_bank_transfer_instructions": details}


@pytest.mark.parametrize(
    ("status", "action", "under_way"),
    [
        ("processing", None, True),
        ("requires_capture", None, True),
        ("requires_action", SLIP, True),
        ("requires_action", transfer(999), True),
        ("requires_action", transfer(1), True),
        ("requires_action", transfer(1_000), False),
        ("requires_action", transfer(None), False),
        ("requires_action", transfer(999, "usd"), False),
        ("requires_action", transfer(999.5), False),
        ("requires_action", {"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/"}}, False),
        ("requires_action", {"type": "use_stripe_sdk", "use_stripe_sdk": {}}, False),
        ("requires_action", None, False),
        ("requires_payment_method", None, False),
        ("requires_confirmation", None, False),
        ("canceled", None, False),
        ("succeeded", None, False),
    ],
)
def test_what_a_payment_says_of_its_money(status: str, action: dict[str, Any] | None, under_way: bool) -> None:
    intent = {"id": "pi_1", "status": status, "amount": 1_000, "currency": "jpy", "next_action": action}
    assert intent_fact(intent, 1).processing is under_way


@pytest.mark.parametrize(("remaining", "currency"), [(999, "usd"), (999.5, "jpy"), (999, None)])
def test_what_remains_is_read_with_its_currency(remaining: object, currency: object) -> None:
    waiting = {"id": "pi_1", "status": "requires_action", "amount": 1_000, "currency": "jpy"}
    [said] = intent_fact({**waiting, "next_action": transfer(remaining, currency)}, 1).mismatches
    assert said.startswith(f"amount_remaining {remaining} of pi_1")


def test_of_one_second_the_part_that_came_counts_in_any_order(wallets: CreditWallet) -> None:
    asked = PaymentFact(observed_at=5, status="requires_action", payment_intent="pi_1")
    part = PaymentFact(observed_at=5, status="requires_action", payment_intent="pi_1", processing=True)
    for number, facts in enumerate(permutations([asked, part])):
        wallet_id = wallets.create().wallet_id
        topup_id = str(wallets.topups.request(wallet_id, 1_000, idempotency_key="t").topup_id)
        for fact in facts:
            wallets.topups.settle(wallet_id, topup_id, fact)
        with pytest.raises(TopupInFlight):
            wallets.topups.request(wallet_id, 500, idempotency_key=f"another {number}")


# From end to end


Hear = Callable[[Installation], object]
HEARD: list[Any] = [
    pytest.param(lambda installation: installation.hear(), id="delivered"),
    pytest.param(lambda installation: installation.payments.reconcile(), id="looked up"),
]


def begun(installation: Installation, method: str, *, flow: Any = "intent") -> tuple[int, TopupReply, str]:
    """A wallet below its threshold with a saved card, whose owner has begun to pay with ``method``."""
    wallet_id = installation.payer()
    topup = installation.request(wallet_id, key="begun", flow=flow)
    session = installation.wallets.topups.show(topup.topup_id).checkout_session
    intent = installation.fake.pay(session or intent_of(topup), method)
    return wallet_id, topup, str(intent["id"])


def waits(installation: Installation, wallet_id: int) -> bool:
    """Whether neither the wallet nor its owner can ask for another payment; they agree, and nothing is charged."""
    made = len(installation.made(wallet_id))
    try:
        installation.wallets.topups.request(wallet_id, 500, idempotency_key=f"another {installation.clock()}")
    except TopupInFlight as refusal:
        [done] = [each for each in installation.payments.run_automatic() if each.wallet_id == wallet_id]
        assert done.status == refusal.code
        assert len(installation.made(wallet_id)) == made
        return True
    [done] = [each for each in installation.payments.run_automatic() if each.wallet_id == wallet_id]
    assert done.status == "credited"
    return False


@pytest.mark.parametrize("hear", HEARD)
@pytest.mark.parametrize("flow", ["intent", "checkout"])
def test_an_open_slip_is_waited_for_until_it_is_paid(installation: Installation, hear: Hear, flow: str) -> None:
    wallet_id, _, intent = begun(installation, "konbini", flow=flow)
    installation.clock.advance(minutes=11)
    hear(installation)
    assert waits(installation, wallet_id)
    installation.clock.advance(hours=5)
    installation.fake.pay_voucher(intent)
    hear(installation)
    assert installation.wallets.balance(wallet_id) == 1_050
    installation.spend(wallet_id, 1_000)
    assert not waits(installation, wallet_id)


@pytest.mark.parametrize("hear", HEARD)
def test_a_slip_that_nobody_paid_is_not_waited_for(installation: Installation, hear: Hear) -> None:
    wallet_id, _, intent = begun(installation, "konbini")
    installation.hear()
    assert waits(installation, wallet_id)
    installation.clock.advance(days=4)
    installation.fake.expire_voucher(intent)
    hear(installation)
    assert not waits(installation, wallet_id)


def test_a_slip_that_was_given_up_is_not_waited_for(installation: Installation) -> None:
    wallet_id, topup, _ = begun(installation, "konbini")
    installation.hear()
    assert waits(installation, wallet_id)
    assert installation.payments.cancel(topup.topup_id).status == "canceled"
    assert not waits(installation, wallet_id)


@pytest.mark.parametrize("hear", HEARD)
def test_a_transfer_is_waited_for_once_a_part_has_come(installation: Installation, hear: Hear) -> None:
    wallet_id, _, intent = begun(installation, "customer_balance")
    installation.fake.fund(intent, 400)
    installation.clock.advance(minutes=11)
    hear(installation)
    assert waits(installation, wallet_id)
    installation.clock.advance(days=30)
    assert waits(installation, wallet_id)
    installation.fake.fund(intent, 600)
    hear(installation)
    assert installation.wallets.balance(wallet_id) == 1_050


def test_a_transfer_of_which_nothing_came_is_not_waited_for(installation: Installation) -> None:
    wallet_id, _, _ = begun(installation, "customer_balance")
    installation.hear()
    assert not waits(installation, wallet_id)


def test_cash_that_an_earlier_transfer_left_is_a_part(installation: Installation) -> None:
    wallet_id, _, intent = begun(installation, "customer_balance")
    installation.fake.fund(intent, 1_300)
    installation.hear()
    installation.spend(wallet_id, 1_000)
    topup = installation.request(wallet_id, key="second")
    installation.fake.pay(intent_of(topup), "customer_balance")
    installation.hear()
    assert waits(installation, wallet_id)


@pytest.mark.parametrize("method", [ASKS_ALWAYS, DECLINED])
def test_what_waits_for_the_owner_is_not_money_on_its_way(installation: Installation, method: str) -> None:
    wallet_id, _, _ = begun(installation, method)
    installation.hear()
    assert not waits(installation, wallet_id)


def test_a_form_and_a_page_that_nobody_used_are_not_either(installation: Installation) -> None:
    wallet_id = installation.payer()
    installation.request(wallet_id, key="form")
    installation.request(wallet_id, key="page", flow="checkout")
    assert not waits(installation, wallet_id)


def test_what_could_not_be_credited_is_waited_for(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet_id, _, _ = begun(installation, CARD)
    monkeypatch.setattr("credit_wallet.rules.credit.MAX_BALANCE_MICROS", yen(999))
    installation.hear()
    assert waits(installation, wallet_id)
