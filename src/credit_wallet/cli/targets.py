"""``credit-wallet alerts targets``: where notices go."""

from __future__ import annotations

from typing import Literal

import click

from credit_wallet.cli.context import INTEGER, open_wallets, show

target_commands = click.Group("targets", help="Manage where notices go: webhooks, mail, Slack and others.")

owner = click.argument("owner", type=INTEGER, metavar="[ID]", required=False)
target_id = click.argument("target_id", type=INTEGER, metavar="TARGET_ID")


@target_commands.command("list")
@owner
def targets_list(owner: int | None) -> None:
    """List where the notices of wallet ID go.

    Without ID: the operator's, which get the notices of every wallet.
    """
    from credit_wallet.notices.targets import OPERATOR

    with open_wallets() as wallets:
        show(wallets.targets.list(OPERATOR if owner is None else owner))


@target_commands.command("add")
@click.argument("url", metavar="URL")
@owner
@click.option("--kind", "kinds", metavar="TEXT", multiple=True, help="Only events of this kind; may be repeated.")
@click.option(
    "--language", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Language of the text."
)
@click.option("--quiet-hours", metavar="HH:MM-HH:MM", help="Hold notices back during these hours.")
@click.option("--digest", metavar="WHEN", help="Collect notices: hourly, or at a time of day such as 09:00.")
@click.option(
    "--time-zone",
    metavar="NAME",
    default="UTC",
    show_default=True,
    help="Time zone of quiet hours and digest, such as Asia/Tokyo.",
)
@click.option("--confirmed", is_flag=True, help="The wallet's mailbox wants notices: do not ask it first.")
def targets_add(
    url: str,
    owner: int | None,
    kinds: tuple[str, ...],
    language: Literal["en", "ja"],
    quiet_hours: str | None,
    digest: str | None,
    time_zone: str,
    confirmed: bool,
) -> None:
    """Send the notices of wallet ID, or of all wallets, to URL.

    URL is https://… of a webhook, mailto:person@host, or an address such as slack://… or tgram://…. Adding one that is
    there already changes how notices are sent to it. A webhook's secret is shown only once. A wallet's mailbox gets a
    code first, and nothing else until `confirm`.
    """
    from credit_wallet.delivery.factory import notify_settings
    from credit_wallet.notices.targets import OPERATOR, TargetSettings

    settings = notify_settings()
    target = TargetSettings(
        url=url, kinds=kinds, language=language, quiet_hours=quiet_hours, digest=digest, time_zone=time_zone
    )
    with open_wallets() as wallets:
        wallet_id = OPERATOR if owner is None else owner
        allowed = {"mail": settings.mail, "private": settings.private}
        show(wallets.targets.add(wallet_id, target, confirmed=confirmed, **allowed))


@target_commands.command("confirm")
@target_id
@click.argument("code", metavar="CODE")
def targets_confirm(target_id: int, code: str) -> None:
    """Confirm a mailbox with the code that it was sent.

    CODE looks like K7QM-3XRA. From now on the mailbox gets notices.
    """
    with open_wallets() as wallets:
        show(wallets.targets.confirm(wallets.targets.show(target_id).wallet_id, target_id, code))


@target_commands.command("ask-again")
@target_id
def targets_ask_again(target_id: int) -> None:
    """Send a new code to a mailbox that is not confirmed yet."""
    with open_wallets() as wallets:
        show(wallets.targets.ask_again(wallets.targets.show(target_id).wallet_id, target_id))


@target_commands.command("remove")
@target_id
def targets_remove(target_id: int) -> None:
    """Remove a target.

    Notices that still wait for it are not sent.
    """
    with open_wallets() as wallets:
        show(wallets.targets.remove(target_id))


@target_commands.command("rotate-secret")
@target_id
def targets_rotate_secret(target_id: int) -> None:
    """Give a webhook a new secret, shown only once.

    The old one keeps signing for a day.
    """
    with open_wallets() as wallets:
        show(wallets.targets.rotate_secret(target_id))
