"""An MCP server whose tools are paid for."""

from __future__ import annotations

from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

from credit_wallet.middleware import charge_for, priced


class Query(BaseModel):
    """What a tool may be asked with."""

    words: list[str]


def shop() -> MCPServer:
    """A server with tools of every kind."""
    server = MCPServer("shop")

    @server.tool()
    @priced(yen=3)
    async def search(q: str, ctx: Context) -> str:
        if q == "crash":
            raise RuntimeError("secret")
        return f"{q} {ctx.request_id is not None}"

    @server.tool()
    @priced(yen=4)
    def blocking(query: Query) -> int:
        return len(query.words)

    @server.tool()
    @priced(yen=5)
    async def refuses() -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text="no")], is_error=True)

    @server.tool()
    @priced(hold=100)
    async def metered(yen: int) -> str:
        charge_for().capture(yen)
        return "done"

    @server.tool()
    async def free() -> str:
        return "free"

    return server


def text_of(result: Any) -> str:
    return str(result.content[0].text)
