"""``credit-wallet alerts``: the hourly job, where notices go, and what became of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from credit_wallet.cli.context import REFUSED, integer, open_wallets, show
from credit_wallet.delivery.factory import notify_settings, require_notifier
from credit_wallet.errors import InvalidRequest
from credit_wallet.notices.targets import OPERATOR, TargetSettings
from credit_wallet.telemetry import log_to_stderr

alert_commands = typer.Typer(no_args_is_help=True, help="Spending alerts, and where notices go.")
target_commands = typer.Typer(no_args_is_help=True, help="Where notices go: webhooks, mail, Slack, Telegram …")
alert_commands.add_typer(target_commands, name="targets")

Owner = Annotated[
    int | None,
    typer.Argument(
        parser=integer, metavar="[ID]", help="The wallet; without one, the operator, who hears of every wallet."
    ),
]
TargetId = Annotated[int, typer.Argument(parser=integer, metavar="TARGET_ID", help="The target.")]


class Language(StrEnum):
    en = "en"
    ja = "ja"


class Status(StrEnum):
    pending = "pending"
    delivered = "delivered"
    dead = "dead"


@alert_commands.command("run")
def alerts_run(
    cycle: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Default: the current one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would fire and write nothing.")] = False,
) -> None:
    """Fire the spending alerts and the notices of expiring credit that are due; ends with the job's JSON report."""
    with open_wallets() as wallets:
        report = wallets.alerts.run(cycle, dry_run=dry_run)
        while not dry_run and wallets.maintenance.emit_expiry_notices():
            pass
    typer.echo(report.to_json())


@alert_commands.command("deliver")
def alerts_deliver() -> None:
    """Send the notices that are due now. The worker does it every second; for a cron job beside alerts run."""
    log_to_stderr()
    with open_wallets() as wallets:
        show({"delivered": require_notifier(wallets).deliver()})


@alert_commands.command("test")
def alerts_test(owner: Owner = None) -> None:
    """Send a sample to every target of a wallet, or of the operator; exit 1 when one does not take it."""
    log_to_stderr()
    with open_wallets() as wallets:
        tried = require_notifier(wallets).test(OPERATOR if owner is None else owner)
        show(tried)
    if any(each.error is not None for each in tried):
        raise typer.Exit(REFUSED)


@alert_commands.command("deliveries")
def alerts_deliveries(
    wallet: Annotated[int | None, typer.Option(parser=integer, metavar="ID", help="Of this wallet only.")] = None,
    status: Annotated[Status | None, typer.Option(help="With this status only.")] = None,
    limit: Annotated[int, typer.Option(parser=integer, metavar="N", help="At most so many, up to 1,000.")] = 50,
) -> None:
    """Notices on their way, the latest first: delivered, pending, or dead after three days of trying."""
    with open_wallets() as wallets:
        show(wallets.deliveries.list(wallet, status=None if status is None else status.value, limit=limit))


@alert_commands.command("resend")
def alerts_resend(
    delivery_id: Annotated[
        int | None, typer.Argument(parser=integer, metavar="[DELIVERY_ID]", help="The delivery.")
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that are dead.")] = False,
) -> None:
    """Send a delivery again, or all dead ones; the worker does it within a second."""
    if (delivery_id is None) != dead:
        raise InvalidRequest("name a delivery, or say --dead for all that are dead", field="delivery_id")
    with open_wallets() as wallets:
        show({"resent": wallets.deliveries.resend(delivery_id)})


@target_commands.command("list")
def targets_list(owner: Owner = None) -> None:
    """List where notices of a wallet, or those to the operator, go."""
    with open_wallets() as wallets:
        show(wallets.targets.list(OPERATOR if owner is None else owner))


@target_commands.command("add")
def targets_add(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://…, mailto:person@host, slack://…, tgram://…")],
    owner: Owner = None,
    kinds: Annotated[list[str] | None, typer.Option("--kind", help="Only such events; may be repeated.")] = None,
    language: Annotated[Language, typer.Option(help="Of what people read.")] = Language.en,
    quiet_hours: Annotated[str | None, typer.Option(metavar="HH:MM-HH:MM", help="Hold notices back then.")] = None,
    digest: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Gather notices: hourly, or a time of day such as 09:00.")
    ] = None,
    time_zone: Annotated[str, typer.Option(metavar="NAME", help="Of quiet hours and digest, such as Asia/Tokyo.")] = (
        "UTC"
    ),
    confirmed: Annotated[
        bool, typer.Option("--confirmed", help="You know that a wallet's mailbox wants notices: it is not asked first.")
    ] = False,
) -> None:
    """Send notices to one more target, or to it in another way. A webhook's secret is shown this once; a mailbox of a
    wallet is sent a code first, and nothing else until `confirm`.
    """
    settings = notify_settings()
    target = TargetSettings(
        url=url,
        kinds=tuple(kinds or ()),
        language=language.value,
        quiet_hours=quiet_hours,
        digest=digest,
        time_zone=time_zone,
    )
    with open_wallets() as wallets:
        wallet_id = OPERATOR if owner is None else owner
        allowed = {"mail": settings.mail, "private": settings.private}
        show(wallets.targets.add(wallet_id, target, confirmed=confirmed, **allowed))


@target_commands.command("confirm")
def targets_confirm(
    target_id: TargetId,
    code: Annotated[str, typer.Argument(metavar="CODE", help="What the mailbox was sent, such as K7QM-3XRA.")],
) -> None:
    """Confirm a mailbox by the code that it was sent; from now on it gets notices."""
    with open_wallets() as wallets:
        show(wallets.targets.confirm(wallets.targets.show(target_id).wallet_id, target_id, code))


@target_commands.command("ask-again")
def targets_ask_again(target_id: TargetId) -> None:
    """Send another code to a mailbox that has not been confirmed."""
    with open_wallets() as wallets:
        show(wallets.targets.ask_again(wallets.targets.show(target_id).wallet_id, target_id))


@target_commands.command("remove")
def targets_remove(target_id: TargetId) -> None:
    """Send nothing to a target any more; what waits for it is dead."""
    with open_wallets() as wallets:
        show(wallets.targets.remove(target_id))


@target_commands.command("rotate-secret")
def targets_rotate_secret(target_id: TargetId) -> None:
    """A new secret for a webhook, shown this once; the old one goes on signing for a day."""
    with open_wallets() as wallets:
        show(wallets.targets.rotate_secret(target_id))
