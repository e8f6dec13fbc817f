"""The headers that every answer carries, whatever the route and the status, and what pages may do."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from gated import Application, gated
from http_answers import funded
from service import OPERATOR_KEY, Api, Service, new_app
from spelled_addresses import addresses
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.domain.tokens import new_token
from credit_wallet.http.docs import PAGE_POLICY
from credit_wallet.wire.failure_limit import FAILURES_ALLOWED
from credit_wallet.wire.headers import STANDING_HEADERS


def assert_standing(answer: httpx.Response) -> None:
    """Each of the standing headers once."""
    for name, value in STANDING_HEADERS:
        assert answer.headers.get_list(name.decode()) == [value.decode()], (answer.request.url, answer.status_code)


@pytest.mark.parametrize("lane", ["fast lane", "documented"])
def test_every_route_sends_them_with_every_status(wallets: CreditWallet, lane: str) -> None:
    wallet = funded(wallets)
    statuses = set()

    def check(answer: httpx.Response) -> None:
        statuses.add(answer.status_code)
        assert_standing(answer)

    app = new_app(wallets, payments=StandIn(), fast_lane=lane == "fast lane")
    with Api(app) as api, Api(app, "192.0.2.2") as stranger:
        check(api.call("POST", "/credit/charge", wallet.owner_token, json={"amount_yen": 1}))
        check(api.call("POST", "/credit/charge", wallet.owner_token, content=b" " * (1 << 20)))
        for path, methods in addresses().items():
            for method in methods | {"TRACE"}:
                for token in (None, wallet.owner_token, OPERATOR_KEY):
                    bodies: tuple[object, ...] = ({}, {"amount_yen": 1}, {"amount_yen": 10**9}, {"hold_id": 1}, [])
                    for body in bodies if method in ("POST", "PUT", "PATCH") and token else (None,):
                        caller = api if token else stranger
                        check(caller.call(method, path, token, key=f"{method} {path} {body}", json=body))
            check(api.call("GET", f"{path}/"))
            check(api.call("GET", path, headers=[("Host", "a"), ("Host", "b")]))
        for _ in range(FAILURES_ALLOWED + 1):
            check(api.get("/credit/wallet", new_token()))
    assert statuses >= {200, 201, 400, 401, 402, 403, 404, 405, 413, 422, 428, 429}


@pytest.mark.parametrize("lane", ["fast lane", "documented"])
def test_a_failure_sends_them_too(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch, lane: str) -> None:
    wallet = funded(wallets)
    monkeypatch.setattr(CreditWallet, "acharge", None)
    with Api(new_app(wallets, fast_lane=lane == "fast lane")) as api:
        answer = api.post("/credit/charge", wallet.owner_token, key="k", amount_yen=1)
    assert answer.status_code == 500
    assert_standing(answer)


def test_a_gates_refusal_sends_them_and_the_applications_answer_is_its_own(wallets: CreditWallet) -> None:
    wallet = funded(wallets)
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        assert_standing(front.call(token=new_token()))
        assert "cache-control" not in front.call().headers


def test_a_page_may_not_be_framed_and_loads_nothing_but_what_draws_it(wallets: CreditWallet) -> None:
    with Api(new_app(wallets)) as api:
        page = api.get("/docs")
    assert page.headers["content-security-policy"] == PAGE_POLICY[1].decode()
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == policy["default-src"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]


def test_over_a_real_connection_too(tmp_path: Path) -> None:
    with Service(f"sqlite:///{tmp_path}/w.db") as service:
        for path in ("/healthz", "/metrics", "/docs", "/openapi.json", "/nowhere", "/credit/wallet"):
            assert_standing(httpx.get(f"{service.url}{path}"))
        assert_standing(httpx.post(f"{service.url}/credit/charge"))
