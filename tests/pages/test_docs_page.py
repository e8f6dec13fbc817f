"""The page about the API in a browser: it is read and tried without a request to anywhere else."""

from __future__ import annotations

import re

import pytest
from browsing import DESKTOP, PHONE, Look, Page, Screen, Watch, fits_its_width, no_axe_findings
from playwright.sync_api import Locator, expect
from site_of_pages import Site
from width import WIDE

from credit_wallet.domain.views import CreatedWallet


def opened(page: Page, tag: str, operation: str) -> Locator:
    """An operation of the page, opened."""
    page.goto("/docs")
    page.get_by_role("heading", name=re.compile(f"^{tag}")).get_by_role("button").click()
    found = page.locator(f"#operations-{operation}")
    found.locator(".opblock-summary-control").click()
    expect(found.locator(".opblock-body")).to_be_visible()
    return found


def authorized(page: Page, wallet: CreatedWallet) -> None:
    """Say the token of ``wallet`` to the page."""
    page.get_by_role("button", name="Authorize").first.click()
    asked = page.locator(".modal-ux .auth-container").filter(has_text="bearer")
    asked.locator("input").fill(wallet.owner_token)
    asked.locator("button.authorize").click()
    asked.get_by_role("button", name="Close").click()


def test_a_person_tries_a_call_with_their_token_and_the_page_keeps_nothing(page: Page, site: Site) -> None:
    wallet = site.wallet(yen=1_000)
    operation = opened(page, "Charges and holds", "Charges_and_holds-charge")
    authorized(page, wallet)
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("tr[data-param-name=Idempotency-Key] input").fill("from the page")
    operation.locator("textarea").fill('{"amount_yen": 300}')
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text('"balance_yen": 700')
    assert site.wallets.balance(wallet.wallet_id).balance_yen == 700
    kept = page.evaluate("[Object.keys(localStorage).length, Object.keys(sessionStorage).length, document.cookie]")
    assert kept == [0, 0, ""]
    assert wallet.owner_token not in page.url
    page.reload()
    page.get_by_role("button", name="Authorize").first.click()
    expect(page.locator(".modal-ux input").first).to_have_value("")


@pytest.mark.parametrize(("screen", "look"), [(PHONE, "dark"), (DESKTOP, "light")][: 2 if WIDE else 1])
def test_it_can_be_read_on_every_screen_and_by_everybody(watch: Watch, screen: Screen, look: Look) -> None:
    page = watch.new_page(screen=screen, look=look)
    operation = opened(page, "Wallet", "Wallet-listTransactions")
    expect(operation.locator(".responses-table").first).to_contain_text('"idempotency_key"')
    assert "$ref" not in operation.inner_text()
    operation.get_by_role("button", name="Try it out").click()
    no_axe_findings(page)
    fits_its_width(page)


def test_without_scripts_it_says_where_the_document_is(watch: Watch) -> None:
    page = watch.new_page(scripts=False)
    page.goto("/docs")
    expect(page.get_by_role("link", name="the OpenAPI document")).to_have_attribute("href", "/openapi.json")
