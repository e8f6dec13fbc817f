"""The command line, ``credit-wallet``: each command calls the library and prints the result.

Exit codes: 0 done; 1 refused, with the error's ``code`` on stderr (in the JSON with ``--json``); 2 wrong usage.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from credit_wallet.cli import console
from credit_wallet.cli.context import REFUSED, options
from credit_wallet.cli.tree import LazyGroup
from credit_wallet.config import DATABASE_URL, DEFAULT_DATABASE_URL
from credit_wallet.errors import WalletError
from credit_wallet.telemetry import log_to_stderr
from credit_wallet.version import __version__

PROGRAM = "credit-wallet"
INTERRUPTED = 130

SECTIONS = {
    "Wallets and tokens": {
        "wallet": "wallets",
        "key": "keys",
        "seller": "sellers",
        "operator": "operators",
        "token": "tokens",
        "lots": "lots",
    },
    "Money": dict.fromkeys(("topup", "charge", "refund", "hold", "capture", "release", "transfer"), "money"),
    "Corrections": dict.fromkeys(("adjust", "take-back"), "corrections"),
    "Prices and budgets": {"prices": "prices", "budgets": "budgets"},
    "Grants": {"grants": "grants"},
    "Reports": {
        **dict.fromkeys(("history", "usage", "statement"), "reports"),
        "transaction": "transactions",
        **dict.fromkeys(("transfers", "forecast", "totals", "overview", "look-up"), "looking"),
    },
    "Payments and notices": {"topups": "topups", "alerts": "alerts"},
    "Service": dict.fromkeys(("serve", "worker", "mcp", "doctor"), "service"),
    "Ledger": {
        **dict.fromkeys(("migrate", "rollback", "copy"), "schema"),
        **dict.fromkeys(("backup", "restore"), "backups"),
        **dict.fromkeys(("verify", "seal"), "proofs"),
        "log": "log",
        "export": "exports",
    },
    "Try it out": dict.fromkeys(("demo", "bench"), "trials"),
}
"""The module of every command, in the order of ``--help``."""

app = click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s", help="Print the version.")(
    LazyGroup(
        sections=SECTIONS,
        name=PROGRAM,
        help="Prepaid wallets that AI agents pay for API calls from.\n\n"
        f"The database is --db, else ${DATABASE_URL.name} (the place for a URL with a password), else "
        f"{DEFAULT_DATABASE_URL}. --db and --json may stand anywhere on the line, before or after the command.",
    )
)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    options.reset()
    try:
        log_to_stderr()
        code = app.main(prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    except WalletError as error:
        console.refusal(error, as_json=options.json)
        code = REFUSED
    finally:
        if options.warning and not options.json:
            click.echo(options.warning, err=True)
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
