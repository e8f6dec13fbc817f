"""``credit-wallet token``: tokens that have leaked."""

from __future__ import annotations

import sys

import click

from credit_wallet.cli.context import open_wallets, show

commands = click.Group(
    "token", short_help="Revoke a token that has leaked.", help="Revoke a token that has leaked, whatever it is."
)


@commands.command("revoke")
def token_revoke() -> None:
    """Revoke a token, read from a prompt or from standard input.

    Every user of the machine can read a command line, so it is not an argument.
    """
    with open_wallets() as wallets:
        token = click.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
        show(wallets.tokens.revoke(token.strip()))
