"""Calls the service from Python: ``WalletClient``, and ``AsyncWalletClient`` for asyncio.

Here is what is sent, how its response is read and when it is sent again; no rule of money and nothing of the server.
"""

from __future__ import annotations

try:
    from credit_wallet.client.asynchronous.client import AsyncWalletClient
    from credit_wallet.client.blocking.client import WalletClient
except ModuleNotFoundError as error:
    if error.name != "httpx":
        raise
    raise ModuleNotFoundError("httpx is missing; install agent-credit-wallet[client]", name="httpx") from error
from credit_wallet.client.transport import Retries

__all__ = ["AsyncWalletClient", "Retries", "WalletClient"]
