"""The list of agent keys of a wallet that has many."""

from __future__ import annotations

from browsing import Page, no_axe_findings
from playwright.sync_api import expect
from site_of_pages import Site

from credit_wallet.pages.owner.keys import PAGE


def test_the_newest_keys_stand_first_and_every_key_is_found(site: Site, page: Page) -> None:
    wallet = site.wallet()
    made = [site.wallets.keys.create(wallet.wallet_id, label=f"agent {n}").key_id for n in range(PAGE + 3)]
    site.signed_in_owner(page, wallet)
    page.goto("/wallet/keys")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(PAGE)
    expect(rows.first).to_contain_text(f"agent {PAGE + 2}")
    no_axe_findings(page)
    page.get_by_role("link", name="Earlier").click()
    expect(rows).to_have_count(3)
    expect(rows.last).to_contain_text("agent 0")
    page.get_by_role("link", name="Newest").click()
    expect(rows).to_have_count(PAGE)
    below = site.wallets.keys.list(wallet.wallet_id, before=made[5], after=made[1])
    assert [key.key_id for key in below] == [made[4], made[3], made[2]]
