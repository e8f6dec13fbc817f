"""What open pages of a wallet listen to."""

from __future__ import annotations

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.visit import Visit


@wallet_page("/live")
async def watch_wallet(visit: Visit) -> Reply:
    """Say when something of the wallet changes."""
    return visit.watch()
