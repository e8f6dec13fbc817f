"""``credit-wallet grants``: credit that is due once or every month."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from credit_wallet.cli.context import INTEGER, after, ends, limit, open_wallets, show, wallet_id, yen
from credit_wallet.domain.whole_numbers import whole_number

if TYPE_CHECKING:
    from credit_wallet.domain.grants import Rhythm

commands = click.Group("grants", help="Grant wallets credit, once or every month.")

grant_id = click.argument("grant_id", type=INTEGER, metavar="GRANT_ID")


class Lapses(click.ParamType):  # type: ignore[type-arg]  # generic only in the latest releases
    """``never``, ``next`` or a number of days."""

    name = "lapses"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> str | int:
        """The word or the number; wrong usage when it is neither."""
        if value in ("never", "next") or isinstance(value, int):
            return value
        try:
            return whole_number(value)
        except ValueError:
            self.fail(f"{value!r} is not never, next or a number of days, such as 30.", param, ctx)


@commands.command("create")
@wallet_id
@yen
@click.option("--paid", is_flag=True, help="Paid for, and not promotional.")
@click.option("--starts-at", metavar="T", help="When it is first due: a date or an ISO 8601 time; by default now.")
@click.option("--every", type=click.Choice(["month"]), help="Due again every month; by default once.")
@ends("--until", "When it is no longer due")
@click.option(
    "--lapses",
    type=Lapses(),
    metavar="WHEN",
    default="never",
    show_default=True,
    help="When the credit lapses: never, with the next (next), or after N days.",
)
@click.option("--note", metavar="TEXT", help="Stands on the ledger entries.")
@click.option("--key", metavar="K", help="Idempotency key: the same one again makes no second grant.")
def grants_create(
    wallet_id: int,
    yen: str,
    paid: bool,
    starts_at: str | None,
    every: str | None,
    until: str | None,
    lapses: int,
    note: str | None,
    key: str | None,
) -> None:
    """Promise a wallet credit: once, or every month.

    The worker credits it when it is due.
    """
    with open_wallets() as wallets:
        grant = wallets.grants.create(
            wallet_id,
            yen,
            promo=not paid,
            starts_at=starts_at,
            every=cast("Rhythm | None", every),
            until=until,
            lapses=lapses,
            note=note,
            idempotency_key=key,
        )
        show(grant)


@commands.command("list")
@click.option("--wallet", type=INTEGER, metavar="ID", help="Only grants to this wallet.")
@after("GRANT_ID")
@limit(100)
def grants_list(wallet: int | None, after: int, limit: int) -> None:
    """List grants by id, including canceled and finished ones."""
    with open_wallets() as wallets:
        show(wallets.grants.list(wallet, after=after, limit=limit))


@commands.command("show")
@grant_id
def grants_show(grant_id: int) -> None:
    """Show one grant."""
    with open_wallets() as wallets:
        show(wallets.grants.show(grant_id))


@commands.command("occurrences")
@grant_id
@limit(100)
def grants_occurrences(grant_id: int, limit: int) -> None:
    """List what was credited by a grant, or had lapsed, newest first."""
    with open_wallets() as wallets:
        show(wallets.grants.occurrences(grant_id, limit=limit))


@commands.command("cancel")
@grant_id
def grants_cancel(grant_id: int) -> None:
    """Cancel a grant for good.

    Credit that has arrived stays.
    """
    with open_wallets() as wallets:
        show(wallets.grants.cancel(grant_id))
