"""What a call costs, told before it is made: in OpenAPI documents and MCP listings, and in words."""

from __future__ import annotations

from typing import Any

from credit_wallet.domain.money import decimal_text, format_micros, micros_of
from credit_wallet.domain.prices import PriceView
from credit_wallet.errors import PriceMissing
from credit_wallet.gate.price_list import Listed, cost_micros, found, words_of
from credit_wallet.gate.prices import Price, amount_micros_of

CURRENCY = "JPY"

WALLET = "credit-wallet"
"""The name of this way to pay among the protocols of ``x-payment-info``."""


NOT_FOR_SALE = "not set by the seller yet; calls fail"
"""In place of a price that the price book does not have."""


def price_document(price: Price | None, prices: Listed) -> dict[str, Any]:
    """``price`` as x402scan's discovery spells it: fixed with an amount, or dynamic between bounds. None: a price that
    depends on the request. Raises ``PriceMissing``.

    https://github.com/Merit-Systems/x402scan/blob/main/docs/DISCOVERY.md
    """
    if price is None:
        return {"mode": "dynamic", "currency": CURRENCY}
    micros = _micros_of(price, prices)
    if price.hold_seconds is None and not (price.item is not None and found(prices, price.item.name).tiers):
        return {"mode": "fixed", "currency": CURRENCY, "amount": decimal_text(micros)}
    bounds = {"min": "0"}
    if price.hold_seconds is not None and price.above == "reject":
        bounds["max"] = decimal_text(micros)
    return {"mode": "dynamic", "currency": CURRENCY, **bounds}


def items_document(price: Price | None, prices: Listed) -> list[dict[str, Any]]:
    """The items that a call is priced by, as the price book has them now. Raises ``PriceMissing``."""
    return [_item_document(found(prices, item)) for item in items_of(price)]


def items_of(price: Price | None) -> list[str]:
    """The items that a price names, and those that its handler says it reports."""
    if price is None:
        return []
    own = [] if price.item is None else [price.item.name]
    return list(dict.fromkeys([*own, *price.items]))


def in_words(price: Price | None, prices: Listed) -> str:
    """``¥3.3 a call``, ``up to ¥100 a call: tokens.output at ¥0.6 per 1,000``. Raises ``PriceMissing``."""
    if price is None:
        return "the price depends on the request"
    if price.item is not None and found(prices, price.item.name).tiers and price.hold_seconds is None:
        quantity = "" if price.item.quantity == 1 else f"{price.item.quantity} "
        return f"{quantity}{price.item.name} at {words_of(found(prices, price.item.name))}"
    amount = format_micros(_micros_of(price, prices))
    if price.hold_seconds is None:
        return f"{amount} a call"
    reports = ", ".join(f"{item} at {words_of(found(prices, item))}" for item in items_of(price))
    bound = f"up to {amount} a call" if price.above == "reject" else f"{amount} are reserved for a call"
    return f"{bound}: {reports}" if reports else bound


def payment_info(price: Price | None, prices: Listed, *, x402: bool) -> dict[str, Any]:
    """The extension ``x-payment-info`` of an operation in an OpenAPI document. The 402 of a call is what counts."""
    try:
        wallet: dict[str, Any] = {"header": "Authorization", "description": in_words(price, prices)}
        items, shown = items_document(price, prices), price_document(price, prices)
    except PriceMissing:
        wallet = {"header": "Authorization", "description": NOT_FOR_SALE}
        return {"price": price_document(None, prices), "protocols": [{WALLET: wallet}]}
    protocols = [{WALLET: wallet | ({"items": items} if items else {})}]
    if x402 and (price is None or price.hold_seconds is None):
        protocols.append({"x402": {}})
    return {"price": shown, "protocols": protocols}


def _micros_of(price: Price, prices: Listed) -> int:
    if price.item is None:
        return amount_micros_of(price.amount)
    return cost_micros(found(prices, price.item.name), price.item.quantity_micros)


def _item_document(view: PriceView) -> dict[str, Any]:
    document: dict[str, Any] = {"item": view.item, "per": view.per, "price_version": view.version}
    if view.unit_price is not None:
        document["unit_price"] = decimal_text(micros_of(view.unit_price))
    if view.tiers:
        document["tiers"] = [
            {
                "up_to": None if tier.up_to is None else decimal_text(micros_of(tier.up_to)),
                "unit_price": decimal_text(micros_of(tier.unit_price)),
            }
            for tier in view.tiers
        ]
    return document
