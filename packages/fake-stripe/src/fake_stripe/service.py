"""What runs in the event loop: the HTTP server, and the clients of localstripe and of webhook endpoints."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Self

from aiohttp import web

from fake_stripe.account import Account
from fake_stripe.api import add_api
from fake_stripe.localstripe import Localstripe
from fake_stripe.pages import Pages
from fake_stripe.webhooks import Webhooks


class Service:
    """Answers on a loopback port for one account."""

    def __init__(self, localstripe: Localstripe, webhooks: Webhooks, account: Account) -> None:
        app = web.Application()
        add_api(app, account)
        Pages(account).add_to(app)
        self._localstripe = localstripe
        self._webhooks = webhooks
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        self.account = account

    @classmethod
    async def start(
        cls,
        localstripe_url: str,
        port: int,
        clock: Callable[[], float],
        retry_seconds: Sequence[float],
        webhook_timeout_seconds: float,
    ) -> Self:
        """Listen and be ready."""
        listening = socket.create_server(("127.0.0.1", port))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        localstripe = Localstripe(localstripe_url)
        webhooks = Webhooks(retry_seconds, webhook_timeout_seconds)
        service = cls(localstripe, webhooks, Account(localstripe, webhooks, clock, url))
        await service.account.intents.open()
        await service._runner.setup()
        await web.SockSite(service._runner, listening).start()
        return service

    async def close(self) -> None:
        """Stop listening and hang up."""
        await self._runner.cleanup()
        await self._webhooks.close()
        await self._localstripe.close()
