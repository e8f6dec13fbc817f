"""``credit-wallet export``: what the ledger has, as files for others to read."""

from __future__ import annotations

from typing import Any, Literal

import click

from credit_wallet.cli.context import open_wallets, options, wallet_id
from credit_wallet.cli.log import which_acts

commands = click.Group(
    "export", help="Write what the ledger has as files for others to read.", short_help="Books as files."
)


@commands.command("audit")
@which_acts
@click.option(
    "--format", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True, help="CSV or JSON lines."
)
def export_audit(format: Literal["csv", "jsonl"], **asked: Any) -> None:  # noqa: A002
    """Write the log of acts, newest first, to standard output."""
    from credit_wallet.ledger.log import act_filter
    from credit_wallet.reports.audit import audit_file

    with open_wallets() as wallets:
        for piece in audit_file(wallets.log_pages(act_filter(**asked)), "jsonl" if options.json else format):
            click.echo(piece.encode(), nl=False)


@commands.command("personal-data")
@wallet_id
def export_personal_data(wallet_id: int) -> None:
    """Write what a wallet has of people as JSON lines.

    Labels, notes, facts, addresses, consents, the saved payment method, acts and entries: for people who ask what is
    kept about them.
    """
    from msgspec import json

    with open_wallets() as wallets:
        page = wallets.personal_data(wallet_id, limit=1_000)
        while True:
            click.echo("".join(json.encode(item).decode() + "\n" for item in page.items).encode(), nl=False)
            if page.next_cursor is None:
                return
            page = wallets.personal_data(wallet_id, cursor=page.next_cursor, limit=1_000)
