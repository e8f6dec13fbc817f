"""What an agent does with the wallet's tools, through the official MCP client; needs the ``mcp`` extra.

python examples/mcp_session.py   (makes mcp_session.db in the current folder, which must be new)
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp import Client, StdioServerParameters

from credit_wallet import CreditWallet

DATABASE = "sqlite:///mcp_session.db"


def main() -> None:
    with CreditWallet.open(DATABASE) as wallets:
        wallet_id = wallets.create(label="acme", monthly_budget_yen=10_000).wallet_id
        wallets.topup(wallet_id, 5_000, idempotency_key="invoice-1", note="invoice 1")
        agent = wallets.keys.create(wallet_id, label="crawler", monthly_cap_yen=500)
        wallets.charge(wallet_id, 30, idempotency_key="req-1", note="GET /search", key_id=agent.key_id)
        asyncio.run(session(agent.token))
        print(f"\nviolations: {wallets.verify()}")


async def session(token: str) -> None:
    """Start ``credit-wallet mcp`` as a host of agents does, and use all that it offers."""
    command = ["-m", "credit_wallet.cli.app", "--db", DATABASE, "mcp", "--topup-url", "https://pay.example.com/wallet"]
    server = StdioServerParameters(command=sys.executable, args=command, env={"CREDIT_WALLET_TOKEN": token})
    async with Client(server) as client:
        for tool in (await client.list_tools()).tools:
            reads = tool.annotations is not None and tool.annotations.read_only_hint
            print(f"{tool.name:<28}{tool.title:<22}{'reads' if reads else 'asks for a payment'}")
        await call(client, "credit_wallet_status")
        await call(client, "credit_wallet_transactions", limit=1)
        await call(client, "credit_wallet_topup", amount_yen=2_000)
        await call(client, "credit_wallet_topup", amount_yen=0)
        prompt = await client.get_prompt("credit_wallet_budget")
        print(f"\n> credit_wallet_budget\n{prompt.messages[0].content.text}")  # type: ignore[union-attr]


async def call(client: Client, tool: str, **arguments: Any) -> None:
    """Call a tool and show what it answers."""
    result = await client.call_tool(tool, arguments)
    print(f"\n> {tool} {json.dumps(arguments)}")
    if result.is_error:
        print("error:", result.content[0].text)  # type: ignore[union-attr]
    else:
        print(json.dumps(result.structured_content, ensure_ascii=False))


if __name__ == "__main__":
    main()
