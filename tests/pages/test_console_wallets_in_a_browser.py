"""What an operator does to a wallet, in a browser: each search and each correction as a person makes it."""

from __future__ import annotations

import re

import pytest
from browsing import PHONE, Page, Watch, fits_its_width, no_axe_findings
from databases import on_both_databases
from playwright.sync_api import Locator, expect
from site_of_pages import Site
from width import WIDE

pytestmark = on_both_databases


def task(page: Page, name: str) -> Locator:
    """Something that can be done, opened."""
    found = page.locator("details.task").filter(has=page.get_by_text(name, exact=True))
    found.locator("summary").first.click()
    return found


def send(form: Locator, button: str) -> None:
    for box in form.locator("input[name=confirmed]").all():
        box.check()
    form.get_by_role("button", name=button).click()


def said(page: Page, text: str) -> None:
    expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


@pytest.fixture
def admin(page: Page, site: Site) -> Page:
    site.signed_in_operator(page)
    return page


@pytest.fixture
def wallet_id(site: Site) -> int:
    return site.wallet(1_000, label="Aozora", reference="cust_1").wallet_id


@pytest.fixture
def corrections(admin: Page, wallet_id: int) -> Page:
    admin.goto(f"/console/wallets/{wallet_id}/corrections")
    return admin


def test_wallets_are_found_filtered_and_sorted(admin: Page, site: Site) -> None:
    for number in range(3):
        site.wallet(100 * number, label=f"shop {number}", reference=f"cust_{number}")
    admin.goto("/console/wallets")
    rows = admin.locator("tbody tr")
    expect(rows).to_have_count(3)
    no_axe_findings(admin)
    admin.get_by_role("link", name="Customer").click()
    admin.get_by_role("link", name="Customer").click()
    expect(rows.first).to_contain_text("shop 2")
    admin.get_by_role("searchbox", name="Search wallets").fill("shop 1")
    admin.get_by_role("button", name="Search").click()
    expect(rows).to_have_count(1)
    assert "query=shop+1" in admin.url
    admin.get_by_role("link", name="Frozen", exact=True).click()
    expect(admin.get_by_text("No wallet is like that")).to_be_visible()
    no_axe_findings(admin)


def test_a_wallet_is_made_and_its_token_is_shown_once(admin: Page, site: Site) -> None:
    admin.goto("/console/wallets")
    admin.get_by_role("link", name="New wallet").click()
    no_axe_findings(admin)
    admin.get_by_label("Name").fill("Kitahama")
    admin.get_by_label("Reference", exact=False).first.fill("cust_9")
    admin.get_by_label("Budget a month").fill("5,000")
    admin.get_by_role("checkbox", name="Stop spending at the budget").check()
    admin.get_by_label("Time zone").fill("Asia/Tokyo")
    admin.get_by_role("button", name="Make the wallet").click()
    token = admin.locator("#secret").inner_text()
    no_axe_findings(admin)
    made = site.wallets.find(reference="cust_9")
    assert (made.label, made.monthly_budget_yen, made.budget_mode, made.time_zone) == (
        "Kitahama",
        5_000,
        "cap",
        "Asia/Tokyo",
    )
    admin.reload()
    expect(admin).to_have_url(re.compile(rf"/console/wallets/{made.wallet_id}$"))
    assert token not in admin.content()
    admin.goto("/console/wallets/new")
    admin.get_by_label("Reference", exact=False).first.fill("cust_9")
    admin.get_by_role("button", name="Make the wallet").click()
    said(admin, "A wallet has this reference already")


def test_credit_is_topped_up_corrected_and_taken_back(corrections: Page, site: Site, wallet_id: int) -> None:
    no_axe_findings(corrections)
    form = task(corrections, "Top up by hand")
    no_axe_findings(corrections)
    form.get_by_role("textbox", name="Amount").fill("2,000")
    form.get_by_label("Kind").select_option("promo")
    form.get_by_label("Lapses after").fill("2031-01-31")
    form.get_by_label("Note").fill("sorry")
    send(form, "Top up")
    said(corrections, "The wallet is topped up.")
    lots = {str(lot.kind): int(lot.remaining) for lot in site.wallets.lots.list(wallet_id)}
    assert lots == {"promo": 2_000, "paid": 1_000}

    form = task(corrections, "Correct the balance")
    form.get_by_label("Take").check()
    form.get_by_role("textbox", name="Amount").fill("1,500.50")
    form.get_by_label("Why").select_option("duplicate_charge")
    form.get_by_label("What happened").fill("ticket 1")
    send(form, "Correct")
    said(corrections, "The balance is corrected.")
    assert str(site.wallets.balance(wallet_id).balance) == "1499.5"

    form = task(corrections, "Take back a top-up")
    form.get_by_label("How much of it").fill("100")
    form.get_by_label("What happened").fill("ticket 2")
    form.get_by_label("Top-up", exact=True).select_option(index=0)
    send(form, "Take back")
    said(corrections, "The top-up is taken back.")
    [act, *_] = site.wallets.log(wallet_id=wallet_id)
    assert (act.by, act.reason, act.note) == ("operator:operator", "mistyped_topup", "ticket 2")


def test_credit_is_promised_every_month_and_no_more(corrections: Page, site: Site, wallet_id: int) -> None:
    form = task(corrections, "Promise credit")
    form.get_by_role("textbox", name="Amount").fill("500")
    form.get_by_label("Note").fill("free plan")
    send(form, "Promise it")
    said(corrections, "The credit is promised; it comes on its day.")
    [grant] = site.wallets.grants.list(wallet_id)
    assert (int(grant.amount), grant.promo, grant.every, grant.lapses) == (500, True, "month", "next")
    form = task(corrections, "Promise credit")
    no_axe_findings(corrections)
    form.get_by_role("button", name="End it").click()
    said(corrections, "Nothing more of it is credited.")
    assert site.wallets.grants.show(grant.grant_id).canceled_at is not None


def test_what_is_too_much_is_refused_where_it_was_asked(corrections: Page) -> None:
    form = task(corrections, "Correct the balance")
    form.get_by_label("Take").check()
    form.get_by_role("textbox", name="Amount").fill("5000")
    form.get_by_label("What happened").fill("ticket 1")
    send(form, "Correct")
    expect(corrections.locator("details.task[open] .notice.bad")).to_be_visible()
    no_axe_findings(corrections)


def test_a_wallet_is_frozen_and_unfrozen(corrections: Page, site: Site, wallet_id: int) -> None:
    form = task(corrections, "Freeze")
    form.get_by_label("What happened").fill("stolen card")
    send(form, "Freeze the wallet")
    said(corrections, "The wallet is frozen.")
    assert site.wallets.show(wallet_id).frozen_note == "stolen card"
    no_axe_findings(corrections)
    form = task(corrections, "Unfreeze")
    send(form, "Let it be used again")
    said(corrections, "The wallet can be used again.")
    assert site.wallets.show(wallet_id).enabled


def test_a_customer_is_let_in_by_a_link(corrections: Page, watch: Watch) -> None:
    form = task(corrections, "Sign-in link for the customer")
    form.get_by_role("checkbox", name="The customer may change things").uncheck()
    send(form, "Make the link")
    link = corrections.locator("#secret").inner_text()
    no_axe_findings(corrections)
    customer = watch.new_page(screen=PHONE)
    customer.goto(link)
    expect(customer.get_by_text("Aozora").first).to_be_visible()
    assert "cw_link" not in customer.url


def test_an_owner_gets_another_token(corrections: Page, site: Site, wallet_id: int) -> None:
    earlier = site.wallets.show(wallet_id).token_prefix
    form = task(corrections, "Another owner token")
    form.get_by_label("The earlier one works for").select_option("0")
    send(form, "Make another token")
    token = corrections.locator("#secret").inner_text()
    assert token.startswith(str(site.wallets.show(wallet_id).token_prefix))
    assert site.wallets.show(wallet_id).token_prefix != earlier


def test_a_key_of_the_hosts_own_is_let_in_and_removed(corrections: Page, site: Site, wallet_id: int) -> None:
    form = task(corrections, "Keys of your own")
    form.get_by_label("SHA-256 of the key").fill("A" * 64)
    send(form, "Let it in")
    said(corrections, "Your key opens the wallet now.")
    assert [secret.sha256 for secret in site.wallets.secrets.list(wallet_id)] == ["a" * 64]
    form = task(corrections, "Keys of your own")
    no_axe_findings(corrections)
    form.get_by_role("button", name="Remove").click()
    said(corrections, "The key opens nothing any more.")
    assert site.wallets.secrets.list(wallet_id) == []


def test_metadata_and_price_group_are_set(corrections: Page, site: Site, wallet_id: int) -> None:
    form = task(corrections, "Metadata")
    form.get_by_label("Pairs").fill("plan = pro\nregion = jp")
    send(form, "Save")
    said(corrections, "Saved.")
    form = task(corrections, "Price group")
    form.get_by_label("Group").fill("partners")
    send(form, "Save")
    said(corrections, "Saved.")
    wallet = site.wallets.show(wallet_id)
    assert (dict(wallet.metadata), wallet.price_group) == ({"plan": "pro", "region": "jp"}, "partners")
    form = task(corrections, "Metadata")
    form.get_by_label("Pairs").fill("plan")
    send(form, "Save")
    expect(corrections.locator("details.task[open] .problem")).to_be_visible()


def test_a_wallet_is_handed_over(corrections: Page, site: Site, wallet_id: int) -> None:
    form = task(corrections, "Hand over")
    form.get_by_label("Reference of the new customer").fill("cust_2")
    form.get_by_label("What happened").fill("company sold")
    send(form, "Hand it over")
    token = corrections.locator("#secret").inner_text()
    shown = site.wallets.show(wallet_id)
    assert (shown.reference, token.startswith(str(shown.token_prefix))) == ("cust_2", True)


def test_two_wallets_of_a_customer_become_one(corrections: Page, site: Site, wallet_id: int) -> None:
    other = site.wallet(500).wallet_id
    form = task(corrections, "Merge into another wallet")
    form.get_by_label("The wallet that stays").fill(str(other))
    form.get_by_label("What happened").fill("registered twice")
    send(form, "Merge and close")
    said(corrections, "All credit has moved here; the other wallet is closed.")
    assert site.wallets.balance(other).balance == 1_500
    assert site.wallets.show(wallet_id).merged_into == other


def test_a_wallet_is_closed_its_data_handed_out_and_erased(corrections: Page, site: Site, wallet_id: int) -> None:
    form = task(corrections, "Close for good")
    form.get_by_label("Write it off").check()
    form.get_by_label("What happened").fill("contract ended")
    send(form, "Close the wallet")
    said(corrections, "The wallet is closed for good.")
    no_axe_findings(corrections)
    form = task(corrections, "Personal data")
    with corrections.expect_download() as download:
        form.get_by_role("link", name="Download all of it").click()
    assert "cust_1" in download.value.path().read_text(encoding="utf-8")
    form.get_by_label("Write the wallet's id to confirm").fill(str(wallet_id))
    send(form, "Erase for good")
    said(corrections, "What the wallet had of people is erased.")
    assert site.wallets.show(wallet_id).reference is None


def test_a_leaked_token_is_revoked(admin: Page, site: Site, wallet_id: int) -> None:
    key = site.wallets.keys.create(wallet_id, label="bot")
    admin.goto(f"/console/wallets/{wallet_id}/corrections")
    admin.get_by_role("link", name="Revoke a token, whatever it is").click()
    no_axe_findings(admin)
    admin.get_by_label("Token").fill(key.token)
    admin.get_by_label("Reason, for the log").fill("on GitHub")
    admin.get_by_role("button", name="Revoke it for good").click()
    said(admin, "The token is revoked.")
    [act, *_] = site.wallets.log(wallet_id=wallet_id)
    assert (act.subject, act.note) == (f"key:{key.key_id}", "on GitHub")


@pytest.mark.parametrize("language", ["en", "ja"] if WIDE else ["ja"])
def test_a_phone_in_the_dark_shows_all_of_it(site: Site, watch: Watch, wallet_id: int, language: str) -> None:
    phone = watch.new_page(screen=PHONE, look="dark", language="ja" if language == "ja" else "en")
    site.signed_in_operator(phone)
    for path in ("/console/wallets", "/console/wallets/new", f"/console/wallets/{wallet_id}/corrections"):
        phone.goto(path)
        for summary in phone.locator("details.task > summary").all():
            summary.click()
        fits_its_width(phone)
        no_axe_findings(phone)
