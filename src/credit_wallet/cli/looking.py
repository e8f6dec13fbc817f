"""Looking things up: a hold, transfer or top-up by its id, a wallet's transfers and forecast, all wallets together."""

from __future__ import annotations

import click

from credit_wallet.cli.context import INTEGER, limit, open_wallets, options, show, wallet_id

commands = click.Group()
look_up = click.Group("look-up", help="Look one thing up by its id.")
commands.add_command(look_up)


@look_up.command("hold")
@click.argument("hold_id", type=INTEGER, metavar="HOLD_ID")
def look_up_hold(hold_id: int) -> None:
    """Show a hold and its status."""
    with open_wallets() as wallets:
        show(wallets.holds.show(hold_id))


@look_up.command("transfer")
@click.argument("transfer_id", metavar="TRANSFER_ID")
def look_up_transfer(transfer_id: str) -> None:
    """Show a transfer, as the wallet has it that it leaves."""
    with open_wallets() as wallets:
        show(wallets.transfers.show(transfer_id))


@look_up.command("topup")
@click.argument("topup_id", metavar="TOPUP_ID")
def look_up_topup(topup_id: str) -> None:
    """Show a top-up through Stripe as the ledger has it, and what to do about it."""
    from credit_wallet.rules.topup_advice import case_of

    with open_wallets() as wallets:
        show(case_of(wallets.topups.show(topup_id)))


@commands.command("transfers")
@wallet_id
@click.option("--before", metavar="TRANSFER_ID", help="Only earlier ones, for the next page.")
@limit(50)
def transfers(wallet_id: int, before: str | None, limit: int) -> None:
    """List a wallet's transfers, out and in, newest first."""
    with open_wallets() as wallets:
        wallets.show(wallet_id)  # an unknown wallet is refused
        show(wallets.transfers.list(wallet_id, before=before, limit=limit))


@commands.command("forecast")
@wallet_id
def forecast(wallet_id: int) -> None:
    """Show spending's pace, and when balance and budget run out."""
    with open_wallets() as wallets:
        show(wallets.forecast(wallet_id))


@commands.command("totals")
def totals() -> None:
    """Show what all wallets have together, and what moved this month.

    Counts now, which reads every wallet's row. Months are of UTC.
    """
    with open_wallets() as wallets:
        show(wallets.totals(anew=True))


_OUTSTANDING = ("counted_at", "counted_to", "wallets", "frozen", "closed", "balance", "paid", "promo", "held", "debt")


@commands.command("overview")
@click.option("--zone", metavar="ZONE", default="UTC", show_default=True, help="IANA time zone whose days are shown.")
def overview(zone: str) -> None:
    """Show all wallets, the last 15 days, and what needs a person.

    What the worker has not counted yet is counted first.
    """
    with open_wallets() as wallets:
        while wallets.maintenance.count_totals():
            pass
        shown = wallets.ledger_overview(zone=zone)
    if options.json:
        show(shown)
        return
    show({name: getattr(shown, name) for name in _OUTSTANDING})
    show(shown.days)
    show([case for cases in shown.cases for case in cases.first])
