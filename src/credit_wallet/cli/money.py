"""Commands that move money: ``topup``, ``charge``, ``refund``, ``hold``, ``capture``, ``release``, ``transfer``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

import click

from credit_wallet.cli.context import (
    INTEGER,
    Exact,
    Pair,
    agent_key,
    called,
    ends,
    idempotency_key,
    open_wallets,
    show,
    wallet_id,
    yen,
)

commands = click.Group()

note = click.option("--note", metavar="TEXT", help="Written to the ledger entry.")
paying_key = agent_key("Pay with this agent key; its cap counts.")
hold_id = click.argument("hold_id", type=INTEGER, metavar="HOLD_ID")

Asked: TypeAlias = dict[str, Any]
"""A price as the library takes it: an amount or an item, and facts."""


def price(command: Callable[..., None]) -> Callable[..., None]:
    """YEN, or ``--item`` and ``--quantity``; and facts. The command gets them as ``asked``."""

    @wraps(command)
    def run(
        *,
        yen: str | None,
        item: str | None,
        quantity: str | None,
        fact: tuple[tuple[str, str], ...],
        **others: Any,
    ) -> None:
        if (yen is None) == (item is None):
            raise click.UsageError("Give either YEN or --item.")
        if len({key for key, _ in fact}) < len(fact):
            raise click.UsageError("Give each key of --fact once.")
        command(asked={"amount_yen": yen, "item": item, "quantity": quantity, "facts": dict(fact)}, **others)

    decorated: Any = run
    for decorate in (
        click.option("--fact", type=Pair(), metavar="KEY=VALUE", multiple=True, help="What it was for; repeatable."),
        click.option("--quantity", type=Exact("decimal"), metavar="N", help="How much of the item; default: 1."),
        click.option("--item", metavar="NAME", help="An item of the price book, instead of YEN."),
        click.argument("yen", type=Exact("decimal"), metavar="[YEN]", required=False),
    ):
        decorated = decorate(decorated)
    return decorated  # type: ignore[no-any-return]


@commands.command()
@wallet_id
@yen
@idempotency_key
@click.option("--promo", is_flag=True, help="Promotional credit, spent before paid credit.")
@ends("--expires-at", "When the credit expires")
@note
@called
def topup(
    wallet_id: int, yen: str, key: str, promo: bool, expires_at: str | None, note: str | None, names: Asked
) -> None:
    """Credit wallet ID with YEN by hand."""
    with open_wallets() as wallets:
        show(wallets.topup(wallet_id, yen, idempotency_key=key, promo=promo, expires_at=expires_at, note=note, **names))


@commands.command()
@wallet_id
@price
@idempotency_key
@note
@paying_key
@called
def charge(wallet_id: int, asked: Asked, key: str, note: str | None, agent_key: int | None, names: Asked) -> None:
    """Charge YEN, or an item's price, to wallet ID."""
    with open_wallets() as wallets:
        show(wallets.charge(wallet_id, **asked, idempotency_key=key, note=note, key_id=agent_key, **names))


@commands.command()
@click.argument("txn_id", type=INTEGER, metavar="TXN_ID")
@click.argument("yen", type=Exact("decimal"), metavar="[YEN]", required=False)
@idempotency_key
@note
@called
def refund(txn_id: int, yen: str | None, key: str, note: str | None, names: Asked) -> None:
    """Refund the charge TXN_ID, in full or in part.

    Without YEN, everything that is left of the charge is refunded.
    """
    with open_wallets() as wallets:
        show(wallets.refund(txn_id, yen, idempotency_key=key, note=note, **names))


@commands.command()
@wallet_id
@price
@idempotency_key
@click.option(
    "--ttl",
    type=INTEGER,
    metavar="S",
    default=900,
    show_default=True,
    help="Seconds until the hold is released automatically.",
)
@note
@paying_key
@called
def hold(
    wallet_id: int, asked: Asked, key: str, ttl: int, note: str | None, agent_key: int | None, names: Asked
) -> None:
    """Reserve YEN of wallet ID for a call priced afterwards.

    Instead of YEN, --item reserves its price."""
    with open_wallets() as wallets:
        held = wallets.hold(
            wallet_id, **asked, idempotency_key=key, ttl_seconds=ttl, note=note, key_id=agent_key, **names
        )
        show(held)


@commands.command()
@hold_id
@price
@called
def capture(hold_id: int, asked: Asked, names: Asked) -> None:
    """Spend YEN of a hold and release the rest.

    Instead of YEN, --item spends its price."""
    with open_wallets() as wallets:
        show(wallets.capture(hold_id, **asked, **names))


@commands.command()
@hold_id
def release(hold_id: int) -> None:
    """Release a hold in full."""
    with open_wallets() as wallets:
        show(wallets.release(hold_id))


@commands.command()
@click.argument("from_wallet", type=INTEGER, metavar="FROM")
@click.argument("to_wallet", type=INTEGER, metavar="TO")
@yen
@idempotency_key
@note
def transfer(from_wallet: int, to_wallet: int, yen: str, key: str, note: str | None) -> None:
    """Move YEN from wallet FROM to wallet TO of the same owner.

    Credit keeps its kind and its expiry, and is not spent."""
    with open_wallets() as wallets:
        show(wallets.transfers.create(from_wallet, to_wallet, yen, idempotency_key=key, note=note))
