"""Calling the service from Python: ``WalletClient`` and, for asyncio, ``AsyncWalletClient``.

``calls`` says what each call sends and reads, ``answers`` what an answer means, ``conversation`` when a call is sent
again; ``doors`` are the two clients over httpx.
"""

from __future__ import annotations

from credit_wallet.client.clients import AsyncWalletClient, WalletClient
from credit_wallet.client.transport import Retries

__all__ = ["AsyncWalletClient", "Retries", "WalletClient"]
