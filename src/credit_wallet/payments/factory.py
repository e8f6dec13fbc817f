"""Opening the payments of an installation that takes any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe

from msgspec import structs

from credit_wallet import config
from credit_wallet.errors import InvalidRequest, PaymentsNotConfigured
from credit_wallet.extras import needs, require
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.replies import Payments
from credit_wallet.payments.settings import (
    PaymentSettings,
    payment_settings,
)

TEST_METHODS = ("card", "konbini", "customer_balance")
"""Payment methods that test money knows."""


def open_payments(wallets: CreditWallet, settings: PaymentSettings | None = None) -> Payments | None:
    """The payments that ``settings``, else the environment, set up; None when it sets up none.

    Raises ``InvalidRequest`` for a malformed setting, ``MissingExtra`` when the driver is not installed.
    """
    settings = settings or payment_settings()
    if settings is None:
        return None
    with needs("stripe"):
        from credit_wallet.payments.service import StripePayments  # which few commands need, and takes long to import
    return StripePayments(wallets, settings)


@contextmanager
def test_money(address: str) -> Iterator[PaymentSettings]:
    """Run a fake of Stripe, for a service at ``address``, while the block runs; how to take its test money.

    What the environment says of payments is in force, but for where Stripe is and who signs. Raises ``InvalidRequest``
    for a malformed setting, and when the environment has a key of Stripe's: money is either real or not.
    """
    if payment_settings() is not None:
        raise InvalidRequest(
            f"{config.STRIPE_KEY.name} is set; unset it to use test payments", field=config.STRIPE_KEY.name
        )
    require("test-payments")
    secret = f"whsec_{token_urlsafe(24)}"
    settings = _test_settings(address, secret)
    from fake_stripe import FakeStripe

    with FakeStripe() as fake:
        fake.send_webhooks_to(f"{address}/webhooks/stripe", secret)
        yield structs.replace(settings, api_url=fake.url)


def _test_settings(address: str, secret: str) -> PaymentSettings:
    settings = payment_settings(
        {
            config.PAYMENT_METHODS.name: ",".join(TEST_METHODS),
            **os.environ,
            config.STRIPE_KEY.name: f"sk_test_{token_urlsafe(8)}",
            config.STRIPE_WEBHOOK_SECRETS.name: secret,
            config.STRIPE_API_URL.name: address,
        },
        address=address,
    )
    if settings is None or not set(settings.methods) <= set(TEST_METHODS):
        raise InvalidRequest(
            f"{config.PAYMENT_METHODS.name} names a method that test payments lack; use {', '.join(TEST_METHODS)}",
            field=config.PAYMENT_METHODS.name,
        )
    return settings


def configured(payments: Payments | None) -> Payments:
    """The payments of an installation, for its owners. Raises ``PaymentsNotConfigured`` when it takes none."""
    if payments is None:
        raise PaymentsNotConfigured("this installation has no Stripe key; ask the operator to credit the wallet")
    return payments


def require_payments(wallets: CreditWallet) -> Payments:
    """Like ``open_payments``. Raises ``PaymentsNotConfigured`` also when the environment has no key."""
    payments = open_payments(wallets)
    if payments is None:
        raise PaymentsNotConfigured(f"this installation takes no payments; set {config.STRIPE_KEY.name}")
    return payments
