"""Calls the service from Python: ``WalletClient``, and ``AsyncWalletClient`` for asyncio.

Here is what is sent, how its response is read and when it is sent again; no rule of money and nothing of the server.
"""

from __future__ import annotations

from credit_wallet.client.transport import Retries
from credit_wallet.extras import needs

with needs("client"):
    from credit_wallet.client.asynchronous.client import AsyncWalletClient
    from credit_wallet.client.blocking.client import WalletClient

__all__ = ["AsyncWalletClient", "Retries", "WalletClient"]
