"""``credit-wallet alerts``: the alert job, and the deliveries of notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from credit_wallet.cli.context import INTEGER, REFUSED, limit, open_wallets, show, wallet_id
from credit_wallet.cli.targets import owner, target_commands
from credit_wallet.errors import InvalidRequest

if TYPE_CHECKING:
    from credit_wallet.delivery.notifier import Notifier
    from credit_wallet.domain.views import DeliveryStatus
    from credit_wallet.ledger.wallet import CreditWallet

commands = click.Group("alerts", help="Fire spending alerts, and manage notices.")
commands.add_command(target_commands)


def _notifier(wallets: CreditWallet) -> Notifier:
    from credit_wallet.delivery.factory import require_notifier

    return require_notifier(wallets)


@commands.command("run")
@click.option("--cycle", metavar="YYYY-MM", help="Billing cycle; default: each wallet's current one.")
@click.option("--dry-run", is_flag=True, help="Report what would fire and write nothing.")
def alerts_run(cycle: str | None, dry_run: bool) -> None:
    """Fire the alerts that are due, and print a report.

    These are spending alerts, and notices of credit that expires soon and of budgets that have started anew. The report
    is one line of JSON.
    """
    with open_wallets() as wallets:
        report = wallets.alerts.run(cycle, dry_run=dry_run)
        while not dry_run and wallets.maintenance.emit_expiry_notices():
            pass
        while not dry_run and wallets.maintenance.emit_renewals():
            pass
    click.echo(report.to_json())


@commands.command("list")
@wallet_id
@click.option("--cycle", metavar="YYYY-MM", help="Billing cycle; default: all.")
def alerts_list(wallet_id: int, cycle: str | None) -> None:
    """List the spending alerts that a wallet's budget has fired, newest first."""
    with open_wallets() as wallets:
        show(wallets.alerts.list(wallet_id, cycle))


@commands.command("deliver")
def alerts_deliver() -> None:
    """Send the notices that are due now.

    The worker does this automatically; this command is for a cron job beside `alerts run`.
    """
    with open_wallets() as wallets:
        show({"delivered": _notifier(wallets).deliver()})


@commands.command("test")
@owner
def alerts_test(owner: int | None) -> None:
    """Send a sample to every target of wallet ID.

    Without ID: to the operator's targets. Exits 1 when one does not accept it.
    """
    from credit_wallet.notices.targets import OPERATOR

    with open_wallets() as wallets:
        tried = _notifier(wallets).test(OPERATOR if owner is None else owner)
        show(tried)
    if any(each.error is not None for each in tried):
        raise click.exceptions.Exit(REFUSED)


@commands.command("deliveries")
@click.option("--wallet", type=INTEGER, metavar="ID", help="Only of this wallet.")
@click.option("--status", type=click.Choice(["pending", "delivered", "dead"]), help="Only with this status.")
@click.option("--before", type=INTEGER, metavar="DELIVERY_ID", help="Only earlier ones, for the next page.")
@limit(50)
def alerts_deliveries(wallet: int | None, status: DeliveryStatus | None, before: int | None, limit: int) -> None:
    """List deliveries of notices, latest first.

    A delivery is pending, delivered, or dead after three days of attempts.
    """
    with open_wallets() as wallets:
        show(wallets.deliveries.list(wallet, status=status, before=before, limit=limit))


@commands.command("resend")
@click.argument("delivery_id", type=INTEGER, metavar="[DELIVERY_ID]", required=False)
@click.option("--dead", is_flag=True, help="All dead deliveries.")
def alerts_resend(delivery_id: int | None, dead: bool) -> None:
    """Send a delivery, or all dead ones, again.

    The worker sends them within a second.
    """
    if (delivery_id is None) != dead:
        raise InvalidRequest("give either a DELIVERY_ID or --dead for all dead deliveries", field="delivery_id")
    with open_wallets() as wallets:
        show({"resent": wallets.deliveries.resend(delivery_id)})
