"""The service and the command: the extra, the import of the SDK, how each starts and stops."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.shared.exceptions import MCPError
from mcp_clients import Tools, over_http, over_stdio
from mcp_ledger import Ledger
from service import OPERATOR_KEY, Service, new_app
from shell import Shell
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.config import TOKEN
from credit_wallet.domain.tokens import new_token
from credit_wallet.http import mcp_routes

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
        assert status["topup_url"] == f"{service.url}/wallet/pay-in"
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


def test_a_token_that_opens_nothing_ends_the_command_before_the_protocol(
    ledger: Ledger, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_database, of_service = ("--db", ledger.db_url, "mcp"), ("mcp", "--url", ledger.url)
    for words, token, told in (
        (of_database, "", f"unauthorized: set {TOKEN.name} to the wallet's owner token or an agent key"),
        (of_database, new_token(), "unauthorized: the token is unknown, revoked or expired"),
        (of_service, "", f"unauthorized: set {TOKEN.name}"),
        (of_service, new_token(), "unauthorized: the token is unknown, revoked or expired"),
        (of_service, OPERATOR_KEY, "forbidden: an operator key does not belong to a wallet"),
    ):
        monkeypatch.setenv(TOKEN.name, token)
        ended = shell.run(*words)
        said = [line for line in ended.err.splitlines() if not line.startswith("timestamp=")]  # the service is here too
        assert (ended.code, ended.out, len(said)) == (1, "", 1), words
        assert said[0].startswith(told)


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
from credit_wallet.http import serve
_prepare = serve.prepare
def announced():
    _prepare()
    open({path!r}, "w").write("done")
serve.prepare = announced
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
    original = mcp_routes._responder

    def slow() -> Any:
        assert imported.wait(30)
        return original()

    monkeypatch.setattr(mcp_routes, "_responder", slow)
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
    monkeypatch.setitem(sys.modules, "credit_wallet.mcp.streamable_http", None)
    with capture_logs() as logs:
        mcp_routes.import_ahead()
    assert logs == []
