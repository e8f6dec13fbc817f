"""``credit-wallet backup`` and ``credit-wallet restore``: a ledger as one proved file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from credit_wallet.cli import console
from credit_wallet.cli.context import options, show
from credit_wallet.cli.proofs import anchors_of

if TYPE_CHECKING:
    from credit_wallet.stores.jobs.backup import BackedUp
    from credit_wallet.stores.jobs.restore import Restored

commands = click.Group()

_file = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))


@commands.command()
@_file
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists; it stays until the new one is proved.")
@click.option("--no-verify", is_flag=True, help="Do not prove it, as for a ledger that breaks an invariant.")
def backup(file: Path, overwrite: bool, no_verify: bool) -> None:
    """Write the ledger to FILE while it is in use, and prove it.

    FILE is a SQLite ledger, from PostgreSQL too. Keep the seal that is printed somewhere else.
    """
    from credit_wallet.runtime.steady_clock import utc_now
    from credit_wallet.stores.databases import database_at
    from credit_wallet.stores.jobs.backup import back_up

    database = database_at(options.url)
    with console.progress() as progress:
        made = back_up(database, file, utc_now(), progress, overwrite=overwrite, prove=not no_verify)
    _show(made)


@commands.command()
@_file
@click.option("--replace", is_flag=True, help="Replace the ledger that is there; it is kept under another name.")
@click.option(
    "--anchor", metavar="TEXT|@FILE", multiple=True, help="A seal that FILE must have, as `backup` printed it."
)
def restore(file: Path, replace: bool, anchor: tuple[str, ...]) -> None:
    """Prove the backup FILE and put it in place of the ledger.

    Nothing may have the ledger open. A PostgreSQL database must be empty.
    """
    from credit_wallet.database_urls import is_postgres
    from credit_wallet.runtime.steady_clock import utc_now
    from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at
    from credit_wallet.stores.jobs import restore as restoring

    anchors, now = anchors_of(anchor), utc_now()
    if is_postgres(options.url):
        if replace:
            raise click.UsageError("a ledger in PostgreSQL is not replaced; restore into a new, empty database.")
        database = postgres_database_at(options.url)
        with console.progress() as progress:
            restored = restoring.restore_to_postgres(file, database, now, progress, anchors)
    else:
        with console.progress() as progress:
            there = sqlite_database_at(options.url)
            restored = restoring.restore(file, there, now, progress, anchors, replace=replace)
    _show(restored)


def _show(done: BackedUp | Restored) -> None:
    """The seal on a line of its own: people copy it."""
    from msgspec import structs

    if options.json:
        show(done)
    else:
        show({name: value for name, value in structs.asdict(done).items() if name != "seal"})
        click.echo(str(done.seal or "no seal yet"))
