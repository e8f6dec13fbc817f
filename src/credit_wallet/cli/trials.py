"""Commands to try the wallet out: ``demo`` and ``bench``."""

from __future__ import annotations

from pathlib import Path

import click

from credit_wallet.cli import console
from credit_wallet.cli.context import Seconds, options

commands = click.Group()


@commands.command()
def demo() -> None:
    """Simulate a month of 20 agents on 5 wallets.

    Ends with a statement, the alerts and a verify. Nothing is left behind.
    """
    from credit_wallet.cli.demo import run_demo

    run_demo(click.echo)


@commands.command()
@click.option(
    "--seconds", type=Seconds(0.1), metavar="S", default=2.0, show_default=True, help="How long each case runs."
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    help="Measure the disk that this folder is on; default: the temporary folder.",
)
def bench(seconds: float, folder: Path | None) -> None:
    """Measure charges per second on this machine.

    In the same run, and as a ratio: the limit, which is SQLite alone writing the same rows.
    """
    from tempfile import TemporaryDirectory

    from credit_wallet.cli.bench import run_bench

    with TemporaryDirectory(dir=folder, prefix="credit-wallet-bench-") as scratch:
        console.bench(run_bench(Path(scratch), seconds=seconds), as_json=options.json)
