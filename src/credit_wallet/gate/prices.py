"""What a call costs, as its seller says it: an amount of yen, or a quantity of an item of the price book."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, TypeAlias

from msgspec import Struct

from credit_wallet.domain.commands import MAX_HOLD_SECONDS
from credit_wallet.domain.money import MAX_AMOUNT_YEN, MICROS, decimal_of, is_amount, micros_of
from credit_wallet.domain.usage import ITEM, MAX_ITEM_LENGTH, MAX_QUANTITY, QUANTITY_UNIT
from credit_wallet.errors import ItemNotPriced, PriceMissing
from credit_wallet.rules.usage import Amount
from credit_wallet.telemetry import Logger

AboveHold: TypeAlias = Literal["reject", "up_to_balance"]
"""What to do with a capture that exceeds the hold: refuse it, or spend the excess as far as the balance goes."""

_log = Logger("credit_wallet.gate")


class Item(Struct, frozen=True):
    """``quantity`` units of an item of the price book; the ledger prices it when it is charged.

    >>> CreditGate(app, wallets, hold=Item("tokens.output", 4_000))

    Raises ``ValueError`` for what is not the name of an item, or not a quantity from 0.000001 to 10¹².
    """

    name: str
    quantity: Amount = 1

    def __post_init__(self) -> None:
        checked_item(self.name)
        if not quantity_of(self.quantity):
            raise ValueError(f"a quantity must be more than 0, not {self.quantity!r}")

    @property
    def quantity_micros(self) -> int:
        """Millionths of a unit."""
        return quantity_of(self.quantity)


class Price(Struct, frozen=True):
    """What a call costs: charged before it runs, or with ``hold_seconds`` reserved and captured afterwards.

    ``amount`` is yen; for an ``item`` it is None. ``items`` are those that the handler of a held call reports.
    """

    amount: Amount | None
    hold_seconds: int | None = None
    above: AboveHold = "reject"
    item: Item | None = None
    items: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.item is None and not is_amount(amount_micros_of(self.amount)):
            raise _not_a_price(self.amount)
        if self.hold_seconds is not None and not 1 <= self.hold_seconds <= MAX_HOLD_SECONDS:
            raise ValueError(f"a hold lasts 1 to {MAX_HOLD_SECONDS} seconds, not {self.hold_seconds!r}")
        if self.above not in ("reject", "up_to_balance"):
            raise ValueError(f"above= is 'reject' or 'up_to_balance', not {self.above!r}")
        for item in self.items:
            checked_item(item)
        if self.items and self.hold_seconds is None:
            raise ValueError("items= are what a held call reports; give a hold=")


def price_of(
    value: Amount | Item | None,
    hold_seconds: int | None = None,
    above: AboveHold = "reject",
    items: Iterable[str] = (),
    *,
    names_item: bool = False,
) -> Price | None:
    """The price that ``value`` stands for; None and 0 are free. With ``names_item`` a string is the name of an item."""
    if value is None:
        return None
    if names_item and isinstance(value, str):
        value = Item(value)
    if isinstance(value, Item):
        return Price(None, hold_seconds, above, value, tuple(items))
    return Price(value, hold_seconds, above, None, tuple(items)) if amount_micros_of(value) else None


def amount_micros_of(amount: object) -> int:
    """Micros of ``amount``, which is yen. Raises ``ValueError`` for a float, and for what is negative or too much."""
    try:
        micros = micros_of(amount)
    except ValueError as error:
        raise _not_a_price(amount) from error
    if micros < 0:
        raise _not_a_price(amount)
    return micros


def quantity_of(quantity: object) -> int:
    """Millionths of a unit, 0 or more. Raises ``ValueError`` for a float, NaN, and for what is negative or too much."""
    try:
        micros = micros_of(quantity)
    except ValueError as error:
        raise _not_a_quantity(quantity) from error
    if not 0 <= micros <= MAX_QUANTITY * QUANTITY_UNIT:
        raise _not_a_quantity(quantity)
    return micros


def checked_item(name: object) -> str:
    """``name``, if it can be the name of an item. Raises ``ValueError``."""
    if not isinstance(name, str) or len(name) > MAX_ITEM_LENGTH or not ITEM.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of an item; names are like search and tokens.input")
    return name


def shortest(micros: int) -> int | Decimal:
    """An amount or a quantity as the ledger takes it: an ``int`` if it is whole."""
    return micros // MICROS if micros % MICROS == 0 else decimal_of(micros)


def price_missing(error: ItemNotPriced) -> PriceMissing:
    """What a caller reads, who can do nothing about it; the log says the rest to the seller."""
    _log.error("gate_price_missing", error=str(error), item=error.details.get("item"))
    return PriceMissing(
        f"the seller has no price for {error.details.get('item')!r}; nothing was charged, and the call did not run",
        item=error.details.get("item"),
    )


def _not_a_price(amount: object) -> ValueError:
    return ValueError(
        f"a price must be yen from 0.000001 to {MAX_AMOUNT_YEN} with at most six decimal places, as an int, a Decimal "
        f"or a string, not {amount!r}"
    )


def _not_a_quantity(quantity: object) -> ValueError:
    return ValueError(
        f"a quantity must be from 0 to {MAX_QUANTITY} with at most six decimal places, as an int, a Decimal or a "
        f"string, not {quantity!r}"
    )
