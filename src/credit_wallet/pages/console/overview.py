"""All wallets at a glance."""

from __future__ import annotations

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import CONSOLE, page
from credit_wallet.pages.visit import Visit


@page(CONSOLE, "operator")
async def overview(visit: Visit) -> Reply:
    """What is owed to customers, and what needs a person."""
    return await visit.show("console/overview.html", totals=await visit.get("/operator/totals"))
