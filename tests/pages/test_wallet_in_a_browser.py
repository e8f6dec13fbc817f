"""A wallet's pages in a browser: they keep themselves up to date, fit a phone, and axe finds nothing wrong."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import DESKTOP, PHONE, Look, Page, Screen, Watch, fits_its_width, no_axe_findings
from databases import on_both_databases
from site_of_pages import Site
from width import WIDE

from credit_wallet.domain.views import CreatedWallet

SECTIONS = ("", "/activity", "/activity/1", "/spending", "/spending?by=item&range=90d", "/credit")


@pytest.fixture
def wallet(site: Site) -> CreatedWallet:
    """What two keys have bought on twenty days, of credit with and without an end."""
    made = site.wallet(10_000, label="Shop", time_zone="Asia/Tokyo", monthly_budget_yen=2_000)
    site.wallets.grants.create(made.wallet_id, 500, lapses=60, note="Welcome")
    site.wallets.maintenance.credit_grants()
    keys = [site.wallets.keys.create(made.wallet_id, label=label).key_id for label in ("Crawler", "要約")]
    for number in range(40):
        site.clock.advance(hours=11)
        spend(site, made, 7 + number, key_id=keys[number % 2], facts={"tool": f"tool {number % 9}"})
    while site.wallets.maintenance.count_usage():
        pass
    return made


def spend(site: Site, wallet: CreatedWallet, amount_yen: int, **said: Any) -> None:
    site.wallets.charge(wallet.wallet_id, amount_yen, idempotency_key=site.key(), **said)


@pytest.mark.parametrize(("screen", "look"), [(PHONE, "dark"), (DESKTOP, "light")][: 2 if WIDE else 1])
def test_axe_finds_nothing_wrong(site: Site, watch: Watch, wallet: CreatedWallet, screen: Screen, look: Look) -> None:
    page = watch.new_page(screen=screen, look=look, language="ja" if look == "dark" else "en")
    site.signed_in_owner(page, wallet)
    for section in SECTIONS:
        page.goto(f"/wallet{section}")
        fits_its_width(page)
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        no_axe_findings(page)
        fits_its_width(page)


def test_a_new_wallet_and_one_in_need_are_as_good(site: Site, watch: Watch) -> None:
    needy = site.wallet(100)
    spend(site, needy, 60)
    site.wallets.adjust(needy.wallet_id, -500, reason="other", note="n", allow_debt=True, idempotency_key=site.key())
    site.wallets.freeze(needy.wallet_id)
    for made in (site.wallet(0), needy):
        page = watch.new_page(screen=PHONE)
        site.signed_in_owner(page, made)
        page.goto("/wallet")
        no_axe_findings(page)
        fits_its_width(page)


@on_both_databases
def test_a_page_shows_what_happens_where_it_happens(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet")
    balance = page.locator("#balance .display")
    before = balance.inner_text()
    page.locator("#this-month details summary").click()
    focused = page.locator("#latest-entries a.title").nth(3)
    focused.focus()
    told = focused.get_attribute("href")
    spend(site, wallet, 123, note="just now")
    page.locator("#latest-entries .changed").filter(has_text="just now").wait_for()
    assert balance.inner_text() != before
    assert page.locator("#this-month details").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.getAttribute('href')") == told
    assert page.locator("#lots .changed").count() == 1, "what is as it was is not marked"


def test_a_page_that_nobody_looks_at_asks_for_nothing(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet")
    hide(page, True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    spend(site, wallet, 5, note="while away")
    page.wait_for_timeout(1_500)
    assert asked == []
    hide(page, False)
    page.locator("#latest-entries").get_by_text("while away").wait_for()


def hide(page: Page, hidden: bool) -> None:
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_a_session_that_ends_leaves_nothing_on_the_screen(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet")
    site.wallets.rotate_owner_token(wallet.wallet_id, overlap_seconds=0)
    spend(site, wallet, 5)
    page.wait_for_url("**/sign-in?next=/wallet")


def test_several_tabs_are_up_to_date_together(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet")
    other = page.context.new_page()
    other.goto("/wallet/activity")
    spend(site, wallet, 5, note="for both")
    page.locator("#latest-entries").get_by_text("for both").wait_for()
    other.locator("#entries").get_by_text("for both").wait_for()


def test_everything_can_be_read_without_scripts(site: Site, watch: Watch, wallet: CreatedWallet) -> None:
    page = watch.new_page(scripts=False)
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/activity")
    page.locator("summary").click()
    page.get_by_label("Key", exact=True).select_option(label="Crawler")
    page.get_by_role("button", name="Search").click()
    assert page.locator("tbody tr:not(.day)").count() == 20
    page.locator(".chip").click()
    assert page.locator("tbody tr:not(.day)").count() == 42
    page.goto("/wallet/spending")
    page.get_by_role("link", name="90 days").click()
    page.get_by_label("Group by").select_option("tool")
    page.get_by_role("button", name="Show").click()
    assert page.locator("table.totals tbody tr").count() == 9


def test_filters_apply_when_they_are_chosen(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/spending")
    page.get_by_label("Group by").select_option("tool")
    page.wait_for_url("**by=tool**")
    page.goto("/wallet/activity")
    page.get_by_label("Type", exact=True).select_option("topup")
    page.wait_for_url("**type=topup**")
    page.locator("tbody tr:not(.day)").first.wait_for()
    assert page.locator("tbody tr:not(.day)").count() == 2


def test_a_file_of_spending_is_downloaded(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/spending")
    with page.expect_download() as told:
        page.get_by_role("link", name="Download CSV").click()
    assert told.value.suggested_filename.startswith("spending-")


def test_long_words_and_large_amounts_stay_in_their_place(site: Site, watch: Watch) -> None:
    word = "x" * 200
    made = site.wallet(9_999_999_999, label=word, monthly_budget_yen=5_000)
    key_id = site.wallets.keys.create(made.wallet_id, label=word).key_id
    said = {"facts": {"tool": "t" * 64}, "note": word * 2, "request_id": "r" * 100, "metadata": {"k" * 20: "m" * 100}}
    spend(site, made, 1_234_567, key_id=key_id, **said)
    while site.wallets.maintenance.count_usage():
        pass
    page = watch.new_page(screen=Screen(360, 740))
    site.signed_in_owner(page, made)
    for section in ("", "/activity", "/activity/2", "/spending", "/spending?by=tool", "/credit"):
        page.goto(f"/wallet{section}")
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        fits_its_width(page)
