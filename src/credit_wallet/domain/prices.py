"""Prices: what an item of the price book costs, for whom and since when.

A price counts for one wallet, for a group of wallets or for everybody. For a charge, a wallet's own price comes before
its group's and that before everybody's; of several such prices the latest one that is valid counts. Amounts and
quantities are integers of micros.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from operator import attrgetter
from typing import Literal, TypeAlias

from msgspec import Struct

from credit_wallet.domain.money import decimal_of, decimal_text, format_micros, micros_of
from credit_wallet.domain.usage import QUANTITY_UNIT

EVERYBODY = 0
"""The ``wallet_id`` of a price that is not one wallet's."""

GROUP = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
"""Names of price groups."""

MAX_PRICES = 10_000
"""Prices of one version of the book."""

MAX_SEARCHED = 1_000
"""Items that are looked through to name a few in a refusal: anybody can be refused, in everybody's batch."""

MAX_TIERS = 20
"""Tiers of one price."""

MAX_PER = 10**12
"""Units that a unit price can be for."""

Name: TypeAlias = tuple[str, int, str, str]
"""What a price is known by: item, wallet, group, and since when it is valid."""


class Tier(Struct, frozen=True, array_like=True):
    """A unit price for the units up to ``up_to_micros`` of the cycle, None for all further ones."""

    up_to_micros: int | None
    unit_price_micros: int


class Price(Struct, frozen=True):
    """What ``per`` units of ``item`` cost from ``valid_from`` on ("" for always): a unit price, or graduated tiers.

    ``wallet_id`` is 0 unless the price is one wallet's, ``group`` is empty unless it is a group's.
    """

    item: str
    wallet_id: int
    group: str
    valid_from: str
    per: int
    unit_price_micros: int
    tiers: tuple[Tier, ...] = ()

    @property
    def name(self) -> Name:
        """What tells it from the other prices of a version."""
        return self.item, self.wallet_id, self.group, self.valid_from

    def cost_micros(self, quantity_micros: int, used_micros: int) -> int:
        """What a quantity costs after ``used_micros`` in the same cycle, rounded half up to the micro, once."""
        if self.tiers:
            cost = sum(
                part_micros * tier.unit_price_micros
                for part_micros, tier in self._parts(used_micros, used_micros + quantity_micros)
            )
        else:
            cost = quantity_micros * self.unit_price_micros
        divisor = self.per * QUANTITY_UNIT
        return (2 * cost + divisor) // (2 * divisor)

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, Tier]]:
        """How much of what is used from ``start`` to ``end`` is in each tier."""
        low = 0
        for tier in self.tiers:
            high = end if tier.up_to_micros is None else tier.up_to_micros
            yield max(0, min(end, high) - max(start, low)), tier
            low = high

    def words(self) -> str:
        """For people: ``¥3.3``, ``¥0.2 per 1,000``, ``¥0 up to 1,000, then ¥0.2``."""
        tiers = self.tiers or (Tier(None, self.unit_price_micros),)
        return ", then ".join(self._words(tier) for tier in tiers)

    def _words(self, tier: Tier) -> str:
        per = f" per {self.per:,}" if self.per > 1 and tier.unit_price_micros else ""
        up_to = "" if tier.up_to_micros is None else f" up to {_grouped(tier.up_to_micros)}"
        return f"{format_micros(tier.unit_price_micros)}{per}{up_to}"


class PriceBook:
    """The prices of one version, found by item. Immutable."""

    def __init__(self, version: int, prices: Iterable[Price]) -> None:
        """``version`` is 0 for the book of a ledger to which no prices were applied."""
        self.version = version
        self.prices = tuple(sorted(prices, key=attrgetter("name")))
        self._found: dict[tuple[str, int, str], tuple[list[str], list[Price]]] = {}
        for price in self.prices:
            since, found = self._found.setdefault((price.item, price.wallet_id, price.group), ([], []))
            since.append(price.valid_from)
            found.append(price)
        self.items = tuple(dict.fromkeys(price.item for price in self.prices))
        self.tiered = frozenset(price.item for price in self.prices if price.tiers)
        """Items that have tiers for anybody at any time: how much of them each wallet uses is counted."""

    def price(self, item: str, wallet_id: int, group: str | None, at: str) -> Price | None:
        """The price of ``item`` that counts for a wallet in ``group`` at an instant; None when it has none then."""
        for scope in _scopes(item, wallet_id, group):
            if scope in self._found:
                since, prices = self._found[scope]
                if position := bisect_right(since, at):
                    return prices[position - 1]
        return None

    def prices_of(self, wallet_id: int, group: str | None, at: str) -> list[Price]:
        """The prices that count for a wallet at an instant, by item."""
        found = (self.price(item, wallet_id, group, at) for item in self.items)
        return [price for price in found if price is not None]

    def some_items(self, wallet_id: int, group: str | None, at: str, limit: int) -> list[str]:
        """Up to ``limit`` items that have a price for a wallet at an instant, looked for among ``MAX_SEARCHED``."""
        found = (item for item in self.items[:MAX_SEARCHED] if self.price(item, wallet_id, group, at) is not None)
        return [*islice(found, limit)]

    def announced(self, wallet_id: int, group: str | None, after: str) -> list[Price]:
        """The prices that will count for a wallet from an instant after ``after`` on, by item and instant."""
        return [
            price
            for item in self.items
            for since in sorted({price.valid_from for price in self._of(item, wallet_id, group)})
            if since > after and (price := self.price(item, wallet_id, group, since)) and price.valid_from == since
        ]

    def first_instant(self, item: str, wallet_id: int, group: str | None) -> str | None:
        """Since when ``item`` has a price for a wallet; None when it never has one."""
        return min((price.valid_from for price in self._of(item, wallet_id, group)), default=None)

    def _of(self, item: str, wallet_id: int, group: str | None) -> Iterator[Price]:
        for scope in _scopes(item, wallet_id, group):
            if scope in self._found:
                yield from self._found[scope][1]


NO_PRICES = PriceBook(0, ())


class PriceTier(Struct, frozen=True):
    """A tier as it is shown: ``unit_price`` for the units up to ``up_to`` of a billing cycle, null for the rest."""

    up_to: Decimal | None
    unit_price: Decimal


class PriceView(Struct, frozen=True):
    """A price as it is shown: ``unit_price`` yen for ``per`` units of ``item``, or ``tiers`` within a billing cycle.

    Without ``valid_from`` it always counts; without ``wallet_id`` and ``group`` it is for everybody. ``version`` is
    that of the price book.
    """

    item: str
    unit_price: Decimal | None
    per: int
    tiers: tuple[PriceTier, ...]
    valid_from: str | None
    wallet_id: int | None
    group: str | None
    version: int

    def words(self) -> str:
        """For people: ``¥3.3``, ``¥0.2 per 1,000``, ``¥0 up to 1,000, then ¥0.2``."""
        tiers = tuple(
            Tier(None if tier.up_to is None else micros_of(tier.up_to), micros_of(tier.unit_price))
            for tier in self.tiers
        )
        unit_price_micros = 0 if self.unit_price is None else micros_of(self.unit_price)
        return Price(self.item, EVERYBODY, "", "", self.per, unit_price_micros, tiers).words()


class PriceVersion(Struct, frozen=True):
    """A version of the price book: when and by whom it was applied, and the SHA-256 of the file's text."""

    version: int
    applied_at: str
    applied_by: str
    sha256: str


class PriceChange(Struct, frozen=True):
    """A price that was added, changed or removed; ``before`` and ``after`` are what it was and is, in words."""

    change: Literal["added", "changed", "removed"]
    item: str
    wallet_id: int | None
    group: str | None
    valid_from: str | None
    before: str | None
    after: str | None


class PriceRevision(Struct, frozen=True):
    """A version of the price book with what it changed of the one before."""

    version: int
    applied_at: str
    applied_by: str
    sha256: str
    changes: tuple[PriceChange, ...]


class AppliedPrices(Struct, frozen=True):
    """The version of the price book that counts now, and what it changes of the one before; nothing when it is the
    same.
    """

    version: int
    changes: tuple[PriceChange, ...]


def price_view(price: Price, version: int) -> PriceView:
    """A price as it is shown."""
    return PriceView(
        price.item,
        None if price.tiers else decimal_of(price.unit_price_micros),
        price.per,
        tuple(
            PriceTier(
                None if tier.up_to_micros is None else decimal_of(tier.up_to_micros), decimal_of(tier.unit_price_micros)
            )
            for tier in price.tiers
        ),
        price.valid_from or None,
        price.wallet_id or None,
        price.group or None,
        version,
    )


def changes_between(old: Iterable[Price], new: Iterable[Price]) -> tuple[PriceChange, ...]:
    """What ``new`` changes of ``old``, in the order of the book."""
    before = {price.name: price for price in old}
    after = {price.name: price for price in new}
    names = sorted(before.keys() | after.keys())
    return tuple(_change(before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name))


def _change(before: Price | None, after: Price | None) -> PriceChange:
    price = after or before
    assert price is not None, "a change is of a price before or after it"  # noqa: S101
    return PriceChange(
        "added" if before is None else "removed" if after is None else "changed",
        price.item,
        price.wallet_id or None,
        price.group or None,
        price.valid_from or None,
        None if before is None else before.words(),
        None if after is None else after.words(),
    )


def _scopes(item: str, wallet_id: int, group: str | None) -> Iterator[tuple[str, int, str]]:
    """Whose prices count for a wallet, first come first."""
    yield item, wallet_id, ""
    if group:
        yield item, EVERYBODY, group
    yield item, EVERYBODY, ""


def _grouped(quantity_micros: int) -> str:
    whole, fraction = divmod(quantity_micros, QUANTITY_UNIT)
    return f"{whole:,}" if not fraction else decimal_text(quantity_micros)
