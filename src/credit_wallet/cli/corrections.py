"""Commands that correct what went wrong: ``adjust`` and ``take-back``."""

from __future__ import annotations

from typing import Any, Literal

import click

from credit_wallet.cli.context import (
    INTEGER,
    Exact,
    called,
    ends,
    idempotency_key,
    open_wallets,
    show,
    wallet_id,
)
from credit_wallet.cli.reasons import note, reason
from credit_wallet.domain.corrections import CorrectionReason

commands = click.Group()

allow_debt = click.option("--allow-debt", is_flag=True, help="Let what is missing become debt.")


@commands.command(context_settings={"ignore_unknown_options": True})
@wallet_id
@click.argument("yen", type=Exact("decimal", signed=True), metavar="YEN")
@reason()
@note
@idempotency_key
@click.option("--kind", type=click.Choice(["paid", "promo"]), help="Credit to add (default: promo), or to take from.")
@ends("--expires-at", "When credit that is added expires")
@allow_debt
@called
def adjust(
    wallet_id: int,
    yen: str,
    reason: CorrectionReason,
    note: str,
    key: str,
    kind: Literal["paid", "promo"] | None,
    expires_at: str | None,
    allow_debt: bool,
    names: dict[str, Any],
) -> None:
    """Add YEN to wallet ID, or take it: -10 takes 10.

    It is not spending: no budget counts it.
    """
    with open_wallets() as wallets:
        show(
            wallets.adjust(
                wallet_id,
                yen,
                reason=reason,
                note=note,
                idempotency_key=key,
                kind=kind,
                expires_at=expires_at,
                allow_debt=allow_debt,
                **names,
            )
        )


@commands.command("take-back")
@click.argument("txn_id", type=INTEGER, metavar="TXN_ID")
@click.argument("yen", type=Exact("decimal"), metavar="[YEN]", required=False)
@reason("mistyped_topup")
@note
@idempotency_key
@allow_debt
@called
def take_back(
    txn_id: int,
    yen: str | None,
    reason: CorrectionReason,
    note: str,
    key: str,
    allow_debt: bool,
    names: dict[str, Any],
) -> None:
    """Take back the manual top-up TXN_ID, in full or in part.

    Without YEN, everything that is left of it is taken back.
    """
    with open_wallets() as wallets:
        taken = wallets.take_back(
            txn_id, yen, reason=reason, note=note, idempotency_key=key, allow_debt=allow_debt, **names
        )
        show(taken)
