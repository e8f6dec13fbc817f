"""``credit-wallet verify`` and ``credit-wallet seal``: the proof of the ledger, and what to note of it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from credit_wallet.cli import console
from credit_wallet.cli.context import REFUSED, Settings, open_wallets, show
from credit_wallet.errors import InvalidRequest, SealNotFound
from credit_wallet.stores.jobs.seals import parse_anchors

seal_commands = typer.Typer(no_args_is_help=True, help="Seals over the ledger's entries, to be noted elsewhere.")


@seal_commands.command("show")
def seal_show() -> None:
    """Print the latest seal in one line: number, last entry, time and hash. Keep it where nobody can change it."""
    with open_wallets() as wallets:
        seal = wallets.seals.latest()
    if seal is None:
        raise SealNotFound("nothing of the ledger is sealed yet")
    if Settings.json:
        show(seal)
    else:
        typer.echo(str(seal))


def verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT|@FILE", help="A seal as seal show has printed it, or a file of such lines; may be repeated."
        ),
    ] = None,
) -> None:
    """Prove the ledger's invariants; exit 1 and name the wallets when one is broken."""
    anchors = [noted for given in anchor or () for noted in parse_anchors(_text(given))]
    with open_wallets() as wallets:
        violations, openings = wallets.verify(anchors), wallets.maintenance.openings()
    console.verdict(violations, openings, as_json=Settings.json)
    if violations:
        raise typer.Exit(REFUSED)


def _text(given: str) -> str:
    """What an option says, or what the file says that it names with @."""
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{given[1:]} cannot be read: {error}", field="anchor") from error
