"""Credit that moves between wallets of one owner."""

from __future__ import annotations

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import wallet_action, wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

PAGE = 50

RETURNED_BECAUSE = (
    text("there is no such wallet"),
    text("the wallet is being closed"),
    text("the wallet is closed"),
)
"""Why a transfer comes back, as the ledger says it."""


@wallet_page("/transfers")
async def list_transfers(visit: Visit) -> Reply:
    """Every transfer out of the wallet and in to it, newest first; the owner may make one."""
    page = await visit.get("/credit/transfers", limit=PAGE, before=visit.query.get("before"))
    transfers = page["transfers"]
    return await visit.show(
        "wallet/transfers.html",
        transfers=transfers,
        before=transfers[-1]["transfer_id"] if len(transfers) == PAGE else None,
        may_move=not visit.place.of_operator and visit.allows("own"),
    )


@wallet_action("/transfers", list_transfers)
async def move_credit(visit: Visit) -> Reply:
    """Move credit to another wallet, whose owner token proves that it is the same owner's."""
    visit.require("own")
    form = visit.form
    body = form.given(
        amount_yen=form.whole("amount_yen"), to_owner_token=form.text("to_owner_token"), note=form.optional("note")
    )
    await visit.send("POST", "/credit/transfers", body, idempotency_key=form.text("idempotency_key"))
    return visit.go("/transfers", done="moved")
