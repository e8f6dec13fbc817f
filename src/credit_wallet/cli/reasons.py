"""The options by which corrections say why: ``--reason`` and ``--note``."""

from __future__ import annotations

import click

from credit_wallet.cli.context import Decorator
from credit_wallet.domain.corrections import CORRECTION_REASONS, CorrectionReason

note = click.option("--note", metavar="TEXT", required=True, help="What happened, for whoever reads it later.")
optional_note = click.option("--note", metavar="TEXT", help="What happened, for whoever reads it later.")


def reason(default: CorrectionReason | None = None) -> Decorator:
    """``--reason``: a code of the list."""
    return click.option(
        "--reason",
        type=click.Choice(CORRECTION_REASONS),
        metavar="CODE",
        required=default is None,
        default=default,
        show_default=default is not None,
        help=f"Why: {', '.join(CORRECTION_REASONS)}.",
    )
