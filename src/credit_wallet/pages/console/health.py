"""How the service is: what needs a look, the rail, the answers, the queue, jobs, the database."""

from __future__ import annotations

from typing import Final

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import CONSOLE, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

JOBS: Final = {
    "expire": text("Credit lapses"),
    "credit_grants": text("Grants are credited"),
    "undo_abandoned": text("Abandoned purchases are undone"),
    "finish_transfers": text("Transfers are finished"),
    "seal": text("Entries are sealed"),
    "emit_seal": text("Seals are told"),
    "alerts": text("Shares of budgets are told"),
    "watch_spending": text("Unusual spending is looked for"),
    "count_usage": text("Usage is counted"),
    "count_totals": text("Totals are counted"),
    "expiry_notices": text("Credit about to end is told"),
    "budget_renewals": text("Budgets that start anew are told"),
    "prune_idempotency_keys": text("Old idempotency keys go"),
    "prune_notices": text("Old notices go"),
    "prune_closed": text("Closed holds and purchases go"),
    "prune_budgets": text("Old figures of budgets go"),
    "reconcile": text("Payments are compared with Stripe"),
    "topups": text("Automatic top-ups are made"),
}
"""What jobs do, where their name does not say it."""


@page(f"{CONSOLE}/health", "operator")
async def health(visit: Visit) -> Reply:
    """The service as the ledger and this process see it."""
    return await visit.show("console/health.html", health=await visit.get("/operator/health"), names=JOBS)
