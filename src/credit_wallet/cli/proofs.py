"""``credit-wallet verify`` and ``credit-wallet seal``: the proof of the ledger, and what to note of it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from credit_wallet.cli import console
from credit_wallet.cli.context import REFUSED, WholeNumber, open_wallets, options, show
from credit_wallet.errors import InvalidRequest, SealNotFound

if TYPE_CHECKING:
    from credit_wallet.stores.jobs.seals import Anchor

commands = click.Group()
seal_commands = click.Group("seal", help="Show the latest seal over the ledger's entries.")
commands.add_command(seal_commands)


@commands.command()
@click.option(
    "--anchor",
    metavar="TEXT|@FILE",
    multiple=True,
    help="A seal that `seal show` printed, or a file of them; may be repeated.",
)
@click.option("--usage", is_flag=True, help="Count usage again even if its sums tie; takes as long as all the rest.")
@click.option(
    "--processes",
    type=WholeNumber(1, 64),
    metavar="N",
    help="Processes that prove side by side; default: one for each core, up to 4; 1 for less than 200,000 entries.",
)
def verify(anchor: tuple[str, ...], usage: bool, processes: int | None) -> None:
    """Prove the ledger's invariants.

    Exits 1 and names the wallets when an invariant is broken.
    """
    anchors = anchors_of(anchor)
    with open_wallets() as wallets:
        violations = wallets.verify(anchors, usage=usage, processes=processes)
        openings = wallets.maintenance.openings()
    console.verdict(violations, openings, as_json=options.json)
    if violations:
        raise click.exceptions.Exit(REFUSED)


@seal_commands.command("show")
def seal_show() -> None:
    """Print the latest seal on one line.

    It has the seal's number, its last entry, its time and its hash. Keep it where nobody can change it.
    """
    with open_wallets() as wallets:
        seal = wallets.seals.latest()
    if seal is None:
        raise SealNotFound("the ledger has no seal yet")
    if options.json:
        show(seal)
    else:
        click.echo(str(seal))


def anchors_of(given: tuple[str, ...]) -> list[Anchor]:
    """The seals that ``--anchor`` names, each as its text or as @FILE."""
    from credit_wallet.stores.jobs.seals import parse_anchors

    return [noted for each in given for noted in parse_anchors(_text(each))]


def _text(given: str) -> str:
    """The option's text, or the contents of the file that it names with @."""
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"cannot read {given[1:]}: {error}", field="anchor") from error
