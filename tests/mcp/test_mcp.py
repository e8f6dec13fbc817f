"""The tools of an agent: the same answers over HTTP, over standard input and output, and to a service elsewhere."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from clock import Clock
from fake_stripe import FakeStripe
from installation import Calendar, Installation
from mcp.shared.exceptions import MCPError
from mcp_doors import Door, Tools, over_http, over_stdio
from served import Served
from service import OPERATOR_KEY, TOPUP_URL, Api, Service, new_app
from stand_in import StandIn
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.config import SERVICE_URL, TOKEN
from credit_wallet.domain.outcomes import CreatedKey, CreatedWallet
from credit_wallet.domain.tokens import new_token
from credit_wallet.errors import PaymentProviderError
from credit_wallet.http import mcp_routes
from credit_wallet.http.app_settings import mcp_hosts
from credit_wallet.wire import failure_limit

TOOLS = ["credit_wallet_status", "credit_wallet_transactions", "credit_wallet_forecast", "credit_wallet_topup"]
DOORS = ("http", "stdio", "stdio to a service")
UNAUTHORIZED = 401


class Ledger(NamedTuple):
    """A wallet with ¥5,000 and an agent key with a cap, a stranger's, and a service of them at ``url``."""

    wallets: CreditWallet
    db_url: str
    url: str
    owner: CreatedWallet
    agent: CreatedKey
    stranger: CreatedWallet


@pytest.fixture
def ledger(wallets: CreditWallet, db_url: str, clock: Clock) -> Iterator[Ledger]:
    clock.set(datetime.now(UTC))  # as other processes have it
    owner = wallets.create(label="acme", monthly_budget_yen=1_000)
    wallets.topup(owner.wallet_id, 5_000, idempotency_key="start", note="invoice 1")
    agent = wallets.keys.create(owner.wallet_id, label="crawler", monthly_cap_yen=200)
    wallets.charge(owner.wallet_id, 3, idempotency_key="a", note="GET /search", key_id=agent.key_id)
    wallets.charge(owner.wallet_id, 40, idempotency_key="b", note="tool summarize")
    stranger = wallets.create(label="stranger")
    wallets.topup(stranger.wallet_id, 77, idempotency_key="start")
    with Served(new_app(wallets)) as served:
        yield Ledger(wallets, db_url, served.url, owner, agent, stranger)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, ledger: Ledger) -> Door:
    """Each way to the tools; those of a database come with the address that the service gives, too."""
    if request.param == "http":
        return over_http(ledger.url)
    if request.param == "stdio":
        return over_stdio("--db", ledger.db_url, "mcp", "--topup-url", TOPUP_URL)
    return over_stdio("mcp", environment={SERVICE_URL.name: ledger.url})


# What is offered


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_every_tool_has_schemas_and_says_what_it_does_to_the_world(ledger: Ledger, mode: str) -> None:
    async def talk(tools: Tools) -> Any:
        return (await tools.client.list_tools()).tools

    listed = over_http(ledger.url, mode)(ledger.agent.token, talk)
    assert [tool.name for tool in listed] == TOOLS
    for tool in listed:
        assert (tool.input_schema["type"], tool.output_schema["type"]) == ("object", "object")
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema["required"]
        assert tool.title
        assert tool.title == tool.annotations.title
        assert tool.description
    assert [_hints(tool) for tool in listed] == [(True, False, True, False)] * 3 + [(False, False, False, True)]


def _hints(tool: Any) -> tuple[bool, ...]:
    said = tool.annotations
    return said.read_only_hint, said.destructive_hint, said.idempotent_hint, said.open_world_hint


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_server_says_who_it_is(ledger: Ledger, mode: str) -> None:
    async def talk(tools: Tools) -> tuple[Any, Any]:
        return tools.client.server_info, tools.client.instructions

    info, instructions = over_http(ledger.url, mode)(ledger.agent.token, talk)
    assert (info.name, info.title) == ("credit-wallet", "Agent Credit Wallet")
    assert "credit_wallet_status" in instructions


# What the tools answer


def test_an_agent_is_told_what_it_can_spend(ledger: Ledger, door: Door) -> None:
    status = door(ledger.agent.token, lambda tools: tools.call("credit_wallet_status"))
    key = status.pop("key")
    assert (key["key_id"], key["label"], key["monthly_cap_yen"]) == (ledger.agent.key_id, "crawler", 200)
    assert status == {
        "wallet_id": ledger.owner.wallet_id,
        "label": "acme",
        "spendable_yen": 197,
        "enabled": True,
        "balance_yen": 4_957,
        "held_yen": 0,
        "debt_yen": 0,
        "monthly_budget_yen": 1_000,
        "budget_mode": "alert",
        "current_cycle": f"{datetime.now(UTC):%Y-%m}",
        "time_zone": "UTC",
        "current_cycle_spent_yen": 43,
        "warn_pct": 0,
        "auto_topup": {
            "state": "off",
            "payment_method": None,
            "reason": None,
            "retry_at": None,
            "action_url": None,
        },
        "topup_url": TOPUP_URL,
        "lots": [{"lot_id": 1, "kind": "paid", "remaining_yen": 4_957, "expires_at": None}],
    }


def test_transactions_come_in_pages_and_by_key_and_note(ledger: Ledger, door: Door) -> None:
    async def talk(tools: Tools) -> list[list[int]]:
        first = await tools.call("credit_wallet_transactions", limit=2)
        rest = await tools.call("credit_wallet_transactions", limit=2, cursor=first["next_cursor"])
        assert rest["next_cursor"] is None
        own = await tools.call("credit_wallet_transactions", key_id=ledger.agent.key_id)
        noted = await tools.call("credit_wallet_transactions", note="tool summarize", type="charge")
        pages = (first, rest, own, noted)
        return [[entry["amount_yen"] for entry in page["transactions"]] for page in pages]

    assert door(ledger.owner.owner_token, talk) == [[-40, -3], [5_000], [-3], [-40]]


def test_a_forecast_and_the_budget_in_words(ledger: Ledger, door: Door) -> None:
    async def talk(tools: Tools) -> tuple[dict[str, Any], str]:
        [prompt] = (await tools.client.list_prompts()).prompts
        assert (prompt.name, prompt.title) == ("credit_wallet_budget", "Your budget")
        return await tools.call("credit_wallet_forecast"), await tools.budget()

    forecast, words = door(ledger.agent.token, talk)
    assert (forecast["wallet_id"], forecast["balance_yen"]) == (ledger.owner.wallet_id, 4_957)
    assert "You can spend ¥197 now." in words
    assert "of its cap of ¥200" in words


def test_an_agent_that_asks_for_a_top_up_is_sent_to_the_owner(ledger: Ledger, door: Door) -> None:
    guide = door(ledger.agent.token, lambda tools: tools.call("credit_wallet_topup", amount_yen=1_500))
    assert guide == {
        "wallet_id": ledger.owner.wallet_id,
        "amount_yen": 1_500,
        "missing_yen": 1_500,
        "balance_yen": 4_957,
        "status": "ask_the_owner",
        "what_to_do": "An agent key cannot pay. Ask the owner of wallet 1 to top up ¥1,500 at "
        "https://wallet.test/topup.",
        "topup_url": TOPUP_URL,
        "topup_id": None,
        "checkout_url": None,
    }


def test_an_owner_is_told_when_nobody_can_pay(ledger: Ledger, door: Door) -> None:
    guide = door(ledger.owner.owner_token, lambda tools: tools.call("credit_wallet_topup", amount_yen=1_500))
    assert (guide["status"], guide["checkout_url"], guide["missing_yen"]) == ("payments_not_configured", None, 1_500)
    assert guide["what_to_do"].startswith("This installation takes no payments.")


@pytest.mark.parametrize("door", ["http", "stdio to a service"], indirect=True)
def test_nobody_sees_another_wallet(ledger: Ledger, door: Door) -> None:
    async def talk(tools: Tools) -> str:
        answers = [await tools.call(name) for name in TOOLS[:3]]
        answers.append(await tools.call("credit_wallet_transactions", key_id=ledger.agent.key_id))
        assert {answer["wallet_id"] for answer in answers if "wallet_id" in answer} == {ledger.stranger.wallet_id}
        return f"{answers} {await tools.budget()}"

    seen = door(ledger.stranger.owner_token, talk)
    assert "77" in seen
    for secret in ("acme", "crawler", "GET /search", "4957", "4,957", "invoice 1"):
        assert secret not in seen


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("credit_wallet_topup", {}, "invalid_amount: Object missing required field `amount_yen`"),
        ("credit_wallet_topup", {"amount_yen": 0}, "invalid_amount: Expected `int` >= 1"),
        ("credit_wallet_topup", {"amount_yen": 1.5}, "invalid_amount: Expected `int`, got `float`"),
        ("credit_wallet_topup", {"amount_yen": "1"}, "invalid_amount: Expected `int`, got `str`"),
        ("credit_wallet_topup", {"amount_yen": 1, "wallet_id": 2}, "invalid_request: Object contains unknown field"),
        ("credit_wallet_topup", {"amount_yen": 1, "idempotency_key": "é"}, "invalid_request: Expected `str` matching"),
        ("credit_wallet_transactions", {"limit": 201}, "invalid_request: Expected `int` <= 200"),
        ("credit_wallet_transactions", {"cursor": "x"}, "invalid_request: Expected `str` matching"),
        ("credit_wallet_transactions", {"type": "gift"}, "invalid_request: Invalid enum value 'gift'"),
        ("credit_wallet_transactions", {"note": "x" * 501}, "invalid_request: Expected `str` of length <= 500"),
        ("credit_wallet_status", {"wallet_id": 2}, "invalid_request: Object contains unknown field `wallet_id`"),
    ],
)
def test_what_is_wrong_with_an_argument_is_said_with_the_code(
    ledger: Ledger, name: str, arguments: dict[str, Any], told: str
) -> None:
    refusal = over_http(ledger.url)(ledger.owner.owner_token, lambda tools: tools.refusal(name, **arguments))
    assert refusal.startswith(told)


def test_a_tool_or_a_prompt_that_is_not_there_is_an_error_of_the_protocol(ledger: Ledger) -> None:
    async def talk(tools: Tools) -> None:
        with pytest.raises(MCPError, match="there is no tool credit_wallet_spend; there are credit_wallet_status"):
            await tools.client.call_tool("credit_wallet_spend", {})
        with pytest.raises(MCPError, match="there is no prompt riches"):
            await tools.client.get_prompt("riches")

    over_http(ledger.url)(ledger.agent.token, talk)


# Paying


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture(scope="module")
def fake(calendar: Calendar) -> Iterator[FakeStripe]:
    with FakeStripe(clock=calendar.seconds, retry_seconds=(0.01,)) as running:
        yield running


@pytest.fixture
def installation(wallets: CreditWallet, fake: FakeStripe, calendar: Calendar, clock: Clock) -> Installation:
    clock.set(calendar.next()())
    return Installation(wallets, fake, clock)


def test_an_owner_gets_a_page_to_pay_on_and_sees_when_it_was_paid(
    ledger: Ledger, installation: Installation, fake: FakeStripe
) -> None:
    ask = {"amount_yen": 1_500, "idempotency_key": "more"}
    with Served(new_app(ledger.wallets, payments=installation.payments)) as served:
        door = over_http(served.url)
        guide = door(ledger.owner.owner_token, lambda tools: tools.call("credit_wallet_topup", **ask))
        assert (guide["status"], guide["amount_yen"], guide["missing_yen"]) == ("pending", 1_500, 1_500)
        assert guide["what_to_do"].startswith(f"Open {guide['checkout_url']} in a browser and pay ¥1,500.")
        assert ledger.wallets.balance(ledger.owner.wallet_id) == 4_957  # asking moves nothing
        again = door(ledger.owner.owner_token, lambda tools: tools.call("credit_wallet_topup", **ask))
        assert again["topup_id"] == guide["topup_id"]
        session = ledger.wallets.topups.show(guide["topup_id"]).checkout_session
        assert session is not None
        fake.pay(session)
        installation.hear()
        paid = door(ledger.owner.owner_token, lambda tools: tools.call("credit_wallet_topup", **ask))
    assert (paid["status"], paid["missing_yen"], paid["checkout_url"]) == ("credited", 0, None)
    assert paid["balance_yen"] == 6_457
    assert ledger.wallets.verify() == []


def test_an_agent_key_asks_for_no_payment_where_there_are_payments(ledger: Ledger) -> None:
    payments = StandIn()
    with Served(new_app(ledger.wallets, payments=payments)) as served:
        guide = over_http(served.url)(
            ledger.agent.token, lambda tools: tools.call("credit_wallet_topup", amount_yen=100)
        )
    assert (guide["status"], payments.asked) == ("ask_the_owner", [])


def test_a_provider_that_fails_is_told_with_its_code(ledger: Ledger) -> None:
    payments = StandIn(PaymentProviderError("Stripe could not be asked", request_id="req_1"))
    with Served(new_app(ledger.wallets, payments=payments)) as served:
        told = over_http(served.url)(
            ledger.owner.owner_token, lambda tools: tools.refusal("credit_wallet_topup", amount_yen=100)
        )
    assert told == 'payment_provider_error: Stripe could not be asked\n{"request_id":"req_1"}'


def test_a_defect_is_told_without_its_details(ledger: Ledger) -> None:
    payments = StandIn(RuntimeError("the safe's number is 1234"))
    with Served(new_app(ledger.wallets, payments=payments)) as served:
        told = over_http(served.url)(
            ledger.owner.owner_token, lambda tools: tools.refusal("credit_wallet_topup", amount_yen=100)
        )
    assert told == "internal_error: the tool failed; nothing is known to have moved"


# Who may


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


# The service and the command


def test_a_service_without_the_extra_says_what_is_missing_and_goes_on(db_url: str, wallets: CreditWallet) -> None:
    token = wallets.create().owner_token
    with Service(db_url, adjust="import sys; sys.modules['mcp'] = None") as service:
        answer = httpx.post(f"{service.url}/mcp", headers={"Authorization": f"Bearer {token}"}, json={})
        assert (answer.status_code, answer.json()["code"]) == (501, "mcp_not_installed")
        assert "agent-credit-wallet[mcp]" in answer.json()["detail"]
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        assert service.stop() == 0


def test_the_real_service_answers_and_stops(db_url: str, wallets: CreditWallet) -> None:
    created = wallets.create()
    wallets.topup(created.wallet_id, 10, idempotency_key="start")
    with Service(db_url) as service:
        status = over_http(service.url)(created.owner_token, lambda tools: tools.call("credit_wallet_status"))
        assert status["spendable_yen"] == 10
        assert status["topup_url"] == f"{service.url}/docs"
        assert service.stop() == 0


def run_mcp(*words: str, adjust: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """``credit-wallet … mcp`` with nobody at its standard input; ``adjust`` is Python that runs first."""
    return subprocess.run(
        [sys.executable, "-c", f"{adjust}\nfrom credit_wallet.cli.app import main; main()", *words],
        env={TOKEN.name: "", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_token_that_opens_nothing_ends_the_command_before_the_protocol(ledger: Ledger) -> None:
    of_database, of_service = ("--db", ledger.db_url, "mcp"), ("mcp", "--url", ledger.url)
    for words, token, told in (
        (of_database, "", f"unauthorized: set {TOKEN.name} to the wallet's owner token or an agent key\n"),
        (of_database, new_token(), "unauthorized: the token is unknown, revoked or expired"),
        (of_service, "", f"unauthorized: set {TOKEN.name}"),
        (of_service, new_token(), "unauthorized: the token is unknown, revoked or expired"),
        (of_service, OPERATOR_KEY, "forbidden: the operator key has no wallet of its own"),
    ):
        ended = run_mcp(*words, **{TOKEN.name: token})
        assert (ended.returncode, ended.stdout) == (1, ""), words
        assert ended.stderr.startswith(told)


def test_the_command_without_the_extra_says_what_is_missing() -> None:
    ended = run_mcp("mcp", adjust="import sys; sys.modules['mcp'] = None")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.endswith("is not installed; install it with: pip install 'agent-credit-wallet[mcp]'\n")


def test_the_command_ends_with_its_input_and_says_nothing(ledger: Ledger) -> None:
    ended = run_mcp("--db", ledger.db_url, "mcp", **{TOKEN.name: ledger.agent.token})
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_key_that_is_revoked_meanwhile_sees_nothing_more(ledger: Ledger) -> None:
    async def talk(tools: Tools) -> str:
        await tools.call("credit_wallet_status")
        ledger.wallets.keys.revoke(ledger.agent.key_id)
        with pytest.raises(MCPError, match="unauthorized"):
            await tools.budget()
        return await tools.refusal("credit_wallet_status")

    told = over_stdio("--db", ledger.db_url, "mcp")(ledger.agent.token, talk)
    assert told.startswith("unauthorized: the token is unknown, revoked or expired")


# The import of the SDK

_AHEAD = """
import threading
from credit_wallet.http import mcp_routes, serve
_ahead = mcp_routes.imported_ahead
def announced(then):
    def done():
        then()
        open({path!r}, "w").write("done")
    return _ahead(done)
serve.imported_ahead = announced
"""


def test_the_service_imports_the_sdk_without_being_asked(tmp_path: Path) -> None:
    """The reader of the pipe waits until the import is through, and no call of MCP was made."""
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    with Service(f"sqlite:///{tmp_path}/w.db", adjust=_AHEAD.format(path=pipe)) as service:
        assert Path(pipe).read_text() == "done"
        assert service.stop() == 0
        assert b"mcp_import_failed" not in service.output()


def test_a_first_call_that_waits_for_the_import_blocks_nobody(
    wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported, token = threading.Event(), wallets.create().owner_token
    original = mcp_routes._exchange

    def slow() -> Any:
        assert imported.wait(30)
        return original()

    monkeypatch.setattr(mcp_routes, "_exchange", slow)
    headers = {"Authorization": f"Bearer {token}", "Host": "localhost", "Accept": "application/json, text/event-stream"}

    async def talk() -> tuple[int, int]:
        transport = httpx.ASGITransport(new_app(wallets))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            first = asyncio.create_task(client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
            others = [(await client.get("/healthz")).status_code for _ in range(3)]
            assert not first.done()
            imported.set()
            return (await first).status_code, max(others)

    assert asyncio.run(talk()) == (200, 200)


def test_without_the_extra_nothing_is_imported_and_nothing_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "credit_wallet.mcp.exchange", None)
    called: list[str] = []
    with capture_logs() as logs:
        thread = mcp_routes.imported_ahead(lambda: called.append("done"))
        thread.start()
        thread.join()
    assert (called, logs) == ([], [])
