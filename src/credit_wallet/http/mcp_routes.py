"""MCP over streamable HTTP: the tools of an agent, for the same tokens as every other call.

No OpenAPI document describes them; MCP has its own way of asking what there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

from litestar import Request, Response, post
from litestar.status_codes import HTTP_200_OK

from credit_wallet.http.auth import require_access
from credit_wallet.http.dependencies import GivenCaller, GivenPayments, GivenSettings, GivenWallets
from credit_wallet.http.distinct import require_distinct_members_if_json
from credit_wallet.http.problems import McpNotInstalled
from credit_wallet.http.replies import RawHeaders, Scope
from credit_wallet.http.routing import SECURITY
from credit_wallet.mcp.accounts import Account, LedgerAccount

Exchange: TypeAlias = Callable[[Scope, bytes, Account, tuple[str, ...]], Awaitable[tuple[int, RawHeaders, bytes]]]

MAX_MESSAGE_BYTES = 65_536
"""Longest message: no tool takes more than a few short texts."""


@post(
    "/mcp",
    status_code=HTTP_200_OK,
    include_in_schema=False,
    security=SECURITY,
    request_max_body_size=MAX_MESSAGE_BYTES,
)
async def speak_mcp(
    request: Request[Any, Any, Any],
    caller: GivenCaller,
    wallets: GivenWallets,
    payments: GivenPayments,
    settings: GivenSettings,
) -> Response[bytes]:
    """One message of MCP and its answer."""
    access = require_access(caller)
    account = LedgerAccount(wallets, lambda: access, payments, settings.topup_url)
    body = await request.body()
    require_distinct_members_if_json(body)
    exchange = await asyncio.to_thread(_exchange)
    status, headers, content = await exchange(cast(Scope, request.scope), body, account, settings.mcp_hosts)
    fields = {name.decode(): value.decode() for name, value in headers if name != b"content-length"}
    return Response(content, status_code=status, headers=fields, media_type=fields.get("content-type"))


def _exchange() -> Exchange:
    """Imported for the first who speaks MCP, and in a thread: the SDK behind it takes most of a second."""
    try:
        from credit_wallet.mcp.exchange import exchange
    except ModuleNotFoundError as error:
        raise McpNotInstalled(f"{error.name} is missing; the operator must install agent-credit-wallet[mcp]") from error
    return exchange


MCP_ROUTES = (speak_mcp,)
