"""``credit-wallet operator``: people and programs of the host's, each with a name, a role and keys."""

from __future__ import annotations

from typing import Any

import click

from credit_wallet.cli.context import INTEGER, after, limit, open_wallets, overlap_seconds, show
from credit_wallet.domain.permissions import ROLES

commands = click.Group(
    "operator",
    short_help="Manage operators: names, roles and keys.",
    help="Create, list, configure, rotate and revoke operators: people and programs with a role and keys of their own.",
)

operator_id = click.argument("operator_id", type=INTEGER, metavar="OPERATOR_ID")
role = click.option("--role", type=click.Choice(ROLES), required=True, help="What the operator may do.")


@commands.command("create")
@click.argument("name")
@role
def operator_create(name: str, role: Any) -> None:
    """Create an operator with a key, whose token is shown only once."""
    with open_wallets() as wallets:
        show(wallets.operators.create(name, role))


@commands.command("list")
@after()
@limit(100)
def operator_list(after: int, limit: int) -> None:
    """List operators by id, including revoked ones."""
    with open_wallets() as wallets:
        show(wallets.operators.list(after=after, limit=limit))


@commands.command("keys")
@operator_id
def operator_keys(operator_id: int) -> None:
    """List an operator's latest keys, each by its first characters."""
    with open_wallets() as wallets:
        show(wallets.operators.keys(operator_id))


@commands.command("configure")
@operator_id
@role
def operator_configure(operator_id: int, role: Any) -> None:
    """Give an operator another role."""
    with open_wallets() as wallets:
        show(wallets.operators.configure(operator_id, role=role))


@commands.command("rotate")
@operator_id
@overlap_seconds
def operator_rotate(operator_id: int, overlap_seconds: int) -> None:
    """Give an operator a new key, whose token is shown only once."""
    with open_wallets() as wallets:
        show(wallets.operators.rotate(operator_id, overlap_seconds=overlap_seconds))


@commands.command("revoke")
@operator_id
@click.option("--key", "operator_key_id", type=INTEGER, metavar="KEY_ID", help="Revoke only this key.")
def operator_revoke(operator_id: int, operator_key_id: int | None) -> None:
    """Revoke an operator for good, or one of its keys."""
    with open_wallets() as wallets:
        if operator_key_id is None:
            show(wallets.operators.revoke(operator_id))
        else:
            show(wallets.operators.revoke_key(operator_id, operator_key_id))
