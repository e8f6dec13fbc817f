"""What moved the wallet's credit, entry by entry."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from credit_wallet.pages.acts import REASONS
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.formats import Formats
from credit_wallet.pages.owner.entries import by_day
from credit_wallet.pages.owner.readings import if_allowed, keys_of, labels_of
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

PAGE = 50

TYPES = {
    "charge": text("What was spent"),
    "topup": text("Paid in and gifts"),
    "refund": text("Refunds"),
    "reversal": text("Taken back"),
    "expire": text("Expired credit"),
}
"""The types of entries, as a filter names them."""

FILTERS = ("query", "type", "key_id", "item", "since", "until", "note", "request_id", "reference", "idempotency_key")
"""What the list can be narrowed by; the last ones come with links."""


class Chosen(NamedTuple):
    """A filter that is on, and the query without it."""

    name: str
    value: str
    without: str


@wallet_page("/activity")
async def list_activity(visit: Visit) -> Reply:
    """Entries, newest first, narrowed and searched."""
    wallet = await visit.wallet()
    asked = {name: visit.query.get(name, "").strip() for name in FILTERS}
    chosen = {name: value for name, value in asked.items() if value}
    found = await visit.get("/credit/transactions", limit=PAGE, cursor=visit.query.get("cursor"), **chosen)
    keys = await keys_of(visit)
    formats = Formats(visit.words.language, wallet["time_zone"])
    return await visit.show(
        "wallet/activity.html",
        days=by_day(found["transactions"], formats),
        next_cursor=found["next_cursor"],
        searched_to=found["searched_to"],
        types=TYPES,
        keys=keys,
        labels=labels_of(keys),
        items=await _items(visit),
        asked=asked,
        chosen=[Chosen(name, value, visit.asked_for(**{name: None, "cursor": None})) for name, value in chosen.items()],
        narrowed=not chosen.keys() <= {"query", "type"},
    )


@wallet_page("/activity/{txn_id}")
async def show_entry(visit: Visit) -> Reply:
    """One entry, with all that is known of it."""
    entry = await visit.get(f"/credit/transactions/{visit.id('txn_id')}")
    keys = await keys_of(visit)
    related = None
    if entry["related_txn_id"] is not None:
        related = await visit.get(f"/credit/transactions/{entry['related_txn_id']}")
    hold = None if entry["hold_id"] is None else await visit.get(f"/credit/holds/{entry['hold_id']}")
    return await visit.show(
        "wallet/entry.html",
        entry=entry,
        related=related,
        hold=hold,
        labels=labels_of(keys),
        unit=_unit_price(entry),
        reasons=REASONS,
    )


async def _items(visit: Visit) -> list[str]:
    """Items of the price book, to choose from."""
    prices = await if_allowed(visit, "/credit/prices")
    return sorted({price["item"] for price in (prices or {}).get("prices", [])})


def _unit_price(entry: Any) -> Decimal | None:
    """What a unit cost, when that is a short figure; tiers may have made it a mean."""
    if entry["item"] is None or not entry["quantity"] or not Decimal(entry["quantity"]):
        return None
    return abs(Decimal(entry["amount"])) / Decimal(entry["quantity"])
