"""A page that was opened before somebody else changed something: it writes only what its reader has changed."""

from __future__ import annotations

import pytest
from browsing import Page, no_axe_findings
from databases import on_both_databases
from playwright.sync_api import Locator, expect
from site_of_pages import Site

from credit_wallet.domain.views import CreatedWallet


@pytest.fixture
def wallet(site: Site) -> CreatedWallet:
    return site.wallet(10_000, label="Acme", metadata={"plan": "team", "seats": "3"}, time_zone="Asia/Tokyo")


def _form(page: Page, action: str) -> Locator:
    return page.locator(f"form[action$='{action}']")


def _save(page: Page, action: str) -> None:
    _form(page, action).get_by_role("button", name="Save").click()


@on_both_databases
def test_a_cap_that_somebody_sets_meanwhile_stays(site: Site, page: Page, wallet: CreatedWallet) -> None:
    key = site.wallets.keys.create(wallet.wallet_id, label="agent").key_id
    site.signed_in_owner(page, wallet)
    page.goto(f"/wallet/keys/{key}")
    site.wallets.keys.configure(key, monthly_cap_yen=500)
    page.get_by_label("Name").fill("crawler")
    _save(page, f"/keys/{key}")
    expect(page.get_by_text("Saved.")).to_be_visible()
    shown = site.wallets.keys.show(key)
    assert (shown.label, shown.monthly_cap_yen) == ("crawler", 500)

    page.get_by_label("Most it may spend a month").fill("")  # the cap is seen now: whoever empties it means it
    _save(page, f"/keys/{key}")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert site.wallets.keys.show(key).monthly_cap_yen == 0


@on_both_databases
def test_who_has_changed_the_same_is_asked_first(site: Site, page: Page, wallet: CreatedWallet) -> None:
    key = site.wallets.keys.create(wallet.wallet_id, label="agent", monthly_cap_yen=300).key_id
    site.signed_in_owner(page, wallet)
    page.goto(f"/wallet/keys/{key}")
    site.wallets.keys.configure(key, monthly_cap_yen=500)
    page.get_by_label("Name").fill("crawler")
    page.get_by_label("Most it may spend a month").fill("2,000")
    _save(page, f"/keys/{key}")
    expect(page.locator(".notice.bad")).to_contain_text("Somebody else has changed the same")
    expect(page.locator(".field.wrong .problem")).to_have_text("Now it is: 500")
    no_axe_findings(page)
    shown = site.wallets.keys.show(key)
    assert (shown.label, shown.monthly_cap_yen) == ("agent", 500)

    _save(page, f"/keys/{key}")  # it was said: what stands in the form still counts
    expect(page.get_by_text("Saved.")).to_be_visible()
    shown = site.wallets.keys.show(key)
    assert (shown.label, shown.monthly_cap_yen) == ("crawler", 2_000)


def test_another_refusal_hides_nobodys_change(site: Site, page: Page, wallet: CreatedWallet) -> None:
    key = site.wallets.keys.create(wallet.wallet_id, label="agent").key_id
    site.signed_in_owner(page, wallet)
    page.goto(f"/wallet/keys/{key}")
    page.get_by_label("Most it may spend a month").fill("some")
    _save(page, f"/keys/{key}")
    expect(page.locator(".field.wrong .problem")).to_have_text("Enter whole yen, such as 5,000.")
    site.wallets.keys.configure(key, label="theirs", monthly_cap_yen=500)
    page.get_by_label("Most it may spend a month").fill("100")
    _save(page, f"/keys/{key}")
    expect(page.locator(".field.wrong .problem")).to_have_text("Now it is: 500")
    expect(page.get_by_label("Name")).to_have_value("theirs")


@on_both_databases
def test_a_monthly_budget_that_somebody_sets_meanwhile_stays(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/settings")
    site.wallets.configure(wallet.wallet_id, monthly_budget_yen=5_000, budget_mode="cap", low_balance_yen=700)
    page.get_by_label("Also send notices at").fill("25")
    _save(page, "/settings/budget")
    expect(page.get_by_text("Saved.")).to_be_visible()
    shown = site.wallets.show(wallet.wallet_id)
    assert (shown.monthly_budget_yen, shown.budget_mode, shown.alert_thresholds_pct) == (5_000, "cap", (25,))

    site.wallets.configure(wallet.wallet_id, budget_mode="alert")
    for action, label, mine in (("low-balance", "Send a notice below", "100"), ("name", "Name", "Mine")):
        page.goto("/wallet/settings")
        site.wallets.configure(wallet.wallet_id, low_balance_yen=900, label="Acme & co")
        _form(page, f"/settings/{action}").get_by_label(label).fill(mine)
        _save(page, f"/settings/{action}")
        expect(page.locator(".field.wrong .problem")).to_contain_text("Now it is")
        site.wallets.configure(wallet.wallet_id, low_balance_yen=700, label="Acme")
    shown = site.wallets.show(wallet.wallet_id)
    assert (shown.label, shown.low_balance_yen, shown.budget_mode) == ("Acme", 700, "alert")


def test_what_happens_at_the_end_of_a_budget_is_asked_too(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.configure(wallet.wallet_id, monthly_budget_yen=5_000, budget_mode="alert")
    made = site.wallets.budgets.create(wallet.wallet_id, limit_yen="700.5", window="day", mode="alert")
    site.signed_in_owner(page, wallet)
    page.goto(f"/wallet/budgets/{made.budget_id}")
    site.wallets.budgets.configure(made.budget_id, limit_yen=100, mode="cap")
    page.get_by_label("Name").fill("a day")
    _save(page, made.budget_id)
    expect(page.get_by_text("Saved.")).to_be_visible()
    shown = site.wallets.budgets.show(made.budget_id)
    assert (shown.label, str(shown.limit), shown.mode) == ("a day", "100", "cap")

    site.wallets.budgets.configure(made.budget_id, mode="alert")
    page.get_by_text("Everything goes through; what a stop").click()
    _save(page, made.budget_id)
    expect(page.get_by_text("Now it is this.")).to_be_visible()
    assert site.wallets.budgets.show(made.budget_id).mode == "alert"
    no_axe_findings(page)


@pytest.mark.parametrize("at", ["settings", "corrections"])
def test_metadata_that_somebody_adds_meanwhile_stays(site: Site, page: Page, wallet: CreatedWallet, at: str) -> None:
    site.signed_in_operator(page, "support")
    page.goto(f"/console/wallets/{wallet.wallet_id}/{at}")

    def fill(plan: str) -> None:
        if at == "settings":
            page.get_by_label("Value of pair 1").fill(plan)
        else:
            if not page.get_by_label("Pairs").is_visible():
                page.get_by_text("Metadata", exact=True).click()
            page.get_by_label("Pairs").fill(f"plan = {plan}\nseats = 3")
        _save(page, f"/{at}/metadata")

    site.wallets.configure(wallet.wallet_id, metadata={"plan": "team", "seats": "3", "crm": "77"})
    fill("pro")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert dict(site.wallets.show(wallet.wallet_id).metadata) == {"plan": "pro", "seats": "3", "crm": "77"}

    site.wallets.configure(wallet.wallet_id, metadata={"plan": "free"})
    fill("large")
    expect(page.locator(".notice.bad").first).to_contain_text("Somebody else has changed the same")
    assert dict(site.wallets.show(wallet.wallet_id).metadata) == {"plan": "free"}


@on_both_databases
def test_limits_of_automatic_top_ups_that_somebody_sets_meanwhile_stay(
    site: Site, page: Page, wallet: CreatedWallet
) -> None:
    site.wallets.configure(wallet.wallet_id, auto_topup_threshold=1_000, auto_topup_amount=5_000)
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/auto-topup")
    site.wallets.configure(wallet.wallet_id, auto_topup_monthly_yen=20_000)
    page.get_by_label("Charge in steps of").fill("3,000")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("blockquote")).to_contain_text("No more than ¥20,000 a month")

    site.wallets.configure(wallet.wallet_id, auto_topup_daily_yen=4_000)
    page.get_by_role("button", name="I agree").click()
    expect(page.get_by_text("Nothing was agreed to yet: what it says has changed")).to_be_visible()
    expect(page.locator("blockquote")).to_contain_text("No more than ¥4,000 a day and ¥20,000 a month")
    no_axe_findings(page)
    page.get_by_role("button", name="I agree").click()
    expect(page.get_by_text("Automatic top-up is set.")).to_be_visible()
    shown = site.wallets.show(wallet.wallet_id)
    assert (shown.auto_topup_amount, shown.auto_topup_daily_yen, shown.auto_topup_monthly_yen) == (3_000, 4_000, 20_000)
