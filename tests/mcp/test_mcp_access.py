"""Who may speak MCP to the service: tokens, hosts, origins, and what is not a message."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from mcp_ledger import TOOLS, Ledger
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.tokens import new_token
from credit_wallet.http.app_settings import mcp_hosts
from credit_wallet.wire import failure_limit

UNAUTHORIZED = 401


@pytest.fixture
def api(ledger: Ledger) -> Iterator[Api]:
    with Api(new_app(ledger.wallets)) as opened:
        yield opened


def post(api: Api, token: str | None, **headers: str) -> httpx.Response:
    """One ``tools/list``, as a client of an older revision sends it."""
    fields = {"Host": "127.0.0.1:8787", "Accept": "application/json, text/event-stream", **headers}
    return api.call("POST", "/mcp", token, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=fields)


def test_a_bad_token_is_a_problem_and_is_counted(
    ledger: Ledger, api: Api, wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failure_limit, "FAILURES_ALLOWED", 3)
    assert post(api, ledger.agent.token).status_code == 200
    revoked = wallets.keys.create(ledger.owner.wallet_id)
    wallets.keys.revoke(revoked.key_id)
    for token in (None, new_token(), revoked.token):
        answer = post(api, token)
        assert (answer.status_code, answer.json()["code"]) == (UNAUTHORIZED, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert post(api, new_token()).json()["code"] == "too_many_failures"
    assert post(api, ledger.owner.owner_token).status_code == 429  # good, and not known from there
    assert post(api, ledger.agent.token).status_code == 200
    assert api.get("/credit/wallet", new_token()).status_code == 429  # the same count as of every other call


def test_the_operator_has_no_wallet(api: Api) -> None:
    answer = post(api, OPERATOR_KEY)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_an_answer_carries_the_headers_of_every_answer(ledger: Ledger, api: Api) -> None:
    answer = post(api, ledger.agent.token, **{"X-Request-Id": "mine"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.headers["x-request-id"], answer.headers["x-wallet-balance"]) == ("mine", "4957")
    assert [tool["name"] for tool in answer.json()["result"]["tools"]] == TOOLS


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_there_is_no_session_to_listen_to_or_to_end(ledger: Ledger, api: Api, method: str) -> None:
    answer = api.call(method, "/mcp", ledger.agent.token, headers={"Host": "localhost"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Host": "evil.test"}, 421, "host_not_allowed"),
        ({"Host": "127.0.0.1.evil.test:8787"}, 421, "host_not_allowed"),
        ({"Host": "localhost:1", "Origin": "https://evil.test"}, 403, "origin_not_allowed"),
        ({"Host": "localhost:1", "Origin": "null"}, 403, "origin_not_allowed"),
    ],
)
def test_a_page_of_another_site_is_not_listened_to(
    ledger: Ledger, api: Api, headers: dict[str, str], status: int, code: str
) -> None:
    answer = post(api, ledger.owner.owner_token, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("host", ["localhost", "localhost:8787", "[::1]:8787", "127.0.0.1"])
def test_callers_on_this_machine_are_listened_to(ledger: Ledger, api: Api, host: str) -> None:
    assert post(api, ledger.agent.token, Host=host, Origin=f"http://{host}").status_code == 200


def test_mcp_is_served_under_loopback_names_the_address_and_what_is_named() -> None:
    loopback = ("127.0.0.1", "localhost", "[::1]")
    assert mcp_hosts("127.0.0.1", ()) == loopback
    assert mcp_hosts("0.0.0.0", ["wallet.example.com"]) == (*loopback, "wallet.example.com")  # noqa: S104
    assert mcp_hosts("fd00::1", ()) == (*loopback, "[fd00::1]")
    assert mcp_hosts("::", ["a.test", "a.test"]) == (*loopback, "a.test")


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 400), (b"not json", 400), (b"[]", 400), (b"1", 400), (b'{"jsonrpc":"2.0"}', 400), (b" " * 70_000, 413)],
)
def test_what_is_no_message_is_refused(ledger: Ledger, api: Api, content: bytes, status: int) -> None:
    headers = {
        "Host": "localhost",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    answer = api.call("POST", "/mcp", ledger.agent.token, content=content, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_that_a_page_can_send_is_no_message(ledger: Ledger, api: Api, content_type: str) -> None:
    headers = {"Host": "localhost", "Content-Type": content_type}
    answer = api.call("POST", "/mcp", ledger.agent.token, content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
