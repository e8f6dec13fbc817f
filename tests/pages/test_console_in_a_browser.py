"""The console in a browser: what needs a person, health, Find, payments, deliveries, prices, operators, and the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from secrets import token_hex

import pytest
from browsing import PHONE, Language, Page, Watch, fits_its_width, no_axe_findings
from clock import Clock
from databases import on_both_databases
from fake_stripe import StripeFailure
from installation import DECLINED, intent_of
from notified import notifier_of
from plain_sql import PlainSql
from playwright.sync_api import Locator, expect
from site_of_pages import Site
from width import WIDE

from credit_wallet import InsufficientFunds
from credit_wallet.notices.targets import TargetSettings

pytestmark = on_both_databases

PRICES = '[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n'
STRANGE = "<b>Acme</b>"
PAGES = (
    *("", "/health", "/find", "/find?q=req-1", "/payments", "/payments?status=all", "/deliveries?status=all"),
    *("/prices", "/prices/change", "/prices/history", "/operators", "/operators/1", "/sellers/1", "/log"),
    "/revoke-token",
)


@pytest.fixture
def admin(page: Page, site: Site) -> Page:
    site.signed_in_operator(page)
    return page


def task(page: Page, name: str) -> Locator:
    """Something that can be done, opened."""
    found = page.locator("details.task").filter(has=page.get_by_text(name, exact=True))
    found.locator("summary").first.click()
    return found


def send(form: Locator, button: str, reason: str = "ticket 4711") -> None:
    """Give a reason, tick what has to be ticked, and send."""
    form.get_by_label("Reason, for the log").fill(reason)
    for box in form.locator("input[name=confirmed]").all():
        box.check()
    form.get_by_role("button", name=button).click()


def said(page: Page, text: str) -> None:
    expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


def paid(site: Site, wallet_id: int, yen: int = 3_000) -> str:
    """The id of a payment by card that was credited."""
    topup = site.payments.request(wallet_id, yen, idempotency_key=token_hex(8))
    site.fake.pay(intent_of(topup))
    site.payments.reconcile()
    assert site.wallets.topups.show(topup.topup_id).status == "credited"
    return topup.topup_id


def declined(site: Site, wallet_id: int) -> str:
    """The id of a payment whose card was declined."""
    topup = site.payments.request(wallet_id, 2_000, idempotency_key=token_hex(8))
    with suppress(StripeFailure):
        site.fake.pay(intent_of(topup), DECLINED)
    site.fake.wait_delivered()
    return topup.topup_id


def lost_notice(site: Site, db_url: str, wallet_id: int) -> None:
    """A notice of a wallet that was given up."""
    site.wallets.targets.add(wallet_id, TargetSettings(url="http://127.0.0.1:9/x"), private=True)
    site.wallets.configure(wallet_id, monthly_budget_yen=10)
    site.wallets.charge(wallet_id, 10, idempotency_key=site.key())
    site.wallets.alerts.run()
    with ThreadPoolExecutor(1) as apart:  # from the event loop that a browser has under way in this thread
        apart.submit(notifier_of(site.wallets).deliver).result()
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_delivery SET status = 'dead', last_error = 'no answer'")


def test_the_overview_says_what_needs_a_person(admin: Page, site: Site, db_url: str) -> None:
    admin.goto("/console")
    expect(admin.locator("#cases")).to_contain_text("No wallets yet")
    no_axe_findings(admin)
    site.wallet(5)
    site.wallets.totals(anew=True)
    admin.reload()
    expect(admin.locator("#cases")).to_contain_text("Nothing needs a person")
    expect(admin.locator("#cases")).to_contain_text("No debts, failed payments or lost notices.")
    no_axe_findings(admin)
    owing = site.wallet(100, label=STRANGE)
    site.wallets.adjust(owing.wallet_id, -400, reason="other", note="n", allow_debt=True, idempotency_key=site.key())
    dry = site.wallet(50, label="Dry")
    site.wallets.charge(dry.wallet_id, 50, idempotency_key=site.key())
    with suppress(InsufficientFunds):
        site.wallets.charge(dry.wallet_id, 1, idempotency_key=site.key())
    lost_notice(site, db_url, site.wallet(9_000, label="Lost").wallet_id)
    site.wallets.totals(anew=True)
    admin.reload()
    cases = admin.locator("#cases")
    for text in ("Customers owe something", STRANGE, "¥300", "Customers have no credit left", "Dry"):
        expect(cases).to_contain_text(text)
    expect(cases).to_contain_text("Correct the addresses, then send them again.")
    expect(admin.locator("#outstanding")).to_contain_text("¥8,995")
    expect(admin.locator("#moved")).to_contain_text("Paid in")
    no_axe_findings(admin)
    cases.get_by_role("link", name="Customers owe something").click()
    expect(admin.locator("tbody tr")).to_have_count(1)
    admin.go_back()
    cases.get_by_role("link", name="Lost").click()
    expect(admin).to_have_url(re.compile(r"/console/wallets/\d+/notices$"))


def test_health_says_what_to_do(page: Page, site: Site) -> None:
    site.wallet(10)
    site.clock.advance(hours=2)
    site.signed_in_operator(page)
    page.goto("/console/health")
    expect(page.locator(".heading")).to_contain_text("Needs a look")
    expect(page.locator("#findings")).to_contain_text("Entries wait too long for a seal.")
    expect(page.locator(".badge").filter(has_text="Look at this")).to_have_count(1)
    no_axe_findings(page)
    site.wallets.maintenance.seal()
    page.reload()
    expect(page.locator(".heading")).to_contain_text("All well")
    no_axe_findings(page)


def test_anything_is_found_by_what_it_is_called(admin: Page, site: Site) -> None:
    made = site.wallet(1_000, label="Acme", reference="cust_7")
    entry = site.wallets.charge(
        made.wallet_id, 30, idempotency_key="key-1", request_id="req-1", reference="order-1", note="Crawl"
    )
    payment = paid(site, made.wallet_id)
    admin.goto("/console")
    admin.get_by_role("searchbox", name="Find an entry or a customer").fill("req-1")
    admin.keyboard.press("Enter")
    expect(admin).to_have_url(re.compile(r"/console/find\?q=req-1$"))
    expect(admin.locator("main")).to_contain_text("by its request id")
    no_axe_findings(admin)
    for words, found in (
        ("order-1", "by its reference"),
        ("key-1", "by its idempotency key"),
        (str(entry.txn_id), "by its id"),
        ("cust_7", "Acme"),
        (payment, "¥3,000"),
    ):
        admin.locator("main").get_by_role("searchbox").fill(words)
        admin.get_by_role("button", name="Find").click()
        expect(admin.locator("main")).to_contain_text(found)
    admin.goto("/console/find?q=order-1")
    admin.get_by_role("link", name="Crawl").click()
    expect(admin).to_have_url(re.compile(rf"/console/wallets/{made.wallet_id}/activity/{entry.txn_id}$"))
    admin.goto("/console/find")
    admin.locator("main").get_by_role("searchbox").fill(made.owner_token)
    admin.get_by_role("button", name="Find").click()
    expect(admin.get_by_role("link", name="Acme")).to_be_visible()
    assert made.owner_token not in admin.url + admin.content()
    admin.goto("/console/find?q=nobody-knows")
    expect(admin.get_by_text("Nothing is called like that")).to_be_visible()
    no_axe_findings(admin)


@pytest.fixture
def payment(site: Site, clock: Clock) -> Iterator[str]:
    """The id of a payment of ¥10,000 in the period before, of which the law lets ¥2,000 be paid back."""
    start = clock()
    clock.set(start.replace(year=start.year + 1, month=2, day=15))
    topup = paid(site, site.wallet(0, label="Acme").wallet_id, 10_000)
    clock.set(clock().replace(month=6))
    yield topup
    clock.set(start)


def test_a_payment_is_paid_back(payment: str, admin: Page, site: Site) -> None:
    admin.goto("/console/payments?status=credited")
    admin.locator(f"a[href='/console/payments/{payment}']").click()
    no_axe_findings(admin)
    form = admin.locator("form[action$='/pay-back']")
    form.get_by_label("Amount", exact=True).fill("9,000")
    send(form, "Pay back")
    expect(admin.get_by_role("alert")).to_be_visible()
    form.get_by_label("Amount", exact=True).fill("1,200")
    send(form, "Pay back")
    said(admin, "It is on its way back to the card.")
    wallet_id = site.wallets.topups.show(payment).wallet_id
    assert site.wallets.balance(wallet_id).balance_yen == 8_800
    assert "ticket 4711" in {act.note for act in site.wallets.log(wallet_id=wallet_id)}


def test_a_payment_that_failed_says_what_to_do_and_one_that_waits_is_given_up(admin: Page, site: Site) -> None:
    wallet_id = site.wallet(0, label="Acme").wallet_id
    topup = declined(site, wallet_id)
    admin.goto("/console/payments")
    expect(admin.locator("tbody tr")).to_contain_text("ask the owner")
    no_axe_findings(admin)
    admin.locator(f"a[href='/console/payments/{topup}']").click()
    expect(admin.locator(".notice.bad")).to_contain_text("What to do")
    no_axe_findings(admin)
    waiting = site.payments.request(wallet_id, 500, idempotency_key=token_hex(8)).topup_id
    admin.goto(f"/console/payments/{waiting}")
    send(admin.locator("form[action$='/give-up']"), "Give up the payment")
    said(admin, "The payment is given up.")
    assert site.wallets.topups.show(waiting).status == "canceled"


def test_a_notice_that_did_not_arrive_is_sent_again(admin: Page, site: Site, db_url: str) -> None:
    wallet_id = site.wallet(100).wallet_id
    lost_notice(site, db_url, wallet_id)
    admin.goto("/console/deliveries")
    expect(admin.locator("tbody tr").first).to_contain_text("no answer")
    no_axe_findings(admin)
    admin.get_by_role("button", name="Send again").first.click()
    said(admin, "The notice is on its way again.")
    expect(admin.locator("tbody tr")).to_have_count(1)
    assert len(site.wallets.deliveries.list(wallet_id, status="pending")) == 1


def test_prices_are_compared_before_they_count(admin: Page, site: Site) -> None:
    site.wallets.prices.apply(PRICES)
    admin.goto("/console/prices")
    expect(admin.locator("tbody")).to_contain_text("¥3.3")
    no_axe_findings(admin)
    admin.get_by_role("link", name="Change prices").click()
    file = admin.get_by_label("Price file")
    expect(file).to_have_value(re.compile('item = "search"'))
    file.fill("[[price]\n")
    admin.get_by_role("button", name="See what changes").click()
    expect(admin.get_by_role("alert")).to_be_visible()
    expect(file).to_have_value("[[price]\n")
    file.fill(PRICES.replace("3.30", "4") + '\n[[price]]\nitem = "image"\nunit_price_yen = "12"\n')
    admin.get_by_role("button", name="See what changes").click()
    expect(admin.locator("table.diff")).to_contain_text("¥12")
    no_axe_findings(admin)
    assert str(site.wallets.prices.list()[0].unit_price) in ("3.3", "3.30"), "nothing is applied yet"
    send(admin.locator("form[action='/console/prices/apply']"), "Apply these prices", "dearer search")
    said(admin, "The prices count now.")
    expect(admin.locator("tbody")).to_contain_text("¥12")
    admin.get_by_role("link", name="History").click()
    expect(admin.locator("main section")).to_have_count(2)
    no_axe_findings(admin)


def test_an_operator_from_the_first_key_to_the_last(admin: Page, site: Site, watch: Watch) -> None:
    admin.goto("/console/operators")
    form = task(admin, "Add somebody")
    form.get_by_label("Name").fill("alice")
    form.get_by_text("Support", exact=True).click()
    send(form, "Add", "new colleague")
    token = admin.locator("#secret").inner_text()
    no_axe_findings(admin)
    alice = watch.new_page()
    site.sign_in(alice, token)
    alice.goto("/console")
    expect(alice.locator("header")).to_contain_text("alice")
    expect(alice.get_by_role("link", name="Operators")).to_have_count(0)

    admin.get_by_role("link", name="I have copied it").click()
    no_axe_findings(admin)
    admin.get_by_text("Finance", exact=True).click()
    send(admin.locator("form").filter(has=admin.get_by_role("button", name="Save")), "Save")
    expect(admin.locator(".heading .badge").first).to_have_text("Finance")
    form = task(admin, "Another key")
    form.get_by_label("The earlier one works for").select_option("86400")
    send(form, "Make another key")
    assert admin.locator("#secret").inner_text() != token
    admin.get_by_role("link", name="I have copied it").click()
    admin.get_by_role("button", name="Revoke", exact=True).last.click()
    expect(admin.locator(".badge.bad").filter(has_text="Revoked")).to_have_count(1)
    send(task(admin, "Remove alice"), "Remove for good", "left us")
    said(admin, "The operator is removed")
    alice.goto("/console")
    expect(alice.locator("input[name=token]")).to_be_visible()
    admin.goto("/console/log?kind=operator")
    expect(admin.locator(".acts")).to_contain_text("left us")


def test_a_seller_from_its_token_to_its_end(admin: Page, site: Site) -> None:
    admin.goto("/console/operators")
    form = task(admin, "Add a seller")
    form.get_by_label("Name").fill("Search API")
    send(form, "Add")
    token = admin.locator("#secret").inner_text()
    admin.get_by_role("link", name="I have copied it").click()
    expect(admin.locator("h1")).to_have_text("Search API")
    form = task(admin, "Another token")
    form.get_by_label("The earlier one works for").select_option("0")
    send(form, "Make another token", "leaked")
    assert admin.locator("#secret").inner_text() != token
    admin.get_by_role("link", name="I have copied it").click()
    send(task(admin, "Remove the seller"), "Remove for good")
    said(admin, "The seller is removed.")
    assert site.wallets.sellers.list()[0].revoked_at is not None


def test_the_log_is_narrowed(admin: Page, site: Site) -> None:
    one, two = (site.wallet(100, label=name).wallet_id for name in ("One", "Two"))
    site.wallets.freeze(one, reason="fraud", note="first case")
    site.wallets.prices.apply(PRICES)
    site.wallets.freeze(two, reason="fraud", note="second case")
    admin.goto("/console/log")
    acts = admin.locator(".acts > li")
    everything = acts.count()
    no_axe_findings(admin)
    admin.get_by_label("About").select_option("prices")
    expect(acts).to_have_count(1)
    admin.goto("/console/log")
    admin.get_by_label("Wallet", exact=True).fill(str(two))
    admin.get_by_role("button", name="Show").click()
    expect(admin.locator(".acts")).to_contain_text("second case")
    expect(admin.locator(".acts")).not_to_contain_text("first case")
    assert acts.count() < everything
    admin.goto("/console/log?since=2099-01-01")
    expect(admin.get_by_text("Nothing was done")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "ja"] if WIDE else ["ja"])
def test_a_phone_in_the_dark_shows_all_of_it(site: Site, watch: Watch, db_url: str, language: Language) -> None:
    wallet_id = site.wallet(9_000, label=STRANGE * 12, reference="cust_" + "7" * 60).wallet_id
    site.wallets.charge(wallet_id, 3, idempotency_key="k", request_id="req-1", note=STRANGE)
    lost_notice(site, db_url, wallet_id)
    declined(site, wallet_id)
    paid(site, wallet_id)
    site.wallets.prices.apply(PRICES)
    site.operator("support", "support.of.a.very.long.name@subdomain.of.a.long.domain.example")
    site.wallets.sellers.create(label=STRANGE * 9)
    phone = watch.new_page(screen=PHONE, look="dark", language=language)
    site.signed_in_operator(phone)
    for path in PAGES:
        phone.goto(f"/console{path}")
        assert phone.locator("main b").count() == 0, "what strangers write stays text"
        phone.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        fits_its_width(phone)
        no_axe_findings(phone)
