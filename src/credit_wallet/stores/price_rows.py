"""The price book as rows: its versions, their prices, and the quantities used of items with tiers.

A store keeps the book in memory. A batch that names an item asks for the newest version's number in its transaction and
reads the prices again when it is another one; a batch without items reads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from msgspec import json

from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.commands import Buy, Capture, Charge, Command, Hold
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS, decimal_text, micros_of
from credit_wallet.domain.prices import NO_PRICES, AppliedPrices, Price, PriceBook, PriceVersion, Tier, changes_between
from credit_wallet.rules.decision import Decision
from credit_wallet.rules.state import Snapshot
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.acts import record
from credit_wallet.stores.sql import statements

_SQL = statements("prices.sql")

NEWEST = _SQL["newest"]

_BY_ITEM = (Charge, Hold, Capture, Buy)

Rows: TypeAlias = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]
"""Runs a statement of this module."""


class Edition(NamedTuple):
    """What tells a version of the book from any other."""

    version: int
    applied_at: str
    sha256: str


NO_EDITION = Edition(0, "", "")


class KnownBook:
    """The price book that was read last. The rows of a version never change."""

    def __init__(self) -> None:
        self._read = NO_EDITION, NO_PRICES

    def book(self, rows: Rows, newest: Sequence[tuple[Any, ...]] | None = None) -> PriceBook:
        """The newest book; ``newest`` are the rows of the statement ``NEWEST`` where it was run already."""
        edition, book = self._read
        found = rows(NEWEST, {}) if newest is None else newest
        now = Edition(*found[0]) if found else NO_EDITION
        if now != edition:
            book = book_of(rows, now.version)
            self._read = now, book
        return book


# What a batch needs


def names_item(command: Command) -> bool:
    """Whether a command names an item of the price book."""
    return isinstance(command, _BY_ITEM) and command.usage is not None and bool(command.usage.item)


def load_prices(
    connection: Connection,
    known: KnownBook,
    snapshot: Snapshot,
    commands: Sequence[Command],
    newest: Sequence[tuple[Any, ...]] | None = None,
) -> None:
    """Load the book if items are named, and what their wallets have used of those with tiers; after everything else.

    ``newest`` are the rows of ``NEWEST``, if they were asked for already.
    """
    named = _named(snapshot, commands)
    if not named:
        return

    def rows(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return list(connection.execute(statement, parameters).fetchall())

    snapshot.prices = known.book(rows, newest)
    for wallet_id, item in sorted(named):
        wallet = snapshot.wallets.get(wallet_id)
        if wallet is not None and item in snapshot.prices.tiered:
            snapshot.tier_usage[wallet_id, item] = tier_usage(rows, wallet_id, item, wallet.current_cycle)
    for version, item in sorted(_priced_before(snapshot)):
        if rows(_SQL["had_tiers"], {"version": version, "item": item}):
            snapshot.tiered_before.add((version, item))


def _priced_before(snapshot: Snapshot) -> set[tuple[int, str]]:
    """By which versions before this one entries were priced, with their items, if they have tiers now."""
    return {
        (usage.price_version, usage.item)
        for usage in (entry.usage for entry in snapshot.entries.values())
        if usage is not None and usage.item is not None and usage.item in snapshot.prices.tiered
        if usage.price_version is not None and usage.price_version != snapshot.prices.version
    }


def _named(snapshot: Snapshot, commands: Sequence[Command]) -> set[tuple[int, str]]:
    """Wallet and item of commands, and of the holds, entries and purchases behind them."""
    named = {
        (command.wallet_id, command.usage.item)
        for command in commands
        if isinstance(command, _BY_ITEM) and command.usage is not None and command.usage.item
    }
    for behind in (snapshot.holds, snapshot.entries, snapshot.purchases):
        if behind:
            named |= {
                (each.wallet_id, each.usage.item)
                for each in behind.values()
                if each.usage is not None and each.usage.item is not None
            }
    return named


def write_tier_usage(connection: Connection, decision: Decision) -> None:
    """Write what was used of items with tiers."""
    for (wallet_id, item, cycle), used_micros in sorted(decision.touched_tiers.items()):
        quantity, fraction = divmod(used_micros, MICROS)
        connection.execute(
            _SQL["put_tier_usage"],
            {
                "wallet_id": wallet_id,
                "item": item,
                "billing_cycle": cycle,
                "quantity": quantity,
                "quantity_fraction": fraction,
            },
        )


# Applying


def apply_prices(
    connection: Connection, dialect: str, prices: Sequence[Price], sha256: str, author: Author, now: datetime
) -> AppliedPrices:
    """Make ``prices`` the newest version, unless they are that already.

    May be repeated when it is unknown whether it was committed: then the version is there and nothing changes.
    A version is never applied before its predecessor, whatever the clock says.
    """
    sql = statements("prices.sql", dialect)

    def rows(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return list(connection.execute(statement, parameters).fetchall())

    connection.execute(sql["apply_alone"])
    found = rows(NEWEST, {})
    newest = Edition(*found[0]) if found else NO_EDITION
    at = max(format_instant(now), newest.applied_at)
    changes = changes_between(book_of(rows, newest.version).prices, prices)
    if not changes:
        return AppliedPrices(newest.version, ())
    version = newest.version + 1
    connection.execute(
        sql["put_version"], {"version": version, "applied_at": at, "applied_by": author.name, "sha256": sha256}
    )
    connection.execute(
        sql["put_prices"], {"version": version, "prices": json.encode([_row(price) for price in prices]).decode()}
    )
    applied = {"version": version, "sha256": sha256, "changes": len(changes)}
    act = Act("prices.applied", f"prices:{version}", before={"version": newest.version}, after=applied)
    record(connection, author, act, now)
    return AppliedPrices(version, changes)


# Reading


def book_of(rows: Rows, version: int) -> PriceBook:
    """A version of the book; 0 is the empty one."""
    return PriceBook(version, map(_price, rows(_SQL["prices"], {"version": version}))) if version else NO_PRICES


def version_at(source: Source, at: str) -> int:
    """The version that was the newest at an instant; 0 before the first one."""
    found = source.rows(_SQL["version_at"], {"at": at})
    return int(found[0][0]) if found else 0


def versions(source: Source, before: int, limit: int) -> list[PriceVersion]:
    """Up to ``limit`` versions before one, newest first."""
    return [PriceVersion(*row) for row in source.rows(_SQL["versions"], {"before": before, "limit": limit})]


def tier_usage(rows: Rows, wallet_id: int, item: str, cycle: str) -> int:
    """Micros of an item that a wallet has used in a billing cycle."""
    wanted = {"wallet_id": wallet_id, "item": item, "billing_cycle": cycle}
    return sum(int(quantity) * MICROS + fraction for quantity, fraction in rows(_SQL["tier_usage"], wanted))


def _row(price: Price) -> dict[str, Any]:
    yen, fraction = divmod(price.unit_price_micros, MICROS)
    return {
        "item": price.item,
        "wallet_id": price.wallet_id,
        "price_group": price.group,
        "valid_from": price.valid_from,
        "per": price.per,
        "unit_price_yen": yen,
        "unit_price_fraction": fraction,
        "tiers": _written(price.tiers) if price.tiers else None,
    }


def _price(row: Iterable[Any]) -> Price:
    item, wallet_id, group, valid_from, per, yen, fraction, tiers = row
    return Price(
        item, wallet_id, group, valid_from, per, yen * MICROS + fraction, () if tiers is None else _read(tiers)
    )


def _written(tiers: Iterable[Tier]) -> str:
    return json.encode(
        [
            [
                None if tier.up_to_micros is None else decimal_text(tier.up_to_micros),
                decimal_text(tier.unit_price_micros),
            ]
            for tier in tiers
        ]
    ).decode()


def _read(text: str) -> tuple[Tier, ...]:
    return tuple(
        Tier(None if up_to is None else micros_of(up_to), micros_of(unit_price))
        for up_to, unit_price in json.decode(text, type=list[tuple[str | None, str]])
    )
