"""``credit-wallet seller``: applications that charge wallets and do nothing else."""

from __future__ import annotations

import click

from credit_wallet.cli.context import INTEGER, after, label, limit, open_wallets, overlap_seconds, show

commands = click.Group(
    "seller",
    short_help="Manage applications that may only charge, hold and refund.",
    help="Create, list, rotate and revoke sellers: applications that may charge, hold and refund, and nothing else.",
)

seller_id = click.argument("seller_id", type=INTEGER, metavar="SELLER_ID")


@commands.command("create")
@label
def seller_create(label: str | None) -> None:
    """Create a seller; its token is shown only once."""
    with open_wallets() as wallets:
        show(wallets.sellers.create(label=label))


@commands.command("list")
@after()
@limit(100)
def seller_list(after: int, limit: int) -> None:
    """List sellers by id, including revoked ones."""
    with open_wallets() as wallets:
        show(wallets.sellers.list(after=after, limit=limit))


@commands.command("rotate")
@seller_id
@overlap_seconds
def seller_rotate(seller_id: int, overlap_seconds: int) -> None:
    """Give a seller a new token, shown only once."""
    with open_wallets() as wallets:
        show(wallets.sellers.rotate(seller_id, overlap_seconds=overlap_seconds))


@commands.command("revoke")
@seller_id
def seller_revoke(seller_id: int) -> None:
    """Revoke a seller for good."""
    with open_wallets() as wallets:
        show(wallets.sellers.revoke(seller_id))
