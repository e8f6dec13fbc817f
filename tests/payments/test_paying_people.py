"""People who pay on a page of Stripe's, from the pages of the service: they click, leave, return and pay elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import httpx
import pytest
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from installation import CHANNELS, DECLINED, Installation, Tell, delivery, session_of
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import Offer
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import ClosingBlocked, InvalidAmount, InvalidRequest
from credit_wallet.payments.replies import Payments

PUBLIC = "https://wallet.test"
PAYING, ASKS_FIRST = "4242424242424242", "4000002500003155"
METHODS = ("card", "konbini", "customer_balance")
pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture
def shop(wallets: CreditWallet, fake: FakeStripe, clock: Clock) -> Installation:
    """An installation that takes cards, slips and transfers, and whose people return to its own pages."""
    return Installation(wallets, fake, clock, methods=METHODS, return_url=None, public_url=PUBLIC)


@pytest.fixture
def owner(wallets: CreditWallet) -> CreatedWallet:
    return wallets.create()


@pytest.fixture
def api(shop: Installation) -> Iterator[Api]:
    with Api(new_app(shop.wallets, payments=shop.payments)) as opened:
        yield opened


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client() as opened:
        yield opened


def asked(api: Api, owner: CreatedWallet, key: str = "k", amount_yen: int = 1_000, **more: Any) -> dict[str, Any]:
    """The owner has asked for a page to pay on."""
    answer = api.post("/credit/topup", owner.owner_token, key=key, amount_yen=amount_yen, checkout=True, **more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def shown(api: Api, owner: CreatedWallet, topup: dict[str, Any]) -> dict[str, Any]:
    """What the page that a person returns to learns."""
    return dict(api.get(f"/credit/topups/{topup['topup_id']}", owner.owner_token).json())


def test_what_there_is_to_pay_with(api: Api, owner: CreatedWallet, wallets: CreditWallet) -> None:
    assert api.get("/credit/topups/options", owner.owner_token).json() == {
        "accepts_payments": True,
        "test_money": True,
        "min_yen": 50,
        "max_yen": 500_000,
        "methods": [
            {"method": "card", "min_yen": 50, "max_yen": 500_000},
            {"method": "konbini", "min_yen": 120, "max_yen": 300_000},
            {"method": "customer_balance", "min_yen": 50, "max_yen": 500_000},
        ],
    }
    with Api(new_app(wallets)) as without:
        options = without.get("/credit/topups/options", owner.owner_token).json()
    assert (options["accepts_payments"], options["methods"]) == (False, [])


@pytest.mark.parametrize(("settings", "offered"), [({}, ["card"]), ({"max_yen": 100}, ["card"])])
def test_methods_that_fit_no_amount_are_not_offered(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, settings: Any, offered: list[str]
) -> None:
    methods = ("card", "konbini") if settings else ()
    options = Installation(wallets, fake, clock, methods=methods, **settings).payments.options()
    assert [each.method for each in options.methods] == offered


def test_a_person_pays_by_card_and_comes_back_before_the_webhook(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client
) -> None:
    topup = asked(api, owner)
    page = topup["next_action"]
    assert (page["type"], page["url"], page["amount_yen"]) == ("checkout", topup["checkout_url"], 1_000)
    assert page["expires_at"] > topup_of(shop, topup).created_at
    left = browser.get(topup["checkout_url"]).text
    assert f'href="{PUBLIC}/wallet/pay-in?topup_id={topup["topup_id"]}">Cancel' in left
    back = browser.post(topup["checkout_url"], data={"with": PAYING}).headers["Location"]
    assert back == f"{PUBLIC}/wallet/thank-you?topup_id={topup['topup_id']}"
    thanks = shown(api, owner, topup)
    assert (thanks["status"], thanks["next_action"], thanks["checkout_url"]) == ("credited", None, None)
    assert (thanks["credited_yen"], thanks["credited"]) == (1_000, "1000")
    assert shop.wallets.history(owner.wallet_id)[0].txn_id == thanks["credit_txn_id"]
    shop.hear(order=Random(1), times=2)
    assert shop.wallets.balance(owner.wallet_id) == 1_000
    assert shop.wallets.topups.payer(owner.wallet_id).payment_method is not None
    assert shop.wallets.verify() == []


def topup_of(shop: Installation, topup: dict[str, Any]) -> Any:
    return shop.wallets.topups.show(topup["topup_id"])


@pytest.mark.parametrize("tell", CHANNELS)
def test_a_person_who_closes_the_tab_is_credited(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client, tell: Tell
) -> None:
    topup = asked(api, owner)
    browser.post(topup["checkout_url"], data={"with": PAYING})
    shop.clock.advance(minutes=11)
    tell(shop)
    assert topup_of(shop, topup).status == "credited"
    assert shop.wallets.balance(owner.wallet_id) == 1_000


def test_a_person_pays_the_same_page_in_two_tabs_once(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client
) -> None:
    topup, again = asked(api, owner), asked(api, owner)
    assert topup["checkout_url"] == again["checkout_url"]
    browser.post(topup["checkout_url"], data={"with": PAYING})
    second = browser.post(again["checkout_url"], data={"with": PAYING})
    assert "complete" in second.text
    shop.hear(times=2)
    assert shop.kept(owner.wallet_id) == shop.wallets.balance(owner.wallet_id) == 1_000


def test_a_person_pays_two_pages_and_gets_both(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client
) -> None:
    for topup in [asked(api, owner, key) for key in ("one tab", "another tab")]:
        browser.post(topup["checkout_url"], data={"with": PAYING})
    shop.hear(order=Random(2), times=2)
    assert shop.kept(owner.wallet_id) == shop.wallets.balance(owner.wallet_id) == 2_000


def test_a_declined_person_who_goes_back_finds_the_page_again(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client
) -> None:
    topup = asked(api, owner)
    browser.post(topup["checkout_url"], data={"with": DECLINED})
    shop.hear()
    returned = shown(api, owner, topup)
    assert (returned["status"], returned["reason"]) == ("failed", "generic_decline")
    assert returned["checkout_url"] == returned["action_url"] == topup["checkout_url"]
    assert returned["next_action"]["type"] == "checkout"
    browser.post(returned["checkout_url"], data={"with": PAYING})
    assert shown(api, owner, topup)["status"] == "credited"


def test_a_person_asked_by_the_bank_goes_on_at_the_page(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client
) -> None:
    topup = asked(api, owner)
    question = browser.post(topup["checkout_url"], data={"with": ASKS_FIRST}).headers["Location"]
    waiting = shown(api, owner, topup)
    assert (waiting["status"], waiting["next_action"]["type"]) == ("requires_action", "checkout")
    assert waiting["checkout_url"] == topup["checkout_url"]
    back = browser.post(question, data={"do": "authenticate"}).headers["Location"]
    assert back.startswith(f"{PUBLIC}/wallet/thank-you?")
    assert shown(api, owner, topup)["status"] == "credited"
    payer = shop.wallets.topups.payer(owner.wallet_id)
    assert payer.payment_method is not None


def test_a_slip_is_shown_until_it_is_paid(api: Api, owner: CreatedWallet, browser: httpx.Client) -> None:
    topup = asked(api, owner, method="konbini", language="ja")
    offered = browser.get(topup["checkout_url"]).text
    assert 'value="konbini"' in offered
    assert 'value="customer_balance"' not in offered
    assert PAYING not in offered
    assert "残高のチャージ ¥1,000" in offered
    slip = browser.post(topup["checkout_url"], data={"with": "konbini"}).headers["Location"]
    waiting = shown(api, owner, topup)
    action = waiting["next_action"]
    assert (waiting["status"], action["type"], action["url"]) == ("requires_action", "konbini", slip)
    assert (waiting["checkout_url"], action["amount_yen"], action["amount"]) == (None, 1_000, "1000")
    assert action["expires_at"].endswith("T14:59:59.000Z")  # the end of a day in Japan
    assert [each["store"] for each in action["stores"]] == ["familymart", "lawson", "ministop", "seicomart"]
    for each in action["stores"]:
        assert each["payment_code"] in browser.get(slip).text
        assert each["confirmation_number"] in browser.get(slip).text
    refused = api.post("/credit/topup", owner.owner_token, key="another", amount_yen=1_000, checkout=True)
    assert (refused.status_code, refused.json()["action_url"]) == (409, slip)
    browser.post(slip, data={"do": "pay-voucher"})
    assert shown(api, owner, topup)["status"] == "credited"
    assert shown(api, owner, topup)["next_action"] is None


@pytest.mark.parametrize("tell", CHANNELS)
def test_a_transfer_in_parts_says_what_is_missing(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client, tell: Tell
) -> None:
    topup = asked(api, owner, method="customer_balance")
    account = browser.post(topup["checkout_url"], data={"with": "customer_balance"}).headers["Location"]
    whole = shown(api, owner, topup)["next_action"]
    assert (whole["type"], whole["amount_yen"], whole["url"], whole["stores"]) == ("bank_transfer", 1_000, account, [])
    assert whole["bank_account"]["account_number"] in browser.get(account).text
    assert whole["bank_account"] | {"account_number": None} == {
        "bank_name": "テスト銀行",
        "bank_code": "0000",
        "branch_name": "テスト支店",
        "branch_code": "000",
        "account_type": "futsu",
        "account_number": None,
        "account_holder": "テストマネー",
    }
    browser.post(account, data={"do": "transfer", "amount_yen": "400"})
    part = shown(api, owner, topup)
    assert (part["status"], part["next_action"]["amount_yen"]) == ("requires_action", 600)
    browser.post(account, data={"do": "transfer", "amount_yen": "650"})
    shop.clock.advance(minutes=11)
    tell(shop)
    assert topup_of(shop, topup).status == "credited"
    assert shop.wallets.balance(owner.wallet_id) == 1_000


def test_what_a_person_needs_to_pay_is_the_owners_alone(
    api: Api, owner: CreatedWallet, browser: httpx.Client, wallets: CreditWallet
) -> None:
    topup = asked(api, owner, method="konbini")
    browser.post(topup["checkout_url"], data={"with": "konbini"})
    agent = wallets.keys.create(owner.wallet_id).token
    stranger = wallets.create().owner_token
    missing = api.get("/credit/topups/tu_00000000000000000000000000000", stranger)
    for token, status in ((stranger, 404), (agent, 403)):
        answer = api.get(f"/credit/topups/{topup['topup_id']}", token)
        assert answer.status_code == status
        assert "payment_code" not in answer.text
    theirs = api.get(f"/credit/topups/{topup['topup_id']}", stranger)
    told = ("status", "code", "title")
    assert [theirs.json()[each] for each in told] == [missing.json()[each] for each in told]


@pytest.mark.parametrize("forged", ["..%2Fwallet", "tu_%00", "tu_" + "x" * 200, "<script>", "options%2F.."])
def test_a_forged_address_to_return_to_shows_nothing(api: Api, owner: CreatedWallet, forged: str) -> None:
    answer = api.get(f"/credit/topups/{forged}", owner.owner_token)
    assert answer.status_code in (400, 404, 422)
    assert "next_action" not in answer.text


@pytest.mark.parametrize("tell", CHANNELS)
def test_a_page_that_expires_while_somebody_pays_is_credited(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client, tell: Tell
) -> None:
    paid, late = asked(api, owner), asked(api, owner, key="late")
    browser.post(paid["checkout_url"], data={"with": PAYING})
    shop.clock.advance(days=1, seconds=1)
    assert "expired" in browser.post(late["checkout_url"], data={"with": PAYING}).text
    tell(shop)
    assert topup_of(shop, paid).status == "credited"
    assert shown(api, owner, late) | {"reason": None} == {
        **late,
        "status": "canceled",
        "reason": None,
        "checkout_url": None,
        "action_url": None,
        "next_action": None,
    }
    assert shop.kept(owner.wallet_id) == shop.wallets.balance(owner.wallet_id) == 1_000


def test_an_expiry_that_is_delivered_after_the_payment_takes_nothing(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client
) -> None:
    topup = asked(api, owner)
    session = topup_of(shop, topup).checkout_session
    metadata = shop.payments.gateway.api.v1.checkout.sessions.retrieve(session).to_dict()["metadata"]
    browser.post(topup["checkout_url"], data={"with": PAYING})
    shop.hear()
    expired = {"id": session, "payment_intent": None, "status": "expired", "metadata": metadata}
    expired |= {"amount_total": 1_000, "currency": "jpy", "livemode": False}
    event = {"id": "evt_1", "type": "checkout.session.expired", "created": int(shop.clock().timestamp())}
    shop.deliver({**event, "data": {"object": expired}})
    assert topup_of(shop, topup).status == "credited"
    assert shop.wallets.balance(owner.wallet_id) == 1_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"livemode": True},
        {"currency": "usd"},
        {"amount_total": 100.7},
        {"metadata": {}},
        {"payment_intent": "pi_of_somebody_else"},
    ],
)
def test_a_session_that_is_not_as_asked_credits_nothing(
    shop: Installation, api: Api, owner: CreatedWallet, wrong: dict[str, Any]
) -> None:
    topup = asked(api, owner)
    sessions = shop.payments.gateway.api.v1.checkout.sessions
    session = sessions.retrieve(topup_of(shop, topup).checkout_session).to_dict()
    event = {"id": "evt_1", "type": "checkout.session.completed", "created": int(shop.clock().timestamp())}
    body, header = delivery({**event, "data": {"object": {**session, "status": "complete", **wrong}}})
    answer = api.call("POST", "/webhooks/stripe", content=body, headers={"Stripe-Signature": header})
    assert answer.status_code in (200, 400, 502)
    assert shop.wallets.balance(owner.wallet_id) == 0
    assert topup_of(shop, topup).status in ("pending", "requested")


@pytest.mark.parametrize("meanwhile", ["frozen", "being closed"])
def test_what_a_person_pays_into_a_wallet_that_is_frozen_meanwhile_is_credited(
    shop: Installation, api: Api, owner: CreatedWallet, browser: httpx.Client, meanwhile: str
) -> None:
    topup = asked(api, owner)
    if meanwhile == "frozen":
        shop.wallets.freeze(owner.wallet_id, reason="fraud", note="ticket 1")
    else:
        with pytest.raises(ClosingBlocked) as blocked:
            shop.wallets.close_wallet(owner.wallet_id, note="ticket 1")
        assert blocked.value.details["topup_ids"] == [topup["topup_id"]]
        refused = api.post("/credit/topup", owner.owner_token, key="new", amount_yen=1_000, checkout=True)
        assert (refused.status_code, refused.json()["code"]) == (409, "wallet_closed")
    browser.post(topup["checkout_url"], data={"with": PAYING})
    shop.hear(order=Random(3), times=2)
    assert topup_of(shop, topup).status == "credited"
    assert shop.wallets.show(owner.wallet_id).balance_yen == 1_000
    assert shop.wallets.verify() == []


@pytest.mark.parametrize(
    ("amount_yen", "offer", "field"),
    [
        (119, Offer("konbini"), "amount_yen"),
        (300_001, Offer("konbini"), "amount_yen"),
        (49, None, "amount_yen"),
        (500_001, Offer("card"), "amount_yen"),
        (1_000, Offer("paypay"), "method"),
        (1_000, Offer("x" * 41), "method"),
    ],
)
def test_what_cannot_be_paid_is_not_asked_for(
    shop: Installation, amount_yen: int, offer: Offer | None, field: str
) -> None:
    wallet_id = shop.owner()
    with pytest.raises((InvalidAmount, InvalidRequest)) as refusal:
        shop.request(wallet_id, amount_yen, flow="checkout", offer=offer)
    assert refusal.value.details["field"] == field
    assert shop.wallets.topups.list(wallet_id) == []


@pytest.mark.parametrize("body", [{"method": "Card!"}, {"language": "fr"}, {"save_card": "no"}, {"method": ""}])
def test_a_body_that_makes_no_sense_is_refused(api: Api, owner: CreatedWallet, body: dict[str, Any]) -> None:
    answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000, checkout=True, **body)
    assert (answer.status_code, answer.json()["field"]) == (422, next(iter(body)))


@pytest.mark.parametrize("methods", [(), ("card",), METHODS])
@pytest.mark.parametrize("flow", ["intent", "checkout"])
@pytest.mark.parametrize("save_card", [True, False])
def test_a_card_is_saved_only_if_its_owner_likes(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, methods: Any, flow: Any, save_card: bool
) -> None:
    shop = Installation(wallets, fake, clock, methods=methods)
    wallet_id = shop.owner()
    topup = shop.request(wallet_id, flow=flow, offer=Offer(save_card=save_card))
    intent = shop.fake.pay(topup.payment_intent or session_of(shop, topup), PAYING)
    assert set(intent["payment_method_types"]) == (set(methods) or {"card"})
    shop.hear()
    assert wallets.balance(wallet_id) == 1_000
    assert (wallets.topups.payer(wallet_id).payment_method is not None) is save_card
    assert wallets.topups.show(topup.topup_id).offer == (None if save_card else Offer(save_card=False))


def later(shop: Installation) -> Payments:
    """The payments, when the comparison with Stripe looks at what was not heard of."""
    shop.clock.advance(minutes=11)
    return shop.payments


@pytest.mark.parametrize("flow", ["intent", "checkout"])
def test_asking_again_after_a_lost_answer_asks_for_the_same(
    wallets: CreditWallet, fake: FakeStripe, clock: Clock, faults: StripeFaults, flow: Any
) -> None:
    """By whoever does it: the same request again, a person who looks, or the comparison with Stripe."""
    shop = Installation(wallets, fake, clock, methods=METHODS, api_url=faults.url)
    again: list[Callable[[int], object]] = [
        lambda wallet_id: shop.request(wallet_id, flow=flow, offer=Offer("card", False, "ja")),
        lambda _: later(shop).reconcile(),
    ]
    for ask_again in again:
        wallet_id = shop.owner()
        faults.timeout_after_processing(path="payment_intents|sessions", times=3)
        with pytest.raises(Exception, match="Stripe"):
            shop.request(wallet_id, flow=flow, offer=Offer("card", False, "ja"))
        ask_again(wallet_id)
        [topup] = wallets.topups.list(wallet_id)
        assert (topup.status, topup.offer) == ("pending", Offer("card", False, "ja"))
        shop.fake.pay(topup.payment_intent or str(topup.checkout_session))
        shop.hear()
        assert len(shop.made(wallet_id)) == 1
        assert wallets.balance(wallet_id) == 1_000


def test_another_method_under_the_same_key_is_a_conflict(api: Api, owner: CreatedWallet) -> None:
    asked(api, owner, method="card")
    answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000, checkout=True, method="konbini")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")


def test_people_return_to_a_page_of_the_operators(installation: Installation) -> None:
    topup = installation.request(installation.owner(), flow="checkout")
    session = installation.payments.gateway.api.v1.checkout.sessions.retrieve(session_of(installation, topup))
    there = f"https://wallet.test/paid?topup_id={topup.topup_id}"
    assert (session.success_url, session.cancel_url) == (there, there)
    assert session.client_reference_id == topup.topup_id
