"""Commands that read a wallet's entries: ``history`` and ``statement``."""

from __future__ import annotations

from typing import Literal

import click

from credit_wallet.cli.context import agent_key, limit, open_wallets, options, show, wallet_id

commands = click.Group()


@commands.command()
@wallet_id
@limit(50)
@agent_key("Only charges to this agent key, and their refunds.")
@click.option("--note", metavar="TEXT", help="Only charges with exactly this note, and their refunds.")
def history(wallet_id: int, limit: int, agent_key: int | None, note: str | None) -> None:
    """List a wallet's ledger entries, newest first."""
    with open_wallets() as wallets:
        show(wallets.history(wallet_id, limit=limit, key_id=agent_key, note=note))


@commands.command()
@wallet_id
@click.option("--cycle", metavar="YYYY-MM", required=True, help="Billing cycle, in the wallet's time zone.")
@click.option(
    "--format", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True, help="Output format."
)
@click.option(
    "--rows",
    type=click.Choice(["entries", "keys", "notes", "items"]),
    default="entries",
    show_default=True,
    help="Rows of the CSV: entries, or spending by agent key, by note or by item.",
)
def statement(
    wallet_id: int,
    cycle: str,
    format: str,  # noqa: A002
    rows: Literal["entries", "keys", "notes", "items"],
) -> None:
    """Show a wallet's statement for one billing cycle.

    It has the totals, who spent and on what, and the entries.
    """
    from credit_wallet.reports.statement_forms import CsvForm, TextForm, pieces_of, to_json

    with open_wallets() as wallets:
        if options.json or format == "json":
            click.echo(to_json(wallets.statement(wallet_id, cycle)))
            return
        form = CsvForm(rows) if format == "csv" else TextForm()
        for piece in pieces_of(wallets.cycles.draw(wallet_id, cycle), form):
            click.echo(piece.encode(), nl=False)
    if format == "text":
        click.echo()
