"""Budgets in a browser: each with its bar, made, changed, raised, deleted, and who did what."""

from __future__ import annotations

import re

import pytest
from browsing import PHONE, Page, Watch, fits_its_width, no_axe_findings
from databases import on_both_databases
from playwright.sync_api import expect
from site_of_pages import Site

from credit_wallet import WalletError
from credit_wallet.domain.views import CreatedWallet

STRANGE = '"><script>alert(1)</script>'


@pytest.fixture
def wallet(site: Site) -> CreatedWallet:
    """A wallet in which two agents have spent ¥96."""
    made = site.wallet(10_000, label="Acme", monthly_budget_yen=3_000, budget_mode="cap", time_zone="Asia/Tokyo")
    crawler = site.wallets.keys.create(made.wallet_id, label=f"crawler {STRANGE}", group="acme/research")
    for number, run in enumerate(("r1", "r1", "r2")):
        site.wallets.charge(made.wallet_id, 32, idempotency_key=f"c{number}", key_id=crawler.key_id, facts={"run": run})
    return made


def budget_in(page: Page, name: str) -> str:
    """What the list says of a budget."""
    return page.locator("ul.budgets > li").filter(has=page.get_by_role("link", name=name, exact=True)).inner_text()


@on_both_databases
def test_a_budget_from_its_making_to_its_end(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/budgets")
    page.get_by_role("link", name="Make a budget").click()
    expect(page.get_by_label("Group of keys")).to_be_hidden()
    page.get_by_label("Limit", exact=True).fill("1,250.5")
    page.get_by_text("Some of it").click()
    page.get_by_label("Group of keys").fill("acme")
    page.get_by_text("Name, notices and clocks").click()
    page.get_by_label("Name", exact=False).first.fill("Research & co")
    page.get_by_role("button", name="Make the budget").click()
    expect(page.locator("h1")).to_have_text("Research & co")
    expect(page.get_by_text("The budget is made.")).to_be_visible()
    site.wallets.charge(wallet.wallet_id, 90, idempotency_key="after", key_id=1)
    page.goto("/wallet/budgets")
    shown = budget_in(page, "Research & co")
    assert "¥90 of ¥1,250.5 a day" in shown
    assert "¥1,160.5" in shown
    assert "group acme" in shown
    assert re.search("resets in [0-9]+ (hour|minute)s?", shown)

    page.get_by_role("link", name="Research & co").click()
    page.get_by_label("Limit", exact=True).fill("500")
    page.get_by_text("Everything goes through; a notice is sent.").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".heading .badge")).to_have_text("Warns")
    page.get_by_label("Limit until then").fill("2,000")
    page.get_by_role("button", name="Raise it").click()
    expect(page.get_by_text("Raised to ¥2,000 a day until")).to_be_visible()
    assert site.wallets.budgets.show("budget-1").raised_limit == 2_000
    page.get_by_role("button", name="End the raise now").click()
    expect(page.get_by_text("the usual limit counts again")).to_be_visible()
    assert site.wallets.budgets.show("budget-1").raised_limit is None

    page.get_by_text("Delete the budget…").click()
    page.get_by_label("Reason, for the log").fill("not needed any more")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("No budgets yet")).to_be_visible()
    page.get_by_role("link", name="History").click()
    history = page.locator("main").inner_text()
    assert "Deleted Research & co" in history
    assert "Limit: ¥1,250.5 → ¥500" in history
    assert "by the owner" in history


@pytest.mark.parametrize(
    ("ticked", "scope", "of"),
    [
        ("Each key has this limit for itself", {"key_id": "*"}, "each key"),
        ("Each item has this limit for itself", {"item": "*"}, "each item"),
        ("Each value has this limit for itself", {"run": "*"}, "each value of run"),
    ],
)
def test_each_value_has_a_limit_for_itself(
    site: Site, page: Page, wallet: CreatedWallet, ticked: str, scope: dict[str, str], of: str
) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/budgets/new")
    page.get_by_label("Limit", exact=True).fill("60")
    page.get_by_label("Unit").select_option("calls")
    page.get_by_label("Time span").select_option("minute")
    page.get_by_text("Some of it").click()
    if "run" in scope:
        page.get_by_label("A fact").fill("run")
    page.get_by_label(ticked).check()
    page.get_by_role("button", name="Make the budget").click()
    expect(page.locator("h1")).to_have_text("60 calls a minute")
    assert site.wallets.budgets.show("budget-1").scope == scope
    expect(page.locator("dl.facts")).to_contain_text(of)
    expect(page.get_by_text("No value counted in this window yet.")).to_be_visible()


def test_values_are_listed_page_by_page(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.budgets.create(wallet.wallet_id, limit_yen=20, window="total", scope={"run": "*"}, label="Each run")
    for number in range(53):
        site.wallets.charge(wallet.wallet_id, 5, idempotency_key=f"v{number}", facts={"run": f"run {number:02} & <b>"})
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/budgets")
    assert "53 values counted" in budget_in(page, "Each run")
    page.get_by_role("link", name="Each run").click()
    expect(page.locator("table tbody tr")).to_have_count(50)
    expect(page.locator("table tbody tr").first).to_contain_text("run 00 & <b>")
    page.get_by_role("link", name="More values").click()
    expect(page.locator("table tbody tr")).to_have_count(3)


def test_a_limit_is_tried_before_it_stops_anything(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.budgets.create(wallet.wallet_id, limit_yen=10, window="day", mode="shadow", label="Trial")
    site.wallets.charge(wallet.wallet_id, 30, idempotency_key="over")
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/budgets")
    assert "Would have refused 1 charge (¥30)." in budget_in(page, "Trial")


@pytest.mark.parametrize(
    ("limit", "group", "said"),
    [
        ("a lot", "acme", "Enter a number, such as 1,000."),
        ("10", "Acme Research", "A group has up to four names of small letters"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    site: Site, page: Page, wallet: CreatedWallet, limit: str, group: str, said: str
) -> None:
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/budgets/new")
    page.get_by_label("Limit", exact=True).fill(limit)
    page.get_by_text("Some of it").click()
    page.get_by_label("Group of keys").fill(group)
    page.get_by_role("button", name="Make the budget").click()
    expect(page.locator(".field.wrong .problem")).to_contain_text(said)
    expect(page.locator(".field.wrong input")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Group of keys")).to_have_value(group)
    expect(page.get_by_label("Limit", exact=True)).to_have_value(limit)
    no_axe_findings(page)


def test_the_month_and_the_caps_are_in_the_list(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.keys.configure(1, monthly_cap_yen=500)
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/budgets")
    assert "¥96 of ¥3,000 a month" in budget_in(page, "Monthly budget")
    page.get_by_role("link", name="Cap of crawler").click()
    page.get_by_label("Limit", exact=True).fill("700")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert site.wallets.keys.show(1).monthly_cap_yen == 700
    expect(page.get_by_text("Delete the budget…")).to_have_count(0)


def test_an_operator_changes_a_customers_budget_with_a_reason(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.budgets.create(wallet.wallet_id, limit_yen=100, window="day", label="Day")
    site.signed_in_operator(page, "support")
    page.goto(f"/console/wallets/{wallet.wallet_id}/budgets/budget-1")
    change = page.locator("section", has=page.get_by_role("heading", name="Change it"))
    change.get_by_label("Limit", exact=True).fill("200")
    change.get_by_text("Add a reason, for the log").click()
    change.get_by_label("Reason, for the log").fill("ticket 4711")
    change.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    act = site.wallets.log(wallet_id=wallet.wallet_id, kind="budget")[0]
    assert act.note == "ticket 4711"


def test_who_may_only_look_sees_no_form(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.budgets.create(wallet.wallet_id, limit_yen=100, window="day", label="Day")
    site.signed_in_operator(page, "viewer")
    page.goto(f"/console/wallets/{wallet.wallet_id}/budgets/budget-1")
    expect(page.locator("main form")).to_have_count(0)
    page.goto(f"/console/wallets/{wallet.wallet_id}/budgets")
    expect(page.get_by_role("link", name="New budget")).to_have_count(0)


def test_an_agent_sees_what_bounds_it(site: Site, page: Page, wallet: CreatedWallet) -> None:
    site.wallets.budgets.create(wallet.wallet_id, limit_yen=100, window="day", label="Day")
    key = site.wallets.keys.create(wallet.wallet_id, label="reader", monthly_cap_yen=50)
    site.sign_in(page, key.token)
    page.goto("/wallet/budgets")
    shown = page.locator("main").inner_text()
    assert "Day" in shown
    assert "Cap of reader" in shown
    expect(page.locator("main a")).to_have_count(0)


@pytest.mark.parametrize("path", ["", "/new", "/budget-1", "/changes"])
def test_every_page_of_budgets_can_be_read_by_everybody(
    site: Site, watch: Watch, wallet: CreatedWallet, path: str
) -> None:
    site.wallets.budgets.create(wallet.wallet_id, limit_yen=40, window="day", scope={"key_id": "*"}, label=STRANGE)
    with pytest.raises(WalletError):
        site.wallets.charge(wallet.wallet_id, 41, idempotency_key="refused", key_id=1)
    for page in (watch.new_page(), watch.new_page(screen=PHONE, look="dark", language="ja")):
        site.signed_in_owner(page, wallet)
        page.goto(f"/wallet/budgets{path}")
        expect(page.locator("h1")).to_be_visible()
        no_axe_findings(page)
        fits_its_width(page)


def test_without_scripts_a_budget_is_made_all_the_same(site: Site, watch: Watch, wallet: CreatedWallet) -> None:
    page = watch.new_page(scripts=False)
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/budgets/new")
    page.get_by_label("Limit", exact=True).fill("300")
    page.get_by_role("button", name="Make the budget").click()
    expect(page.locator("h1")).to_have_text("¥300 a day")
