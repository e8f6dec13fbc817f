"""Commands for the tables of a ledger: ``migrate``, ``rollback``, ``copy``."""

from __future__ import annotations

import click

from credit_wallet.cli import console
from credit_wallet.cli.context import INTEGER, WholeNumber, options, password_warning, show

commands = click.Group()


@commands.command()
@click.option("--dry-run", is_flag=True, help="List the pending migrations and change nothing.")
@click.option(
    "--partitions",
    type=WholeNumber(0, 1024),
    metavar="N",
    default=0,
    help="On a new PostgreSQL ledger: split each table into N partitions, by a hash of the wallet.",
)
def migrate(dry_run: bool, partitions: int) -> None:
    """Create the ledger or bring it up to date."""
    from msgspec import structs

    from credit_wallet.runtime.steady_clock import utc_now
    from credit_wallet.stores.databases import database_at

    if dry_run:
        show({"dry_run": True, "pending": database_at(options.url).pending_migrations()})
    else:
        upgrade = structs.asdict(database_at(options.url).upgrade(utc_now(), partitions))
        show({name: value for name, value in upgrade.items() if value or name != "openings"})


@commands.command()
@click.argument("number", type=INTEGER, metavar="NUMBER")
@click.option("--yes", is_flag=True, help="Confirm: drop the tables and all their rows.")
def rollback(number: int, yes: bool) -> None:
    """Undo migration NUMBER and all later ones.

    Their tables are dropped with all their rows.
    """
    from credit_wallet.stores.databases import database_at

    if not yes:
        raise click.UsageError(f"rollback {number} drops tables and all their rows; add --yes to confirm.")
    show({"rolled_back": database_at(options.url).rollback(number)})


@commands.command()
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
def copy(source: str, target: str) -> None:
    """Copy a ledger from SQLite to PostgreSQL and verify it.

    SRC is the sqlite:///path of a ledger that nobody else has open, DST the postgresql://… URL of an empty database.
    Run it again to resume after an interruption.
    """
    from credit_wallet.runtime.steady_clock import utc_now
    from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at

    options.warning = password_warning(target) or options.warning
    here, there = sqlite_database_at(source), postgres_database_at(target)
    from credit_wallet.stores.jobs.copying import copy_ledger  # needs the driver that the line above has looked for

    with console.progress() as progress:
        copied = copy_ledger(here, there, utc_now(), progress)
    show({"resumed": copied.resumed, **copied.rows})
