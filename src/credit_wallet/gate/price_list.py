"""The price book as a gate reads it: what an item costs now, for callers who want to know before they call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from credit_wallet.domain.money import micros_of
from credit_wallet.domain.prices import EVERYBODY, Price, PriceView, Tier
from credit_wallet.errors import ItemNotPriced
from credit_wallet.gate.payers import Credentials, Payers
from credit_wallet.gate.prices import Item, price_missing

Listed = Mapping[str, PriceView]
"""Prices by item."""


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


def unpriced(items: Iterable[str], prices: Listed) -> list[str]:
    """Which of the items have no price."""
    return sorted({item for item in items if item not in prices})


def _price_of(view: PriceView) -> Price:
    tiers = tuple(
        Tier(None if tier.up_to is None else micros_of(tier.up_to), micros_of(tier.unit_price)) for tier in view.tiers
    )
    unit_price_micros = 0 if view.unit_price is None else micros_of(view.unit_price)
    return Price(view.item, EVERYBODY, "", view.valid_from or "", view.per, unit_price_micros, tiers)
