"""Purchases and holds over HTTP: what a gate elsewhere sells, the buyer's own tokens neither make, close nor undo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from clock import Clock
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet


class Seller:
    """A gate's calls on one buyer's request."""

    def __init__(self, api: Api, buyer: CreatedWallet) -> None:
        self.api, self.buyer = api, buyer

    def buy(self, attempt: str = "a", *, payer: str | None = None, key: str = "request", **body: object) -> Any:
        headers = {"X-Payer-Token": payer or self.buyer.owner_token}
        if payer == "":
            headers = {}
        return self.api.call(
            "POST",
            "/credit/purchase",
            OPERATOR_KEY,
            key=key,
            json={"amount_yen": 100, "attempt": attempt, **body},
            headers=headers,
        )

    def act(self, what: str, purchase_key: str, attempt: str = "a", **body: object) -> Any:
        sent = {"wallet_id": self.buyer.wallet_id, "purchase_key": purchase_key, "attempt": attempt, **body}
        return self.api.call("POST", f"/credit/purchase/{what}", OPERATOR_KEY, json=sent)


@pytest.fixture(params=[True, False], ids=["fast", "documented"])
def seller(wallets: CreditWallet, request: pytest.FixtureRequest) -> Iterator[Seller]:
    buyer = wallets.create()
    wallets.topup(buyer.wallet_id, 1_000, idempotency_key="first")
    with Api(new_app(wallets, fast_lane=request.param)) as api:
        yield Seller(api, buyer)


def test_a_seller_sells_to_whoever_the_payers_token_names(seller: Seller, wallets: CreditWallet) -> None:
    sold = seller.buy()
    assert sold.status_code == 200
    assert sold.headers["x-wallet-balance"] == "900"
    assert sold.json() == {
        "txn_id": 2,
        "wallet_id": seller.buyer.wallet_id,
        "amount_yen": 100,
        "amount": "100",
        "balance_yen": 900,
        "balance": "900",
        "price_version": None,
        "replayed": False,
        "alerts": [],
        "warn_pct": 0,
        "hold_id": None,
        "expires_at": None,
        "free": False,
        "purchase_key": "request",
    }
    assert seller.act("serve", "request").status_code == 200
    assert seller.buy("b", free_retries=1).json()["free"]
    exhausted = seller.buy("c", free_retries=1)
    assert (exhausted.status_code, exhausted.json()["code"]) == (409, "retries_exhausted")
    assert wallets.balance(seller.buyer.wallet_id) == 900


def test_the_same_request_of_two_agents_is_two_purchases(seller: Seller, wallets: CreditWallet) -> None:
    tokens = [wallets.keys.create(seller.buyer.wallet_id).token for _ in range(2)]
    keys = {seller.buy(payer=token).json()["purchase_key"] for token in tokens}
    assert len(keys) == 2
    assert wallets.balance(seller.buyer.wallet_id) == 800


def test_no_key_of_the_owners_is_that_of_an_agents_request(seller: Seller, wallets: CreditWallet) -> None:
    agents = [wallets.keys.create(seller.buyer.wallet_id) for _ in range(2)]
    tokens = [seller.buyer.owner_token, *(agent.token for agent in agents)]
    keys = ["k", *(f"k:{number}" for number in (0, *(agent.key_id for agent in agents))), f"k:{agents[0].key_id}:0"]
    sold = [seller.buy(payer=token, key=key, amount_yen=1) for token in tokens for key in keys]
    assert {each.status_code for each in sold} == {200}
    assert len({each.json()["purchase_key"] for each in sold}) == len(sold)
    assert wallets.balance(seller.buyer.wallet_id) == 1_000 - len(sold)


def test_a_purchase_that_is_at_work_says_when_to_ask_again(seller: Seller) -> None:
    seller.buy("a", lease_seconds=3)
    running = seller.buy("b")
    assert (running.status_code, running.json()["code"]) == (409, "purchase_running")
    assert running.headers["retry-after"] == "3"


def test_what_was_not_served_is_given_back(seller: Seller, wallets: CreditWallet) -> None:
    seller.buy()
    assert seller.act("undo", "request", "b").json()["amount_yen"] == 0
    assert seller.act("undo", "request", reason="answered 500").json()["amount_yen"] == 100
    assert wallets.history(seller.buyer.wallet_id)[0].note == "answered 500"
    assert seller.act("undo", "other").status_code == 404


def test_a_purchase_is_renewed_with_its_hold(seller: Seller, wallets: CreditWallet, clock: Clock) -> None:
    hold_id = seller.buy(hold_seconds=30).json()["hold_id"]
    for _ in range(5):
        clock.advance(seconds=25)
        assert seller.act("renew", "request", lease_seconds=30).status_code == 200
    assert wallets.holds.show(hold_id).status == "open"


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("capture", {"amount_yen": 1}),
        ("capture", {"amount_yen": 1, "final": False}),
        ("release", {}),
        ("extend", {"ttl_seconds": 3_600}),
    ],
)
def test_the_buyer_does_not_close_the_sellers_hold(
    seller: Seller, wallets: CreditWallet, call: str, body: dict[str, object]
) -> None:
    hold_ids = [
        seller.buy(hold_seconds=900).json()["hold_id"],
        seller.api.post("/credit/hold", OPERATOR_KEY, key="h", amount_yen=50, wallet_id=1).json()["hold_id"],
    ]
    for hold_id in hold_ids:
        refused = seller.api.post(f"/credit/{call}", seller.buyer.owner_token, key="mine", hold_id=hold_id, **body)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert wallets.balance(seller.buyer.wallet_id).held_yen == 150


def test_the_buyer_closes_its_own_holds(seller: Seller) -> None:
    token = seller.buyer.owner_token
    hold_id = seller.api.post("/credit/hold", token, key="h", amount_yen=50).json()["hold_id"]
    assert seller.api.post("/credit/extend", token, hold_id=hold_id, ttl_seconds=3_600).status_code == 200
    part = seller.api.post("/credit/capture", token, key="c1", hold_id=hold_id, amount_yen=20, final=False)
    assert (part.status_code, part.json()["balance_yen"]) == (200, 950)
    assert seller.api.post("/credit/release", token, key="r", hold_id=hold_id).json()["amount_yen"] == 30


@pytest.mark.parametrize("what", ["purchase", "purchase/serve", "purchase/renew", "purchase/undo"])
def test_a_buyer_sells_nothing_to_itself(seller: Seller, what: str) -> None:
    seller.buy()
    body = {"attempt": "a", "wallet_id": seller.buyer.wallet_id}
    body |= {"amount_yen": 1} if what == "purchase" else {"purchase_key": "request"}
    refused = seller.api.call("POST", f"/credit/{what}", seller.buyer.owner_token, key="k", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_a_payers_token_is_for_sellers_and_must_be_one(seller: Seller, wallets: CreditWallet) -> None:
    owner = seller.buyer.owner_token
    other = wallets.create()
    beside = seller.api.call(
        "POST", "/credit/charge", owner, key="k", json={"amount_yen": 1}, headers={"X-Payer-Token": other.owner_token}
    )
    assert (beside.status_code, beside.json()["field"]) == (403, "X-Payer-Token")
    assert seller.buy(payer=OPERATOR_KEY).status_code == 401
    wrong = seller.buy(wallet_id=other.wallet_id)
    assert (wrong.status_code, wrong.json()["field"]) == (403, "wallet_id")
    assert seller.buy(payer="", wallet_id=seller.buyer.wallet_id).status_code == 200
    assert seller.buy(payer="").json()["field"] == "wallet_id"


def test_bad_tokens_of_buyers_do_not_lock_the_seller_out(seller: Seller) -> None:
    for number in range(30):
        assert seller.buy(payer=f"cw_live_{number}").status_code == 401
    assert seller.buy().status_code == 200


def test_a_charge_or_hold_can_be_made_for_a_payers_token(seller: Seller, wallets: CreditWallet) -> None:
    key = wallets.keys.create(seller.buyer.wallet_id, monthly_cap_yen=60)
    for path in ("/credit/charge", "/credit/hold"):
        made = seller.api.call(
            "POST", path, OPERATOR_KEY, key=path, json={"amount_yen": 30}, headers={"X-Payer-Token": key.token}
        )
        assert made.status_code == 200
    view = wallets.keys.show(key.key_id)
    assert (view.current_cycle_spent_yen, view.held_yen) == (30, 30)


def test_keys_of_a_buyer_do_not_meet_those_of_a_seller(seller: Seller) -> None:
    for key in ("request", "capture:1"):
        seller.api.post("/credit/charge", seller.buyer.owner_token, key=key, amount_yen=1)
    assert not seller.buy().json()["replayed"]
    hold_id = seller.api.post("/credit/hold", OPERATOR_KEY, key="h", amount_yen=50, wallet_id=1).json()["hold_id"]
    captured = seller.api.post("/credit/capture", OPERATOR_KEY, key="capture:1", hold_id=hold_id, amount_yen=50)
    assert captured.status_code == 200
