"""The client of either kind, called without asyncio."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from credit_wallet.client import AsyncWalletClient, Retries, WalletClient

QUICK = Retries(attempts=4, first_pause_seconds=0.0)


class Clients:
    """Makes clients of either kind, which are called without asyncio."""

    def __init__(self, kind: str, url: str, runner: asyncio.Runner) -> None:
        self._kind, self._url, self._runner = kind, url, runner

    def client(self, token: str, **options: Any) -> Any:
        """A client whose methods answer at once."""
        given = {"retries": QUICK, **options}
        if self._kind == "sync":
            return WalletClient(self._url, token, **given)
        return _Run(AsyncWalletClient(self._url, token, **given), self._runner)


class _Run:
    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return _Run(found, self._runner)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = found(*args, **kwargs)
            if isinstance(result, AsyncWalletClient):
                return _Run(result, self._runner)
            return self._runner.run(_awaited(result)) if inspect.isawaitable(result) else result

        return call


async def _awaited(result: Any) -> Any:
    return await result
