"""What the balance is made of, and what of it has expired."""

from __future__ import annotations

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.visit import Visit

LOTS_SHOWN = 200


@wallet_page("/credit")
async def show_credit(visit: Visit) -> Reply:
    """Lots in the order in which they are spent, and those that expired within 30 days."""
    lots = await visit.get("/credit/lots")
    expired = await visit.get("/credit/lots/expired")
    return await visit.show("wallet/credit.html", lots=lots[:LOTS_SHOWN], more=len(lots) - LOTS_SHOWN, expired=expired)
