"""Commands that read a wallet's entries: ``history``, ``usage`` and ``statement``."""

from __future__ import annotations

from time import monotonic
from typing import Any, Literal

import click

from credit_wallet.cli.context import agent_key, by_name, limit, open_wallets, options, show, wallet_id

commands = click.Group()

COUNTING_SECONDS = 30
"""How long ``usage`` counts what nobody has counted before it shows what there is."""


@commands.command()
@wallet_id
@limit(50)
@agent_key("Only charges to this agent key, and their refunds.")
@click.option("--note", metavar="TEXT", help="Only charges with exactly this note, and their refunds.")
@click.option("--item", metavar="ITEM", help="Only charges for this item, and their refunds.")
@click.option("--since", metavar="WHEN", help="Only entries from then on: a month, a day or an ISO 8601 time.")
@click.option("--until", metavar="WHEN", help="Only entries up to then, the month or day included.")
@click.option("--query", metavar="WORDS", help="Only entries with all of these words, or parts of words, in a text.")
@by_name
def history(agent_key: int | None, names: dict[str, Any], wallet_id: int, **asked: Any) -> None:
    """List a wallet's ledger entries, newest first."""
    asked["key_id"] = agent_key
    with open_wallets() as wallets:
        if names:
            show(wallets.transactions.find(**names, wallet_id=wallet_id, **asked))
        else:
            show(wallets.history(wallet_id, **asked))


@commands.command()
@wallet_id
@click.option("--by", metavar="WHAT", help="Divide each period by key, by item, or by a fact such as tool.")
@click.option(
    "--every",
    type=click.Choice(["hour", "day", "month"]),
    default="day",
    show_default=True,
    help="Length of the periods, in the wallet's time zone.",
)
@click.option("--since", metavar="WHEN", help="First period: a month, a day or an ISO 8601 time.")
@click.option("--until", metavar="WHEN", help="Last period, likewise.")
@agent_key("Only what this agent key paid.")
@limit(1_000)
@click.option("--cursor", metavar="CURSOR", help="The next_cursor of the page before.")
def usage(wallet_id: int, agent_key: int | None, **asked: Any) -> None:
    """Show what a wallet's charges were for, by period.

    Charges are counted by the worker; what it has not counted yet is counted first.
    """
    with open_wallets() as wallets:
        give_up_at = monotonic() + COUNTING_SECONDS
        while wallets.maintenance.count_usage() and monotonic() < give_up_at:
            pass
        report = wallets.usage(wallet_id, key_id=agent_key, **asked)
    if options.json:
        show(report)
        return
    show(report.rows)
    later = "" if report.is_current else "; the wallet has later ones, which the worker counts"
    click.echo(f"counted up to ledger entry {report.counted_to_txn_id} of {report.counted_to or 'never'}{later}")
    if report.next_cursor is not None:
        click.echo(f"more with --cursor {report.next_cursor!r}")


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
