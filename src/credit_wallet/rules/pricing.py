"""Pricing: what a quantity of an item costs a wallet now, and how much of it the wallet has used this cycle.

The amount is quantity × unit price / per, rounded half up to the micro, once for each command; with tiers it depends on
what the wallet used of the item before in the billing cycle. A charge and a capture count as use; a hold does not. A
charge that is refunded to the last micro, or a purchase that is undone, is taken out of the count again.
"""

from __future__ import annotations

from msgspec import Struct, structs

from credit_wallet.domain.cycle import cycle_at, parse_instant
from credit_wallet.domain.money import (
    MAX_AMOUNT_MICROS,
    MAX_AMOUNT_YEN,
    Exact,
    WholeYen,
    decimal_text,
    format_micros,
)
from credit_wallet.domain.prices import Price, PriceBook
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import InvalidAmount, ItemNotPriced, WalletError
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.state import WalletState

MAX_ITEMS_NAMED = 20
"""Items that a refusal names."""


class Priced(Struct, frozen=True):
    """What a usage costs, and the version of the price book that says so."""

    amount_micros: int
    price_version: int

    amount_yen = WholeYen()
    amount = Exact()


def cost_of(
    batch: Batch, wallet: WalletState, amount_micros: int, usage: Usage | None
) -> tuple[int, Usage | None] | WalletError:
    """What a command costs: the amount that it names, or the price of its item. With the usage as the ledger keeps it,
    which says the version of the price book.
    """
    if usage is None or usage.item is None or amount_micros:
        return amount_micros, usage
    price = priced(batch, wallet, usage)
    if isinstance(price, WalletError):
        return price
    return price.amount_micros, structs.replace(usage, price_version=price.price_version)


def priced(batch: Batch, wallet: WalletState, usage: Usage) -> Priced | WalletError:
    """What ``usage``, which names an item, costs the wallet now, after what it has used of it in this cycle."""
    assert usage.item is not None, "only an item has a price"  # noqa: S101
    used_micros = batch.snapshot.tier_usage.get((wallet.wallet_id, usage.item), 0)
    return quoted(
        batch.snapshot.prices,
        usage.item,
        usage.quantity_micros,
        wallet_id=wallet.wallet_id,
        group=wallet.price_group,
        at=batch.at,
        used_micros=used_micros,
    )


def quoted(
    book: PriceBook,
    item: str,
    quantity_micros: int,
    *,
    wallet_id: int,
    group: str | None,
    at: str,
    used_micros: int = 0,
) -> Priced | WalletError:
    """What a quantity of ``item`` costs a wallet at an instant, after ``used_micros`` in the same cycle."""
    price = book.price(item, wallet_id, group, at)
    if price is None:
        return not_priced(book, item, wallet_id, group, at)
    amount_micros = price.cost_micros(quantity_micros, used_micros)
    if amount_micros > MAX_AMOUNT_MICROS:
        return _too_much(price, quantity_micros, amount_micros)
    return Priced(amount_micros, book.version)


def count_usage(batch: Batch, wallet: WalletState, usage: Usage | None) -> None:
    """Count what was used, for the tiers of the rest of the cycle."""
    if usage is not None and usage.item in batch.snapshot.prices.tiered:
        _count(batch, wallet, usage.item, usage.quantity_micros)


def uncount_usage(batch: Batch, wallet: WalletState, usage: Usage | None, occurred_at: str) -> None:
    """Take a charge of the same cycle out of the count: it was refunded, or undone before anybody was served.

    One that was priced when its item had no tiers was not counted.
    """
    book = batch.snapshot.prices
    if usage is None or usage.item is None or usage.item not in book.tiered or usage.price_version is None:
        return
    if usage.price_version != book.version and (usage.price_version, usage.item) not in batch.snapshot.tiered_before:
        return
    if cycle_at(parse_instant(occurred_at), wallet.time_zone) == wallet.current_cycle:
        _count(batch, wallet, usage.item, -usage.quantity_micros)


def _count(batch: Batch, wallet: WalletState, item: str, quantity_micros: int) -> None:
    """The bound at 0 is for a hold whose price had tiers and that was captured while there were none."""
    name = (wallet.wallet_id, item)
    used_micros = max(0, batch.snapshot.tier_usage.get(name, 0) + quantity_micros)
    batch.snapshot.tier_usage[name] = used_micros
    batch.decision.touched_tiers[wallet.wallet_id, item, wallet.current_cycle] = used_micros


def not_priced(book: PriceBook, item: str, wallet_id: int, group: str | None, at: str) -> ItemNotPriced:
    """Names the items that the wallet can buy, not those that others can."""
    found = book.some_items(wallet_id, group, at, MAX_ITEMS_NAMED + 1)
    shown = found[:MAX_ITEMS_NAMED]
    since = book.first_instant(item, wallet_id, group)
    if since is not None:
        problem = f"item {item!r} has a price from {since} on; use it then"
    elif shown:
        more = "" if shown == found else " and others"
        problem = f"there is no price for item {item!r}; items with a price: {', '.join(shown)}{more}"
    else:
        problem = f"there is no price for item {item!r}, nor for any other; apply a price file first"
    return ItemNotPriced(problem, item=item, items=shown)


def _too_much(price: Price, quantity_micros: int, amount_micros: int) -> InvalidAmount:
    return InvalidAmount(
        f"{decimal_text(quantity_micros)} of {price.item!r} cost {format_micros(amount_micros)}; a movement is at most "
        f"{MAX_AMOUNT_YEN} yen, so use a smaller quantity",
        field="quantity",
        item=price.item,
    )
