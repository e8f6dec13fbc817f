"""MCP on standard input and output, for a host that starts the command line beside itself."""

from __future__ import annotations

import asyncio

from mcp.server.stdio import stdio_server

from credit_wallet.config import TOKEN
from credit_wallet.errors import Unauthorized
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.mcp.server import new_server
from credit_wallet.mcp.wallets import LedgerWallet, Wallet
from credit_wallet.payments.factory import open_payments


def speak_for_database(token: str, db_url: str, topup_url: str) -> None:
    """Serve the tools on the wallet that ``token`` opens in a database. Raises ``WalletError`` when it opens none."""
    _require(token)
    with CreditWallet.open(db_url, create=False) as wallets:
        wallet = LedgerWallet(wallets, lambda: wallets.tokens.authenticate(token), open_payments(wallets), topup_url)
        asyncio.run(_serve(wallet))


def speak_for_service(token: str, service_url: str) -> None:
    """Serve the tools on the wallet that ``token`` opens at a running service. Raises as ``speak_for_database``."""
    _require(token)
    asyncio.run(_call_and_serve(token, service_url))


async def _call_and_serve(token: str, service_url: str) -> None:
    from credit_wallet.client import AsyncWalletClient  # which wallets of a database do not need

    async with AsyncWalletClient(service_url, token) as wallet:
        await _serve(wallet)


async def _serve(wallet: Wallet) -> None:
    """Until standard input ends. Standard output has the protocol alone; what else is written there goes to stderr.

    The wallet is looked at first, so that a token that opens nothing is refused before the protocol begins.
    """
    await wallet.wallet()
    server = new_server(wallet)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _require(token: str) -> None:
    if not token:
        raise Unauthorized(f"set {TOKEN.name} to the wallet's owner token or an agent key")
