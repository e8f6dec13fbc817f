"""Settings and automatic top-up in a browser."""

from __future__ import annotations

import pytest
from browsing import PHONE, Page, Watch, fits_its_width, no_axe_findings
from databases import on_both_databases
from installation import FRAUDULENT, Installation
from playwright.sync_api import expect
from site_of_pages import Site

from credit_wallet.domain.consents import ConsentFigures, standard_text
from credit_wallet.domain.views import CreatedWallet

STRANGE = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def wallet(site: Site) -> CreatedWallet:
    return site.wallet(10_000, label="Acme", reference="cust_1", metadata={"plan": STRANGE}, time_zone="Asia/Tokyo")


@on_both_databases
def test_an_owner_sets_what_can_be_set(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/settings")
    page.locator("#name").locator("xpath=../..").get_by_label("Name").fill("Acme & co")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.locator("header .who")).to_have_text("Acme & co")

    page.get_by_label("Budget a month").fill("３０，０００")  # as a keyboard in Japan writes it
    page.get_by_text("What would exceed it is refused.").click()
    page.get_by_label("Also send notices at").fill("25 %、120")
    page.get_by_role("button", name="Save").nth(1).click()
    expect(page.get_by_label("Budget a month")).to_have_value("30,000")
    page.get_by_label("Send a notice below").fill("¥1,000")
    page.get_by_role("button", name="Save").nth(2).click()
    expect(page.get_by_label("Send a notice below")).to_have_value("1,000")
    shown = site.wallets.show(wallet.wallet_id)
    assert (shown.label, shown.monthly_budget_yen, shown.budget_mode) == ("Acme & co", 30_000, "cap")
    assert (shown.alert_thresholds_pct, shown.low_balance_yen) == ((25, 120), 1_000)
    expect(page.locator("main")).to_contain_text(STRANGE)
    no_axe_findings(page)


def test_what_is_wrong_is_said_in_the_language_of_the_page(site: Site, watch: Watch, wallet: CreatedWallet) -> None:
    page = watch.new_page(language="ja", screen=PHONE)
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/settings")
    page.get_by_role("textbox", name="月間予算").fill("たくさん")
    page.get_by_role("button", name="保存").nth(1).click()
    expect(page.locator(".field.wrong .problem")).to_have_text("5,000のように、円単位の整数で入力してください。")
    expect(page.get_by_role("textbox", name="月間予算")).to_have_value("たくさん")
    no_axe_findings(page)


@pytest.mark.parametrize(("overlap", "still_works"), [("0", False), ("3600", True)])
def test_a_new_owner_token_keeps_this_session_and_ends_others(
    site: Site, watch: Watch, wallet: CreatedWallet, overlap: str, still_works: bool
) -> None:
    page, elsewhere = watch.new_page(), watch.new_page()
    site.signed_in_owner(page, wallet)
    site.signed_in_owner(elsewhere, wallet)
    page.goto("/wallet/settings")
    page.get_by_text("Replace the token…").click()
    page.get_by_label("The earlier one works for").select_option(overlap)
    page.get_by_role("button", name="Make another token").click()
    token = page.locator("#secret").inner_text()
    no_axe_findings(page)
    assert page.url.endswith("/wallet/settings")
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("h1")).to_have_text("Settings")
    page.get_by_label("Send a notice below").fill("500")  # forms of the new session are taken
    page.get_by_role("button", name="Save").nth(2).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    elsewhere.goto("/wallet/settings")
    assert elsewhere.url.split("?")[0].endswith("/wallet/settings" if still_works else "/sign-in")
    again = watch.new_page()
    site.sign_in(again, token)
    again.goto("/wallet/settings")
    expect(again.locator("h1")).to_have_text("Settings")


def test_an_agent_that_manages_and_an_operator_see_no_owner_token(
    site: Site, watch: Watch, wallet: CreatedWallet
) -> None:
    key = site.wallets.keys.create(wallet.wallet_id, scopes=["manage"])
    agent, operator = watch.new_page(), watch.new_page()
    site.sign_in(agent, key.token)
    agent.goto("/wallet/settings")
    expect(agent.get_by_text("Replace the token…")).to_have_count(0)
    site.signed_in_operator(operator, "support")
    operator.goto(f"/console/wallets/{wallet.wallet_id}/settings")
    expect(operator.get_by_text("Replace the token…")).to_have_count(0)
    expect(operator.get_by_text("Sign out everywhere")).to_have_count(0)


def test_sign_out_everywhere(site: Site, watch: Watch, wallet: CreatedWallet) -> None:
    page, elsewhere, other = watch.new_page(), watch.new_page(), watch.new_page()
    site.signed_in_owner(page, wallet)
    site.signed_in_owner(elsewhere, wallet)
    site.signed_in_owner(other)
    page.goto("/wallet/settings")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_text("You are signed out everywhere.")).to_be_visible()
    elsewhere.goto("/wallet/settings")
    assert "/sign-in" in elsewhere.url
    other.goto("/wallet/settings")
    assert other.url.endswith("/wallet/settings")


def test_an_operator_changes_the_metadata(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_operator(page, "support")
    page.goto(f"/console/wallets/{wallet.wallet_id}/settings")
    page.get_by_label("Value of pair 1").fill("")
    page.get_by_label("Name of pair 1").fill("")
    page.get_by_label("Name of pair 2").fill("seats")
    page.get_by_label("Value of pair 2").fill("12")
    section = page.locator("section", has=page.locator("#metadata"))
    section.get_by_text("Add a reason, for the log").click()
    section.get_by_label("Reason, for the log").fill("ticket 9")
    section.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert dict(site.wallets.show(wallet.wallet_id).metadata) == {"seats": "12"}
    assert site.wallets.log(wallet_id=wallet.wallet_id)[0].note == "ticket 9"
    no_axe_findings(page)


@on_both_databases
def test_automatic_top_up_is_agreed_to_in_full_before_it_is_on(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/auto-topup")
    expect(page.get_by_role("heading", name="Switched off")).to_be_visible()
    page.get_by_label("When the balance falls below").fill("2,000")
    page.get_by_label("Charge in steps of").fill("5,000")
    page.get_by_label("At most in a day").fill("10,000")
    page.get_by_role("button", name="Continue").click()
    text = standard_text(ConsentFigures(2_000, 5_000, 10_000, 0), "en")
    expect(page.locator("blockquote")).to_have_text(text)
    assert site.wallets.show(wallet.wallet_id).auto_topup_threshold == 0
    no_axe_findings(page)
    page.get_by_role("button", name="I agree").click()
    expect(page.get_by_text("Below ¥2,000, in steps of ¥5,000.").first).to_be_visible()
    expect(page.get_by_text("At most ¥10,000 a day.")).to_be_visible()
    [consent] = site.wallets.topups.consents(wallet.wallet_id)
    assert (consent.text, consent.consented_by, consent.version) == (text, "owner", 1)
    expect(page.locator("blockquote")).to_have_text(text)
    expect(page.get_by_text("No card is charged until somebody acts")).to_be_visible()
    expect(page.get_by_role("link", name="Pay in once, and save the card")).to_be_visible()
    no_axe_findings(page)

    page.get_by_role("button", name="Switch it off").click()
    expect(page.get_by_role("heading", name="Switched off")).to_be_visible()
    assert site.wallets.show(wallet.wallet_id).auto_topup_threshold == 0
    assert len(site.wallets.topups.consents(wallet.wallet_id)) == 2


def test_a_consent_is_in_the_language_of_the_page(site: Site, watch: Watch, wallet: CreatedWallet) -> None:
    page = watch.new_page(language="ja", screen=PHONE, look="dark")
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/auto-topup")
    page.get_by_label("残高がこの金額を下回ったら").fill("2000円")
    page.get_by_label("チャージの単位").fill("5000")
    page.get_by_role("button", name="次へ").click()
    expect(page.locator("blockquote")).to_have_text(standard_text(ConsentFigures(2_000, 5_000, 0, 0), "ja"))
    fits_its_width(page)
    page.get_by_role("button", name="同意する").click()
    expect(page.get_by_text("自動チャージを設定しました。")).to_be_visible()
    assert site.wallets.topups.consents(wallet.wallet_id)[0].language == "ja"
    no_axe_findings(page)
    fits_its_width(page)


@pytest.mark.parametrize(("threshold", "amount"), [("0", "5,000"), ("2,000", ""), ("some", "5,000")])
def test_what_cannot_be_agreed_to_is_refused_at_once(
    site: Site, page: Page, wallet: CreatedWallet, threshold: str, amount: str
) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/auto-topup")
    page.locator("form").filter(has=page.get_by_role("button", name="Continue")).evaluate(
        "form => { form.noValidate = true }"
    )
    page.get_by_label("When the balance falls below").fill(threshold)
    page.get_by_label("Charge in steps of").fill(amount)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".field.wrong .problem")).to_have_text("Enter whole yen above 0, such as 5,000.")
    expect(page.get_by_label("When the balance falls below")).to_have_value(threshold)


def test_what_automatic_top_ups_did_and_why_they_stopped(site: Site, page: Page) -> None:
    paying = Installation(site.wallets, site.fake, site.clock)
    wallet_id = paying.owner(auto_topup_threshold=500, auto_topup_amount=300)
    paid = paying.pay(wallet_id, 50)
    site.fake.wait_delivered()
    site.clock.advance(seconds=1)
    paying.save(wallet_id, paid.topup_id, FRAUDULENT)
    site.clock.advance(seconds=1)
    [done] = paying.payments.run_automatic()
    assert done.status == "failed"
    site.sign_in(page, site.wallets.rotate_owner_token(wallet_id).owner_token)
    page.goto("/wallet/auto-topup")
    expect(page.locator(".notice.bad")).to_contain_text("The bank has declined the card.")
    expect(page.get_by_role("row").filter(has_text="Failed")).to_contain_text("¥600")
    no_axe_findings(page)
    site.wallets.configure(wallet_id, auto_topup_threshold=0, auto_topup_amount=0)
    page.reload()
    expect(page.get_by_text("No card is charged unless somebody pays in.")).to_be_visible()


@pytest.mark.parametrize("path", ["settings", "auto-topup"])
@pytest.mark.parametrize("base", ["/wallet", "/console/wallets/1"])
def test_settings_can_be_read_by_everybody(
    site: Site, watch: Watch, wallet: CreatedWallet, path: str, base: str
) -> None:
    for page in (watch.new_page(screen=PHONE), watch.new_page(look="dark", language="ja")):
        if base == "/wallet":
            site.signed_in_owner(page, wallet)
        else:
            site.signed_in_operator(page, "viewer")
        page.goto(f"{base}/{path}")
        expect(page.locator("h1").last).to_be_visible()
        no_axe_findings(page)
        fits_its_width(page)
