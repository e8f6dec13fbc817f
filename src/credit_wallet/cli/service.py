"""Commands that run the service and look after it: ``serve``, ``worker``, ``mcp``, ``doctor``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from credit_wallet.cli.context import INTEGER, REFUSED, WholeNumber, open_wallets, options, show
from credit_wallet.config import FRAME_ORIGINS, PUBLIC_URL, SERVICE_URL, TOKEN, TRUSTED_PROXIES
from credit_wallet.database_urls import without_password
from credit_wallet.extras import needs
from credit_wallet.telemetry import prepare_logs

if TYPE_CHECKING:
    from credit_wallet.ledger.wallet import CreditWallet

commands = click.Group()


@commands.command()
@click.option("--host", metavar="TEXT", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=WholeNumber(1, 65_535), metavar="PORT", default=8787, show_default=True, help="Port to listen on."
)
@click.option("--topup-url", metavar="URL", help="Where a 402 response sends people to pay; default: its own page.")
@click.option(
    "--lanes", type=INTEGER, metavar="N", help="Transactions at once; default: 2 on PostgreSQL; always 1 on SQLite."
)
@click.option(
    "--mcp-host",
    metavar="NAME",
    multiple=True,
    help="Also serve MCP under this host name, or NAME:PORT; may be repeated.",
)
@click.option("--demo", is_flag=True, help="Create a wallet with ¥10,000 and print how to charge it.")
@click.option("--test-payments", is_flag=True, help="Take test money, from a fake Stripe beside the service.")
def serve(
    host: str,
    port: int,
    topup_url: str | None,
    lanes: int | None,
    mcp_host: tuple[str, ...],
    demo: bool,
    test_payments: bool,
) -> None:
    """Run the HTTP service and the background jobs.

    Both run in this process, until Ctrl-C.

    Set the operator key in CREDIT_WALLET_OPERATOR_KEY (32 characters or more), or several in
    CREDIT_WALLET_OPERATOR_KEYS as name:key,name:key. Without either, a key for this run is made and printed.
    CREDIT_WALLET_METRICS_TOKEN opens the money figures at /metrics. CREDIT_WALLET_TRUSTED_PROXIES lists the proxies
    whose X-Forwarded-For is believed.
    """
    with needs("serve"):
        from credit_wallet.http.serve import serve as run_service
    from credit_wallet.cli.welcome import welcome
    from credit_wallet.delivery.factory import notify_settings
    from credit_wallet.domain.tokens import new_operator_key
    from credit_wallet.http.app_settings import ServiceSettings, mcp_hosts, own_address
    from credit_wallet.http.forwarded import TrustedProxies
    from credit_wallet.ledger.nouns import prepare_nouns
    from credit_wallet.payments.factory import test_money
    from credit_wallet.payments.settings import PAY_IN, payment_settings
    from credit_wallet.wire.operator_keys import SOLE_NAME, metrics_key, operator_key, operator_keys

    prepare_logs()
    prepare_nouns()
    address = own_address(host, port)
    public_url = PUBLIC_URL.read() or address
    made_key = None if (keys := operator_keys()) else new_operator_key()
    if made_key is not None:
        keys = (operator_key(SOLE_NAME, made_key),)

    def ready(wallets: CreditWallet) -> None:
        click.echo(
            f"Agent Credit Wallet on {address}, dashboard at {address}/dashboard, API at {address}/docs, "
            f"MCP at {address}/mcp, database {without_password(options.url)}"
        )
        if test_payments:
            click.echo("Payments are TEST MONEY, from a fake Stripe that stops with this service.")
        if made_key is not None:
            click.echo(f"Operator key (this run):  {made_key}")
        if demo:
            click.echo(welcome(wallets, address, takes_payments=takes_payments))

    settings = ServiceSettings(
        keys,
        topup_url or public_url + PAY_IN,
        notify_settings(),
        mcp_hosts(host, mcp_host),
        metrics_key(),
        TrustedProxies(proxies) if (proxies := TRUSTED_PROXIES.read()) else None,
        public_url,
        FRAME_ORIGINS.read(),
        test_payments,
    )
    with test_money(address) if test_payments else nullcontext(payment_settings(address=address)) as payments:
        takes_payments = payments is not None
        run_service(options.url, host, port, settings, ready, lanes=lanes, payments=payments)


@commands.command()
def worker() -> None:
    """Run only the background jobs, until Ctrl-C.

    These are expiries, seals, alerts, notices and payments.
    """
    from credit_wallet.delivery.factory import open_notifier
    from credit_wallet.ledger.nouns import prepare_nouns
    from credit_wallet.payments.factory import open_payments
    from credit_wallet.runtime.stopping import Stop, closing_in_time
    from credit_wallet.worker import workers, working

    prepare_logs()
    prepare_nouns()
    with (
        Stop() as stop,
        closing_in_time(stop, open_wallets()) as wallets,
        working(stop, workers(wallets, open_payments(wallets), open_notifier(wallets))),
    ):
        wallets.clock.log_problem()
        stop.asked.wait()


@commands.command()
@click.option(
    "--url", metavar="URL", help=f"A running service; default: ${SERVICE_URL.name}, else the database is used."
)
@click.option("--topup-url", metavar="URL", help="Where the owner pays, when the database is used.")
def mcp(url: str | None, topup_url: str | None) -> None:
    """Serve the wallet's tools to an agent over MCP.

    MCP runs on standard input and output. Set the owner's or the agent's token in CREDIT_WALLET_TOKEN.
    """
    with needs("mcp"):
        from credit_wallet.mcp import stdio
    from credit_wallet.payments.settings import own_pay_in

    token = TOKEN.read()
    if service_url := url or SERVICE_URL.read():
        stdio.speak_for_service(token, service_url)
    else:
        stdio.speak_for_database(token, options.url, topup_url or own_pay_in())


@commands.command()
def doctor() -> None:
    """Check the settings, the database, the ledger and the clock.

    Exits 1 when something needs attention.
    """
    from credit_wallet.cli.doctor import examine

    findings = examine(options.url)
    show(findings)
    if not all(finding.ok for finding in findings):
        raise click.exceptions.Exit(REFUSED)
