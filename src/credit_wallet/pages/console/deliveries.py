"""Notices of all wallets on their way, and those that did not arrive."""

from __future__ import annotations

from typing import Final

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.owner.notices import KIND_NAMES
from credit_wallet.pages.routes import CONSOLE, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

PAGE = 50

STATES: Final = {
    "dead": text("Did not arrive"),
    "pending": text("On its way"),
    "delivered": text("Delivered"),
    "all": text("All"),
}
BADGES: Final = {"dead": "bad", "pending": "warn", "delivered": "good"}


@page(f"{CONSOLE}/deliveries", "operator")
async def list_deliveries(visit: Visit) -> Reply:
    """Deliveries, newest first; those that did not arrive unless others are asked for."""
    state = visit.query.get("status", "dead")
    status = state if state in STATES and state != "all" else None
    found = await visit.get("/operator/deliveries", status=status, before=visit.query.get("before"), limit=PAGE + 1)
    return await visit.show(
        "console/deliveries.html",
        found=found[:PAGE],
        before=found[PAGE - 1]["delivery_id"] if len(found) > PAGE else None,
        state=state,
        states=STATES,
        badges=BADGES,
        kinds=KIND_NAMES,
    )


@action(f"{CONSOLE}/deliveries/{{delivery_id}}/resend", "operator", list_deliveries)
async def resend(visit: Visit) -> Reply:
    """Send a notice again."""
    await visit.send("POST", f"/operator/deliveries/{visit.id('delivery_id')}/resend")
    return visit.leave(f"{CONSOLE}/deliveries?status=pending", done="resent")
