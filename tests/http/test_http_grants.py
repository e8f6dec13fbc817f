"""Grants and consents over HTTP: who may, what is answered, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from databases import on_both_databases
from http_answers import assert_problem
from service import OPERATOR_KEY, Api

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = on_both_databases

GRANT = {
    "grant_id": 1,
    "wallet_id": 1,
    "amount_yen": 500,
    "amount": "500.5",
    "promo": True,
    "starts_at": "2026-05-15T12:00:00.000Z",
    "every": "month",
    "until": None,
    "lapses": "next",
    "note": "free plan",
    "created_at": "2026-05-15T12:00:00.000Z",
    "occurrences": 0,
    "next_at": "2026-05-15T12:00:00.000Z",
    "retry_at": None,
    "canceled_at": None,
}


def test_an_operator_promises_credit_sees_what_was_credited_and_cancels(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    body: dict[str, Any] = {
        "wallet_id": wallet.wallet_id,
        "amount_yen": "500.50",
        "every": "month",
        "lapses": "next",
        "note": "free plan",
    }
    for _ in range(2):
        answer = api.post("/operator/grants", OPERATOR_KEY, key="plan", **body)
        assert (answer.status_code, answer.json()) == (201, GRANT)
    assert_problem(
        api.post("/operator/grants", OPERATOR_KEY, key="plan", **body | {"lapses": 9}), 409, "idempotency_conflict"
    )
    before = wallets.balance(wallet.wallet_id)
    assert wallets.maintenance.credit_grants() == 1
    assert wallets.balance(wallet.wallet_id) == before + 500
    [occurrence] = api.get("/operator/grants/1/occurrences", OPERATOR_KEY).json()
    assert (occurrence["occurrence"], occurrence["status"]) == (0, "credited")
    assert occurrence["lapses_at"] == "2026-06-15T12:00:00.000Z"
    [listed] = api.get("/operator/grants", OPERATOR_KEY, wallet_id=wallet.wallet_id).json()
    assert (listed["occurrences"], listed["next_at"]) == (1, "2026-06-15T12:00:00.000Z")
    lots = api.get("/credit/lots", wallet.owner_token).json()
    assert [lot["remaining"] for lot in lots if lot["kind"] == "promo"] == ["500.5"]
    canceled = api.call("DELETE", "/operator/grants/1", OPERATOR_KEY).json()
    assert (canceled["canceled_at"], canceled["next_at"]) == ("2026-05-15T12:00:00.000Z", None)
    assert api.get("/operator/grants", OPERATOR_KEY, after=1).json() == []


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"amount_yen": 0}, "invalid_amount", "amount_yen"),
    ({"amount_yen": 1.5}, "invalid_amount", "amount_yen"),
    ({"every": "week"}, "invalid_request", "every"),
    ({"lapses": "soon"}, "invalid_request", "lapses"),
    ({"lapses": 0}, "invalid_request", "lapses"),
    ({"lapses": "next"}, "invalid_request", "lapses"),
    ({"starts_at": "tomorrow"}, "invalid_request", "starts_at"),
    ({"until": "2026-12-31"}, "invalid_request", "until"),
    ({"label": "tea"}, "invalid_request", "label"),
    ({"wallet_id": 99}, "wallet_not_found", None),
]


@pytest.mark.parametrize(("given", "code", "field"), REFUSED)
def test_what_makes_no_sense_is_refused_by_name(
    api: Api, wallet: CreatedWallet, given: dict[str, Any], code: str, field: str | None
) -> None:
    body = {"wallet_id": wallet.wallet_id, "amount_yen": 5, **given}
    answer = api.post("/operator/grants", OPERATOR_KEY, key="k", **body)
    assert_problem(
        answer, 404 if code == "wallet_not_found" else 422, code, **({} if field is None else {"field": field})
    )
    assert api.get("/operator/grants", OPERATOR_KEY).json() == []


def test_grants_are_for_operators_and_need_a_key(api: Api, wallet: CreatedWallet) -> None:
    body: dict[str, Any] = {"wallet_id": wallet.wallet_id, "amount_yen": 5}
    assert_problem(api.post("/operator/grants", OPERATOR_KEY, **body), 428, "idempotency_key_required")
    for method, path in (
        ("POST", "/operator/grants"),
        ("GET", "/operator/grants"),
        ("GET", "/operator/grants/1/occurrences"),
        ("DELETE", "/operator/grants/1"),
        ("GET", f"/operator/wallets/{wallet.wallet_id}/topups/consents"),
    ):
        answer = api.call(method, path, wallet.owner_token, key="k", json=body if method == "POST" else None)
        assert_problem(answer, 403, "forbidden")
    for method, path in (("GET", "/operator/grants/7/occurrences"), ("DELETE", "/operator/grants/7")):
        assert_problem(api.call(method, path, OPERATOR_KEY), 404, "grant_not_found", grant_id=7)


def test_an_owner_agrees_to_automatic_top_ups_and_reads_what_was_agreed_to(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    on = {"auto_topup_threshold": 1_000, "auto_topup_amount": 5_000, "auto_topup_daily_yen": 9_000}
    shown = api.call("PATCH", "/credit/wallet", wallet.owner_token, json={**on, "auto_topup_consent": "Yes, ¥5,000!"})
    assert (shown.json()["auto_topup_daily_yen"], shown.json()["auto_topup_monthly_yen"]) == (9_000, 0)
    changed = {"auto_topup_monthly_yen": 40_000, "auto_topup_consent_language": "ja"}
    api.call("PATCH", "/credit/wallet", wallet.owner_token, json=changed)
    newest, oldest = api.get("/credit/topups/consents", wallet.owner_token).json()
    assert oldest == {
        "wallet_id": wallet.wallet_id,
        "consent_no": 1,
        "consented_at": "2026-05-15T12:00:00.000Z",
        "consented_by": "owner",
        "language": "en",
        "text": "Yes, ¥5,000!",
        "version": None,
        **on,
        "auto_topup_monthly_yen": 0,
    }
    assert (newest["language"], newest["version"], newest["consented_by"]) == ("ja", 1, "owner")
    assert "1か月あたり¥40,000" in newest["text"]
    wallets.configure(wallet.wallet_id, auto_topup_amount=6_000)
    page = api.get(f"/operator/wallets/{wallet.wallet_id}/topups/consents", OPERATOR_KEY, limit=1).json()
    assert [(each["consent_no"], each["consented_by"]) for each in page] == [(3, "operator")]
    older = api.get("/credit/topups/consents", wallet.owner_token, before=2).json()
    assert [each["consent_no"] for each in older] == [1]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"auto_topup_consent": ""}, "auto_topup_consent"),
        ({"auto_topup_consent": " "}, "auto_topup_consent"),
        ({"auto_topup_consent": "x" * 4_001}, "auto_topup_consent"),
        ({"auto_topup_consent": "I agree"}, "auto_topup_consent"),
        ({"auto_topup_consent_language": "fr"}, "auto_topup_consent_language"),
        ({"auto_topup_daily_yen": -1}, "auto_topup_daily_yen"),
    ],
)
def test_a_consent_that_says_nothing_is_refused(api: Api, token: str, given: dict[str, Any], field: str) -> None:
    assert_problem(api.call("PATCH", "/credit/wallet", token, json=given), 422, "invalid_request", field=field)
    assert api.get("/credit/topups/consents", token).json() == []


def test_agents_see_no_consents(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    agent = wallets.keys.create(wallet.wallet_id)
    assert_problem(api.get("/credit/topups/consents", agent.token), 403, "forbidden")


def test_a_fixed_address_beside_ids_names_its_own_methods_alone(api: Api, token: str) -> None:
    for path in ("/credit/topups/consents", "/credit/budgets/changes"):
        assert api.call("OPTIONS", path, token).headers["allow"] == "GET, HEAD, OPTIONS"
        answer = api.call("DELETE", path, token)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
