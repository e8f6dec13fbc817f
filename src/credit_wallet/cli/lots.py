"""``credit-wallet lots``: what a balance is made of."""

from __future__ import annotations

import click

from credit_wallet.cli.context import open_wallets, options, show, wallet_id

commands = click.Group()


@commands.command("lots")
@wallet_id
def lots_of_wallet(wallet_id: int) -> None:
    """Show the credit in a wallet, lot by lot.

    Open lots in the order in which they are spent, and those that expired within the last 30 days with something left.
    """
    from credit_wallet.cli.shown import Lots

    with open_wallets() as wallets:
        lots = Lots(wallets.lots.list(wallet_id), wallets.lots.expired(wallet_id))
    if options.json:
        show(lots)
        return
    show(lots.lots)
    if lots.expired:
        click.echo("\nexpired within the last 30 days:")
        show(lots.expired)
