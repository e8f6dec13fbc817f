"""A fake of Stripe for test money: people and tests try payments without an account at Stripe.

    from fake_stripe import FakeStripe

    with FakeStripe() as fake:
        client = stripe.StripeClient("sk_test_123", base_addresses={"api": fake.url})
        fake.send_webhooks_to("http://127.0.0.1:8787/webhooks/stripe", "whsec_secret")

``FakeStripe`` answers the official ``stripe`` SDK as Stripe does, for payments in yen; ``StripeFaults`` is a proxy in
front of it that loses, delays and repeats calls and webhooks. No real money moves, and nothing is kept.
"""

from __future__ import annotations

from fake_stripe.failures import StripeFailure
from fake_stripe.fake import FakeStripe, Payment
from fake_stripe.fault_proxy import StripeFaults
from fake_stripe.faults import Delivered, Fault, Fired, WebhookFault
from fake_stripe.version import VERSION
from fake_stripe.webhooks import signature

__all__ = [
    "VERSION",
    "Delivered",
    "FakeStripe",
    "Fault",
    "Fired",
    "Payment",
    "StripeFailure",
    "StripeFaults",
    "WebhookFault",
    "signature",
]
