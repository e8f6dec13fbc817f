"""``credit-wallet log``: who did what besides moving money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from credit_wallet.cli.context import INTEGER, Decorator, limit, open_wallets, options, show

if TYPE_CHECKING:
    from credit_wallet.domain.acts import ActView

commands = click.Group()


def which_acts(command: Any) -> Any:
    """The options that say which acts."""
    given: list[Decorator] = [
        click.option("--wallet", "wallet_id", type=INTEGER, metavar="ID", help="What was done to this wallet."),
        click.option("--kind", metavar="KIND", help="One kind, such as budget.configured, or its noun."),
        click.option("--by", metavar="NAME", help="What this author did, such as operator:3."),
        click.option("--subject", metavar="THING", help="What was done to this, such as key:7."),
        click.option("--since", metavar="T", help="From then on: an ISO 8601 time, or a day in UTC."),
        click.option("--until", metavar="T", help="Up to then: a time, or a day in UTC, which is included."),
    ]
    for option in reversed(given):
        command = option(command)
    return command


@commands.command("log")
@which_acts
@click.option("--before", type=INTEGER, metavar="ACT_ID", help="Only earlier acts, for the next page.")
@limit(100)
def log(**asked: Any) -> None:
    """List who did what besides moving money, newest first."""
    with open_wallets() as wallets:
        acts = wallets.log(**asked)
    show(acts if options.json else [_row(act) for act in acts])


def _row(act: ActView) -> dict[str, object]:
    """An act as people read it in a table."""
    return {
        "act_id": act.act_id,
        "occurred_at": act.occurred_at,
        "by": act.by,
        "kind": act.kind,
        "subject": act.subject,
        "wallet_id": act.wallet_id,
        "before": _changed(act.before),
        "after": _changed(act.after),
        "note": act.note if act.reason is None else f"{act.reason}: {act.note or ''}".rstrip(": "),
    }


def _changed(values: dict[str, Any] | None) -> str | None:
    if values is None:
        return None
    return ", ".join(f"{name}={value}" for name, value in values.items() if value is not None)
