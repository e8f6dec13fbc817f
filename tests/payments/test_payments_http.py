"""Top-ups over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fake_stripe import StripeFaults
from fake_stripe.webhooks import signature
from installation import (
    SECRET,
    Installation,
    delivery,
    intent_of,
)
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture
def owner(wallets: CreditWallet) -> CreatedWallet:
    return wallets.create()


@pytest.fixture
def api(installation: Installation) -> Iterator[Api]:
    with Api(new_app(installation.wallets, payments=installation.payments)) as opened:
        yield opened


def test_an_owner_tops_up_over_http(installation: Installation, api: Api, owner: CreatedWallet) -> None:
    answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    topup = answer.json()
    assert (answer.status_code, topup["status"], topup["checkout_url"]) == (201, "pending", None)
    assert "idempotent-replayed" not in answer.headers
    again = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert again.json() == topup | {"replayed": True}
    installation.fake.pay(topup["payment_intent"])
    results = set()
    for event in installation.news():
        body, header = delivery(event)
        answer = api.call("POST", "/webhooks/stripe", content=body, headers={"Stripe-Signature": header})
        results.add((answer.status_code, answer.json()["result"]))
    assert results == {(200, "settled"), (200, "ignored")}
    assert api.get("/credit/wallet", owner.owner_token).json()["balance_yen"] == 1_000
    [listed] = api.get("/credit/topups", owner.owner_token).json()["topups"]
    shown = api.get(f"/credit/topups/{topup['topup_id']}", owner.owner_token).json()
    assert (listed["status"], shown["status"], shown["client_secret"]) == ("credited", "credited", None)


def test_a_page_to_pay_on_over_http(installation: Installation, api: Api, owner: CreatedWallet) -> None:
    topup = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000, checkout=True).json()
    assert topup["checkout_url"].startswith(installation.fake.url)
    conflict = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "idempotency_conflict")
    given_up = api.call("DELETE", f"/credit/topups/{topup['topup_id']}", owner.owner_token)
    assert (given_up.status_code, given_up.json()["status"]) == (200, "canceled")


def test_another_payment_on_its_way_is_a_conflict(installation: Installation, api: Api, owner: CreatedWallet) -> None:
    first = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000).json()
    installation.fake.pay(first["payment_intent"], "pm_card_visa")
    event = next(event for event in installation.news() if event["type"] == "payment_intent.succeeded")
    event["data"]["object"]["status"] = "processing"
    installation.deliver(event)
    answer = api.post("/credit/topup", owner.owner_token, key="other", amount_yen=1_000)
    assert (answer.status_code, answer.json()["code"]) == (409, "topup_in_flight")
    assert answer.json()["topup_id"] == first["topup_id"]


@pytest.mark.parametrize("amount", [49, 500_001])
def test_bounds_of_an_amount_are_told(api: Api, owner: CreatedWallet, amount: int) -> None:
    answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=amount)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid_amount", "amount_yen")


def test_a_top_up_of_somebody_else_is_not_there(api: Api, owner: CreatedWallet, wallets: CreditWallet) -> None:
    topup = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000).json()
    other = wallets.create().owner_token
    for method in ("GET", "DELETE"):
        answer = api.call(method, f"/credit/topups/{topup['topup_id']}", other)
        assert (answer.status_code, answer.json()["code"]) == (404, "topup_not_found")
    assert api.get("/credit/topups", other).json()["topups"] == []


def test_a_bad_gateway_leaves_a_top_up_that_the_same_key_finishes(
    shaky: Installation, faults: StripeFaults, owner: CreatedWallet
) -> None:
    with Api(new_app(shaky.wallets, payments=shaky.payments)) as api:
        faults.timeout_after_processing(path="payment_intents", times=3)
        answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
        assert (answer.status_code, answer.json()["code"]) == (502, "payment_provider_error")
        answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert len(shaky.made(owner.wallet_id)) == 1


@pytest.mark.parametrize("form", ["120", "%a, %d %b %Y %T GMT", "%A, %d-%b-%y %T GMT", "%a %b %e %T %Y"])
def test_how_long_stripe_asks_to_wait_is_passed_on(
    shaky: Installation, faults: StripeFaults, owner: CreatedWallet, form: str
) -> None:
    then = datetime.now(UTC) + timedelta(seconds=120)
    faults.error(429, path="customers", retry_after=then.strftime(form))
    with Api(new_app(shaky.wallets, payments=shaky.payments)) as api:
        answer = api.post("/credit/topup", owner.owner_token, key="k", amount_yen=1_000)
    assert (answer.status_code, answer.json()["code"]) == (502, "payment_provider_error")
    assert 110 < int(answer.headers["Retry-After"]) <= 120


@pytest.mark.parametrize(
    "header", [b"", b"t=1,v1=00", b"t=99999999999,v1=\xe9", b"t=99999999999,v1=00" + b",v1=0" * 5_000]
)
def test_a_forged_delivery_is_answered_with_400(api: Api, header: bytes) -> None:
    answer = api.call("POST", "/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": header})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")


def test_what_a_delivery_says_twice_is_refused_and_a_strangers_is_not_even_read(api: Api) -> None:
    body = b'{"type": "x", "data": {"object": {"amount": 1, "amount": 2}}}'
    for header, code in ((signature(body, [SECRET], int(time.time())), "invalid_json"), ("s", "invalid_signature")):
        answer = api.call("POST", "/webhooks/stripe", content=body, headers={"Stripe-Signature": header})
        assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_delivery_that_stripe_must_be_asked_about_waits_for_it(shaky: Installation, faults: StripeFaults) -> None:
    wallet_id = shaky.owner()
    topup = shaky.pay(wallet_id)
    shaky.fake.refund(intent_of(topup), 100)
    body, header = delivery(next(event for event in shaky.news() if event["type"] == "refund.created"))
    faults.error(500, method="GET", times=3)
    with Api(new_app(shaky.wallets, payments=shaky.payments)) as api:
        answers = [
            api.call("POST", "/webhooks/stripe", content=body, headers={"Stripe-Signature": header}) for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [502, 200]
    assert shaky.wallets.balance(wallet_id) == 900


def test_an_operator_pays_back_over_http(generous: tuple[Installation, str]) -> None:
    installation, topup_id = generous
    path = f"/operator/topups/{topup_id}/pay-back"
    with Api(new_app(installation.wallets, payments=installation.payments)) as api:
        for _ in range(2):
            answer = api.post(path, OPERATOR_KEY, key="k", amount_yen=1_500)
            assert (answer.status_code, answer.json()["topup_id"]) == (200, topup_id)
        refused = api.post(path, OPERATOR_KEY, key="other", amount_yen=501)
        assert (refused.status_code, refused.json()["code"]) == (403, "pay_back_not_allowed")
        assert refused.json()["left_yen"] == 500
