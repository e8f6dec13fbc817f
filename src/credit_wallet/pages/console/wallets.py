"""All wallets: search, filter, sort, and make one."""

from __future__ import annotations

from typing import Any, Final

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.console.sought import may_open_something, token_in
from credit_wallet.pages.routes import CONSOLE, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

WALLETS = f"{CONSOLE}/wallets"
PAGE = 50
LOOKED_AT = 8
"""How many pauses of a search are gone over before an empty page is shown."""

STATUSES: Final = {
    "": text("All"),
    "low": text("Running low"),
    "exhausted": text("Out of credit"),
    "in_debt": text("In debt"),
    "failed_topup": text("Failed payment"),
    "disabled": text("Frozen"),
    "closed": text("Closed"),
}
"""What a list can be narrowed to, as ``GET /operator/wallets`` knows it."""


@page(WALLETS, "operator")
async def list_wallets(visit: Visit) -> Reply:
    """Wallets, fifty at a time."""
    return await _show(visit, visit.query.get("query", ""))


@action(WALLETS, "operator", list_wallets)
async def search_wallets(visit: Visit) -> Reply:
    """Search: at an address that can be kept, unless what is looked for may open something."""
    words = visit.form.text("query")
    if may_open_something(words):
        return await _show(visit, words)
    return visit.leave(f"{WALLETS}?{visit.asked_for(query=words, cursor=None)}")


async def _show(visit: Visit, words: str) -> Reply:
    asked = {name: visit.query.get(name) or None for name in ("status", "sort")}
    refused = None
    try:
        found = await _search(visit, token_in(words) or words, **asked)
    except Refused as error:
        if error.field not in ("sort", "cursor", "status", "query"):
            raise
        refused, asked = error, {"status": None, "sort": None}
        found = await _search(visit, "", cursor=None)
    return await visit.show(
        "console/wallets.html",
        found=found["wallets"],
        cursor=found["next_cursor"],
        query=words,
        state=asked["status"] or "",
        sort=asked["sort"] or "wallet_id",
        statuses=STATUSES,
        secret=token_in(words) is not None,
        unsorted=refused,
    )


async def _search(visit: Visit, words: str, cursor: Any = ..., **asked: str | None) -> Any:
    """A page that has something in it, if anything is left: a search pauses, and goes on from there."""
    at = visit.query.get("cursor") if cursor is ... else cursor
    for _ in range(LOOKED_AT):
        found = await visit.get("/operator/wallets", query=words or None, cursor=at, limit=PAGE, **asked)
        at = found["next_cursor"]
        if found["wallets"] or at is None:
            break
    return found


@page(f"{WALLETS}/new", "operator")
async def new_wallet(visit: Visit) -> Reply:
    """What a new wallet is to be like."""
    return await visit.show("console/wallet-new.html")


@action(f"{WALLETS}/new", "operator", new_wallet)
async def create_wallet(visit: Visit) -> Reply:
    """Make a wallet, and show its owner's token once."""
    form = visit.form
    made = await visit.send(
        "POST",
        "/operator/wallets",
        form.given(
            label=form.optional("label"),
            reference=form.optional("reference"),
            monthly_budget_yen=form.whole("monthly_budget_yen"),
            budget_mode="cap" if form.checked("capped") else None,
            time_zone=form.optional("time_zone"),
        ),
    )
    if not made["created"]:
        return visit.leave(f"{WALLETS}/{made['wallet_id']}", done="wallet-there")
    return await visit.show("console/wallet-made.html", made=made)
