"""What the commands of the command line share: the options before the command, and how a ledger is opened and shown."""

from __future__ import annotations

from typing import Annotated

import typer

from credit_wallet import console
from credit_wallet.config import DEFAULT_DATABASE_URL
from credit_wallet.wallet import CreditWallet

REFUSED = 1
USAGE = 2

WalletId = Annotated[int, typer.Argument(metavar="ID", help="The wallet.")]


class Settings:
    """What the options before the command say."""

    url: str = DEFAULT_DATABASE_URL
    json: bool = False


def open_wallets() -> CreditWallet:
    """The ledger that the options name."""
    return CreditWallet.open(Settings.url)


def show(value: object) -> None:
    """Show what came of a command, as a table or as JSON."""
    console.show(value, as_json=Settings.json)
