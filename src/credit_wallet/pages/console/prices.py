"""What is sold and at what price: now and later, for everybody, for groups and for single customers."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final, NamedTuple

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.console.corrections import require_confirmed
from credit_wallet.pages.console.log import names_of_operators
from credit_wallet.pages.routes import CONSOLE, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

PRICES = f"{CONSOLE}/prices"
SHOWN = 200
"""Prices on a page; a search leaves fewer."""

REVISIONS = 10

CHANGES: Final = {"added": text("new"), "changed": text("changed"), "removed": text("gone")}


class Scope(NamedTuple):
    """Whose prices: everybody's, a group's, or a wallet's."""

    key: str
    group: str | None = None
    wallet_id: int | None = None


@page(PRICES, "operator")
async def show_prices(visit: Visit) -> Reply:
    """The prices that count, and those that are announced."""
    book = await visit.get("/operator/prices")
    scopes = _scopes(book["prices"])
    chosen = next((scope for scope in scopes if scope.key == visit.query.get("whose")), scopes[0])
    item = visit.query.get("item", "").strip()
    prices = [price for price in book["prices"] if _scope(price) == chosen and item in price["item"]]
    now = f"{visit.now.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    counting = _counting(prices, now)
    later = [price for price in prices if (price["valid_from"] or "") > now]
    return await visit.show(
        "console/prices.html",
        version=book["version"],
        scopes=scopes,
        whose=chosen,
        item=item,
        counting=counting[:SHOWN],
        more=max(len(counting) - SHOWN, 0),
        later=sorted(later, key=lambda price: (price["valid_from"], price["item"]))[:SHOWN],
    )


def _scope(price: Any) -> Scope:
    group, wallet_id = price["group"], price["wallet_id"]
    if wallet_id is not None:
        return Scope(f"wallet-{wallet_id}", wallet_id=wallet_id)
    return Scope("everybody") if group is None else Scope(f"group-{group}", group)


def _scopes(prices: list[Any]) -> list[Scope]:
    found = {_scope(price) for price in prices} | {Scope("everybody")}
    return sorted(found, key=lambda scope: (scope.wallet_id or 0, scope.group or ""))


def _counting(prices: list[Any], now: str) -> list[Any]:
    """Of each item the latest price that is valid, by item."""
    found: dict[str, Any] = {}
    for price in sorted(prices, key=lambda price: price["valid_from"] or ""):
        if (price["valid_from"] or "") <= now:
            found[price["item"]] = price
    return [found[item] for item in sorted(found)]


@page(f"{PRICES}/change", "operator")
async def change_prices(visit: Visit) -> Reply:
    """The price file, to change and to compare."""
    book = await visit.get("/operator/prices")
    return await _show_file(visit, toml_of(book["prices"]), None)


@action(f"{PRICES}/change", "operator", change_prices)
async def compare_prices(visit: Visit) -> Reply:
    """What the file would change; nothing is applied."""
    prices = visit.form.text("prices")
    found = await visit.send("POST", "/operator/prices", {"prices": prices, "dry_run": True})
    return await _show_file(visit, prices, found)


@action(f"{PRICES}/apply", "operator", change_prices)
async def apply_prices(visit: Visit) -> Reply:
    """Make the prices of the file the ones that count."""
    require_confirmed(visit)
    form = visit.form
    found = await visit.send(
        "POST", "/operator/prices", {"prices": form.text("prices"), "allow_empty": form.checked("allow_empty")}
    )
    return visit.leave(PRICES, done="prices-applied" if found["changes"] else "prices-same")


async def _show_file(visit: Visit, prices: str, found: Any) -> Reply:
    return await visit.show("console/prices-change.html", prices=prices, found=found, kinds=CHANGES)


@page(f"{PRICES}/history", "operator")
async def show_history(visit: Visit) -> Reply:
    """Every version, with who applied it and what it changed."""
    found = await visit.get("/operator/prices/revisions", cursor=visit.query.get("cursor"), limit=REVISIONS)
    return await visit.show(
        "console/prices-history.html", found=found, kinds=CHANGES, names=await names_of_operators(visit)
    )


def toml_of(prices: list[Any]) -> str:
    """The price file that has these prices."""
    return "\n".join(_table(price) for price in prices)


def _table(price: Any) -> str:
    lines = ["[[price]]", f'item = "{price["item"]}"']
    if price["tiers"]:
        tiers = ", ".join(_tier(tier) for tier in price["tiers"])
        lines.append(f"tiers = [{tiers}]")
    else:
        lines.append(f'unit_price_yen = "{price["unit_price"]}"')
    if price["per"] != 1:
        lines.append(f"per = {price['per']}")
    lines += [
        f'{name} = "{price[name]}"' if name == "group" else f"{name} = {price[name]}"
        for name in ("group", "wallet_id", "valid_from")
        if price[name] is not None
    ]
    return "\n".join([*lines, ""])


def _tier(tier: Any) -> str:
    up_to = "" if tier["up_to"] is None else f'up_to = "{tier["up_to"]}", '
    return f'{{{up_to}unit_price_yen = "{tier["unit_price"]}"}}'
