"""What several pages of a wallet read: as much as the visitor may see, and the names of keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from credit_wallet.pages.api import Refused
from credit_wallet.pages.visit import Visit
from credit_wallet.rules.validation import MAX_ID

MAX_PAGES = 5
"""Pages of usage that one page of ours is made of; what is longer is not divided."""

USAGE_PAGE = 1_000
KEYS_LISTED = 200
"""Keys that a page names or offers to choose from; others are named by their number."""


async def usage(visit: Visit, **asked: Any) -> tuple[Any, bool]:
    """A report of usage with its rows, and whether they are all: of too many, those are left out."""
    report = await visit.get("/credit/usage", limit=USAGE_PAGE, **asked)
    for _ in range(MAX_PAGES - 1):
        if report["next_cursor"] is None:
            break
        more = await visit.get("/credit/usage", limit=USAGE_PAGE, cursor=report["next_cursor"], **asked)
        report["rows"] += more["rows"]
        report["next_cursor"] = more["next_cursor"]
    return report, report["next_cursor"] is None


async def usage_or_its_totals(visit: Visit, **asked: Any) -> tuple[Any, bool]:
    """Usage divided as ``asked``, or undivided when it has too many rows; and whether it is divided."""
    report, is_whole = await usage(visit, **asked)
    if is_whole:
        return report, True
    undivided, _ = await usage(visit, **{**asked, "by": None})
    return undivided, False


async def keys_of(visit: Visit) -> list[Any]:
    """The wallet's agent keys, the newest of them; none for whoever may not list them."""
    found = await if_allowed(visit, "/credit/keys", limit=KEYS_LISTED, before=MAX_ID)
    return list(found or [])


def labels_of(keys: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The labels of keys that have one, by their ids as text, as usage has them."""
    return {str(key["key_id"]): key["label"] for key in keys if key["label"]}


async def if_allowed(visit: Visit, path: str, **query: Any) -> Any:
    """What the API answers, None to whoever may not see it."""
    try:
        return await visit.get(path, **query)
    except Refused as refused:
        if refused.status == 403:
            return None
        raise
