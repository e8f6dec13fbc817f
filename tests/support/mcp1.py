"""The MCP SDK 1.x (``.venv/mcp1``) beside the newer one: a gated server and a client, each a process of its own.

python tests/support/mcp1.py serve DATABASE MODE   prints its port; MODE: sessions, stateless, json, sse or ungated
python tests/support/mcp1.py call URL MODE TOKEN QUERY…   prints what each call of the tool came to, as JSON
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60
SDK = Path(sys.prefix) / "mcp1"


@contextmanager
def serving(db_url: str, mode: str) -> Iterator[str]:
    """The address of a server of SDK 1.x behind a gate on the ledger at ``db_url``."""
    process = subprocess.Popen(
        [sys.executable, __file__, "serve", db_url, mode], env=_environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip().isdecimal(), f"the server did not start: {line}"
        yield f"http://127.0.0.1:{line.strip()}"
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


def calling(url: str, mode: str, token: str, queries: Sequence[str]) -> list[tuple[bool, str]]:
    """Whether each call of SDK 1.x's client failed, and what it was told. ``TOKEN!`` as a query changes the token."""
    done = subprocess.run(
        [sys.executable, __file__, "call", url, mode, token, *queries],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(failed, text) for failed, text in json.loads(done.stdout)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SDK)}


def serve(db_url: str, mode: str) -> None:
    """Until it is told to end."""
    import uvicorn
    from mcp.server.fastmcp import FastMCP  # type: ignore[attr-defined]
    from mcp.types import CallToolResult, TextContent

    from credit_wallet import CreditWallet
    from credit_wallet.middleware import CreditGate, charge_for, priced, show_prices

    server = FastMCP("shop", stateless_http=mode == "stateless", json_response=mode == "json")

    @server.tool()  # type: ignore[untyped-decorator,unused-ignore]
    @priced(yen=10)
    async def search(q: str) -> str:
        """Search the index."""
        if q == "crash":
            raise RuntimeError("broken")
        return q.upper()

    @server.tool()  # type: ignore[untyped-decorator,unused-ignore]
    @priced(yen=10)
    async def refuses(q: str) -> Any:
        """Say that it failed, in the words of the protocol."""
        return CallToolResult(content=[TextContent(type="text", text=q)], isError=True)  # type: ignore[call-arg,unused-ignore]

    @server.tool()  # type: ignore[untyped-decorator,unused-ignore]
    @priced(hold=50)
    async def metered(q: str) -> str:
        """Cost a yen a character."""
        charge_for().capture(len(q))
        return "done"

    @server.tool(name="by.item")  # type: ignore[untyped-decorator,unused-ignore]
    @priced(hold=5, items=["tokens"])
    async def by_item(q: str) -> Any:
        """Say what it cost."""
        meta = {"credit-wallet/cost": {"item": "tokens", "quantity": q}}
        return CallToolResult(content=[TextContent(type="text", text=q)], _meta=meta)  # type: ignore[call-arg,unused-ignore]

    with CreditWallet.open(db_url) as wallets:
        show_prices(server, wallets)
        app = server.sse_app() if mode == "sse" else server.streamable_http_app()
        gated = app if mode == "ungated" else CreditGate(app, wallets)
        config = uvicorn.Config(gated, port=0, log_config=None, access_log=False)
        asyncio.run(_announced(uvicorn.Server(config)))


async def _announced(server: Any) -> None:
    running = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await running


def call(url: str, mode: str, token: str, *queries: str) -> None:
    """In one session; the token of later requests of it may be another."""
    print(json.dumps(asyncio.run(_called(url, mode, token, queries))))  # noqa: T201


async def _called(url: str, mode: str, token: str, queries: Sequence[str]) -> list[tuple[bool, str]]:
    import httpx
    from mcp import ClientSession
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamablehttp_client  # type: ignore[attr-defined,unused-ignore]

    bearer = [token]

    class Bearer(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            request.headers["Authorization"] = f"Bearer {bearer[0]}"
            yield request

    connect: Any = sse_client if mode == "sse" else streamablehttp_client
    results = []
    async with (
        connect(f"{url}/{'sse' if mode == 'sse' else 'mcp'}", auth=Bearer()) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        for query in queries:
            if query.endswith("!"):
                bearer[0] = query[:-1]
                continue
            name, _, q = query.rpartition(":")
            if name == "list":
                [tool] = [tool for tool in (await session.list_tools()).tools if tool.name == q]
                results.append((False, json.dumps([tool.description, tool.meta])))
                continue
            result: Any = await session.call_tool(name or "search", {"q": q})
            results.append((bool(result.isError), str(result.content[0].text)))
    return results


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        call(*sys.argv[2:])
