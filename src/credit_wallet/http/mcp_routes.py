"""MCP over streamable HTTP: the tools of an agent, for the same tokens as every other call.

No OpenAPI document describes them; MCP has its own way of asking what there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from traceback import format_exc
from typing import Any, TypeAlias, cast

from litestar import Request, Response, post
from litestar.status_codes import HTTP_200_OK

from credit_wallet.domain.distinct_members import require_distinct_members_if_json
from credit_wallet.http.dependencies import GivenCaller, GivenPayments, GivenSettings, GivenWallets
from credit_wallet.http.routing import NEEDS
from credit_wallet.mcp.wallets import LedgerWallet, Wallet
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import RawHeaders, Scope
from credit_wallet.wire.auth import own_access
from credit_wallet.wire.problems import McpNotInstalled

Respond: TypeAlias = Callable[[Scope, bytes, Wallet, tuple[str, ...]], Awaitable[tuple[int, RawHeaders, bytes]]]

_log = Logger("credit_wallet.http")

MAX_MESSAGE_BYTES = 65_536
"""Longest message: no tool takes more than a few short texts."""


@post(
    "/mcp",
    status_code=HTTP_200_OK,
    include_in_schema=False,
    opt={NEEDS: "read"},
    request_max_body_size=MAX_MESSAGE_BYTES,
)
async def speak_mcp(
    request: Request[Any, Any, Any],
    caller: GivenCaller,
    wallets: GivenWallets,
    payments: GivenPayments,
    settings: GivenSettings,
) -> Response[bytes]:
    """One message of MCP and its response."""
    access = own_access(caller)
    wallet = LedgerWallet(wallets, lambda: access, payments, settings.topup_url)
    body = await request.body()
    require_distinct_members_if_json(body)
    respond = await asyncio.to_thread(_responder)
    status, headers, content = await respond(cast(Scope, request.scope), body, wallet, settings.mcp_hosts)
    fields = {name.decode(): value.decode() for name, value in headers if name != b"content-length"}
    return Response(content, status_code=status, headers=fields, media_type=fields.get("content-type"))


def import_ahead() -> None:
    """Import what MCP needs before anybody asks for it, and try it.

    The SDK takes a second and more to import, and some of it is put off until the first message: a service that does so
    before it is ready starts late, one that leaves it to the first caller answers that caller late.
    """
    try:
        _responder()
        from credit_wallet.mcp.streamable_http import warm_up

        warm_up()
    except McpNotInstalled:
        return  # callers get the same error
    except Exception:
        _log.error("mcp_import_failed", exception=format_exc())


def _responder() -> Respond:
    """Called in a thread: only callers that come before the import is done wait for it."""
    try:
        from credit_wallet.mcp.streamable_http import respond
    except ModuleNotFoundError as error:
        raise McpNotInstalled(
            f"{error.name} is not installed; the operator installs it with: pip install 'agent-credit-wallet[mcp]'"
        ) from error
    return respond


MCP_ROUTES = (speak_mcp,)
