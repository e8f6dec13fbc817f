"""Tools and prompt in the words of the official SDK: schemas, annotations, structured results, errors."""

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
from msgspec import Struct, json, to_builtins

from credit_wallet.errors import WalletError
from credit_wallet.mcp.accounts import Account
from credit_wallet.mcp.prompts import BUDGET, BUDGET_DESCRIPTION, BUDGET_TITLE, budget
from credit_wallet.mcp.replies import WalletStatus
from credit_wallet.mcp.tools import TOOLS, Tool
from credit_wallet.telemetry import Logger
from credit_wallet.version import __version__

NAME = "credit-wallet"
INSTRUCTIONS = (
    "A prepaid wallet that API calls are paid from. credit_wallet_status says what can be spent now; when a call is "
    "refused with HTTP 402, look there. credit_wallet_topup says what a person must do to pay; it never pays itself."
)

_log = Logger("credit_wallet.mcp")


def new_server(account: Account) -> Server[Any]:
    """The tools on one account. Cheap enough to make for every request, so that no two callers share anything."""

    async def list_tools(_: ServerRequestContext[Any], __: PaginatedRequestParams | None) -> ListToolsResult:
        return _LISTED_TOOLS

    async def call_tool(_: ServerRequestContext[Any], asked: CallToolRequestParams) -> CallToolResult:
        tool = TOOLS.get(asked.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {asked.name}; there are {', '.join(TOOLS)}")
        return await _called(tool, account, asked.arguments or {})

    async def list_prompts(_: ServerRequestContext[Any], __: PaginatedRequestParams | None) -> ListPromptsResult:
        return _LISTED_PROMPTS

    async def get_prompt(_: ServerRequestContext[Any], asked: GetPromptRequestParams) -> GetPromptResult:
        if asked.name != BUDGET:
            raise MCPError(INVALID_PARAMS, f"there is no prompt {asked.name}; there is {BUDGET}")
        try:
            text = budget(WalletStatus.of(await account.wallet()))
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


async def _called(tool: Tool, account: Account, arguments: dict[str, Any]) -> CallToolResult:
    try:
        reply = await tool.call(account, arguments)
    except WalletError as error:
        figures = f"\n{json.encode(error.details).decode()}" if error.details else ""
        return _refused(f"{error.code}: {error}{figures}")
    except Exception:
        _log.error("tool_failed", tool=tool.name, exception=format_exc())
        return _refused("internal_error: the tool failed; nothing is known to have moved")
    text = json.encode(reply).decode()  # for hosts that do not know structured content
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=to_builtins(reply))


def _refused(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _schema(kind: type[Struct]) -> dict[str, Any]:
    """The JSON Schema of ``kind`` with an object at its root, which MCP asks for, and not a reference."""
    schema = json.schema(kind)
    definitions = schema["$defs"]
    root = definitions.pop(kind.__name__)
    return {**root, "$defs": definitions} if definitions else root


def _listed(tool: Tool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=_schema(tool.takes),
        output_schema=_schema(tool.answers),
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.reads_only,
            destructive_hint=False,
            idempotent_hint=tool.reads_only,
            open_world_hint=tool.asks_outside,
        ),
    )


_LISTED_TOOLS = ListToolsResult(tools=[_listed(tool) for tool in TOOLS.values()])
_LISTED_PROMPTS = ListPromptsResult(prompts=[Prompt(name=BUDGET, title=BUDGET_TITLE, description=BUDGET_DESCRIPTION)])
