"""A customer's wallet in a page of the host's: shown where it is allowed, and nothing else with it.

The adversaries: a site that frames the wallet without being asked to, one that frames the pages of people who are
signed in, and a link that somebody else has read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from browsing import Watch
from clock import Clock
from fake_stripe import FakeStripe
from playwright.sync_api import Browser, expect
from served import Served
from service import OPERATOR_KEY, free_port
from site_of_pages import Site, running_site

from credit_wallet import CreditWallet
from credit_wallet.wire.asgi import Receive, Scope, Send


class Host:
    """Another site, at ``localhost``, whose one page shows what it is given in a frame."""

    def __init__(self) -> None:
        self.port = free_port()
        self.origin = f"http://localhost:{self.port}"
        self.framed = ""

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [(b"content-type", b"text/html; charset=utf-8")]
            body = f'<!doctype html><html lang="en"><title>Host</title><iframe title="w" src="{self.framed}"></iframe>'
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body.encode()})

    @contextmanager
    def running(self) -> Iterator[None]:
        with Served(self, self.port):
            yield


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    with host.running():
        yield host


@pytest.fixture
def site(wallets: CreditWallet, clock: Clock, fake: FakeStripe, host: Host) -> Iterator[Site]:
    with running_site(wallets, clock, fake, frame_origins=(host.origin,)) as running:
        yield running


def link_of(site: Site, wallet_id: int, **body: object) -> dict[str, str]:
    answer = httpx.post(
        f"{site.url}/operator/wallets/{wallet_id}/link", headers={"Authorization": f"Bearer {OPERATOR_KEY}"}, json=body
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


def test_a_host_shows_its_customer_the_wallet_in_a_frame(browser: Browser, site: Site, host: Host) -> None:
    wallet = site.wallet(label="framed shop")
    link = link_of(site, wallet.wallet_id)
    watch = Watch(browser, site.url)
    watch.allow(host.origin)
    page = watch.new_page()
    host.framed = link["frame_url"]
    page.goto(host.origin)
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("main")).to_contain_text("10,000")
    frame.get_by_role("link", name="Keys").click()
    frame.get_by_label("Name").fill("made in a frame")
    frame.get_by_role("button", name="Make the key").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("The key is made")
    assert [key.label for key in site.wallets.keys.list(wallet.wallet_id)] == ["made in a frame"]
    assert site.wallets.log(wallet.wallet_id)[0].by.startswith("link:operator")
    page.goto(f"{site.url}/wallet")  # the session of the frame opens no page outside of it
    assert "/sign-in" in page.url
    watch.close()
    watch.require_clean()


def test_no_other_site_shows_it_and_nobody_shows_other_pages(browser: Browser, site: Site, host: Host) -> None:
    wallet = site.wallet()
    stranger = Host()
    with stranger.running():
        for shown, where in ((link_of(site, wallet.wallet_id)["frame_url"], stranger), (f"{site.url}/sign-in", host)):
            watch = Watch(browser, site.url)
            watch.allow(where.origin)
            page = watch.new_page()
            where.framed = shown
            page.goto(where.origin)
            assert any("frame-ancestors" in fault or "Framing" in fault for fault in watch.faults)
            watch.close()


def test_a_customer_pays_from_a_frame_and_sees_it_there(browser: Browser, site: Site, host: Host) -> None:
    """The payment page opens beside, as it cannot be framed; whoever comes back there is told nothing of the wallet."""
    link = link_of(site, site.wallet(0).wallet_id, path="/wallet/pay-in")
    watch = Watch(browser, site.url)
    watch.allow(host.origin)
    watch.allow(site.fake.url)
    page = watch.new_page()
    host.framed = link["frame_url"]
    page.goto(host.origin)
    frame = page.frame_locator("iframe")
    frame.locator("form.pay-form button.main").click()
    with page.expect_popup() as opened:
        frame.get_by_role("link", name="Continue to the payment page").click()
    beside = opened.value
    beside.check("input[value='4242424242424242']")
    beside.click("button")
    beside.wait_for_url(f"{site.url}/wallet/thank-you?**")
    assert "1,000" not in beside.content()
    expect(frame.get_by_role("main")).to_contain_text("¥1,000 is in the wallet.")
    watch.close()
    watch.require_clean()
