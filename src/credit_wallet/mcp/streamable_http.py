"""MCP over streamable HTTP: one response per request, with no session between two requests."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request

from credit_wallet.errors import InvalidJson, Unauthorized
from credit_wallet.mcp.server import new_server
from credit_wallet.mcp.wallets import Wallet
from credit_wallet.wire.asgi import RawHeaders, Receive, Scope
from credit_wallet.wire.problems import HostNotAllowed, OriginNotAllowed

_ACCEPTED = b"application/json, text/event-stream"
_FIRST_MESSAGES = (
    b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", '
    b'"capabilities": {}, "clientInfo": {"name": "warm-up", "version": "1"}}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "credit_wallet_status", "arguments": {}}}',
)


async def respond(scope: Scope, body: bytes, wallet: Wallet, hosts: tuple[str, ...]) -> tuple[int, RawHeaders, bytes]:
    """Status, headers and body of the SDK's response to a POST.

    Raises ``HostNotAllowed`` or ``OriginNotAllowed`` when the header names none of ``hosts``, which keeps out web pages
    that use DNS rebinding to reach the service. Raises ``InvalidJson`` for another content type.
    """
    await _require_message_for(scope, hosts)
    response = _Response()
    sessions = StreamableHTTPSessionManager(new_server(wallet), stateless=True, json_response=True)
    async with sessions.run():  # for this request alone: a stateless manager keeps nothing afterwards
        await sessions.handle_request(scope, _replaying(body), response.send)
    return response.status, response.headers, response.body


def warm_up() -> None:
    """Have the SDK do now what it does with the first messages. For a thread without an event loop."""

    async def no_wallet() -> NoReturn:
        raise Unauthorized("there is no wallet to warm up with")

    wallet = cast(Wallet, SimpleNamespace(wallet=no_wallet, transactions=no_wallet, forecast=no_wallet))
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"accept", _ACCEPTED)]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers}
    for body in _FIRST_MESSAGES:
        asyncio.run(respond(scope, body, wallet, ("localhost",)))


class _Response:
    """Collects what an ASGI application sends."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: RawHeaders = []
        self.body = b""

    async def send(self, message: Any) -> None:
        """ASGI's ``send``."""
        if message["type"] == "http.response.start":
            self.status, self.headers = int(message["status"]), [*message["headers"]]
        else:
            self.body += message.get("body", b"")


def _replaying(body: bytes) -> Receive:
    """ASGI's ``receive`` for a body that has been read already, from a caller that stays connected."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    return receive


async def _require_message_for(scope: Scope, hosts: tuple[str, ...]) -> None:
    names = [name for host in hosts for name in (host, f"{host}:*")]
    settings = TransportSecuritySettings(
        allowed_hosts=names, allowed_origins=[f"{scheme}://{name}" for scheme in ("http", "https") for name in names]
    )
    refusal = await TransportSecurityMiddleware(settings).validate_request(Request(scope), is_post=True)
    if refusal is None:
        return
    advice = f"names none of the hosts that MCP is served under ({', '.join(hosts)}); serve it with --mcp-host NAME too"
    if refusal.status_code == HTTPStatus.MISDIRECTED_REQUEST:
        raise HostNotAllowed(f"the Host header {advice}")
    if refusal.status_code == HTTPStatus.FORBIDDEN:
        raise OriginNotAllowed(f"the Origin header {advice}")
    raise InvalidJson("send a message of MCP, with Content-Type: application/json")
