"""What operators do over HTTP."""

from __future__ import annotations

from databases import on_both_databases
from http_answers import CREDIT_YEN, assert_problem
from service import OPERATOR_KEY, Api

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = on_both_databases


def test_the_operator_refunds_a_charge_in_parts_and_never_more_than_it_took(api: Api, token: str) -> None:
    txn_id = api.post("/credit/charge", token, key="a", amount_yen=100).json()["txn_id"]
    part = api.post("/credit/refund", OPERATOR_KEY, key="r1", txn_id=txn_id, amount_yen=30)
    assert part.json()["balance_yen"] == 9_930
    more = api.post("/credit/refund", OPERATOR_KEY, key="r2", txn_id=txn_id, amount_yen=71)
    assert_problem(more, 409, "refund_exceeds_charge")
    rest = api.post("/credit/refund", OPERATOR_KEY, key="r3", txn_id=txn_id)
    assert (rest.json()["amount_yen"], rest.json()["balance_yen"]) == (70, CREDIT_YEN)
    unknown = api.post("/credit/refund", OPERATOR_KEY, key="r4", txn_id=999)
    assert_problem(unknown, 404, "entry_not_found")


def test_the_operator_tops_up(api: Api, wallet: CreatedWallet, wallets: CreditWallet) -> None:
    body = {"wallet_id": wallet.wallet_id, "amount_yen": 500, "promo": True, "expires_at": "2026-06-01T00:00:00Z"}
    first = api.post("/operator/topup", OPERATOR_KEY, key="t", **body)
    again = api.post("/operator/topup", OPERATOR_KEY, key="t", **body)
    assert first.json()["balance_yen"] == again.json()["balance_yen"] == 10_500
    assert again.headers["idempotent-replayed"] == "true"
    assert (wallets.lots.list(wallet.wallet_id)[0].kind, wallets.lots.list(wallet.wallet_id)[0].remaining_yen) == (
        "promo",
        500,
    )
    late = api.post("/operator/topup", OPERATOR_KEY, key="u", **body | {"expires_at": "yesterday"})
    assert_problem(late, 422, "invalid_request", field="expires_at")


def test_the_operator_creates_lists_shows_and_switches_wallets(api: Api) -> None:
    created = api.post(
        "/operator/wallets", OPERATOR_KEY, label="robots", monthly_budget_yen=500, time_zone="Asia/Tokyo"
    )
    assert created.status_code == 201
    wallet_id, token = created.json()["wallet_id"], created.json()["owner_token"]
    assert api.get("/credit/wallet", token).json()["label"] == "robots"
    shown = api.get(f"/operator/wallets/{wallet_id}", OPERATOR_KEY).json()
    assert (shown["monthly_budget_yen"], shown["time_zone"], shown["enabled"]) == (500, "Asia/Tokyo", True)
    [listed] = api.get("/operator/wallets", OPERATOR_KEY).json()["wallets"]
    assert {name: shown[name] for name in listed} == listed
    found = api.get("/operator/wallets", OPERATOR_KEY, query="robo", sort="-created_at").json()
    assert found == {"wallets": [listed], "next_cursor": None}
    assert api.get("/operator/wallets", OPERATOR_KEY, status="low").json()["wallets"] == []
    switched = api.post(f"/operator/wallets/{wallet_id}/freeze", OPERATOR_KEY, frozen=True, reason="fraud")
    assert (switched.json()["enabled"], switched.json()["frozen"]) == (False, True)
    assert_problem(api.get("/operator/wallets/999", OPERATOR_KEY), 404, "wallet_not_found")
    nowhere = api.post("/operator/wallets", OPERATOR_KEY, time_zone="Mars/Olympus")
    assert_problem(nowhere, 422, "invalid_request", field="time_zone")
