"""``credit-wallet transaction``: single ledger entries, and entries of all wallets by what they were called."""

from __future__ import annotations

from typing import Any

import click

from credit_wallet.cli.context import INTEGER, by_name, limit, open_wallets, show

commands = click.Group("transaction", help="Show ledger entries, and find them in all wallets.")


@commands.command("show")
@click.argument("txn_id", type=INTEGER, metavar="TXN_ID")
def transaction_show(txn_id: int) -> None:
    """Show a ledger entry, and how much of it was refunded."""
    with open_wallets() as wallets:
        show(wallets.transactions.show(txn_id))


@commands.command("find")
@by_name
@limit(50)
def transaction_find(names: dict[str, Any], limit: int) -> None:
    """Find entries of all wallets by request id, reference or idempotency key.

    The latest wallets come first, and of each the newest entries.
    """
    if not names:
        raise click.UsageError("Give --request-id, --reference or --key.")
    with open_wallets() as wallets:
        show(wallets.transactions.find(**names, limit=limit))
