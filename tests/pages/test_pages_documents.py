"""Statements and receipts: what they say, as pages, as files and on paper."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from clock import Clock
from service import Api, new_app
from visiting import Visitor

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.reports import statement_counted

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3"

[[price]]
item = "tokens"
per = 1000
tiers = [{up_to = 500000, unit_price_yen = "0.8"}, {unit_price_yen = "0.35"}]
"""


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 9, 30, 16, tzinfo=UTC))


@pytest.fixture
def wallet(wallets: CreditWallet, clock: Clock) -> CreatedWallet:
    """A wallet of a Tokyo company, in which October has begun while it is September in UTC."""
    wallets.prices.apply(PRICES)
    made = wallets.create(label="北風 <b>", time_zone="Asia/Tokyo", monthly_budget_yen=500)
    key = wallets.keys.create(made.wallet_id, label="<script>").key_id
    wallets.topup(made.wallet_id, 2_000, idempotency_key="paid")
    clock.advance(hours=1)
    charged = wallets.charge(made.wallet_id, item="search", quantity=4, idempotency_key="1", key_id=key).txn_id
    wallets.charge(made.wallet_id, item="tokens", quantity=1_500, idempotency_key="2", note="=1+1")
    wallets.refund(charged, 3, idempotency_key="3")
    clock.set(datetime(2026, 11, 2, 12, tzinfo=UTC))
    return made


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, public_url="http://wallet.test")) as opened:
        yield opened


@pytest.fixture
def owner(api: Api, wallet: CreatedWallet) -> Visitor:
    return Visitor(api).sign_in(wallet.owner_token)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_there_is_a_statement_of_every_month_by_the_wallets_clocks(owner: Visitor) -> None:
    page = owner.get("/wallet/documents").text
    assert re.findall(r'href="/wallet/documents/(\d{4}-\d\d)"', page) == ["2026-11", "2026-10"]


def test_a_statement_adds_up_and_says_what_was_bought_by_whom(owner: Visitor) -> None:
    page = owner.get("/wallet/documents/2026-10").text
    said = words(page)
    assert "1 October 2026 – 31 October 2026" in said
    assert "Balance at the beginning ¥0.0" in said
    assert "Paid in and given +¥2,000.0 Spent −¥13.2 Refunded of what was spent, in this month or before +¥3.0" in said
    assert "Balance at the end ¥1,989.8" in said
    assert "¥0.8 per 1,000 up to 500,000, then ¥0.35 per 1,000" in said
    assert "<script>" not in page.replace("<script src=", "")
    assert "&lt;script&gt;" in page
    assert "北風 &lt;b&gt;" in page


def test_a_statement_in_japanese_says_prices_with_tiers(api: Api, wallet: CreatedWallet) -> None:
    said = words(Visitor(api, "ja").sign_in(wallet.owner_token).get("/wallet/documents/2026-10").text)
    assert "利用明細書" in said
    assert "500,000まで1,000あたり0.8円、以降1,000あたり0.35円" in said


def test_an_agent_sees_its_own_part(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    agent = Visitor(api).sign_in(wallets.keys.create(wallet.wallet_id).token)
    said = words(agent.get("/wallet/documents/2026-10").text)
    assert "of the spending your own part" in said
    assert "search" not in said


@pytest.mark.parametrize(
    ("file", "media_type", "name"),
    [
        ("statement.csv", "text/csv", "wallet-1-2026-10.csv"),
        ("items.csv", "text/csv", "wallet-1-2026-10-items.csv"),
        ("statement.txt", "text/plain", "wallet-1-2026-10.txt"),
        ("statement.json", "application/json", "wallet-1-2026-10.json"),
    ],
)
def test_it_can_be_kept_as_a_file(owner: Visitor, file: str, media_type: str, name: str) -> None:
    answer = owner.get(f"/wallet/documents/2026-10/{file}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_file_has_every_entry(owner: Visitor) -> None:
    rows = list(csv.reader(io.StringIO(owner.get("/wallet/documents/2026-10/statement.csv").text.lstrip("\ufeff"))))
    assert len(rows) == 1 + 4
    assert owner.get("/wallet/documents/2026-10/statement.json").json()["entries"][-1]["txn_type"] == "refund"


@pytest.mark.parametrize(
    "path",
    [
        "/wallet/documents/2026-13",
        "/wallet/documents/x",
        "/wallet/documents/2026-10/statement.exe",
        "/wallet/documents/2026-10/items.json",
        "/wallet/documents/2026-10/secrets.csv",
    ],
)
def test_there_is_nothing_else(owner: Visitor, path: str) -> None:
    answer = owner.get(path)
    assert answer.status_code == 404
    assert "content-disposition" not in answer.headers


def test_a_file_that_cannot_be_drawn_up_is_a_page_that_says_why(
    owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    with wallets.reading_lanes.report(wallet.wallet_id), wallets.reading_lanes.report(wallet.wallet_id):
        answer = owner.get("/wallet/documents/2026-10/statement.csv")
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-disposition" not in answer.headers
    assert "content-security-policy" in answer.headers


def test_an_operator_reads_the_same(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    operator = Visitor(api).sign_in(wallets.operators.create("vic", "viewer").token)
    here = f"/console/wallets/{wallet.wallet_id}/documents"
    assert "Balance at the end ¥1,989.8" in words(operator.get(f"{here}/2026-10").text)
    assert operator.get(f"{here}/2026-10/statement.csv").status_code == 200


def test_a_month_without_anything_and_a_wallet_without_anything(api: Api, wallets: CreditWallet) -> None:
    empty = Visitor(api).sign_in(wallets.create().owner_token)
    assert "No receipts yet" in empty.get("/wallet/documents").text
    said = words(empty.get("/wallet/documents/2026-09").text)
    assert "Nothing was spent in this month." in said


def test_a_month_with_very_many_charges_leaves_out_what_only_the_entries_say(
    owner: Visitor, wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_counted, "MIN_CHARGES", 1)
    wallets.maintenance.count_usage()
    said = words(owner.get("/wallet/documents/2026-10").text)
    assert "Balance at the end ¥1,989.8" in said
    assert "This month has very many charges" in said
    assert "Entries (CSV)" in said
    whole = words(owner.get("/wallet/documents/2026-10?whole=1").text)
    assert "Balance at the end ¥1,989.8" in whole
    assert "This month has very many charges" not in whole
