"""The command line, ``credit-wallet``: each command is a call of the library and a way to show what comes of it.

Exit codes: 0 done; 1 refused, with the error's ``code`` on stderr (in the JSON with ``--json``); 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import typer
from msgspec import structs

from credit_wallet.cli import console, doctor
from credit_wallet.cli.alerts import alert_commands
from credit_wallet.cli.context import (
    REFUSED,
    USAGE,
    Settings,
    WalletId,
    integer,
    integer_from,
    password_warning,
    seconds_from,
)
from credit_wallet.cli.context import open_wallets as _open
from credit_wallet.cli.context import show as _show
from credit_wallet.cli.proofs import seal_commands, verify
from credit_wallet.cli.wallets import key_commands, seller_commands, wallet_commands
from credit_wallet.cli.welcome import welcome
from credit_wallet.config import (
    DATABASE_URL_VARIABLE,
    DEFAULT_DATABASE_URL,
    SERVICE_URL_VARIABLE,
    TOKEN_VARIABLE,
    TRUSTED_PROXIES_VARIABLE,
    database_url,
    without_password,
)
from credit_wallet.delivery.factory import notify_settings, open_notifier
from credit_wallet.domain.tokens import new_operator_key
from credit_wallet.errors import WalletError
from credit_wallet.http.app_settings import ServiceSettings, mcp_hosts
from credit_wallet.http.forwarded import TrustedProxies
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.factory import open_payments, require_payments, test_money
from credit_wallet.payments.replies import Payments
from credit_wallet.payments.settings import payment_settings
from credit_wallet.reports.statement_forms import CsvForm, TextForm, pieces_of, to_json
from credit_wallet.runtime.steady_clock import utc_now
from credit_wallet.runtime.stopping import Stop, closing_in_time
from credit_wallet.stores.databases import database_at, postgres_database_at, sqlite_database_at
from credit_wallet.telemetry import log_to_stderr
from credit_wallet.wire.operator_keys import SOLE_NAME, metrics_key, operator_key, operator_keys
from credit_wallet.worker import workers, working

app = typer.Typer(name="credit-wallet", no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
topup_commands = typer.Typer(no_args_is_help=True, help="Payments through Stripe.")
app.add_typer(wallet_commands, name="wallet")
app.add_typer(key_commands, name="key")
app.add_typer(seller_commands, name="seller")
app.add_typer(alert_commands, name="alerts")
app.add_typer(topup_commands, name="topups")
app.add_typer(seal_commands, name="seal")

Yen = Annotated[int, typer.Argument(parser=integer, metavar="YEN", help="Whole yen, 1 or more.")]
IdempotencyKey = Annotated[
    str, typer.Option("--key", metavar="K", help="Idempotency key: the same key never moves money twice.")
]
AgentKey = Annotated[
    int | None, typer.Option("--agent-key", parser=integer, metavar="KEY_ID", help="Pay with this agent key.")
]
Note = Annotated[str | None, typer.Option(help="Written into the ledger entry.")]
Cycle = Annotated[str, typer.Option("--cycle", metavar="YYYY-MM", help="Billing cycle.")]


class StatementFormat(StrEnum):
    text = "text"
    csv = "csv"
    json = "json"


class StatementRows(StrEnum):
    entries = "entries"
    keys = "keys"
    notes = "notes"


@app.callback()
def _options(
    db: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"sqlite:///path or postgresql://…; default ${DATABASE_URL_VARIABLE}, which is where a URL with a "
            f"password belongs, or {DEFAULT_DATABASE_URL}.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")] = False,
) -> None:
    """Prepaid wallets that AI agents pay API calls from."""
    Settings.url = database_url(db)
    Settings.json = json
    Settings.warning = password_warning(db)
    log_to_stderr()


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    try:
        app(prog_name="credit-wallet")
    except WalletError as error:
        console.refusal(error, as_json=Settings.json)
        sys.exit(REFUSED)
    finally:
        if Settings.warning and not Settings.json:
            typer.echo(Settings.warning, err=True)
    sys.exit(0)


# The schema


@app.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be applied and change nothing.")] = False,
    partitions: Annotated[
        int,
        typer.Option(
            parser=integer_from(0, 1024), metavar="N", help="Split each new PostgreSQL table in N by a hash of wallet."
        ),
    ] = 0,
) -> None:
    """Apply the migrations of the boot manifest that are still to be applied."""
    if dry_run:
        _show({"dry_run": True, "pending": database_at(Settings.url).pending_migrations()})
    else:
        upgrade = structs.asdict(database_at(Settings.url).upgrade(utc_now(), partitions))
        _show({name: value for name, value in upgrade.items() if value or name != "openings"})


@app.command()
def rollback(
    number: Annotated[
        int, typer.Argument(parser=integer, metavar="NUMBER", help="The migration to undo, such as 281.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Yes, drop its tables and rows, and those of later ones.")] = False,
) -> None:
    """Undo a migration and every later one. The rows go with the tables."""
    if not yes:
        typer.echo(f"rollback {number} drops tables with all their rows; say --yes to do it", err=True)
        raise typer.Exit(USAGE)
    _show({"rolled_back": database_at(Settings.url).rollback(number)})


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="SRC", help="sqlite:///path of the ledger; nobody else may use it.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="postgresql://… of an empty database.")],
) -> None:
    """Copy a whole ledger from SQLite to PostgreSQL and prove that it arrived; run it again to go on."""
    Settings.warning = password_warning(target) or Settings.warning
    here, there = sqlite_database_at(source), postgres_database_at(target)
    from credit_wallet.stores.jobs.copying import copy_ledger

    with console.progress() as progress:
        copied = copy_ledger(here, there, utc_now(), progress)
    _show({"resumed": copied.resumed, **copied.rows})


# Money


@app.command()
def topup(
    wallet_id: WalletId,
    yen: Yen,
    key: IdempotencyKey,
    promo: Annotated[bool, typer.Option("--promo", help="A gift: spent before paid credit.")] = False,
    expires_at: Annotated[
        str | None, typer.Option(metavar="T", help="When it lapses: a date, that day included, or an ISO 8601 time.")
    ] = None,
    note: Note = None,
) -> None:
    """Credit a wallet by hand."""
    with _open() as wallets:
        _show(wallets.topup(wallet_id, yen, idempotency_key=key, promo=promo, expires_at=expires_at, note=note))


@app.command()
def charge(wallet_id: WalletId, yen: Yen, key: IdempotencyKey, note: Note = None, agent_key: AgentKey = None) -> None:
    """Charge a wallet."""
    with _open() as wallets:
        _show(wallets.charge(wallet_id, yen, idempotency_key=key, note=note, key_id=agent_key))


@app.command()
def refund(
    txn_id: Annotated[int, typer.Argument(parser=integer, metavar="TXN_ID", help="The charge.")],
    key: IdempotencyKey,
    yen: Annotated[
        int | None, typer.Argument(parser=integer, metavar="[YEN]", help="Default: all that is left of it.")
    ] = None,
    note: Note = None,
) -> None:
    """Give a charge back to its wallet, whole or in part."""
    with _open() as wallets:
        _show(wallets.refund(txn_id, yen, idempotency_key=key, note=note))


@app.command()
def hold(
    wallet_id: WalletId,
    yen: Yen,
    key: IdempotencyKey,
    ttl: Annotated[int, typer.Option(parser=integer, metavar="S", help="Seconds until it gives itself back.")] = 900,
    note: Note = None,
    agent_key: AgentKey = None,
) -> None:
    """Set yen aside for a call whose price is known afterwards."""
    with _open() as wallets:
        _show(wallets.hold(wallet_id, yen, idempotency_key=key, ttl_seconds=ttl, note=note, key_id=agent_key))


HoldId = Annotated[int, typer.Argument(parser=integer, metavar="HOLD_ID", help="The hold.")]


@app.command()
def capture(hold_id: HoldId, yen: Yen) -> None:
    """Spend yen of a hold and give the rest back."""
    with _open() as wallets:
        _show(wallets.capture(hold_id, yen))


@app.command()
def release(hold_id: HoldId) -> None:
    """Give a hold back whole."""
    with _open() as wallets:
        _show(wallets.release(hold_id))


# Reading


@app.command()
def history(
    wallet_id: WalletId,
    limit: Annotated[int, typer.Option(parser=integer, metavar="N", help="At most so many entries, up to 1,000.")] = 50,
    agent_key: Annotated[
        int | None,
        typer.Option(
            "--agent-key", parser=integer, metavar="KEY_ID", help="Only what this agent key paid, less refunds."
        ),
    ] = None,
    note: Annotated[str | None, typer.Option(help="Only charges that have this note, and their refunds.")] = None,
) -> None:
    """List a wallet's ledger entries, newest first."""
    with _open() as wallets:
        _show(wallets.history(wallet_id, limit=limit, key_id=agent_key, note=note))


@app.command()
def statement(
    wallet_id: WalletId,
    cycle: Cycle,
    format: Annotated[StatementFormat, typer.Option(help="How to show it.")] = StatementFormat.text,  # noqa: A002
    rows: Annotated[
        StatementRows, typer.Option(help="Rows of a CSV: entries, or spending by agent key or by note.")
    ] = StatementRows.entries,
) -> None:
    """Show a wallet's statement of one billing cycle, with who spent it and on what."""
    with _open() as wallets:
        if Settings.json or format is StatementFormat.json:
            typer.echo(to_json(wallets.statement(wallet_id, cycle)))
            return
        form = CsvForm(rows.value) if format is StatementFormat.csv else TextForm()
        for piece in pieces_of(wallets.cycles.draw(wallet_id, cycle), form):
            typer.echo(piece.encode(), nl=False)
    if format is StatementFormat.text:
        typer.echo()


def _payments(wallets: CreditWallet) -> Payments:
    log_to_stderr()  # what payments log is no part of the answer
    return require_payments(wallets)


@topup_commands.command("run")
def topups_run() -> None:
    """Charge the saved method of every wallet below its threshold; one line each, also for what speaks against it."""
    with _open() as wallets:
        _show(_payments(wallets).run_automatic())


@topup_commands.command("reconcile")
def topups_reconcile() -> None:
    """Ask Stripe about top-ups that wait, compare recent payments with the ledger; exit 1 when a person must look."""
    with _open() as wallets:
        found = _payments(wallets).reconcile()
    _show(found)
    if found.problems:
        raise typer.Exit(REFUSED)


@topup_commands.command("pay-back")
def topups_pay_back(
    topup_id: Annotated[str, typer.Argument(metavar="TOPUP_ID", help="The top-up.")], yen: Yen, key: IdempotencyKey
) -> None:
    """Pay unused credit of a top-up back to its card; off unless the operator allows it, and limited by law."""
    with _open() as wallets:
        _show(_payments(wallets).pay_back(topup_id, yen, idempotency_key=key))


@topup_commands.command("list")
def topups_list(
    wallet_id: WalletId,
    limit: Annotated[int, typer.Option(parser=integer, metavar="N", help="At most so many, up to 1,000.")] = 50,
) -> None:
    """List a wallet's top-ups through Stripe, newest first."""
    with _open() as wallets:
        _show(wallets.topups.list(wallet_id, limit=limit))


app.command()(verify)


# Running it


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(parser=integer_from(1, 65_535), metavar="PORT", help="Port to listen on.")
    ] = 8787,
    topup_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where a 402 sends people to pay; default: the API's page.")
    ] = None,
    lanes: Annotated[
        int | None,
        typer.Option(
            parser=integer, metavar="N", help="Transactions under way at once; PostgreSQL: 2, SQLite always 1."
        ),
    ] = None,
    mcp_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Serve MCP under this name too, port included unless it varies; repeatable."),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Make a wallet with ¥10,000 and show how to charge it.")] = False,
    test_payments: Annotated[
        bool,
        typer.Option("--test-payments", help="Take test money, from a fake of Stripe beside the service."),
    ] = False,
) -> None:
    """Run the HTTP service and the background jobs in one process, until Ctrl-C.

    The operator key is $CREDIT_WALLET_OPERATOR_KEY, of 32 characters or more; several are $CREDIT_WALLET_OPERATOR_KEYS,
    as name:key,name:key. Without one, a key for this run is made and shown. $CREDIT_WALLET_METRICS_TOKEN opens the
    figures of money at /metrics. $CREDIT_WALLET_TRUSTED_PROXIES are believed about who calls (X-Forwarded-For).
    """
    try:
        from credit_wallet.http.serve import serve as run_service
    except ModuleNotFoundError as error:
        typer.echo(f"{error.name} is missing; install agent-credit-wallet[serve]", err=True)
        raise typer.Exit(USAGE) from None
    address = f"http://{host}:{port}"
    made_key = None if (keys := operator_keys()) else new_operator_key()
    if made_key is not None:
        keys = (operator_key(SOLE_NAME, made_key),)

    def ready(wallets: CreditWallet) -> None:
        typer.echo(
            f"Agent Credit Wallet on {address}, API at {address}/docs, MCP at {address}/mcp, "
            f"database {without_password(Settings.url)}"
        )
        if test_payments:
            typer.echo("Payments are TEST MONEY, from a fake of Stripe that ends with this service.")
        if made_key is not None:
            typer.echo(f"Operator key (this run):  {made_key}")
        if demo:
            typer.echo(welcome(wallets, address, takes_payments=takes_payments))

    settings = ServiceSettings(
        keys,
        topup_url or f"{address}/docs",
        notify_settings(),
        mcp_hosts(host, mcp_host or ()),
        metrics_key(),
        TrustedProxies(proxies) if (proxies := os.environ.get(TRUSTED_PROXIES_VARIABLE)) else None,
    )
    with test_money(address) if test_payments else nullcontext() as payments:
        takes_payments = payments is not None or payment_settings() is not None
        run_service(Settings.url, host, port, settings, ready, lanes=lanes, payments=payments)


@app.command("mcp")
def speak_mcp(
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help=f"Of a running service; default ${SERVICE_URL_VARIABLE}, else the database."),
    ] = None,
    topup_url: Annotated[
        str, typer.Option(metavar="URL", help="Where the owner pays, for wallets of the database.")
    ] = "",
) -> None:
    """Serve the wallet's tools to an agent's host: MCP on standard input and output.

    The token, an owner's or an agent's, is $CREDIT_WALLET_TOKEN.
    """
    try:
        from credit_wallet.mcp import stdio
    except ModuleNotFoundError as error:
        typer.echo(f"{error.name} is missing; install agent-credit-wallet[mcp]", err=True)
        raise typer.Exit(USAGE) from None
    token = os.environ.get(TOKEN_VARIABLE, "")
    if service_url := url or os.environ.get(SERVICE_URL_VARIABLE):
        stdio.speak_for_service(token, service_url)
    else:
        stdio.speak_for_database(token, Settings.url, topup_url)


@app.command()
def worker() -> None:
    """Run the background jobs alone: expiries, seals, alerts and notices, forgetting old keys, payments."""
    with (
        Stop() as stop,
        closing_in_time(stop, _open()) as wallets,
        working(stop, workers(wallets, open_payments(wallets), open_notifier(wallets))),
    ):
        wallets.clock.log_problem()
        stop.asked.wait()


@app.command("doctor")
def examine() -> None:
    """Check configuration, database, ledger, disk and clock; exit 1 when something needs a hand."""
    findings = doctor.examine(Settings.url)
    _show(findings)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(REFUSED)


@app.command()
def bench(
    seconds: Annotated[
        float, typer.Option(parser=seconds_from(0.1), metavar="S", help="How long each case runs.")
    ] = 2.0,
    folder: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            writable=True,
            help="Measure the disk this folder is on; default: the temporary folder's.",
        ),
    ] = None,
) -> None:
    """Measure charges a second on this machine beside one transaction per charge."""
    from credit_wallet.cli.bench import run_bench  # what few commands need is imported by them: every start counts

    with TemporaryDirectory(dir=folder, prefix="credit-wallet-bench-") as scratch:
        console.bench(run_bench(Path(scratch), seconds=seconds), as_json=Settings.json)


@app.command()
def demo() -> None:
    """A month of 20 agents over 5 wallets through the real rail, then a statement, the alerts and a verify."""
    from credit_wallet.cli.demo import run_demo

    run_demo(typer.echo)


if __name__ == "__main__":
    main()
