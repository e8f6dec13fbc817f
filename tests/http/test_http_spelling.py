"""One spelling of every address, one framing and one host of every request: in both lanes and over real connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from http_answers import assert_problem, funded
from service import OPERATOR_KEY, Api, Service, credentials, new_app
from spelled_addresses import TEXT_IDS, addresses

from credit_wallet import CreditWallet
from credit_wallet.domain.tokens import new_operator_key
from credit_wallet.http.fast import CALLS
from credit_wallet.wire.ambiguity import SINGLE_HEADERS
from credit_wallet.wire.operator_keys import operator_key

METRICS_TOKEN = new_operator_key()
MONEY = (
    "credit_wallet_balance_outstanding_yen",
    "credit_wallet_wallets",
    "credit_wallet_held_yen",
    "credit_wallet_debt_yen",
    "credit_wallet_topups_yen_total",
)


def spellings(path: str) -> Iterator[str]:
    """Other ways to write ``path`` that some reader takes for the same; dots, which clients resolve, come below."""
    yield f"{path}/"
    yield f"{path}//"
    yield f"{path}%2f"
    yield f"{path}%2F"
    yield f"/{path}"
    yield f"{path};x"
    yield f"{path};jsessionid=1"
    yield f"{path}%00"
    yield f"{path}%20"
    yield f"{path}."
    yield f"{path}.json"
    yield path.upper()
    yield f"/{path[1:].replace('/', '%2f')}" if path.count("/") > 1 else f"{path}%3f"
    yield f"/{path[1:]}\\"
    yield f"/%{ord(path[1]):02x}{path[2:]}"
    yield f"{path[:-1]}%{ord(path[-1]):02x}"


@pytest.mark.parametrize("lane", ["fast lane", "documented"])
def test_no_address_has_a_second_spelling(wallets: CreditWallet, lane: str) -> None:
    with Api(new_app(wallets, fast_lane=lane == "fast lane")) as api:
        for path, methods in addresses().items():
            if not path.startswith("/docs"):
                assert api.call(min(methods), path).status_code != 404, path
            for spelling in spellings(path):
                if is_another_id(path, spelling):
                    continue
                for method in methods:
                    assert api.call(method, f"http://wallet.test{spelling}").status_code == 404, spelling


def is_another_id(path: str, spelling: str) -> bool:
    """Whether ``spelling`` ends with another text where the address, or one beside it, has an id that is text."""
    folder, _, _ = path.rpartition("/")
    has_ids = any(f"{folder}/{text_id}" in addresses() for text_id in TEXT_IDS.values())
    return has_ids and "%" not in spelling and spelling.rpartition("/")[0] == folder


def test_a_hash_in_an_address_is_lower_case(wallets: CreditWallet) -> None:
    with Api(new_app(wallets)) as api:
        assert_problem(
            api.call("DELETE", f"/operator/secrets/{'A' * 64}", OPERATOR_KEY), 422, "invalid_request", field="sha256"
        )


def test_a_query_takes_a_call_out_of_the_fast_lane_and_is_read_as_everywhere(wallets: CreditWallet) -> None:
    wallet = funded(wallets)
    with Api(new_app(wallets)) as api:
        for path in CALLS:
            for query in ("a=1&a=2", "a=1&%61=2"):
                answer = api.call("POST", f"{path}?{query}", wallet.owner_token, key="k", json={"amount_yen": 1})
                assert_problem(answer, 400, "ambiguous_request", field="a")
        answer = api.call("POST", "/credit/charge?a=1", wallet.owner_token, key="k", json={"amount_yen": 1})
        assert_problem(answer, 422, "invalid_request", field="a")


# Headers, in every route


@pytest.mark.parametrize("lane", ["fast lane", "documented"])
@pytest.mark.parametrize("name", sorted(SINGLE_HEADERS))
def test_no_route_takes_a_header_twice_that_may_be_there_once(wallets: CreditWallet, lane: str, name: bytes) -> None:
    with Api(new_app(wallets, fast_lane=lane == "fast lane")) as api:
        for path, methods in addresses().items():
            pairs = [(name.decode(), "1"), (name.decode(), "1")]
            answer = api.call(min(methods), path, headers=pairs)
            assert_problem(answer, 400, "ambiguous_request", field=name.decode())


FRAMINGS = {
    "two lengths": [("Content-Length", "2"), ("Transfer-Encoding", "chunked")],
    "another encoding": [("Transfer-Encoding", "gzip, chunked")],
    "no encoding": [("Transfer-Encoding", "identity")],
}
HOSTS = ["", "a b", "a,b", "a/b", "a@b", "a:b", "a:1:2", "[::1", "a\\b", "a?b", "a:123456"]


@pytest.mark.parametrize("lane", ["fast lane", "documented"])
def test_a_body_whose_end_is_told_in_two_ways_is_refused(wallets: CreditWallet, lane: str) -> None:
    with Api(new_app(wallets, fast_lane=lane == "fast lane")) as api:
        for path in (*CALLS, "/credit/refund", "/webhooks/stripe", "/metrics", "/mcp", "/nowhere"):
            for headers in FRAMINGS.values():
                answer = api.call("POST", path, headers=headers)
                assert_problem(answer, 400, "ambiguous_request", field="transfer-encoding")


@pytest.mark.parametrize("lane", ["fast lane", "documented"])
def test_a_request_names_one_host(wallets: CreditWallet, lane: str) -> None:
    with Api(new_app(wallets, fast_lane=lane == "fast lane")) as api:
        for path in (*CALLS, "/healthz"):
            for host in HOSTS:
                answer = api.call("POST", path, headers={"Host": host})
                assert_problem(answer, 400, "ambiguous_request", field="host")
        for host in ("wallet.example.com", "127.0.0.1:8787", "[::1]:8787", "under_score"):
            assert api.call("GET", "/healthz", headers={"Host": host}).status_code == 200


def test_two_request_ids_are_none(wallets: CreditWallet) -> None:
    wallet = funded(wallets)
    with Api(new_app(wallets)) as api:
        headers = [("X-Request-Id", "a"), ("X-Request-Id", "b")]
        for method, path in (("POST", "/credit/charge"), ("GET", "/credit/wallet")):
            answer = api.call(method, path, wallet.owner_token, key="k", json={"amount_yen": 1}, headers=headers)
            assert answer.headers["x-request-id"] not in ("a", "b")


# Figures of money


def test_the_figures_of_money_ask_for_a_token(wallets: CreditWallet) -> None:
    wallet = funded(wallets)
    metrics = operator_key("metrics", METRICS_TOKEN)
    with Api(new_app(wallets, metrics_key=metrics)) as api:
        for token, sees in ((None, False), (wallet.owner_token, False), (OPERATOR_KEY, True), (METRICS_TOKEN, True)):
            answer = api.get("/metrics", token)
            assert answer.status_code == 200
            assert "credit_wallet_rail_commit_seconds_bucket" in answer.text
            assert [f"\n{name} " in answer.text for name in MONEY] == [sees] * len(MONEY), token
            assert api.call("GET", "/metrics", headers={"X-API-Key": token or ""}).text.count("# HELP") == (
                answer.text.count("# HELP")
            )
        assert_problem(api.get("/metrics", METRICS_TOKEN[:-1]), 401, "unauthorized")
        for path in ("/operator/wallets", "/credit/wallet", "/credit/whoami"):
            assert api.get(path, METRICS_TOKEN).status_code == 401


# A real service, spoken to in bytes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    path: Path = tmp_path_factory.mktemp("clients") / "w.db"
    with Service(f"sqlite:///{path}") as running:
        yield running
        assert running.stop() == 0


def said(service: Service, *lines: str, body: bytes = b"", line_end: str = "\r\n") -> bytes:
    request = line_end.join((*lines, "Connection: close", "", "")).encode("latin-1") + body
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    "spelling",
    ["/metrics/", "/metrics%2f", "//metrics", "/METRICS", "/./metrics", "/metrics;x", "/%6detrics", "/x/../metrics"],
)
def test_metrics_cannot_be_asked_for_by_another_name(service: Service, spelling: str) -> None:
    assert said(service, f"GET {spelling} HTTP/1.1", "Host: x").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /healthz HTTP/1.1"], b"400"),
        (["GET /healthz HTTP/1.1", "Host:"], b"400"),
        (["GET /healthz HTTP/1.1", "Host: x", "Host: y"], b"400"),
        (["GET /healthz HTTP/1.1", "Host: x", "Host: x"], b"400"),
        (["GET /healthz HTTP/1.1", "Host: x y"], b"400"),
        (["GET /healthz HTTP/1.0"], b"200"),
        (["GET /healthz HTTP/1.1", "Host: x", " folded"], b"400"),
        (["GET /healthz HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], b"400"),
        (["GET /healthz HTTP/1.1", "Host: x", "Transfer-Encoding: gzip, chunked"], b"400"),
        (["GET /healthz HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2"], b"400"),
        (["GET /healthz HTTP/1.1", "Host: x", "Content-Type: a/b", "Content-Type: c/d"], b"400"),
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_400(service: Service, lines: list[str], status: bytes) -> None:
    answer = said(service, *lines, body=b"0\r\n\r\n" if "chunked" in lines[-1] else b"")
    assert answer.split(b" ", 2)[1] == status, answer


def test_what_the_server_beneath_decides(service: Service) -> None:
    """Bare line feeds end lines, of two equal lengths one is left, and a length beside chunks is dropped."""
    assert said(service, "GET /healthz HTTP/1.1", "Host: x", line_end="\n").startswith(b"HTTP/1.1 200 ")
    same = said(
        service, "POST /credit/charge HTTP/1.1", "Host: x", "Content-Length: 2", "Content-Length: 2", body=b"{}"
    )
    assert same.startswith(b"HTTP/1.1 401 ")
    both = ["POST /credit/charge HTTP/1.1", "Host: x", "Content-Length: 5", "Transfer-Encoding: chunked"]
    answer = said(service, *both, body=b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_good_request_over_a_real_connection_is_good(service: Service) -> None:
    with httpx.Client(base_url=service.url, headers=credentials(OPERATOR_KEY)) as client:
        assert client.get("/operator/wallets?limit=1").status_code == 200
        assert client.get("/metrics").text.count("yen_total") > 0
