"""Who changed what, in all wallets and in the service."""

from __future__ import annotations

from typing import Any, Final

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.routes import CONSOLE, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

PAGE = 50
FILTERS = ("kind", "by", "wallet_id", "since", "until")

NOUNS: Final = {
    "": text("Everything"),
    "wallet": text("Wallets"),
    "key": text("Keys"),
    "budget": text("Budgets"),
    "topup": text("Payments"),
    "charge": text("Refunds"),
    "transfer": text("Transfers"),
    "grant": text("Grants"),
    "token": text("Revoked tokens"),
    "secret": text("Keys of your own"),
    "link": text("Sign-in links"),
    "target": text("Notification targets"),
    "delivery": text("Deliveries"),
    "prices": text("Prices"),
    "operator": text("Operators"),
    "seller": text("Sellers"),
    "erasure": text("Erasures"),
}
"""What acts are about, as ``kind`` takes it."""


@page(f"{CONSOLE}/log", "operator")
async def log(visit: Visit) -> Reply:
    """Acts of everybody, newest first."""
    asked = {name: visit.query.get(name) or None for name in FILTERS}
    try:
        found = await visit.get("/operator/log", **asked, cursor=visit.query.get("cursor"), limit=PAGE)
    except Refused as refused:
        if refused.status not in (404, 422):
            raise
        visit.refused, found = refused, {"acts": [], "next_cursor": None}
    return await visit.show(
        "console/log.html", found=found, asked=asked, nouns=NOUNS, names=await names_of_operators(visit)
    )


async def names_of_operators(visit: Visit) -> dict[str, str]:
    """The names of operators by their ids, for whoever may know them."""
    if not visit.allows("administer"):
        return {}
    operators: list[Any] = await visit.get("/operator/operators", limit=1_000)
    return {str(each["operator_id"]): each["name"] for each in operators}
