"""What every call answers, and what machines ask of the service."""

from __future__ import annotations

import re

import httpx
import pytest
from databases import on_both_databases
from http_answers import assert_problem, funded
from plain_sql import PlainSql
from service import OPERATOR_KEY, Api, Service, credentials, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.http.metrics import Metrics

pytestmark = on_both_databases


@pytest.mark.parametrize("path", ["/credit/charge", "/credit/wallet", "/healthz", "/nowhere"])
def test_a_request_id_is_echoed_or_made(api: Api, token: str, path: str) -> None:
    method = "POST" if path == "/credit/charge" else "GET"

    def request_id(given: str | None) -> str:
        headers = {} if given is None else {"X-Request-Id": given}
        answered: str = api.call(method, path, token, headers=headers).headers["x-request-id"]
        return answered

    assert request_id("mine-1") == "mine-1"
    made = [request_id(None), request_id(None), request_id("x" * 129), request_id("a\tb")]
    assert all(re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", each) for each in made)
    assert len(set(made)) == len(made)


def test_an_unknown_address_is_404_and_a_wrong_method_is_405_with_the_right_ones(api: Api, token: str) -> None:
    assert_problem(api.get("/nowhere", token), 404, "not_found")
    for method, path, allowed in (
        ("GET", "/credit/charge", "OPTIONS, POST"),
        ("DELETE", "/credit/wallet", "GET, HEAD, OPTIONS, PATCH"),
        ("PUT", "/credit/keys/1", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
    ):
        answer = api.call(method, path, token)
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed
        options = api.call("OPTIONS", path)
        assert (options.status_code, options.headers["allow"]) == (204, allowed)


def test_a_service_that_can_take_charges_says_so(api: Api) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json() == {"status": "ready"}


@pytest.mark.usefixtures("impatient")
def test_it_is_not_ready_while_another_process_locks_the_database(wallets: CreditWallet, db_url: str) -> None:
    with CreditWallet.open(db_url) as impatient, Api(new_app(impatient)) as api, PlainSql(db_url) as host:
        token = funded(wallets).owner_token
        with host.exclusively():
            answer = api.get("/readyz")
            assert_problem(answer, 503, "database_locked")
            assert answer.headers["retry-after"] == "1"
            charge = api.post("/credit/charge", token, key="a", amount_yen=3)
            assert_problem(charge, 503, "database_locked")
            assert charge.headers["retry-after"] == "1"
        assert api.get("/readyz").status_code == 200
        assert api.post("/credit/charge", token, key="a", amount_yen=3).json()["balance_yen"] == 9_997


def test_it_is_not_ready_once_the_rail_is_closed(api: Api, wallets: CreditWallet) -> None:
    wallets.close()
    assert_problem(api.get("/readyz"), 503, "rail_busy")
    assert api.get("/healthz").status_code == 200


def test_metrics_have_their_names(api: Api, token: str) -> None:
    api.post("/credit/charge", token, key="a", amount_yen=3)
    answer = api.get("/metrics", OPERATOR_KEY)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")}
    assert {
        "credit_wallet_rail_batch_commands",
        "credit_wallet_rail_commit_seconds",
        "credit_wallet_rail_waiting_commands",
        "credit_wallet_outcomes_total",
        "credit_wallet_alerts_total",
        "credit_wallet_topups_yen_total",
        "credit_wallet_wallets",
        "credit_wallet_balance_outstanding_yen",
        "credit_wallet_held_yen",
        "credit_wallet_debt_yen",
    } <= names
    assert "credit_wallet_wallets 1.0" in answer.text
    assert "credit_wallet_balance_outstanding_yen 9997.0" in answer.text


def test_the_metrics_of_a_service_count_what_it_did(db_url: str) -> None:
    with Service(db_url) as service, httpx.Client(base_url=service.url) as client:
        operator = {"Authorization": f"Bearer {OPERATOR_KEY}"}
        created = client.post("/operator/wallets", headers=operator, json={"monthly_budget_yen": 100}).json()
        credit = {"wallet_id": created["wallet_id"], "amount_yen": 100}
        client.post("/operator/topup", headers=operator | {"Idempotency-Key": "t"}, json=credit)
        owner = {"Authorization": f"Bearer {created['owner_token']}"}
        for key, amount_yen in (("a", 60), ("a", 60), ("b", 41)):
            client.post("/credit/charge", headers=owner | {"Idempotency-Key": key}, json={"amount_yen": amount_yen})
        figures = client.get("/metrics", headers=credentials(OPERATOR_KEY)).text
        for line in (
            'credit_wallet_outcomes_total{command="charge",outcome="ok"} 1.0',
            'credit_wallet_outcomes_total{command="charge",outcome="replayed"} 1.0',
            'credit_wallet_outcomes_total{command="charge",outcome="insufficient_funds"} 1.0',
            'credit_wallet_alerts_total{threshold_pct="50"} 1.0',
            "credit_wallet_topups_yen_total 100.0",
        ):
            assert line in figures
        assert service.stop() == 0


def test_the_metrics_count_payments_once_by_the_names_of_their_commands(db_url: str) -> None:
    metrics = Metrics()
    with CreditWallet.open(db_url, observe=metrics.batch) as wallets:
        wallet_id = wallets.create().wallet_id
        topup = wallets.topups.request(wallet_id, 500, idempotency_key="t")
        paid = PaymentFact(observed_at=1, status="succeeded", received_yen=500)
        for _ in range(2):
            wallets.topups.settle(wallet_id, str(topup.topup_id), paid)
        figures = metrics.text(wallets).decode()
    for line in (
        'credit_wallet_outcomes_total{command="request_topup",outcome="ok"} 1.0',
        'credit_wallet_outcomes_total{command="settle_topup",outcome="ok"} 2.0',
        "credit_wallet_topups_yen_total 500.0",
    ):
        assert line in figures


def test_the_documentation_is_served(api: Api) -> None:
    assert api.get("/openapi.json").json()["openapi"].startswith("3.1")
    assert api.get("/docs").headers["content-type"].startswith("text/html")
