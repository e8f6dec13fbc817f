"""``credit-wallet topups``: payments through Stripe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from credit_wallet.cli.context import INTEGER, REFUSED, idempotency_key, limit, open_wallets, show, wallet_id, whole_yen
from credit_wallet.domain.topup_status import STATUSES, TopupStatus

if TYPE_CHECKING:
    from credit_wallet.ledger.wallet import CreditWallet
    from credit_wallet.payments.replies import Payments

commands = click.Group("topups", help="Run, check and return payments through Stripe.")


def _payments(wallets: CreditWallet) -> Payments:
    from credit_wallet.payments.factory import require_payments

    return require_payments(wallets)


@commands.command("run")
def topups_run() -> None:
    """Charge the saved card of every wallet below its threshold.

    Prints one line for each, with its status or the reason why it was not charged.
    """
    with open_wallets() as wallets:
        show(_payments(wallets).run_automatic())


@commands.command("reconcile")
def topups_reconcile() -> None:
    """Compare top-ups and recent payments with Stripe.

    Exits 1 when something needs a person.
    """
    with open_wallets() as wallets:
        found = _payments(wallets).reconcile()
    show(found)
    if found.problems:
        raise click.exceptions.Exit(REFUSED)


@commands.command("pay-back")
@click.argument("topup_id", metavar="TOPUP_ID")
@whole_yen
@idempotency_key
def topups_pay_back(topup_id: str, yen: int, key: str) -> None:
    """Pay unused credit of a top-up back to its card.

    Off unless the operator allows it, and limited by law.
    """
    with open_wallets() as wallets:
        show(_payments(wallets).pay_back(topup_id, yen, idempotency_key=key))


@commands.command("consents")
@wallet_id
@limit(100)
def topups_consents(wallet_id: int, limit: int) -> None:
    """List what was agreed to for a wallet's automatic top-ups, newest first."""
    with open_wallets() as wallets:
        show(wallets.topups.consents(wallet_id, limit=limit))


@commands.command("list")
@click.argument("wallet_id", type=INTEGER, metavar="[ID]", required=False)
@click.option("--status", type=click.Choice(STATUSES), metavar="STATUS", help=f"Only with this: {', '.join(STATUSES)}.")
@click.option("--before", metavar="PLACE", help="For the next page: CREATED_AT~TOPUP_ID of the last one.")
@limit(50)
def topups_list(wallet_id: int | None, status: TopupStatus | None, before: str | None, limit: int) -> None:
    """List top-ups through Stripe, newest first.

    Of wallet ID, or without it of all wallets; each with why it failed or waits, and what to do next.
    """
    from credit_wallet.rules.topup_advice import case_of

    with open_wallets() as wallets:
        show([case_of(each) for each in wallets.topups.list(wallet_id, status=status, before=before, limit=limit)])
