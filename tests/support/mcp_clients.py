"""The official MCP client over each transport, against real services and processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from tempfile import TemporaryFile
from typing import Any, TypeVar

import httpx2
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

T = TypeVar("T")

_MAIN = "from credit_wallet.cli.app import main; main()"


class Tools:
    """The tools as a client sees them."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The structured result of a tool, which fits the tool's schema and is also in its text."""
        result = await self.client.call_tool(name, arguments)
        assert not result.is_error, text_of(result)
        listed = {tool.name: tool for tool in (await self.client.list_tools()).tools}
        Draft202012Validator(listed[name].output_schema).validate(result.structured_content)
        found: dict[str, Any] = result.structured_content
        return found

    async def refusal(self, name: str, **arguments: Any) -> str:
        """The text that a tool refuses with."""
        result = await self.client.call_tool(name, arguments)
        assert result.is_error
        assert result.structured_content is None
        return text_of(result)

    async def budget(self) -> str:
        """The prompt about the budget."""
        [message] = (await self.client.get_prompt("credit_wallet_budget")).messages
        assert isinstance(message.content, TextContent)
        return message.content.text


class Connection:
    """The tools over one transport, for whoever has a token."""

    def __init__(self, connect: Callable[[str], Any], mode: str) -> None:
        self._connect = connect
        self._mode = mode

    def __call__(self, token: str, talk: Callable[[Tools], Awaitable[T]]) -> T:
        """What ``talk`` returns, over a connection of its own."""

        async def run() -> T:
            async with self._connect(token) as transport, Client(transport, mode=self._mode) as client:
                return await talk(Tools(client))

        return asyncio.run(run())


def text_of(result: CallToolResult) -> str:
    """The text of a result that is nothing but text."""
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


def over_http(url: str, mode: str = "auto") -> Connection:
    """Streamable HTTP to the service at ``url``."""

    @asynccontextmanager
    async def connect(token: str) -> AsyncIterator[Any]:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
            yield streamable_http_client(f"{url}/mcp", http_client=http)

    return Connection(connect, mode)


def over_stdio(*words: str, mode: str = "auto", environment: Mapping[str, str] | None = None) -> Connection:
    """Standard input and output of ``credit-wallet`` with ``words`` after it."""

    @asynccontextmanager
    async def connect(token: str) -> AsyncIterator[Any]:
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-c", _MAIN, *words],
            env={**os.environ, "CREDIT_WALLET_TOKEN": token, **(environment or {})},
        )
        with TemporaryFile("w+") as errors:
            yield stdio_client(parameters, errlog=errors)

    return Connection(connect, mode)
