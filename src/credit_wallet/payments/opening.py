"""Opening the payments of an installation that takes any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from secrets import token_urlsafe

from credit_wallet.errors import InvalidRequest, PaymentsNotConfigured
from credit_wallet.payments.replies import Payments
from credit_wallet.payments.settings import STRIPE_KEY_VARIABLE, PaymentSettings, payment_settings
from credit_wallet.wallet import CreditWallet

NEEDED_BY_TEST_MONEY = ("stripe", "aiohttp", "localstripe")
"""The last is never imported: it runs as a process of its own."""


def open_payments(wallets: CreditWallet, settings: PaymentSettings | None = None) -> Payments | None:
    """The payments that ``settings``, else the environment, set up; None when it sets up none.

    Raises ``InvalidRequest`` for a malformed setting, ``PaymentsNotConfigured`` when the driver is not installed.
    """
    settings = settings or payment_settings()
    if settings is None:
        return None
    try:
        from credit_wallet.payments.service import StripePayments  # which few commands need, and takes long to import
    except ModuleNotFoundError as error:
        raise PaymentsNotConfigured(f"{error.name} is missing; install agent-credit-wallet[stripe]") from error
    return StripePayments(wallets, settings)


@contextmanager
def test_money(address: str) -> Iterator[PaymentSettings]:
    """Run a fake of Stripe, for a service at ``address``, while the block runs; how to take its test money.

    Raises ``InvalidRequest`` when the environment has a key of Stripe's: money is either real or not.
    """
    if payment_settings() is not None:
        raise InvalidRequest(
            f"{STRIPE_KEY_VARIABLE} is set; test payments are for a service without it", field=STRIPE_KEY_VARIABLE
        )
    missing = next((name for name in NEEDED_BY_TEST_MONEY if find_spec(name) is None), None)
    if missing is not None:
        raise PaymentsNotConfigured(f"{missing} is missing; install agent-credit-wallet[test-payments]")
    from credit_wallet.payments.fake_stripe import FakeStripe

    secret = f"whsec_{token_urlsafe(24)}"
    with FakeStripe() as fake:
        fake.send_webhooks_to(f"{address}/webhooks/stripe", secret)
        yield PaymentSettings(
            secret_key=f"sk_test_{token_urlsafe(8)}",
            webhook_secrets=(secret,),
            api_url=fake.url,
            return_url=f"{address}/healthz",
        )


def configured(payments: Payments | None) -> Payments:
    """The payments of an installation, for its owners. Raises ``PaymentsNotConfigured`` when it takes none."""
    if payments is None:
        raise PaymentsNotConfigured("this installation has no Stripe key; ask the operator to credit the wallet")
    return payments


def require_payments(wallets: CreditWallet) -> Payments:
    """Like ``open_payments``. Raises ``PaymentsNotConfigured`` also when the environment has no key."""
    payments = open_payments(wallets)
    if payments is None:
        raise PaymentsNotConfigured(f"this installation takes no payments; set {STRIPE_KEY_VARIABLE}")
    return payments
