"""``credit-wallet key``: agent keys."""

from __future__ import annotations

from typing import Any

import click

from credit_wallet.cli.context import (
    INTEGER,
    after,
    ends,
    key_id,
    label,
    limit,
    metadata,
    new_metadata,
    no_metadata,
    open_wallets,
    overlap_seconds,
    show,
    wallet_id,
)
from credit_wallet.domain.permissions import SCOPES, Scope

commands = click.Group("key", help="Create, list, configure, rotate and revoke agent keys.")

reference = click.option("--reference", metavar="TEXT", help="Your id of the key, unique in the wallet.")
group = click.option("--group", metavar="GROUP", help="Group of agents, for budgets, such as acme/research.")


@commands.command("create")
@wallet_id
@label
@click.option("--monthly-cap-yen", type=INTEGER, metavar="N", default=0, help="Maximum spending a month; 0 = no cap.")
@ends("--expires-at", "When the key expires")
@group
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="What the key may do; may be repeated. By default spend and read.",
)
@reference
@metadata
def key_create(
    wallet_id: int, metadata: tuple[tuple[str, str], ...], scopes: tuple[Scope, ...] = (), **settings: Any
) -> None:
    """Create an agent key; its token is shown only once."""
    with open_wallets() as wallets:
        show(wallets.keys.create(wallet_id, scopes=scopes or None, metadata=dict(metadata), **settings))


@commands.command("list")
@wallet_id
@after("KEY_ID")
@limit(1_000)
def key_list(wallet_id: int, after: int, limit: int) -> None:
    """List a wallet's agent keys and what they have spent.

    Expired and revoked keys are listed too.
    """
    with open_wallets() as wallets:
        show(wallets.keys.list(wallet_id, after=after, limit=limit))


@commands.command("configure")
@key_id
@label
@click.option("--monthly-cap-yen", type=INTEGER, metavar="N", help="Maximum spending a month; 0 = no cap.")
@group
@click.option("--no-group", is_flag=True, help="Take the key out of its group.")
@reference
@metadata
@no_metadata
def key_configure(
    key_id: int, no_group: bool, metadata: tuple[tuple[str, str], ...], no_metadata: bool, **settings: Any
) -> None:
    """Change an agent key; what is not given stays.

    What it has spent counts against the new cap.
    """
    if no_group and settings["group"] is not None:
        raise click.UsageError("Give --group or --no-group, not both.")
    given = {name: value for name, value in settings.items() if value is not None} | (
        {"group": None} if no_group else {}
    )
    given |= new_metadata(metadata, no_metadata)
    if not given:
        raise click.UsageError("Nothing to change: give at least one option.")
    with open_wallets() as wallets:
        show(wallets.keys.configure(key_id, **given))


@commands.command("rotate")
@key_id
@overlap_seconds
def key_rotate(key_id: int, overlap_seconds: int) -> None:
    """Give an agent key a new token, shown only once.

    Its cap, spending and expiry stay.
    """
    with open_wallets() as wallets:
        show(wallets.keys.rotate(key_id, overlap_seconds=overlap_seconds))


@commands.command("revoke")
@key_id
def key_revoke(key_id: int) -> None:
    """Revoke an agent key for good, effective immediately."""
    with open_wallets() as wallets:
        show({"key_id": key_id, "revoked_at": wallets.keys.revoke(key_id)})
