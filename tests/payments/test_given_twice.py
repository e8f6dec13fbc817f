"""Two values where one counts: no part of the service chooses between them.

Of two headers, members or parameters with one name a reader takes the first or the last, so that a proxy, the gate, the
fast lane and the documented routes could each see another request. Where that can be, all of it here: the credentials
in two headers, or in one header twice; the idempotency key and Stripe's signature; the members of a JSON object on the
fast lane, on documented routes, in a batch's items, in messages of MCP and in deliveries; query parameters; and what a
gate's price is made of. A header that means nothing to the wallet, such as ``Accept``, may come as often as it likes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from gated import Application, gated
from http_answers import assert_problem, funded
from service import OPERATOR_KEY, Api, Service, new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.domain.distinct_members import require_distinct_members
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import InvalidJson
from credit_wallet.middleware import GatedRequest
from credit_wallet.wire.ambiguity import MAX_QUERY_FIELDS

CREDIT_YEN = 10_000
MOVEMENTS = {
    "/credit/charge": b'{"amount_yen": 1}',
    "/credit/hold": b'{"amount_yen": 1}',
    "/credit/capture": b'{"hold_id": 1, "amount_yen": 1}',
    "/credit/release": b'{"hold_id": 1}',
}


class Target(NamedTuple):
    """An application in this process and its wallet, whose balance a refused request must leave alone."""

    api: Api
    wallets: CreditWallet
    wallet: CreatedWallet
    payments: StandIn


@pytest.fixture(params=["fast lane", "documented"])
def target(request: pytest.FixtureRequest, wallets: CreditWallet) -> Iterator[Target]:
    wallet, payments = funded(wallets), StandIn()
    wallets.hold(wallet.wallet_id, 10, idempotency_key="hold")
    with Api(new_app(wallets, payments=payments, fast_lane=request.param == "fast lane")) as api:
        yield Target(api, wallets, wallet, payments)
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 10
    assert wallets.verify() == []


# Credentials in two headers


@pytest.mark.parametrize("other", ["Basic dXNlcjpwYXNz", "Digest x", "Bearer", "Negotiate", "bearertoken x", ""])
def test_an_authorization_of_another_scheme_does_not_hide_the_key(wallets: CreditWallet, other: str) -> None:
    wallet = funded(wallets)
    headers = {"Authorization": other, "X-API-Key": wallet.owner_token, "Idempotency-Key": "k"}
    for fast_lane in (True, False):
        with Api(new_app(wallets, fast_lane=fast_lane)) as api:
            assert api.call("GET", "/credit/wallet", headers=headers).status_code == 200
            assert api.call("POST", "/credit/charge", json={"amount_yen": 1}, headers=headers).status_code == 200
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        assert front.call(token=None, headers=headers).status_code == 200


def test_the_same_token_in_both_headers_is_one_token(wallets: CreditWallet) -> None:
    wallet = funded(wallets)
    with Api(new_app(wallets)) as api:
        answer = api.call("GET", "/credit/wallet", wallet.owner_token, headers={"X-API-Key": wallet.owner_token})
    assert answer.status_code == 200


def test_two_tokens_in_two_headers_are_refused(target: Target) -> None:
    other = funded(target.wallets)
    for method, path in (("GET", "/credit/wallet"), ("POST", "/credit/charge"), ("POST", "/mcp")):
        answer = target.api.call(
            method, path, target.wallet.owner_token, key="k", json={}, headers={"X-API-Key": other.owner_token}
        )
        assert_problem(answer, 400, "ambiguous_request")
        assert "different tokens" in answer.json()["detail"]


# Headers


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "X-API-Key"])
@pytest.mark.parametrize("path", [*MOVEMENTS, "/credit/refund", "/credit/topup", "/credit/keys", "/mcp"])
def test_a_header_that_is_given_twice_is_refused(target: Target, path: str, name: str) -> None:
    token = target.wallet.owner_token
    values = {"Idempotency-Key": ("a", "b"), "Authorization": (f"Bearer {token}",) * 2, "X-API-Key": (token, token)}
    given = [] if name == "Authorization" else [("Authorization", f"Bearer {token}")]
    given += [] if name == "Idempotency-Key" else [("Idempotency-Key", "k")]
    given += [(name, value) for value in values[name]]
    answer = target.api.call("POST", path, content=MOVEMENTS.get(path, b"{}"), headers=given)
    assert_problem(answer, 400, "ambiguous_request", field=name.lower())


def test_a_key_is_refused_twice_even_when_both_are_the_same(target: Target) -> None:
    headers = [("Idempotency-Key", "a"), ("idempotency-key", "a")]
    answer = target.api.call(
        "POST", "/credit/charge", target.wallet.owner_token, json={"amount_yen": 1}, headers=headers
    )
    assert_problem(answer, 400, "ambiguous_request")


def test_a_delivery_with_two_signatures_is_refused(target: Target) -> None:
    headers = [("Stripe-Signature", "t=1,v1=a"), ("Stripe-Signature", "t=1,v1=b")]
    answer = target.api.call("POST", "/webhooks/stripe", content=b"{}", headers=headers)
    assert_problem(answer, 400, "ambiguous_request", field="stripe-signature")
    assert target.payments.asked == []


def test_other_headers_may_come_twice(target: Target) -> None:
    headers = [("Accept", "a/b"), ("Accept", "c/d"), ("X-Forwarded-For", "a"), ("X-Forwarded-For", "b")]
    assert target.api.call("GET", "/credit/wallet", target.wallet.owner_token, headers=headers).status_code == 200
    answer = target.api.call(
        "POST", "/credit/charge", target.wallet.owner_token, key="k", json={"amount_yen": 0}, headers=headers
    )
    assert answer.status_code == 422


def test_headers_twice_over_a_real_connection(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/w.db"
    with CreditWallet.open(url) as wallets:
        wallet = funded(wallets)
    bearer = ("Authorization", f"Bearer {wallet.owner_token}")
    with Service(url) as service, httpx.Client(base_url=service.url) as client:
        for headers in ([bearer, bearer], [bearer, ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]):
            answer = client.post("/credit/charge", json={"amount_yen": 1}, headers=headers)
            assert_problem(answer, 400, "ambiguous_request")
        assert client.get("/credit/wallet", headers=[bearer]).json()["balance_yen"] == CREDIT_YEN


# Members of JSON


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/credit/charge", b'{"amount_yen": 1, "amount_yen": 2}'),
        ("/credit/charge", b'{"amount_yen": 1, "amount_yen": 1}'),
        ("/credit/charge", b'{"amount_yen": 1, "amount\\u005fyen": 2}'),
        ("/credit/charge", b'{"amount_yen": 1, "note": "a: b", "note": "c: d"}'),
        ("/credit/charge", b'{"amount_yen":1,"wallet_id":1,"wallet_id":1}'),
        ("/credit/hold", b'{"amount_yen": 1, "ttl_seconds": 1, "ttl_seconds": 9}'),
        ("/credit/capture", b'{"hold_id": 1, "hold_id": 2, "amount_yen": 1}'),
        ("/credit/release", b'{"hold_id": 1, "hold_id": 2}'),
        ("/credit/topup", b'{"amount_yen": 100, "amount_yen": 200}'),
        ("/credit/keys", b'{"monthly_cap_yen": 1, "monthly_cap_yen": 0}'),
    ],
)
def test_a_member_that_is_given_twice_is_refused(target: Target, path: str, body: bytes) -> None:
    assert_problem(target.api.call("POST", path, target.wallet.owner_token, key="k", content=body), 400, "invalid_json")
    assert target.payments.asked == []


def test_a_member_twice_in_an_item_of_a_batch_is_refused(target: Target) -> None:
    item = b'{"wallet_id": 1, "amount_yen": 1, "amount_yen": 2, "idempotency_key": "i"}'
    body = b'{"charges": [%b, %b]}' % (item.replace(b'"amount_yen": 1, ', b""), item)
    answer = target.api.call("POST", "/credit/charge/batch", OPERATOR_KEY, content=body)
    assert_problem(answer, 400, "invalid_json", field="amount_yen")


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "method": "tools/call"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "credit_wallet_topup",'
        b' "arguments": {"amount_yen": 100, "amount_yen": 200}}}',
    ],
)
def test_a_member_twice_in_a_message_of_mcp_is_refused(target: Target, body: bytes) -> None:
    headers = {"Host": "localhost", "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    answer = target.api.call("POST", "/mcp", target.wallet.owner_token, content=body, headers=headers)
    assert_problem(answer, 400, "invalid_json")
    assert target.payments.asked == []


def test_a_member_twice_in_settings_is_refused(target: Target) -> None:
    body = b'{"notification_targets": [{"url": "https://a.example", "url": "https://b.example"}]}'
    answer = target.api.call("PATCH", "/credit/wallet", target.wallet.owner_token, content=body)
    assert_problem(answer, 400, "invalid_json", field="url")


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        1,
        {"a": 1},
        {"a:b": "c:d", "e": [{"f": "::"}, {"f": 1}, []]},
        {"a": {"a": {"a": "a"}}, "b": [[{"a": 1}], {"a": 2}]},
        {"n": 10**4, "x": 1.5, "y": None, "z": True, "s": '"quoted": \\'},
    ],
)
def test_what_has_each_member_once_passes(value: object) -> None:
    require_distinct_members(json.dumps(value).encode())
    require_distinct_members(json.dumps(value, separators=(",", ":")).encode())


@pytest.mark.parametrize("body", ['{"a":{"b":1,"c":[{"d":1,"d":2}]}}', '[{"x":":"},{"y":":","y":":"}]', '{"":1,"":2}'])
def test_what_has_a_member_twice_anywhere_does_not(body: str) -> None:
    with pytest.raises(InvalidJson, match="twice"):
        require_distinct_members(body.encode())


# Query parameters


@pytest.mark.parametrize(
    "query",
    [
        "limit=1&limit=2",
        "limit=1&limit=1",
        "limit=1&l%69mit=2",
        "cursor=&cursor=1",
        "type=charge&type=topup",
        "x=1&x=1",
    ],
)
def test_a_query_parameter_that_is_given_twice_is_refused(target: Target, query: str) -> None:
    answer = target.api.call("GET", f"/credit/transactions?{query}", target.wallet.owner_token)
    assert_problem(answer, 400, "ambiguous_request")


def test_a_query_is_bounded(target: Target) -> None:
    query = "&".join(f"p{number}=1" for number in range(MAX_QUERY_FIELDS + 1))
    assert_problem(target.api.call("GET", f"/healthz?{query}"), 400, "ambiguous_request")


# The gate


@pytest.mark.parametrize("where", ["embedded", "remote"])
@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "X-API-Key"])
def test_a_gate_refuses_a_header_that_is_given_twice(wallets: CreditWallet, where: str, name: str) -> None:
    wallet, app = funded(wallets), Application()
    bearer = ("Authorization", f"Bearer {wallet.owner_token}")
    twice = {"Authorization": [bearer, bearer], "Idempotency-Key": [bearer, (name, "a"), (name, "b")]}
    headers = twice.get(name, [(name, wallet.owner_token)] * 2)
    with gated(app, wallets, wallet, where, price_yen=3) as front, httpx.Client() as client:
        assert_problem(client.get(front.url, headers=headers), 400, "ambiguous_request")
        assert (front.balance_yen, app.ran) == (CREDIT_YEN, 0)


def test_a_gate_refuses_a_call_whose_price_depends_on_what_is_given_twice(wallets: CreditWallet) -> None:
    """``?n=1&n=100`` would be priced by one value and served by the other."""
    wallet, app = funded(wallets), Application()

    def price(request: GatedRequest) -> int:
        return int(request.query_params.get("n", "1")) * int(request.headers.get("x-times", "1"))

    with gated(app, wallets, wallet, price_yen=price) as front, httpx.Client() as client:
        assert_problem(front.call("/?n=100&n=1"), 400, "ambiguous_request", field="n")
        bearer = ("Authorization", f"Bearer {wallet.owner_token}")
        twice = client.get(front.url, headers=[bearer, ("X-Times", "9"), ("X-Times", "1")])
        assert_problem(twice, 400, "ambiguous_request", field="x-times")
        assert (front.balance_yen, app.ran) == (CREDIT_YEN, 0)
        assert front.call("/?n=5&tag=a&tag=b").status_code == 200
        assert front.balance_yen == CREDIT_YEN - 5


def test_every_value_of_a_parameter_can_be_priced() -> None:
    request = GatedRequest({"method": "GET", "path": "/", "query_string": b"tag=a&tag=b&n=1", "headers": []})
    assert request.query_lists["tag"] == ["a", "b"]
    assert request.query_params["n"] == "1"
    assert "x" not in request.query_params
