"""A person pays in: with a card, at a convenience store, by bank transfer; or is declined, leaves, gives up."""

from __future__ import annotations

import re

import pytest
from browsing import PHONE, Page, Watch, fits_its_width, no_axe_findings
from site_of_pages import Site

DECLINED = "4000000000009995"


@pytest.fixture
def owner(site: Site, watch: Watch, page: Page) -> Page:
    """A page of the owner of a wallet without credit."""
    watch.allow(site.fake.url)
    site.signed_in_owner(page, site.wallet(0))
    return page


def begin(page: Page, preset: str = "1000", method: str = "card", *, own: str = "", save: bool = False) -> None:
    """Fill in the form, and be led to the page of the payment provider."""
    page.goto("/wallet/pay-in")
    page.check(f"input[name=preset][value='{'own' if own else preset}']", force=True)
    if own:
        page.fill("input[name=amount_yen]", own)
    page.check(f"input[name=method][value={method}]")
    if save:
        page.check("input[name=save_card]")
    page.click("form.pay-form button.main")
    page.wait_for_url(re.compile("/checkout/"))


def pay(page: Page, wanted: str = "4242424242424242") -> None:
    page.check(f"input[value='{wanted}']")
    page.click("button")


def come_back(page: Page) -> None:
    page.click("a:has-text('Continue')")
    page.wait_for_url(re.compile("/wallet/thank-you"))


def balance(site: Site) -> int:
    return sum(site.wallets.show(each.wallet_id).balance_yen for each in site.wallets.list())


def test_a_card_pays_and_the_receipt_can_be_printed(site: Site, owner: Page) -> None:
    begin(owner, "5000")
    pay(owner)
    owner.wait_for_selector(".seal.good")
    assert owner.locator("main .lead").inner_text() == "¥5,000 is in the wallet."
    assert owner.locator("main .display").inner_text() == "¥5,000"
    assert balance(site) == 5_000
    no_axe_findings(owner)
    owner.click("text=Receipt")
    assert owner.locator(".sheet-amount").inner_text() == "¥5,000"
    assert owner.locator(".stamp").inner_text() == "Test money: nothing was paid"
    assert "not a qualified invoice" in owner.locator(".sheet").inner_text()
    no_axe_findings(owner)


def test_the_way_back_leads_to_the_form_and_not_into_the_payment_again(owner: Page) -> None:
    begin(owner)
    owner.go_back()
    owner.wait_for_url(re.compile("/wallet/pay-in"))
    assert owner.locator("#unfinished").is_visible()


def test_a_card_is_saved_only_when_that_is_ticked(site: Site, owner: Page) -> None:
    begin(owner)
    pay(owner)
    owner.wait_for_selector(".seal.good")
    assert site.wallets.topups.payer(1).payment_method is None
    begin(owner, save=True)
    pay(owner)
    owner.wait_for_selector(".seal.good")
    assert site.wallets.topups.payer(1).payment_method is not None


def test_a_declined_card_is_explained_and_tried_again(site: Site, owner: Page) -> None:
    begin(owner, own="777")
    pay(owner, DECLINED)
    owner.click("text=Cancel")
    owner.wait_for_url(re.compile("/wallet/pay-in"))
    owner.goto("/wallet/topups")
    assert "There was not enough money for it" in owner.locator("main").inner_text()
    no_axe_findings(owner)
    owner.click("td a:has-text('Try again')")
    owner.click("main .button.main")
    owner.wait_for_load_state()
    assert balance(site) == 0


def test_whoever_leaves_the_payment_page_goes_on_or_gives_up(site: Site, owner: Page) -> None:
    begin(owner, "10000")
    owner.click("text=Cancel")
    owner.wait_for_url(re.compile("/wallet/pay-in"))
    assert "The payment of ¥10,000 is not finished." in owner.locator(".notice.warn").inner_text()
    no_axe_findings(owner)
    owner.click(".notice button")
    owner.wait_for_url(re.compile("/wallet/topups/"))
    assert "Nothing was taken" in owner.locator(".notice.good").inner_text()
    assert [each.status for each in site.wallets.topups.list(1)] == ["canceled"]


def test_a_slip_is_shown_and_its_payment_seen_without_reloading(site: Site, owner: Page) -> None:
    begin(owner, "1000", "konbini")
    pay(owner, "konbini")
    slip = owner.url
    come_back(owner)
    assert owner.locator(".slip strong").all_inner_texts() == ["FamilyMart", "Lawson", "Ministop", "Seicomart"]
    no_axe_findings(owner)
    other = owner.context.new_page()
    other.goto(slip)
    other.click("button[value=pay-voucher]")
    other.close()
    owner.wait_for_selector(".seal.good")
    assert balance(site) == 1_000


def test_a_transfer_that_comes_in_parts_says_what_is_missing(site: Site, owner: Page) -> None:
    begin(owner, "10000", "customer_balance")
    pay(owner, "customer_balance")
    instructions = owner.url
    come_back(owner)
    assert owner.locator("#account").inner_text().isdigit()
    other = owner.context.new_page()
    other.goto(instructions)
    other.fill("input[name=amount_yen]", "4000")
    other.click("button[value=transfer]")
    owner.wait_for_selector("text=of ¥10,000; the rest has arrived")
    assert owner.locator("dl.transfer strong").inner_text() == "¥6,000"
    other.goto(instructions)
    other.click("button[value=transfer]")
    other.close()
    owner.wait_for_selector(".seal.good")
    assert balance(site) == 10_000


def test_it_works_on_a_phone_without_script_in_japanese(site: Site, watch: Watch) -> None:
    watch.allow(site.fake.url)
    page = watch.new_page(screen=PHONE, language="ja", look="dark", scripts=False)
    site.signed_in_owner(page, site.wallet(0))
    page.goto("/wallet/pay-in")
    fits_its_width(page)
    page.check("input[name=preset][value='5000']", force=True)
    page.click("form.pay-form button.main")
    page.wait_for_url(re.compile("/wallet/topups/"))
    fits_its_width(page)
    page.click("text=支払い画面へ進む")
    pay(page)
    page.wait_for_url(re.compile("/wallet/thank-you"))
    assert "5,000円をチャージしました。" in page.locator("main").inner_text()
    fits_its_width(page)


def test_an_operator_makes_a_link_for_the_customer(site: Site, watch: Watch, page: Page) -> None:
    watch.allow(site.fake.url)
    wallet = site.wallet(0)
    site.signed_in_operator(page, "support")
    page.goto(f"/console/wallets/{wallet.wallet_id}/pay-in")
    assert page.locator("input[name=save_card]").count() == 0
    page.click("form.pay-form button.main")
    page.wait_for_url(re.compile("/topups/"))
    assert page.locator("#payment-link").inner_text().startswith(f"{site.fake.url}/checkout/")
    no_axe_findings(page)


def test_thanks_tell_nobody_else_anything(site: Site, watch: Watch, owner: Page) -> None:
    begin(owner, own="4321")
    pay(owner)
    owner.wait_for_selector(".seal.good")
    address = owner.url.removeprefix(site.url)
    stranger = watch.new_page()
    stranger.goto(address)
    assert "4,321" not in stranger.content()
    no_axe_findings(stranger)
    stranger.click("text=Sign in to see it")
    stranger.fill("input[name=token]", site.wallet(0).owner_token)
    stranger.click("main button")
    stranger.wait_for_url(re.compile("thank-you"))
    of_another = stranger.locator("main").inner_text()
    stranger.goto("/wallet/thank-you?topup_id=tu_00000000")
    assert stranger.locator("main").inner_text() == of_another
    stranger.goto("/wallet/thank-you?topup_id=../wallet")
    assert stranger.locator("main").inner_text() == of_another
    assert "No such payment" in of_another


def test_a_form_in_two_tabs_and_sent_twice_is_one_payment_each(site: Site, owner: Page) -> None:
    tabs = [owner, owner.context.new_page()]
    for tab in tabs:
        tab.goto("/wallet/pay-in")
    keys = [tab.locator("form.pay-form input[name=idempotency_key]").input_value() for tab in tabs]
    assert keys[0] != keys[1]
    for key in (keys[0], keys[0]):
        owner.goto("/wallet/pay-in")
        owner.evaluate("key => { document.querySelector('form.pay-form [name=idempotency_key]').value = key }", key)
        owner.click("form.pay-form button.main")
        owner.wait_for_url(re.compile("/checkout/"))
    assert len(site.wallets.topups.list(1)) == 1


def test_what_is_wrong_with_a_form_stands_beside_the_field(site: Site, owner: Page) -> None:
    owner.goto("/wallet/pay-in")
    owner.check("input[name=preset][value=own]", force=True)
    owner.fill("input[name=amount_yen]", "lots")
    owner.check("input[name=method][value=konbini]")
    owner.click("form.pay-form button.main")
    assert owner.locator(".field .problem").inner_text() == "Enter whole yen, such as 5,000, within the limits."
    assert owner.locator("input[name=amount_yen]").input_value() == "lots"
    assert owner.is_checked("input[name=method][value=konbini]")
    no_axe_findings(owner)
    owner.fill("input[name=amount_yen]", "7")
    owner.click("form.pay-form button.main")
    assert owner.locator(".field.wrong input").input_value() == "7"
    assert site.wallets.topups.list(1) == []


def test_another_payment_waits_for_one_that_may_still_come_in(owner: Page) -> None:
    begin(owner, "1000", "konbini")
    pay(owner, "konbini")
    come_back(owner)
    owner.goto("/wallet/pay-in")
    owner.click("form.pay-form button.main")
    owner.click("text=See the payment that is under way")
    assert owner.locator(".slip").count() == 4
    owner.click("summary")
    owner.click("details button")
    owner.wait_for_selector(".notice.good")
    begin(owner)


def test_a_page_that_waits_shows_nothing_any_more_once_the_session_is_over(owner: Page) -> None:
    begin(owner, "1000", "konbini")
    pay(owner, "konbini")
    come_back(owner)
    other = owner.context.new_page()
    other.goto("/wallet/keys")
    other.click("form[action='/sign-out'] button")
    other.close()
    owner.wait_for_selector("text=Sign in to see it")
    assert owner.locator(".slip").count() == 0
