"""The Python clients of the service: ``WalletClient`` and, for asyncio, ``AsyncWalletClient``.

They know the HTTP interface alone: no ledger, store or server is imported here.
"""

from __future__ import annotations

from credit_wallet.client.clients import AsyncWalletClient, WalletClient
from credit_wallet.client.transport import Retries

__all__ = ["AsyncWalletClient", "Retries", "WalletClient"]
