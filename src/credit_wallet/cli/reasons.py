"""The options by which corrections say why: ``--reason`` and ``--note``."""

from __future__ import annotations

import click

from credit_wallet.cli.context import Decorator
from credit_wallet.domain.corrections import CORRECTION_REASONS, CorrectionReason

note = click.option("--note", metavar="TEXT", required=True, help="What happened, for whoever reads it later.")
optional_note = click.option("--note", metavar="TEXT", help="What happened, for whoever reads it later.")


def reason(default: CorrectionReason | None = None) -> Decorator:
    """``--reason``: a code of the list; without a ``default`` it must be given."""
    by_default = {"required": True} if default is None else {"default": default, "show_default": True}
    return click.option(
        "--reason",
        type=click.Choice(CORRECTION_REASONS),
        metavar="CODE",
        help=f"Why: {', '.join(CORRECTION_REASONS)}.",
        **by_default,
    )
