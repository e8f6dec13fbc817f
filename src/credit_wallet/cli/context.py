"""What the commands of the command line share: the options before the command, and how a ledger is opened and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import typer

from credit_wallet.cli import console
from credit_wallet.config import DATABASE_URL_VARIABLE, DEFAULT_DATABASE_URL, without_password
from credit_wallet.domain.whole_numbers import whole_number
from credit_wallet.ledger.wallet import CreditWallet

REFUSED = 1
USAGE = 2

_SECONDS = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?")


def integer(text: str | int) -> int:
    """Reads every whole number of the command line, in plain digits: ``1_0``, ``+3`` and ``3.0`` are wrong usage."""
    if isinstance(text, int):
        return text  # a default
    try:
        return whole_number(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number in plain digits, such as 10.") from None


def integer_from(least: int, most: int) -> Callable[[str | int], int]:
    """Reads a whole number from ``least`` to ``most``."""

    def bounded(text: str | int) -> int:
        number = integer(text)
        if not least <= number <= most:
            raise typer.BadParameter(f"{number} is not in the range {least} to {most}.")
        return number

    return bounded


def seconds_from(least: float) -> Callable[[str | float], float]:
    """Reads seconds, with or without a fraction, from ``least`` on."""

    def seconds(text: str | float) -> float:
        if isinstance(text, str) and not _SECONDS.fullmatch(text):
            raise typer.BadParameter(f"{text!r} is not a number of seconds, such as 2 or 0.5.")
        if float(text) < least:
            raise typer.BadParameter(f"{text} is less than {least:g} seconds.")
        return float(text)

    return seconds


WalletId = Annotated[int, typer.Argument(parser=integer, metavar="ID", help="The wallet.")]


class Settings:
    """What the options before the command say."""

    url: str = DEFAULT_DATABASE_URL
    json: bool = False
    warning: str | None = None
    """Said last, on stderr."""


def password_warning(url: str | None) -> str | None:
    """What to say when a password stands on the command line, where every user of the machine can read it."""
    if url is None or without_password(url) == url:
        return None
    return (
        "warning: every user of this machine can read the database's password on the command line; "
        f"put the URL into {DATABASE_URL_VARIABLE}, or the password into PGPASSWORD or a .pgpass file"
    )


def open_wallets(*, create: bool = False) -> CreditWallet:
    """The ledger that the options name.

    Raises ``NoLedger`` when it is not there, lest a typing error make an empty one: only ``migrate``, ``serve``,
    ``wallet create`` and the target of ``copy`` may make a ledger, and ask for it with ``create``.
    """
    return CreditWallet.open(Settings.url, create=create)


def show(value: object) -> None:
    """Show what came of a command, as a table or as JSON."""
    console.show(value, as_json=Settings.json)
