"""Top-ups over HTTP where no payments are set up, or the provider cannot be reached."""

from __future__ import annotations

import pytest
from databases import on_both_databases
from http_answers import assert_problem
from service import OPERATOR_KEY, Api, new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import PaymentProviderError

pytestmark = on_both_databases

UNREACHABLE = PaymentProviderError("Stripe could not be reached")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/credit/topup", {"amount_yen": 1_000}),
        ("GET", "/credit/topups/{}", None),
        ("DELETE", "/credit/topups/{}", None),
        ("POST", "/operator/topups/{}/pay-back", {"amount_yen": 1}),
        ("POST", "/webhooks/stripe", {}),
    ],
)
def test_a_service_without_payments_says_so(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, method: str, path: str, body: dict[str, int] | None
) -> None:
    topup = wallets.topups.request(wallet.wallet_id, 1_000, idempotency_key="before")
    token = OPERATOR_KEY if path.startswith("/operator") else wallet.owner_token
    answer = api.call(method, path.format(topup.topup_id), token, key="k", json=body)
    assert_problem(answer, 501, "payments_not_configured")
    assert [each["topup_id"] for each in api.get("/credit/topups", wallet.owner_token).json()["topups"]] == [
        topup.topup_id
    ]


@pytest.mark.parametrize("path", ["/credit/topup", "/operator/topups/tu_1/pay-back"])
def test_asking_for_a_payment_needs_a_key(api: Api, token: str, path: str) -> None:
    caller = OPERATOR_KEY if path.startswith("/operator") else token
    assert_problem(api.post(path, caller, amount_yen=1_000), 428, "idempotency_key_required")
    assert_problem(api.post(path, caller, key="k", amount_yen=0), 422, "invalid_amount", field="amount_yen")


def test_a_delivery_longer_than_any_of_stripes_is_refused(wallets: CreditWallet) -> None:
    with Api(new_app(wallets, payments=StandIn(UNREACHABLE))) as api:
        answer = api.call("POST", "/webhooks/stripe", content=b" " * (1 << 20) + b" ")
    assert_problem(answer, 413, "body_too_large")


def test_a_provider_that_cannot_be_asked_is_a_bad_gateway(wallets: CreditWallet, token: str) -> None:
    with Api(new_app(wallets, payments=StandIn(UNREACHABLE))) as api:
        answer = api.post("/credit/topup", token, key="k", amount_yen=1_000)
        assert_problem(answer, 502, "payment_provider_error")
        assert answer.headers["retry-after"] == "1"
        assert_problem(api.call("POST", "/webhooks/stripe", content=b"{}"), 502, "payment_provider_error")


def test_a_long_list_goes_on(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    made = {wallets.topups.request(wallet.wallet_id, 100, idempotency_key=f"{n}").topup_id for n in range(5)}
    found: list[str] = []
    asked: dict[str, str] = {}
    for _ in range(3):
        page = api.get("/credit/topups", wallet.owner_token, limit=2, **asked).json()
        found += [each["topup_id"] for each in page["topups"]]
        asked = {"cursor": page["next_cursor"]}
    assert asked == {"cursor": None}
    assert len(found) == 5
    assert set(found) == made
