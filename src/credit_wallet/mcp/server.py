"""The tools and the prompt as the official SDK serves them: schemas, annotations, structured results, errors."""

from __future__ import annotations

from traceback import format_exc
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
    PromptMessage,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ListedTool
from msgspec import json, to_builtins

from credit_wallet.domain.documents import document
from credit_wallet.errors import WalletError
from credit_wallet.mcp.prompts import BUDGET, BUDGET_DESCRIPTION, BUDGET_TITLE, budget
from credit_wallet.mcp.replies import WalletStatus
from credit_wallet.mcp.schemas import input_schema, output_schema
from credit_wallet.mcp.tools import TOOLS, Tool
from credit_wallet.mcp.wallets import Wallet
from credit_wallet.telemetry import Logger
from credit_wallet.version import __version__

NAME = "credit-wallet"
INSTRUCTIONS = (
    "A prepaid wallet that pays for API calls. Use credit_wallet_status to see how much you can spend, and to find out "
    "why a call was refused with HTTP 402 or 429. Use credit_wallet_topup to learn what a person must do to add "
    "credit; it never pays on its own."
)

_log = Logger("credit_wallet.mcp")


def new_server(wallet: Wallet) -> Server[Any]:
    """The tools on one wallet. Cheap enough to make for every request, so that no two callers share anything."""

    async def list_tools(_: ServerRequestContext[Any], __: PaginatedRequestParams | None) -> ListToolsResult:
        return _LISTED_TOOLS

    async def call_tool(_: ServerRequestContext[Any], asked: CallToolRequestParams) -> CallToolResult:
        tool = TOOLS.get(asked.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"unknown tool {asked.name}; the tools are {', '.join(TOOLS)}")
        return await _called(tool, wallet, asked.arguments or {})

    async def list_prompts(_: ServerRequestContext[Any], __: PaginatedRequestParams | None) -> ListPromptsResult:
        return _LISTED_PROMPTS

    async def get_prompt(_: ServerRequestContext[Any], asked: GetPromptRequestParams) -> GetPromptResult:
        if asked.name != BUDGET:
            raise MCPError(INVALID_PARAMS, f"unknown prompt {asked.name}; the only prompt is {BUDGET}")
        try:
            text = budget(WalletStatus.of(await wallet.wallet()))
        except WalletError as error:
            raise MCPError(INVALID_REQUEST, f"{error.code}: {error}") from error
        message = PromptMessage(role="user", content=TextContent(type="text", text=text))
        return GetPromptResult(description=BUDGET_DESCRIPTION, messages=[message])

    return Server(
        NAME,
        version=__version__,
        title="Agent Credit Wallet",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )


async def _called(tool: Tool, wallet: Wallet, arguments: dict[str, Any]) -> CallToolResult:
    try:
        reply = await tool.call(wallet, arguments)
    except WalletError as error:
        figures = f"\n{json.encode(error.details).decode()}" if error.details else ""
        return _refused(f"{error.code}: {error}{figures}")
    except Exception:
        _log.error("tool_failed", tool=tool.name, exception=format_exc())
        return _refused("internal_error: the tool failed; no money is known to have moved")
    sent = document(reply)
    text = json.encode(sent).decode()  # for hosts without structured content
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=to_builtins(sent))


def _refused(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _listed(tool: Tool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=input_schema(tool.arguments),
        output_schema=output_schema(tool.result),
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.is_read_only,
            destructive_hint=False,
            idempotent_hint=tool.is_read_only,
            open_world_hint=tool.is_open_world,
        ),
    )


_LISTED_TOOLS = ListToolsResult(tools=[_listed(tool) for tool in TOOLS.values()])
_LISTED_PROMPTS = ListPromptsResult(prompts=[Prompt(name=BUDGET, title=BUDGET_TITLE, description=BUDGET_DESCRIPTION)])
