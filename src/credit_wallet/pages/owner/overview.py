"""The wallet at a glance."""

from __future__ import annotations

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.visit import Visit


@wallet_page("")
async def overview(visit: Visit) -> Reply:
    """What there is to spend, what is held, and where it goes."""
    return await visit.show("wallet/overview.html")
