"""What a person does next, read from objects of Stripe's: also from those that lack a part or have a strange one."""

from __future__ import annotations

from typing import Any

import pytest
from installation import ASKS_ALWAYS, Installation, intent_of

from credit_wallet.payments.next_steps import at_checkout, next_action_of
from credit_wallet.payments.replies import KonbiniStore, NextAction

STORE = {"payment_code": "123456", "confirmation_number": None}


def waiting(kind: str, details: object, **more: Any) -> dict[str, Any]:
    action = {"type": kind, kind: details}
    return {"id": "pi_1", "amount": 500, "currency": "jpy", "status": "requires_action", "next_action": action, **more}


def slip(**details: Any) -> dict[str, Any]:
    return waiting("konbini_display_details", details)


def transfer(**details: Any) -> dict[str, Any]:
    return waiting("display_bank_transfer_instructions", {"amount_remaining": 300, "currency": "jpy", **details})


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        (slip(), NextAction("konbini", 500)),
        (slip(stores=None, expires_at="soon"), NextAction("konbini", 500)),
        (slip(stores=[], expires_at=-1), NextAction("konbini", 500)),
        (slip(expires_at=2**60), NextAction("konbini", 500)),
        (slip(expires_at=0), NextAction("konbini", 500, expires_at="1970-01-01T00:00:00.000Z")),
        (slip(hosted_voucher_url="javascript:alert(1)"), NextAction("konbini", 500)),
        (slip(hosted_voucher_url=7), NextAction("konbini", 500)),
        (slip(stores={"lawson": STORE}), NextAction("konbini", 500, stores=(KonbiniStore("lawson", "123456", None),))),
        (slip(stores={"lawson": {}, "ministop": "here", "other": STORE}), NextAction("konbini", 500)),
        (transfer(), NextAction("bank_transfer", 300)),
        (transfer(financial_addresses=[]), NextAction("bank_transfer", 300)),
        (transfer(financial_addresses=["x", {}, {"zengin": None}, {"zengin": {}}]), NextAction("bank_transfer", 300)),
        (transfer(currency="usd"), NextAction("bank_transfer", 0)),
        (
            waiting("redirect_to_url", {"url": "https://bank.test/"}),
            NextAction("authenticate", 500, "https://bank.test/"),
        ),
        (waiting("use_stripe_sdk", {"type": "three_d_secure_redirect"}), NextAction("authenticate", 500)),
        (waiting("of_next_year", None), NextAction("authenticate", 500)),
        (waiting("x", {}, next_action=None), None),
        (waiting("x", {}, next_action="wait"), None),
        (waiting("x", {}, status="processing"), None),
    ],
)
def test_what_is_there_is_said(intent: dict[str, Any], expected: NextAction | None) -> None:
    assert next_action_of(intent) == expected


def test_a_page_without_an_address_is_no_link() -> None:
    assert at_checkout(None, None, 500) == NextAction("checkout", 500)


def test_a_bank_that_asks_about_a_card_form_is_named(installation: Installation) -> None:
    topup = installation.request(installation.owner())
    assert topup.next_action is None
    installation.fake.pay(intent_of(topup), ASKS_ALWAYS)
    waits = installation.payments.show(topup.topup_id)
    assert waits.next_action == NextAction("authenticate", 1_000)
    assert (waits.checkout_url, waits.client_secret) == (None, topup.client_secret)
