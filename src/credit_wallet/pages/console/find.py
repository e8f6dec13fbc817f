"""One place to look anything up: customers, entries and payments by what they are called."""

from __future__ import annotations

import re
from typing import Any, Final

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.console.sought import may_open_something, token_in
from credit_wallet.pages.routes import CONSOLE, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

FIND = f"{CONSOLE}/find"
WALLETS, ENTRIES = 5, 20

NAMES: Final = {
    "request_id": text("by its request id"),
    "reference": text("by its reference"),
    "idempotency_key": text("by its idempotency key"),
}
"""What an entry is found by."""

_ID = re.compile(r"[1-9][0-9]{0,17}")
_TOPUP = re.compile(r"tu_[A-Za-z0-9_]{1,80}")


@page(FIND, "operator")
async def find(visit: Visit) -> Reply:
    """What is called like that."""
    return await _show(visit, visit.query.get("q", "").strip())


@action(FIND, "operator", find)
async def look_up(visit: Visit) -> Reply:
    """Look up at an address that can be kept, unless what is looked for may open something."""
    words = visit.form.text("q")
    if may_open_something(words):
        return await _show(visit, words)
    return visit.leave(f"{FIND}?{visit.asked_for(q=words)}")


async def _show(visit: Visit, words: str) -> Reply:
    wallets: list[Any] = []
    entries: list[tuple[str, list[Any]]] = []
    payment = None
    token = token_in(words)
    if words:
        found = await _unless_refused(visit, "/operator/wallets", query=token or words, limit=WALLETS)
        wallets = found["wallets"] if found else []
        if token is None:
            for name in NAMES:
                found = await _unless_refused(visit, "/operator/transactions", limit=ENTRIES, **{name: words})
                if found and found["transactions"]:
                    entries.append((NAMES[name], found["transactions"]))
        if _ID.fullmatch(words):
            entry = await _unless_refused(visit, f"/operator/transactions/{words}")
            entries += [(text("by its id"), [entry])] if entry else []
        if _TOPUP.fullmatch(words):
            payment = await _unless_refused(visit, f"/operator/topups/{words}")
    return await visit.show(
        "console/find.html",
        looked_for=words if token is None else "",
        asked=bool(words),
        wallets=wallets,
        entries=entries,
        payment=payment,
    )


async def _unless_refused(visit: Visit, path: str, **query: Any) -> Any:
    """What the API answers; None where the API says that nothing can be called like that."""
    try:
        return await visit.get(path, **query)
    except Refused as refused:
        if refused.status in (404, 422):
            return None
        raise
