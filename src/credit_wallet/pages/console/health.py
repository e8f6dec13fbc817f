"""How the service is: what needs a look, the rail, the answers, the queue, jobs, the database."""

from __future__ import annotations

from typing import Final, NamedTuple

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import CONSOLE, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text


class Check(NamedTuple):
    """Something that is looked at: its name, what it says when all is well, and what to do when it is not."""

    name: str
    good: str
    to_do: str


CHECKS: Final[dict[str, Check]] = {
    "clock": Check(
        text("Clock"),
        text("The clocks of this machine and of the ledger agree."),
        text(
            "The clocks disagree, so that days and the ends of credit may be off. Set this machine's clock (NTP), then "
            "start the service again."
        ),
    ),
    "seals": Check(
        text("Seals"),
        text("Entries are sealed soon after they are made, so that nobody changes them unseen."),
        text("Entries wait too long for a seal. See below whether they are sealed, and in the log why not."),
    ),
    "jobs": Check(
        text("Background jobs"),
        text("Each runs at its pace."),
        text(
            "A job is late. The log says why (job_failed); if it hangs, start the service again: it goes on where it "
            "was."
        ),
    ),
    "deliveries": Check(
        text("Notices"),
        text("None was given up."),
        text("Some were given up. Correct their addresses, then send them again from Deliveries."),
    ),
    "commits": Check(
        text("Movements"),
        text("What is asked is written down at once."),
        text(
            "Writing takes a second or more, and callers wait. See whether the database's disk is busy with something "
            "else, or full."
        ),
    ),
}
"""By the checks of ``GET /operator/health``."""

JOBS: Final = {
    "expire": text("Credit lapses"),
    "credit_grants": text("Grants are credited"),
    "undo_abandoned": text("Abandoned purchases are undone"),
    "finish_transfers": text("Transfers are finished"),
    "seal": text("Entries are sealed"),
    "emit_seal": text("Notices of seals"),
    "alerts": text("Notices of budgets reached"),
    "watch_spending": text("Unusual spending is looked for"),
    "count_usage": text("Usage is counted"),
    "count_totals": text("Totals are counted"),
    "expiry_notices": text("Notices of credit about to end"),
    "budget_renewals": text("Notices of budgets that start anew"),
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
    found = await visit.get("/operator/health")
    well = {each["check"]: each["ok"] for each in found["findings"]}
    return await visit.show("console/health.html", health=found, well=well, checks=CHECKS, names=JOBS)
