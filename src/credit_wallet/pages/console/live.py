"""What open pages of the console listen to."""

from __future__ import annotations

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import CONSOLE, page
from credit_wallet.pages.visit import Visit


@page(f"{CONSOLE}/live", "operator")
async def watch_all(visit: Visit) -> Reply:
    """Say when something of any wallet changes."""
    return visit.watch()
