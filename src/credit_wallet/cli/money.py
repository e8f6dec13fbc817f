"""Commands that move money: ``topup``, ``charge``, ``refund``, ``hold``, ``capture``, ``release``."""

from __future__ import annotations

import click

from credit_wallet.cli.context import (
    INTEGER,
    agent_key,
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


@commands.command()
@wallet_id
@yen
@idempotency_key
@click.option("--promo", is_flag=True, help="Promotional credit, spent before paid credit.")
@ends("--expires-at", "When the credit expires")
@note
def topup(wallet_id: int, yen: int, key: str, promo: bool, expires_at: str | None, note: str | None) -> None:
    """Credit wallet ID with YEN by hand."""
    with open_wallets() as wallets:
        show(wallets.topup(wallet_id, yen, idempotency_key=key, promo=promo, expires_at=expires_at, note=note))


@commands.command()
@wallet_id
@yen
@idempotency_key
@note
@paying_key
def charge(wallet_id: int, yen: int, key: str, note: str | None, agent_key: int | None) -> None:
    """Charge YEN to wallet ID."""
    with open_wallets() as wallets:
        show(wallets.charge(wallet_id, yen, idempotency_key=key, note=note, key_id=agent_key))


@commands.command()
@click.argument("txn_id", type=INTEGER, metavar="TXN_ID")
@click.argument("yen", type=INTEGER, metavar="[YEN]", required=False)
@idempotency_key
@note
def refund(txn_id: int, yen: int | None, key: str, note: str | None) -> None:
    """Refund the charge TXN_ID, in full or in part.

    Without YEN, everything that is left of the charge is refunded.
    """
    with open_wallets() as wallets:
        show(wallets.refund(txn_id, yen, idempotency_key=key, note=note))


@commands.command()
@wallet_id
@yen
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
def hold(wallet_id: int, yen: int, key: str, ttl: int, note: str | None, agent_key: int | None) -> None:
    """Reserve YEN of wallet ID for a call priced afterwards."""
    with open_wallets() as wallets:
        show(wallets.hold(wallet_id, yen, idempotency_key=key, ttl_seconds=ttl, note=note, key_id=agent_key))


@commands.command()
@hold_id
@yen
def capture(hold_id: int, yen: int) -> None:
    """Spend YEN of a hold and release the rest."""
    with open_wallets() as wallets:
        show(wallets.capture(hold_id, yen))


@commands.command()
@hold_id
def release(hold_id: int) -> None:
    """Release a hold in full."""
    with open_wallets() as wallets:
        show(wallets.release(hold_id))
