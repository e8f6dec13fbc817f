"""What the tests of payments share: a fake of Stripe with the clock of the test, and installations that use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from installation import Calendar, Installation
from plain_sql import PlainSql

from credit_wallet import CreditWallet


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture(scope="module")
def fake(calendar: Calendar) -> Iterator[FakeStripe]:
    with FakeStripe(clock=calendar.seconds, retry_seconds=(0.01,)) as running:
        yield running


@pytest.fixture
def clock(calendar: Calendar) -> Clock:
    return calendar.next()


@pytest.fixture
def faults(fake: FakeStripe) -> Iterator[StripeFaults]:
    with StripeFaults(fake) as proxy:
        yield proxy


@pytest.fixture
def installation(wallets: CreditWallet, fake: FakeStripe, clock: Clock) -> Installation:
    return Installation(wallets, fake, clock)


@pytest.fixture
def shaky(wallets: CreditWallet, fake: FakeStripe, clock: Clock, faults: StripeFaults) -> Installation:
    """An installation whose calls to Stripe pass the proxy that breaks them."""
    return Installation(wallets, fake, clock, api_url=faults.url)


@pytest.fixture
def vouchers(wallets: CreditWallet, fake: FakeStripe, clock: Clock) -> Installation:
    """An installation that takes konbini payments and bank transfers."""
    return Installation(wallets, fake, clock, methods=("konbini", "customer_balance"))


@pytest.fixture
def generous(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, faults: StripeFaults
) -> Iterator[tuple[Installation, str]]:
    """An installation that pays back, with a top-up of ¥10,000 of the period before: ¥2,000 may be paid back."""
    start = clock()
    clock.set(start.replace(year=start.year + 1, month=2, day=15))
    installation = Installation(wallets, fake, clock, api_url=faults.url, pay_back=True)
    topup = installation.pay(installation.owner(), 10_000)
    clock.set(clock().replace(month=6))
    yield installation, topup.topup_id
    clock.set(start)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tries again at once."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PlainSql]:
    """The ledger's database, by plain SQL."""
    with PlainSql(f"sqlite:///{tmp_path / 'wallet.db'}") as opened:
        yield opened
