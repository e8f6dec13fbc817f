"""An endpoint refuses query parameters that it does not take, and no refusal grows with what was sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from http_answers import assert_problem
from openapi_document import document
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.wire.problems import MAX_DETAIL_LENGTH, MAX_FIELD_LENGTH

OPERATIONS: list[tuple[str, str, dict[str, Any]]] = [
    (method.upper(), path, operation)
    for path, operations in document()["paths"].items()
    for method, operation in operations.items()
]
LONG = "x" * 30_000


@pytest.mark.usefixtures("wallet")
def test_every_operation_names_the_parameter_that_it_does_not_take_and_those_that_it_takes(api: Api) -> None:
    for method, path, operation in OPERATIONS:
        answer = api.call(method, re.sub(r"\{\w+\}", "1", path), OPERATOR_KEY, params={"walletid": "7"})
        assert_problem(answer, 422, "invalid_request", field="walletid")
        taken = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
        assert answer.json()["detail"].endswith(f"takes {', '.join(taken)}" if taken else "takes none"), path
        assert "422" in operation["responses"], path


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/mcp"])
def test_so_do_the_endpoints_beside_them(api: Api, token: str, path: str) -> None:
    method = "POST" if path == "/mcp" else "GET"
    assert_problem(api.call(method, path, token, params={"v": "1"}), 422, "invalid_request", field="v")


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_movement_with_a_parameter_moves_nothing(
    wallets: CreditWallet, wallet: CreatedWallet, fast_lane: bool
) -> None:
    with Api(new_app(wallets, fast_lane=fast_lane)) as api:
        for query in ("amount_yen=1", "dry_run", "=", "%00=1"):
            answer = api.call("POST", f"/credit/charge?{query}", wallet.owner_token, key="k", json={"amount_yen": 3})
            assert_problem(answer, 422, "invalid_request")
    assert wallets.balance(wallet.wallet_id) == 10_000


def test_a_parameter_that_is_known_and_sent_twice_is_still_ambiguous(api: Api, token: str) -> None:
    assert_problem(api.call("GET", "/credit/keys?limit=1&limit=2", token), 400, "ambiguous_request", field="limit")


def test_what_an_endpoint_allows_can_be_asked_with_its_parameters(api: Api, token: str) -> None:
    assert api.call("OPTIONS", "/credit/keys?limit=1", token).status_code == 204


def test_a_refusal_is_short_however_long_the_request(api: Api, token: str) -> None:
    unknown: dict[str, Any] = {LONG: 1}
    answers = [
        api.get("/credit/keys", token, **unknown),
        api.get("/credit/keys", token, limit=LONG),
        api.get("/credit/transactions", token, cursor=LONG),
        api.get("/credit/budgets", token, after=LONG),
        api.call("GET", f"/credit/keys?{LONG}=1&{LONG}=2", token),
        api.post("/credit/keys", token, **unknown),
        api.post("/credit/budgets", token, limit_yen=1, window=LONG),
        api.post("/credit/budgets", token, limit_yen=1, window="day", time_zone=LONG),
        api.call("POST", "/credit/charge", token, key="k", json={LONG[:16_000]: 1}),
        api.post("/credit/charge", token, key="k", amount_yen=3, facts={LONG[:16_000]: "1"}),
        api.post("/operator/wallets", OPERATOR_KEY, time_zone=LONG),
        api.call("GET", f"/credit/budgets/budget-{LONG}", token),
    ]
    for answer in answers:
        problem = answer.json()
        assert answer.status_code in (400, 404, 422), problem
        assert len(problem["detail"]) <= MAX_DETAIL_LENGTH + 1
        assert len(problem.get("field", "")) <= MAX_FIELD_LENGTH + 1
