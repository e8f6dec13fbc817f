"""A browser, a site that it visits, and a page of one visitor; whatever pages must never do fails the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browsing import Page, Watch, chromium
from clock import Clock
from fake_stripe import FakeStripe
from installation import Calendar
from playwright.sync_api import Browser
from site_of_pages import Site, running_site

from credit_wallet import CreditWallet


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture(scope="session")
def fake(calendar: Calendar) -> Iterator[FakeStripe]:
    with FakeStripe(clock=calendar.seconds, retry_seconds=(0.01,)) as running:
        yield running


@pytest.fixture
def clock(calendar: Calendar) -> Clock:
    return calendar.next()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of a module, not of the session: tests of other modules start event loops, which they could not beside it."""
    with chromium() as running:
        yield running


@pytest.fixture
def site(wallets: CreditWallet, clock: Clock, fake: FakeStripe) -> Iterator[Site]:
    """A service with an empty ledger of its own."""
    with running_site(wallets, clock, fake) as running:
        yield running


@pytest.fixture
def watch(browser: Browser, site: Site) -> Iterator[Watch]:
    """Opens pages of the site: ``watch.new_page(screen=PHONE, look="dark", language="ja", scripts=False)``."""
    opened = Watch(browser, site.url)
    yield opened
    opened.close()
    opened.require_clean()


@pytest.fixture
def page(watch: Watch) -> Page:
    """A page on a desktop, light, English."""
    return watch.new_page()
