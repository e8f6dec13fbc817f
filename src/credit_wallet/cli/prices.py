"""``credit-wallet prices``: what items cost, from a price file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from credit_wallet.cli.context import INTEGER, limit, open_wallets, options, show

if TYPE_CHECKING:
    from credit_wallet.domain.prices import PriceView

commands = click.Group(
    "prices", help="Compare and apply a price file, and list the prices that count.", short_help="Prices of items."
)

price_file = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))


@commands.command("diff")
@price_file
def prices_diff(file: Path) -> None:
    """Show what applying FILE would change."""
    with open_wallets() as wallets:
        show(wallets.prices.diff(file))


@commands.command("apply")
@price_file
@click.option("--allow-empty", is_flag=True, help="Apply a file without prices, which takes all prices away.")
def prices_apply(file: Path, allow_empty: bool) -> None:
    """Make the prices of FILE the ones that count.

    Items that FILE does not have cannot be charged any more. Every process charges by the new prices at once; the same
    prices again change nothing.
    """
    with open_wallets() as wallets:
        applied = wallets.prices.apply(file, allow_empty=allow_empty)
        if options.json:
            show(applied)
            return
        show(applied.changes)
        click.echo(f"version {applied.version}" + ("" if applied.changes else ", as before"))


@commands.command("list")
@click.option("--wallet", "wallet_id", type=INTEGER, metavar="ID", help="Prices that count for this wallet.")
@click.option("--at", metavar="T", help="Prices that count at an ISO 8601 time; by default now.")
@click.option("--all", "whole_book", is_flag=True, help="All prices: of groups and wallets, and announced ones too.")
def prices_list(wallet_id: int | None, at: str | None, whole_book: bool) -> None:
    """List the prices that count, for everybody or for one wallet."""
    if whole_book and (wallet_id is not None or at is not None):
        raise click.UsageError("--all goes without --wallet and --at.")
    with open_wallets() as wallets:
        prices = wallets.prices.book() if whole_book else wallets.prices.list(at=at, wallet_id=wallet_id)
    show(prices if options.json else [_row(price) for price in prices])


def _row(price: PriceView) -> dict[str, object]:
    return {
        "item": price.item,
        "price": price.words(),
        "valid_from": price.valid_from,
        "wallet_id": price.wallet_id,
        "group": price.group,
        "version": price.version,
    }


@commands.command("versions")
@limit(100)
def prices_versions(limit: int) -> None:
    """List the versions of the price book, newest first."""
    with open_wallets() as wallets:
        show(wallets.prices.versions(limit=limit))
