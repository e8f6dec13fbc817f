"""Prices over HTTP: what a caller is shown, by whom a wallet's group is set, and charges by item."""

from __future__ import annotations

import pytest
from databases import on_both_databases
from http_answers import assert_problem
from service import OPERATOR_KEY, Api, credentials

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = on_both_databases

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "search"
unit_price_yen = "2.75"
group = "partners"

[[price]]
item = "search"
unit_price_yen = 4
valid_from = 2100-01-01T00:00:00+09:00

[[price]]
item = "tokens"
per = 1000
tiers = [{up_to = 5000, unit_price_yen = 0}, {unit_price_yen = "0.2"}]
"""


@pytest.fixture(autouse=True)
def _prices(wallets: CreditWallet) -> None:
    wallets.prices.apply(PRICES)


def search(unit_price: str, valid_from: str | None = None) -> dict[str, object]:
    return {
        "item": "search",
        "unit_price": unit_price,
        "per": 1,
        "tiers": [],
        "valid_from": valid_from,
        "version": 1,
    }


TOKENS = {
    "item": "tokens",
    "unit_price": None,
    "per": 1_000,
    "tiers": [{"up_to": "5000", "unit_price": "0"}, {"up_to": None, "unit_price": "0.2"}],
    "valid_from": None,
    "version": 1,
}


def test_owners_and_agents_see_what_items_cost_them_now_and_later(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, token: str
) -> None:
    agent = wallets.keys.create(wallet.wallet_id).token
    for caller in (token, agent):
        shown = api.get("/credit/prices", caller)
        assert shown.json() == {
            "prices": [search("3.3"), TOKENS],
            "announced": [search("4", "2099-12-31T15:00:00.000Z")],
        }
        assert shown.headers["x-wallet-balance"] == "10000"


def test_sellers_and_operators_see_everybodys_prices_or_those_of_a_payer(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    wallets.configure(wallet.wallet_id, price_group="partners")
    for caller in (wallets.sellers.create().token, OPERATOR_KEY):
        assert api.get("/credit/prices", caller).json()["prices"][0] == search("3.3")
        on_behalf = {**credentials(caller), "X-Payer-Token": wallet.owner_token}
        payers = api.call("GET", "/credit/prices", headers=on_behalf)
        assert payers.json()["prices"][0] == search("2.75")
    assert_problem(api.get("/credit/prices", "nobody"), 401, "unauthorized")


def test_an_operator_sets_the_price_group_and_an_owner_cannot(
    api: Api, wallet: CreatedWallet, token: str, stranger: CreatedWallet
) -> None:
    address = f"/operator/wallets/{wallet.wallet_id}/price-group"
    assert_problem(api.post(address, token, price_group="partners"), 403, "forbidden")
    changed = api.call("PATCH", "/credit/wallet", token, json={"price_group": "partners"})
    assert_problem(changed, 422, "invalid_request", field="price_group")
    assert api.get("/credit/wallet", token).json()["price_group"] is None

    assert api.post(address, OPERATOR_KEY, price_group="partners").json()["price_group"] == "partners"
    assert api.get("/credit/prices", token).json()["prices"][0] == search("2.75")
    assert api.get("/credit/prices", stranger.owner_token).json()["prices"][0] == search("3.3")
    assert api.post("/credit/charge", token, key="a", item="search", quantity=2).json()["amount"] == "5.5"

    assert api.post(address, OPERATOR_KEY, price_group=None).json()["price_group"] is None
    assert api.post("/credit/charge", token, key="b", item="search").json()["amount"] == "3.3"
    wrong = api.post(address, OPERATOR_KEY, price_group="Big Ones")
    assert_problem(wrong, 422, "invalid_request", field="price_group")
    missing = api.post("/operator/wallets/999/price-group", OPERATOR_KEY, price_group="partners")
    assert_problem(missing, 404, "wallet_not_found")


def test_a_charge_by_item_says_the_version_and_an_unknown_item_what_there_is(api: Api, token: str) -> None:
    charged = api.post("/credit/charge", token, key="a", item="tokens", quantity="6500.5").json()
    assert (charged["amount"], charged["amount_yen"], charged["price_version"]) == ("0.3001", 0, 1)
    unknown = api.post("/credit/charge", token, key="b", item="crawl")
    assert_problem(unknown, 422, "item_not_priced", item="crawl", items=["search", "tokens"])
    held = api.post("/credit/hold", token, key="c", item="search", quantity=3).json()
    assert held["amount"] == "9.9"
    captured = api.post("/credit/capture", token, key="d", hold_id=held["hold_id"], item="search", quantity=2)
    assert captured.json()["amount"] == "6.6"
