"""The price book as a gate reads it: what an item costs now, for callers who want to know before they call."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from credit_wallet.domain.money import micros_of
from credit_wallet.domain.prices import EVERYBODY, Price, PriceView, Tier
from credit_wallet.errors import ItemNotPriced, PriceMissing
from credit_wallet.gate.credentials import Credentials
from credit_wallet.gate.payers import Payers
from credit_wallet.gate.prices import Item, price_missing
from credit_wallet.telemetry import Logger

Listed = Mapping[str, PriceView]
"""Prices by item."""

_log = Logger("credit_wallet.gate")


async def listed(payers: Payers, caller: Credentials | None = None) -> Listed:
    """The prices now, for a caller or for everybody. They are read each time, so that what is shown is true."""
    return {price.item: price for price in await payers.prices(caller)}


async def quoted(payers: Payers, item: Item) -> int:
    """The micros that an item costs whoever has no wallet, tiers counted from the first. Raises ``PriceMissing``."""
    prices = await listed(payers)
    return cost_micros(found(prices, item.name), item.quantity_micros)


def found(prices: Listed, item: str) -> PriceView:
    """The price of an item. Raises ``PriceMissing``."""
    if item not in prices:
        raise price_missing(ItemNotPriced(f"there is no price for item {item!r}", item=item))
    return prices[item]


def cost_micros(view: PriceView, quantity_micros: int) -> int:
    """What a quantity costs, tiers counted from the first."""
    return _price_of(view).cost_micros(quantity_micros, 0)


def words_of(view: PriceView) -> str:
    """A price for people: ``¥0.2 per 1,000``."""
    return _price_of(view).words()


async def require_priced(payers: Payers, items: Collection[str]) -> None:
    """Raise ``PriceMissing`` if nobody could ever buy one of the items.

    A gate of the service, which sees only what counts for everybody now, logs what has no price there.
    """
    known = await payers.items() if items else None
    seen = known if known is not None or not items else [price.item for price in await payers.prices()]
    missing = sorted(set(items).difference(seen or ()))
    if not missing:
        return
    error = PriceMissing(
        f"the price book has no price for {', '.join(missing)}; write one into the price file and run "
        "`credit-wallet prices apply FILE`",
        items=missing,
    )
    if known is not None:
        raise error
    _log.error("gate_price_missing", error=str(error), items=missing)


def _price_of(view: PriceView) -> Price:
    tiers = tuple(
        Tier(None if tier.up_to is None else micros_of(tier.up_to), micros_of(tier.unit_price)) for tier in view.tiers
    )
    unit_price_micros = 0 if view.unit_price is None else micros_of(view.unit_price)
    return Price(view.item, EVERYBODY, "", view.valid_from or "", view.per, unit_price_micros, tiers)
