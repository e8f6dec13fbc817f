"""What somebody agrees to on the page of automatic top-ups: just the words that were shown, and only the owner."""

from __future__ import annotations

import pytest
from browsing import Page, Watch, no_axe_findings
from databases import on_both_databases
from playwright.sync_api import expect
from site_of_pages import Site

from credit_wallet.domain.consents import ConsentFigures, standard_text
from credit_wallet.domain.views import CreatedWallet

FIGURES = ConsentFigures(2_000, 5_000, 0, 0)


@pytest.fixture
def wallet(site: Site) -> CreatedWallet:
    return site.wallet(10_000, label="Acme", time_zone="Asia/Tokyo")


def _ask(page: Page, base: str = "/wallet") -> None:
    page.goto(f"{base}/auto-topup")
    page.get_by_label("残高がこの金額を下回ったら").fill("2,000")
    page.get_by_label("チャージの単位").fill("5,000")
    page.get_by_role("button", name="次へ").click()


@on_both_databases
def test_the_words_that_were_shown_are_kept_whatever_the_language_is_by_then(
    site: Site, watch: Watch, wallet: CreatedWallet
) -> None:
    page = watch.new_page(language="ja")
    site.signed_in_owner(page, wallet)
    _ask(page)
    shown = page.locator("blockquote").inner_text()
    elsewhere = page.context.new_page()
    elsewhere.goto(f"{site.url}/wallet?language=en")
    page.get_by_role("button", name="同意する").click()
    expect(page.get_by_text("Automatic top-up is set.")).to_be_visible()
    [consent] = site.wallets.topups.consents(wallet.wallet_id)
    assert (consent.text, consent.language, consent.version) == (shown, "ja", 1)
    assert shown == standard_text(FIGURES, "ja")


def test_words_that_are_not_those_of_today_are_shown_again(site: Site, watch: Watch, wallet: CreatedWallet) -> None:
    page = watch.new_page(language="ja")
    site.signed_in_owner(page, wallet)
    _ask(page)
    page.locator("[name=agreed_to]").evaluate("field => { field.value = '同意します。' }")
    page.get_by_role("button", name="同意する").click()
    expect(page.get_by_text("まだ同意されていません")).to_be_visible()
    expect(page.locator("blockquote")).to_have_text(standard_text(FIGURES, "ja"))
    assert site.wallets.topups.consents(wallet.wallet_id) == []
    page.get_by_role("button", name="同意する").click()
    expect(page.get_by_text("自動チャージを設定しました。")).to_be_visible()


@on_both_databases
def test_an_operator_agrees_to_nothing_and_makes_a_link_for_the_customer(
    site: Site, watch: Watch, wallet: CreatedWallet
) -> None:
    page = watch.new_page()
    site.signed_in_operator(page, "support")
    page.goto(f"/console/wallets/{wallet.wallet_id}/auto-topup")
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    no_axe_findings(page)
    page.get_by_role("button", name="Make a link for the customer").click()
    link = page.locator("#secret").inner_text()
    customer = watch.new_page(language="ja")
    customer.goto(link)
    if customer.locator("form[action*='enter']").count():
        customer.locator("form[action*='enter'] button").click()
    expect(customer.locator("h1")).to_have_text("自動チャージ")
    _ask(customer)
    customer.get_by_role("button", name="同意する").click()
    [consent] = site.wallets.topups.consents(wallet.wallet_id)
    assert (consent.consented_by, consent.text) == ("owner", standard_text(FIGURES, "ja"))


def test_an_operator_lowers_limits_and_switches_off(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.configure(
        wallet.wallet_id, auto_topup_threshold=2_000, auto_topup_amount=5_000, auto_topup_daily_yen=9_000
    )
    site.signed_in_operator(page, "support")
    page.goto(f"/console/wallets/{wallet.wallet_id}/auto-topup")
    limits = page.locator("form[action$='/auto-topup/limits']")
    limits.get_by_label("At most in a day").fill("10,000")
    limits.get_by_label("Reason, for the log").fill("asked by phone, 29 November")
    limits.get_by_role("button").click()
    expect(page.get_by_text("An operator can only lower a limit.").first).to_be_visible()
    assert site.wallets.show(wallet.wallet_id).auto_topup_daily_yen == 9_000
    no_axe_findings(page)

    limits.get_by_label("At most in a day").fill("6,000")
    limits.get_by_label("At most in a month").fill("20,000")
    limits.get_by_role("button").click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    consent = site.wallets.topups.consents(wallet.wallet_id)[0]
    assert (consent.auto_topup_daily_yen, consent.auto_topup_monthly_yen) == (6_000, 20_000)
    assert consent.text == "The operator has limited automatic top-ups to ¥6,000 a day and ¥20,000 a month."
    assert (consent.consented_by, consent.version) == ("operator", None)
    page.get_by_role("button", name="Switch it off").click()
    expect(page.get_by_role("heading", name="Switched off")).to_be_visible()


def test_it_is_not_offered_to_an_agent_that_manages(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.configure(wallet.wallet_id, auto_topup_threshold=2_000, auto_topup_amount=5_000)
    site.sign_in(page, site.wallets.keys.create(wallet.wallet_id, scopes=["manage"]).token)
    page.goto("/wallet/auto-topup")
    expect(page.get_by_text("Only the wallet's owner can switch this on or off")).to_be_visible()
    expect(page.locator("main form")).to_have_count(0)
    no_axe_findings(page)
