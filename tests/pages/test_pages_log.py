"""Who changed what, in words: filters, days by the wallet's clocks, what owners are not told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from clock import Clock
from service import Api, new_app
from visiting import Visitor

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.pages.owner.log import start_of_day


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 28, 16, tzinfo=UTC))


@pytest.fixture
def wallet(wallets: CreditWallet, clock: Clock) -> CreatedWallet:
    made = wallets.create(label="shop", time_zone="Asia/Tokyo")
    clock.advance(hours=24)
    wallets.configure(made.wallet_id, monthly_budget_yen=5_000)
    wallets.configure(made.wallet_id, monthly_budget_yen=8_000)
    wallets.topup(made.wallet_id, 300, idempotency_key="hand", note="<i>sorry</i>")
    wallets.keys.create(made.wallet_id, label="<script>alert(1)</script>")
    return made


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, public_url="http://wallet.test")) as opened:
        yield opened


@pytest.fixture
def owner(api: Api, wallet: CreatedWallet) -> Visitor:
    return Visitor(api).sign_in(wallet.owner_token)


def acts(visitor: Visitor, path: str) -> list[str]:
    page = visitor.get(path)
    assert page.status_code == 200
    found = re.findall(r'<div class="done">(.*?)</div>\s*<div class="by">', page.text, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", act)).strip() for act in found]


def test_what_was_done_is_said_in_words_with_what_was_and_what_is(owner: Visitor) -> None:
    said = acts(owner, "/wallet/log")
    assert said[0].startswith("Key made")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said[0]
    assert said[1].startswith("Topped up by hand ¥300")
    assert said[2] == "Settings changed Budget a month ¥5,000 → ¥8,000"
    assert said[-1].startswith("Wallet made")


def test_an_owner_is_not_told_which_operator_it_was_and_what_they_wrote(owner: Visitor) -> None:
    page = owner.get("/wallet/log").text
    assert "your provider" in page
    assert "sorry" not in page


def test_operators_read_what_was_written(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    operator = Visitor(api).sign_in(wallets.operators.create("vic", "viewer").token)
    page = operator.get(f"/console/wallets/{wallet.wallet_id}/log").text
    assert "&lt;i&gt;sorry&lt;/i&gt;" in page


def test_it_is_filtered_by_what_it_is_about_and_by_days_of_the_wallet(owner: Visitor) -> None:
    assert {said.split(" ")[0] for said in acts(owner, "/wallet/log?kind=key")} == {"Key"}
    assert len(acts(owner, "/wallet/log?since=2026-11-30")) == 4
    assert acts(owner, "/wallet/log?until=2026-11-29")[0].startswith("Wallet made")
    assert "Nothing of this kind" in owner.get("/wallet/log?until=2026-11-28").text
    assert len(acts(owner, "/wallet/log?since=yesterday&until=")) == 5


def test_a_day_begins_and_ends_by_the_clocks_of_its_time_zone() -> None:
    assert start_of_day("2026-11-29", "Asia/Tokyo") == "2026-11-28T15:00:00.000Z"
    assert start_of_day("2026-11-29", "Asia/Tokyo", days_later=1) == "2026-11-29T14:59:59.999Z"
    assert start_of_day("9999-12-31", "Asia/Tokyo", days_later=1) is None
    assert start_of_day("29 November", "Asia/Tokyo") is None


def test_a_long_log_goes_on(owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    for n in range(60):
        wallets.configure(wallet.wallet_id, low_balance_yen=n + 1)
    page = owner.get("/wallet/log?kind=wallet").text
    [more] = re.findall(r'rel="next" href="(\?[^"]+)"', page)
    assert "kind=wallet" in more
    assert len(acts(owner, "/wallet/log" + more.replace("&amp;", "&"))) == 60 + 4 - 50


def test_an_agent_has_no_log(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    agent = Visitor(api).sign_in(wallets.keys.create(wallet.wallet_id).token)
    assert agent.get("/wallet/log").status_code == 403
