"""Notices in a browser: recipients, what each gets and when, and which notices have arrived."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from browsing import PHONE, Page, Watch, fits_its_width, no_axe_findings
from clock import Clock
from databases import on_both_databases
from fake_stripe import FakeStripe
from notified import add, notifier_of
from playwright.sync_api import expect
from receivers import Mailbox
from site_of_pages import Site, running_site

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings
from credit_wallet.domain.views import CreatedWallet

HOOK = "https://hooks.example.com/wallet"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox()
    yield running
    running.close()


@pytest.fixture
def mail_url(mailbox: Mailbox) -> str:
    return f"mailto://127.0.0.1:{mailbox.port}?from=wallet@example.com"


@pytest.fixture
def site(wallets: CreditWallet, clock: Clock, fake: FakeStripe, mail_url: str) -> Iterator[Site]:
    with running_site(wallets, clock, fake, notify=NotifySettings(mail_url, private=True)) as running:
        yield running


@pytest.fixture
def wallet(site: Site) -> CreatedWallet:
    return site.wallet(1_000, label="Acme", monthly_budget_yen=1_000, time_zone="Asia/Tokyo")


def deliver(site: Site, mail_url: str) -> None:
    """Send what is due, in a thread, as this one has the browser's event loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(notifier_of(site.wallets, mail_url).deliver).result()


def add_in(page: Page, address: str) -> None:
    page.goto("/wallet/notices/new")
    page.get_by_label("Address").fill(address)
    page.get_by_role("button", name="Add it").click()


@on_both_databases
def test_a_mailbox_is_confirmed_with_the_code_that_it_gets(
    site: Site, page: Page, wallet: CreatedWallet, mailbox: Mailbox, mail_url: str
) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/notices")
    expect(page.get_by_text("No recipients yet")).to_be_visible()
    page.get_by_role("link", name="Add a recipient").first.click()
    page.get_by_label("Address").fill("cfo@example.com")
    expect(page.get_by_label("Time of day")).to_be_hidden()
    page.get_by_label("When", exact=True).select_option("daily")
    page.get_by_label("Time of day").fill("08:30")
    page.get_by_label("Quiet from").fill("22:00")
    page.get_by_label("Quiet until").fill("07:00")
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("h1")).to_have_text("cfo@example.com")
    expect(page.locator(".heading .badge")).to_have_text("Not confirmed yet")
    no_axe_findings(page)

    page.get_by_label("Code").fill("AAAA-BBBB")
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".notice.bad")).to_be_visible()
    page.get_by_role("button", name="Send another code").click()
    expect(page.get_by_text("Another code is on its way")).to_be_visible()
    deliver(site, mail_url)
    code = re.search(r"\b[2-9A-Z]{4}-[2-9A-Z]{4}\b", mailbox.messages[-1].get_content())
    assert code is not None
    page.get_by_label("Code").fill(code[0])
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".heading .badge")).to_have_text("Works")
    [target] = site.wallets.targets.list(wallet.wallet_id)
    assert (target.digest, target.quiet_hours, target.time_zone) == ("08:30", "22:00-07:00", "Asia/Tokyo")
    page.goto("/wallet/notices")
    expect(page.locator("ul.cards")).to_contain_text("daily at 08:30, together · not from 22:00 to 07:00")


def test_the_secret_of_a_webhook_is_shown_once(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    add_in(page, HOOK)
    first = page.locator("#secret").inner_text()
    assert first.startswith("whsec_")
    assert page.url.endswith("/wallet/notices/1")
    no_axe_findings(page)
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("#secret")).not_to_have_text(first)
    page.get_by_role("button", name="Make a new secret").click()
    second = page.locator("#secret").inner_text()
    assert second.startswith("whsec_")
    assert second != first


def test_only_some_kinds(site: Site, page: Page, wallet: CreatedWallet) -> None:
    add(site.wallets, wallet.wallet_id, HOOK)
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/notices/1")
    expect(page.get_by_label("The balance is low")).to_be_hidden()
    page.get_by_text("You choose which.").click()
    for kind in page.locator("input[name=kinds]").all():
        kind.uncheck()
    page.get_by_label("The balance is low").check()
    page.get_by_label("A budget is used up").check()
    page.get_by_label("Language").select_option("ja")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("The balance is low")).to_be_checked()
    [target] = site.wallets.targets.list(wallet.wallet_id)
    assert (set(target.kinds), target.language) == ({"balance.low", "budget.exhausted"}, "ja")
    no_axe_findings(page)
    page.get_by_text("Everything that a person should know").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("The balance is low")).to_be_hidden()
    assert len(site.wallets.targets.list(wallet.wallet_id)[0].kinds) > 20


def test_what_others_change_meanwhile_is_not_lost(site: Site, watch: Watch, wallet: CreatedWallet) -> None:
    """A form is about one target: others stay as somebody else has set them since, and are not brought back."""
    for address in (HOOK, "https://hooks.example.com/second", "https://hooks.example.com/third"):
        add(site.wallets, wallet.wallet_id, address)
    page, other = watch.new_page(), watch.new_page()
    for each in (page, other):
        site.signed_in_owner(each, wallet)
    page.goto("/wallet/notices/1")
    other.goto("/wallet/notices/2")
    other.get_by_label("Language").select_option("ja")
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_text("Saved.")).to_be_visible()
    other.goto("/wallet/notices/3")
    other.get_by_text("Remove the recipient…").click()
    other.get_by_role("button", name="Remove it").click()
    expect(other.get_by_text("Removed.")).to_be_visible()
    page.get_by_label("Quiet from").fill("23:00")
    page.get_by_label("Quiet until").fill("06:00")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    targets = {each.target_id: each for each in site.wallets.targets.list(wallet.wallet_id)}
    assert set(targets) == {1, 2}
    assert (targets[1].quiet_hours, targets[2].language) == ("23:00-06:00", "ja")


def test_recipients_that_are_added_at_the_same_moment_are_all_there(
    site: Site, page: Page, wallet: CreatedWallet
) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/notices/new")
    fields = {
        each["name"]: each["value"]
        for each in page.locator("main form").first.evaluate(
            "form => [...new FormData(form)].map(([name, value]) => ({name, value}))"
        )
    }
    cookies = {each["name"]: each["value"] for each in page.context.cookies()}

    def send(number: int) -> int:
        sent = {**fields, "url": f"https://hooks.example.com/{number}"}
        return httpx.post(f"{site.url}/wallet/notices", data=sent, cookies=cookies, timeout=30).status_code

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(send, range(6))) == {200}
    assert len(site.wallets.targets.list(wallet.wallet_id)) == 6


def test_the_same_target_changed_meanwhile_is_shown_again(site: Site, watch: Watch, wallet: CreatedWallet) -> None:
    add(site.wallets, wallet.wallet_id, HOOK)
    page, other = watch.new_page(), watch.new_page()
    for each in (page, other):
        site.signed_in_owner(each, wallet)
        each.goto("/wallet/notices/1")
    other.get_by_label("Language").select_option("ja")
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_text("Saved.")).to_be_visible()
    page.get_by_label("Quiet from").fill("23:00")
    page.get_by_label("Quiet until").fill("06:00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".notice.bad")).to_contain_text("Somebody else has changed the same")
    assert site.wallets.targets.list(wallet.wallet_id)[0].language == "ja"
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert site.wallets.targets.list(wallet.wallet_id)[0].quiet_hours == "23:00-06:00"


@pytest.mark.parametrize(
    ("address", "quiet", "said"),
    [
        ("nobody", "", "Enter one email address"),
        ("cfo@example.com", "22:00", "Enter both times, such as 22:00 and 07:00."),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    site: Site, page: Page, wallet: CreatedWallet, address: str, quiet: str, said: str
) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/notices/new")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Quiet from").fill(quiet)
    page.get_by_role("button", name="Add it").click()
    expect(page.locator(".field.wrong .problem")).to_contain_text(said)
    expect(page.get_by_label("Address")).to_have_value(address)
    assert site.wallets.targets.list(wallet.wallet_id) == []
    no_axe_findings(page)


@on_both_databases
def test_deliveries_and_the_marks_of_the_budget(site: Site, watch: Watch, wallet: CreatedWallet, mail_url: str) -> None:
    add(site.wallets, wallet.wallet_id, "http://127.0.0.1:9/hook", kinds=("budget.threshold_reached",))
    site.wallets.charge(wallet.wallet_id, 850, idempotency_key="most of it")
    deliver(site, mail_url)
    page = watch.new_page()
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/notices")
    marks = page.locator("section", has=page.locator("#marks"))
    expect(marks.get_by_role("row").nth(1)).to_contain_text("80 %")
    expect(marks).to_contain_text("¥850")
    no_axe_findings(page)
    page.get_by_role("link", name="All deliveries").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_contain_text("A share of a budget is spent")
    expect(page.locator("tbody")).to_contain_text("could not be reached")
    page.get_by_label("State").select_option("delivered")
    expect(page.get_by_text("No such deliveries")).to_be_visible()
    assert "status=delivered" in page.url
    no_axe_findings(page)


def test_an_operator_sends_a_notice_again(
    site: Site, page: Page, wallet: CreatedWallet, mailbox: Mailbox, mail_url: str
) -> None:
    add(site.wallets, wallet.wallet_id, "mailto:cfo@example.com", kinds=("budget.threshold_reached",))
    site.wallets.charge(wallet.wallet_id, 600, idempotency_key="half of it")
    deliver(site, mail_url)
    assert len(mailbox.messages) == 1
    site.signed_in_operator(page, "support")
    page.goto(f"/console/wallets/{wallet.wallet_id}/notices/deliveries")
    expect(page.locator("tbody tr")).to_contain_text("Delivered")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("It is sent again.")).to_be_visible()
    site.clock.advance(seconds=1)
    deliver(site, mail_url)
    assert len(mailbox.messages) == 2


@pytest.mark.parametrize("path", ["", "/new", "/1", "/deliveries"])
def test_pages_of_notices_can_be_read_by_everybody(site: Site, watch: Watch, wallet: CreatedWallet, path: str) -> None:
    add(site.wallets, wallet.wallet_id, "mailto:cfo@example.com", quiet_hours="22:00-07:00", digest="hourly")
    for page in (watch.new_page(screen=PHONE, language="ja"), watch.new_page(look="dark")):
        site.signed_in_owner(page, wallet)
        page.goto(f"/wallet/notices{path}")
        expect(page.locator("h1")).to_be_visible()
        no_axe_findings(page)
        fits_its_width(page)
