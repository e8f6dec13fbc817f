"""A service with pages, in this process and on a loopback port, which takes test money from a fake of Stripe.

Its time is a clock that stands still until a test moves it, and nothing runs beside it: a test that waits for a
background job carries it out (``wallets.alerts.run()``, ``fake.wait_delivered()``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from browsing import Page
from clock import Clock
from fake_stripe import FakeStripe
from installation import SECRET
from served import Served
from service import OPERATOR_KEY, free_port, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.permissions import Role
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.payments.service import StripePayments
from credit_wallet.payments.settings import PAY_IN, PaymentSettings

HOME = "/"
METHODS = ("card", "konbini", "customer_balance")


class Site:
    """Where it is, and what is behind it."""

    def __init__(
        self, url: str, wallets: CreditWallet, clock: Clock, fake: FakeStripe, payments: StripePayments
    ) -> None:
        self.url, self.wallets, self.clock, self.fake, self.payments = url, wallets, clock, fake, payments
        self._made = 0

    def wallet(self, yen: int = 10_000, **settings: Any) -> CreatedWallet:
        """A new wallet with paid credit."""
        made: CreatedWallet = self.wallets.create(**settings)
        if yen:
            self.wallets.topup(made.wallet_id, yen, idempotency_key=self.key())
        return made

    def key(self) -> str:
        """An idempotency key that was not used before."""
        return f"site {self._number()}"

    def _number(self) -> int:
        self._made += 1
        return self._made

    def operator(self, role: Role = "admin", name: str = "") -> str:
        """The key of a new operator of ``role``."""
        return self.wallets.operators.create(name or f"{role}-{self._number()}", role).token

    def sign_in(self, page: Page, secret: str) -> None:
        """Sign in as a person does, with an owner's token or an operator's key."""
        page.goto(HOME)
        page.locator("input[name=token]").fill(secret)
        page.locator("form", has=page.locator("input[name=token]")).locator("[type=submit]").click()
        page.wait_for_url(lambda url: url.split("?")[0].removesuffix("/") != self.url)

    def signed_in_owner(self, page: Page, wallet: CreatedWallet | None = None) -> CreatedWallet:
        """Sign in as the owner of ``wallet``, or of a new one with ¥10,000, which is returned."""
        wallet = wallet or self.wallet()
        self.sign_in(page, wallet.owner_token)
        return wallet

    def signed_in_operator(self, page: Page, role: Role | None = None) -> None:
        """Sign in with the operator key of the settings, or as a new operator of ``role``."""
        self.sign_in(page, OPERATOR_KEY if role is None else self.operator(role))


@contextmanager
def running_site(wallets: CreditWallet, clock: Clock, fake: FakeStripe, **settings: Any) -> Iterator[Site]:
    """Serve ``wallets`` with its pages while the block runs; ``settings`` are those of ``ServiceSettings``."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    taken = PaymentSettings(
        secret_key="sk_test_123",  # noqa: S106
        webhook_secrets=(SECRET,),
        api_url=fake.url,
        methods=METHODS,
        pay_back=True,
        public_url=url,
    )
    payments = StripePayments(wallets, taken, clock)
    app = new_app(wallets, payments=payments, topup_url=f"{url}{PAY_IN}", **{"public_url": url, **settings})
    webhooks = f"{url}/webhooks/stripe"
    with Served(app, port):
        fake.send_webhooks_to(webhooks, SECRET)
        try:
            yield Site(url, wallets, clock, fake, payments)
        finally:
            fake.stop_webhooks_to(webhooks)
