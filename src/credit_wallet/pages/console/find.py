"""One box in which an entry, a payment or a customer is found by what it is called."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.console.wallets import TOKENS
from credit_wallet.pages.routes import CONSOLE, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

FIND: Final = f"{CONSOLE}/find"
ENTRIES, CUSTOMERS = 20, 5
"""Entries of each name and customers that are shown."""

NAMES: Final = {
    "request_id": text("request id"),
    "reference": text("reference"),
    "idempotency_key": text("idempotency key"),
}
"""What entries are found by, besides their ids."""

MAX_DIGITS = 18


class Found(NamedTuple):
    """An entry, and by which of its names it was found."""

    entry: Any
    by: list[str]


@page(FIND, "operator")
async def find(visit: Visit) -> Reply:
    """What is called so."""
    return await _show(visit, visit.query.get("q", "").strip())


@action(FIND, "operator", find)
async def find_sent(visit: Visit) -> Reply:
    """Find it: at an address that can be kept, unless it is a token, which is in no address."""
    asked = visit.form.text("q").strip()
    if asked.startswith(TOKENS):
        return await _show(visit, asked)
    return visit.leave(f"{FIND}?{visit.asked_for(q=asked)}" if asked else FIND)


async def _show(visit: Visit, asked: str) -> Reply:
    is_secret = asked.startswith(TOKENS)
    entries = await _entries(visit, asked) if asked and not is_secret else []
    customers = await _customers(visit, asked) if asked else []
    payment = await _payment(visit, asked) if asked.startswith("tu_") else None
    ids = {found.entry["wallet_id"] for found in entries}
    return await visit.show(
        "console/find.html",
        asked=asked,
        secret=is_secret,
        entries=entries[:ENTRIES],
        cut=len(entries) > ENTRIES,
        customers=customers[:CUSTOMERS],
        more_customers=len(customers) > CUSTOMERS,
        wallets_query=urlencode({"query": asked}),
        payment=payment,
        names=NAMES,
        labels=await _labels(visit, ids),
    )


async def _entries(visit: Visit, asked: str) -> list[Found]:
    """Entries of any wallet that have the name, or the id; each once, the newest first."""
    found: dict[int, Found] = {}
    for name in NAMES:
        page = await _allowed(visit, "/operator/transactions", **{name: asked, "limit": ENTRIES + 1})
        for entry in page["transactions"] if page else []:
            found.setdefault(entry["txn_id"], Found(entry, [])).by.append(name)
    if asked.isascii() and asked.isdigit() and len(asked) <= MAX_DIGITS and int(asked):
        entry = await _allowed(visit, f"/operator/transactions/{int(asked)}")
        if entry is not None:
            found.setdefault(entry["txn_id"], Found(entry, [])).by.append("txn_id")
    return sorted(found.values(), key=lambda each: ("txn_id" not in each.by, -each.entry["txn_id"]))


async def _customers(visit: Visit, asked: str) -> list[Any]:
    found = await _allowed(visit, "/operator/wallets", query=asked, limit=CUSTOMERS + 1)
    return list(found["wallets"]) if found else []


async def _payment(visit: Visit, asked: str) -> Any:
    if not asked.isascii() or not asked.replace("_", "").isalnum():
        return None
    return await _allowed(visit, f"/operator/topups/{asked}")


async def _labels(visit: Visit, wallet_ids: set[int]) -> dict[int, str]:
    """What the customers of entries are called."""
    labels = {}
    for wallet_id in sorted(wallet_ids)[:ENTRIES]:
        wallet = await _allowed(visit, f"/operator/wallets/{wallet_id}")
        if wallet and wallet["label"]:
            labels[wallet_id] = wallet["label"]
    return labels


async def _allowed(visit: Visit, path: str, **query: Any) -> Any:
    """What the API answers; None where there is nothing, or nothing can be called so."""
    try:
        return await visit.get(path, **query)
    except Refused as refused:
        if refused.status in (400, 404, 422):
            return None
        raise
