"""A wallet at a glance, its entries and its spending, in every state, as the pages say it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from clock import Clock
from service import Api, new_app
from visiting import Visitor

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.pages.spend import folded, pace_of, periods_between

EVIL = "<script>alert(1)</script>\"'&{{7*7}}"
SECTIONS = ("", "/activity", "/spending", "/credit", "/spending?by=item", "/spending?by=tool&range=12m")
PRICES = '[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n'


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 5, 15, 3, tzinfo=UTC))


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, public_url="http://wallet.test")) as opened:
        yield opened


@pytest.fixture
def wallet(wallets: CreditWallet, clock: Clock) -> CreatedWallet:
    """¥1,000 paid in and a gift of ¥500 that ends; what two keys have bought on three days, and a refund."""
    made = wallets.create(label="Shop", time_zone="Asia/Tokyo", monthly_budget_yen=100)
    wallet_id = made.wallet_id
    wallets.prices.apply(PRICES)
    wallets.topup(wallet_id, 1_000, idempotency_key="paid")
    wallets.grants.create(wallet_id, 500, lapses=12, note="Welcome")
    wallets.maintenance.credit_grants()
    keys = [wallets.keys.create(wallet_id, label=label).key_id for label in ("Crawler", EVIL)]
    for number in range(9):
        clock.advance(hours=7)
        wallets.charge(
            wallet_id,
            item="search",
            quantity=number + 1,
            key_id=keys[number % 2],
            facts={"tool": f"tool {number % 3}"},
            agent_facts={"run": EVIL},
            note=EVIL if number == 4 else None,
            request_id=f"req-{number}",
            idempotency_key=f"c{number}",
        )
    last = wallets.charge(wallet_id, 2, note="no item", idempotency_key="plain")
    wallets.refund(last.txn_id, 1, idempotency_key="back")
    while wallets.maintenance.count_usage():
        pass
    return made


@pytest.fixture
def owner(api: Api, wallet: CreatedWallet) -> Visitor:
    return Visitor(api).sign_in(wallet.owner_token)


def text_of(html: str) -> str:
    """What a page says, without its markup."""
    main = re.search(r"<main.*?</main>", html, re.DOTALL)
    assert main is not None
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main[0])).split())


def test_the_overview_says_what_there_is_and_where_it_goes(owner: Visitor) -> None:
    said = text_of(owner.get("/wallet").text)
    for part in (
        "¥1,350 .5",
        "May 2026",
        "¥150 of ¥100 · 150 % used",
        "ends in 9 days",
        "Crawler",
        "Monthly budget",
        "Spending by day last 31 days, ¥150",
        "search × 9 @ ¥3.3",
    ):
        assert part in said, (part, said)


def test_pages_answer_in_both_languages_for_everybody_who_may_see_them(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    agent = wallets.keys.create(wallet.wallet_id, label="reader").token
    viewer = wallets.operators.create("vera", "viewer").token
    for token, base in ((wallet.owner_token, "/wallet"), (agent, "/wallet"), (viewer, "/console/wallets/1")):
        for language in ("en", "ja"):
            visitor = Visitor(api, language).sign_in(token)
            for section in (*SECTIONS, "/activity/1"):
                answer = visitor.get(f"{base}{section}")
                expected = 404 if token == agent and section == "/activity/1" else 200
                assert answer.status_code == expected, (base, section, language)
                assert EVIL not in answer.text, section
                assert "<script>alert" not in answer.text, section


def test_an_agent_sees_its_own_part(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    agent = Visitor(api).sign_in(wallets.keys.create(wallet.wallet_id, label="reader").token)
    assert "Crawler" not in agent.get("/wallet").text
    assert "search" not in text_of(agent.get("/wallet/activity").text)
    assert "Pay in" not in text_of(agent.get("/wallet").text)


@pytest.mark.parametrize(
    ("query", "found", "others"),
    [
        ("type=topup", "Credit added", "search ×"),
        ("key_id=1", "search × 1", "search × 2 "),
        ("item=search", "search × 9", "no item"),
        ("query=REQ-8", "search × 9", "search × 8 "),
        ("since=2026-05-17&until=2026-05-17", "search × 7", "search × 9"),
        ("query=nowhere", "Nothing found", "search ×"),
    ],
)
def test_entries_are_narrowed_and_each_filter_can_be_removed(
    owner: Visitor, query: str, found: str, others: str
) -> None:
    answer = owner.get(f"/wallet/activity?{query}")
    assert answer.status_code == 200
    said = text_of(answer.text)
    assert found in said
    assert others not in said
    assert answer.text.count('class="chip"') == len(query.split("&"))


def test_a_filter_that_makes_no_sense_is_refused_with_a_page(owner: Visitor) -> None:
    for query in ("type=nonsense", "key_id=x", "since=yesterday", "item=%00", "cursor=x", "until=9999-12-31"):
        answer = owner.get(f"/wallet/activity?{query}")
        assert answer.status_code == 422, query
        assert "<main" in answer.text


def test_pages_of_entries_go_on_to_the_first(owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    for number in range(60):
        wallets.charge(wallet.wallet_id, 1, note=f"call {number}", idempotency_key=f"more {number}")
    page = owner.get("/wallet/activity").text
    assert "call 59" in page
    assert "call 9<" not in page
    following = re.search(r'href="(\?cursor=[0-9]+)"', page)
    assert following is not None
    page = owner.get(f"/wallet/activity{following[1]}").text
    assert "call 9<" in page
    assert ">Newest</a>" in page
    assert "Earlier" not in text_of(page)


def test_an_entry_says_everything(owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    entries = {entry.note: entry for entry in wallets.history(wallet.wallet_id, limit=100)}
    said = text_of(owner.get(f"/wallet/activity/{entries[EVIL].txn_id}").text)
    for part in ("−¥16.5", "at ¥3.3 each", "Crawler", EVIL, "tool 1", "req-4", "says the agent", "version 1"):
        assert part in said, (part, said)
    charged = text_of(owner.get(f"/wallet/activity/{entries['no item'].txn_id}").text)
    assert "Given back of it ¥1" in charged
    (refund,) = [entry for entry in wallets.history(wallet.wallet_id, limit=5) if entry.txn_type == "refund"]
    assert "Refund of no item" in text_of(owner.get(f"/wallet/activity/{refund.txn_id}").text)
    assert owner.get("/wallet/activity/999").status_code == 404


def test_spending_adds_up(owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    entries = wallets.history(wallet.wallet_id, limit=100)
    total = sum((-entry.amount for entry in entries if entry.txn_type == "charge"), Decimal())
    for query in ("by=key", "by=item&every=week", "by=tool&every=month", "by=key&range=12m", "by=nothing_has_this"):
        said = text_of(owner.get(f"/wallet/spending?{query}").text)
        assert f"¥{int(total)} in 10 calls" in said, (query, said)
        assert f"¥{total.normalize():f}" in said, (query, said)


def test_spending_of_one_key(owner: Visitor) -> None:
    said = text_of(owner.get("/wallet/spending?by=item&key_id=1").text)
    assert "in 5 calls" in said


def test_spending_shows_what_can_be_shown_of_any_range(owner: Visitor) -> None:
    for query in (
        "since=2026-05-18&until=2026-05-16",
        "since=2000-01-01",
        "until=9999-12-31",
        "since=9999-12-31",
        "until=0001-01-03",
        "since=0001-01-01&until=0001-01-02&every=week",
        "since=x&until=y",
        "range=forever",
        "every=second",
    ):
        assert owner.get(f"/wallet/spending?{query}").status_code == 200, query
    assert owner.get("/wallet/spending?by=%3Cx%3E").status_code == 422


def test_too_many_values_are_not_grouped(owner: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credit_wallet.pages.owner.readings.USAGE_PAGE", 2)
    monkeypatch.setattr("credit_wallet.pages.owner.readings.MAX_PAGES", 3)
    said = text_of(owner.get("/wallet/spending?by=tool").text)
    assert "Too many values to group these days" in said
    assert "in 10 calls" in said
    assert "Totals" not in said


def test_the_file_of_spending_is_no_formula(owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    key_id = wallets.keys.create(wallet.wallet_id, label="=HYPERLINK(1)").key_id
    wallets.charge(wallet.wallet_id, 3, key_id=key_id, facts={"tool": "+1"}, idempotency_key="f")
    while wallets.maintenance.count_usage():
        pass
    answer = owner.get("/wallet/spending.csv?by=key")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "period,value,label,item,charges,quantity,amount,refunded"
    assert any(f",{key_id},'=HYPERLINK(1)," in line for line in lines)
    assert ",'+1," in owner.get("/wallet/spending.csv?by=tool").text


def test_a_new_wallet_is_shown_the_way(api: Api, wallets: CreditWallet) -> None:
    made = wallets.create()
    owner = Visitor(api).sign_in(made.owner_token)
    said = text_of(owner.get("/wallet").text)
    assert "Three steps" in said
    assert "curl http://wallet.test/credit/charge" in said
    assert "Latest entries" not in said
    wallets.topup(made.wallet_id, 100, idempotency_key="t")
    wallets.keys.create(made.wallet_id)
    assert text_of(owner.get("/wallet").text).count("Done") == 2
    wallets.charge(made.wallet_id, 1, idempotency_key="c")
    assert "Three steps" not in owner.get("/wallet").text


def test_nothing_is_foretold_in_the_first_hours(api: Api, wallets: CreditWallet, clock: Clock) -> None:
    made = wallets.create()
    wallets.topup(made.wallet_id, 1_000, idempotency_key="t")
    wallets.charge(made.wallet_id, 10, idempotency_key="c")
    owner = Visitor(api).sign_in(made.owner_token)
    said = text_of(owner.get("/wallet").text)
    assert "After a day it says where the month is heading." in said
    assert "until" not in said
    clock.advance(days=2)
    said = text_of(Visitor(api).sign_in(made.owner_token).get("/wallet").text)
    assert "At this pace the month ends" in said
    assert "A day, on average ¥5" in said


def test_what_needs_the_owner_is_said_first(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    owner, wallet_id = Visitor(api).sign_in(wallet.owner_token), wallet.wallet_id

    def attention() -> str:
        return text_of(owner.get("/wallet").text).partition("Available")[0]

    assert "¥350.5 ends soon It ends in 9 days, on 27 May 2026." in attention()
    wallets.configure(wallet_id, low_balance_yen=5_000)
    assert "The balance is running low It is below ¥5,000. Pay in" in attention()
    wallets.configure(wallet_id, budget_mode="cap")
    assert "A budget stops every call" in attention()
    wallets.targets.set(wallet_id, [], mail=True, private=False)
    wallets.freeze(wallet_id, reason="fraud", note="not for the owner")
    assert "This wallet is frozen" in attention()
    assert "not for the owner" not in attention()
    operator = Visitor(api).sign_in(wallets.operators.create("ann", "support").token)
    assert "not for the owner" in operator.get(f"/console/wallets/{wallet_id}").text
    wallets.unfreeze(wallet_id)
    wallets.adjust(wallet_id, -2_000, reason="other", note="n", allow_debt=True, idempotency_key="a")
    assert "is owed" in attention()


def test_a_page_has_no_more_than_it_may(owner: Visitor) -> None:
    for section in SECTIONS:
        page = owner.get(f"/wallet{section}").text
        assert len(page.encode()) < 100_000, section
        assert " style=" not in page
        assert not re.search(r"\son[a-z]+=", page)
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), section
        for part in re.findall(r"<[^>]*data-live[^>]*>", page):
            assert ' id="' in part, part


# The figures of charts


def _row(period: str, amount: str, value: str | None = None, **other: Any) -> dict[str, Any]:
    return {
        "period": period,
        "value": value,
        "charges": 1,
        "amount": amount,
        "refunded": "0",
        "item": None,
        "quantity": None,
        **other,
    }


def test_columns_have_every_period_and_no_more_than_seven_series() -> None:
    rows = [_row("2026-05-01", str(number + 1), f"v{number}") for number in range(9)]
    spend = folded([*rows, _row("2026-05-03", "0.5")], date(2026, 5, 1), date(2026, 5, 4), "day")
    assert [str(period) for period in spend.periods] == ["2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04"]
    assert [len(column) for column in spend.amounts] == [7] * 4
    assert sum(map(sum, spend.amounts)) == spend.total.amount == Decimal("45.5")
    assert [part.value for part in spend.parts[:2]] == ["v8", "v7"]
    assert len(spend.others) == 4


def test_seven_values_have_a_colour_each() -> None:
    rows = [_row("2026-05-01", "1", f"v{number}") for number in range(7)]
    assert not folded(rows, date(2026, 5, 1), date(2026, 5, 1), "day").others


def test_weeks_begin_on_monday_and_months_on_their_first() -> None:
    assert periods_between(date(2026, 5, 15), date(2026, 5, 19), "week") == [date(2026, 5, 11), date(2026, 5, 18)]
    assert periods_between(date(2026, 1, 31), date(2026, 3, 1), "month") == [
        date(2026, 1, 1),
        date(2026, 2, 1),
        date(2026, 3, 1),
    ]


def test_the_pace_of_a_cycle_ends_at_what_is_spent() -> None:
    report = {
        "rows": [_row("2026-05-02", "10"), _row("2026-05-02", "3"), _row("2026-05-03", "7")],
        "counted_from": "2026-04-01T00:00:00.000Z",
        "is_current": True,
    }
    forecast = {
        "billing_cycle": "2026-05",
        "spent": "20",
        "projected_cycle_spend": "200",
        "monthly_budget_yen": 100,
    }
    pace = pace_of(report, forecast, datetime(2026, 5, 3, 12, tzinfo=UTC), [50, 80, 100], 310, 200)
    assert [(day.day, int(spent), int(so_far)) for day, spent, so_far in pace.days] == [
        (1, 0, 0),
        (2, 13, 13),
        (3, 7, 20),
    ]
    assert pace.line.startswith("0.0,200.0 10.0,200.0 20.0,")
    assert pace.line.endswith(f"{pace.now[0]},{pace.now[1]}")
    assert pace.now[0] == 25.0
    assert pace.low <= 200 <= pace.high
    assert [mark.percent for mark in pace.marks] == [50, 80, 100]


def test_marks_that_would_lie_on_each_other_leave_the_whole_budget() -> None:
    report: dict[str, Any] = {"rows": [], "counted_from": None, "is_current": True}
    forecast = {"billing_cycle": "2026-05", "spent": "90000", "projected_cycle_spend": "95000"}
    now = datetime(2026, 5, 30, tzinfo=UTC)
    pace = pace_of(report, {**forecast, "monthly_budget_yen": 100}, now, [50, 80, 100], 600, 180)
    assert [mark.percent for mark in pace.marks] == [100]
    assert not pace.days
