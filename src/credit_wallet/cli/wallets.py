"""``credit-wallet wallet``, ``key`` and ``seller``: wallets, their settings and tokens, agents' keys, and sellers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer
from msgspec import structs

from credit_wallet.cli.context import WalletId, integer, open_wallets, show

wallet_commands = typer.Typer(no_args_is_help=True, help="Create, look at, change and switch wallets.")
key_commands = typer.Typer(no_args_is_help=True, help="One token per agent, with a monthly cap.")

seller_commands = typer.Typer(no_args_is_help=True, help="Who may charge, hold and refund, and nothing else.")


class BudgetMode(StrEnum):
    alert = "alert"
    cap = "cap"


@wallet_commands.command("create")
def wallet_create(
    label: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    monthly_budget_yen: Annotated[int, typer.Option(parser=integer, metavar="N", help="Budget a month; 0 = none.")] = 0,
    budget_mode: Annotated[BudgetMode, typer.Option(help="At 100 %: tell (alert) or also stop (cap).")] = (
        BudgetMode.alert
    ),
    auto_topup_threshold: Annotated[
        int, typer.Option(parser=integer, metavar="N", help="Top up when the balance is below.")
    ] = 0,
    auto_topup_amount: Annotated[int, typer.Option(parser=integer, metavar="N", help="By how many yen.")] = 0,
    time_zone: Annotated[str, typer.Option(metavar="NAME", help="Of the billing cycle, such as Asia/Tokyo.")] = "UTC",
) -> None:
    """Create a wallet and show its owner token, this once; the ledger is made when there is none."""
    with open_wallets(create=True) as wallets:
        show(
            wallets.create(
                label=label,
                monthly_budget_yen=monthly_budget_yen,
                budget_mode=budget_mode.value,
                auto_topup_threshold=auto_topup_threshold,
                auto_topup_amount=auto_topup_amount,
                time_zone=time_zone,
            )
        )


@wallet_commands.command("configure")
def wallet_configure(
    wallet_id: WalletId,
    label: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    monthly_budget_yen: Annotated[
        int | None, typer.Option(parser=integer, metavar="N", help="Budget a month; 0 = none.")
    ] = None,
    budget_mode: Annotated[BudgetMode | None, typer.Option(help="At 100 %: tell (alert) or also stop (cap).")] = None,
    auto_topup_threshold: Annotated[
        int | None, typer.Option(parser=integer, metavar="N", help="Top up when the balance is below; 0 = never.")
    ] = None,
    auto_topup_amount: Annotated[int | None, typer.Option(parser=integer, metavar="N", help="By how many yen.")] = None,
    low_balance_yen: Annotated[
        int | None, typer.Option(parser=integer, metavar="N", help="Tell when the balance falls below; 0 = never.")
    ] = None,
    alert_at: Annotated[
        list[int] | None,
        typer.Option(
            parser=integer,
            metavar="PCT",
            help="Alert at this share of the budget too; may be repeated; 0 = no more of them.",
        ),
    ] = None,
) -> None:
    """Change a wallet's settings; what is not given stays."""
    given: dict[str, Any] = {
        "label": label,
        "monthly_budget_yen": monthly_budget_yen,
        "budget_mode": None if budget_mode is None else budget_mode.value,
        "auto_topup_threshold": auto_topup_threshold,
        "auto_topup_amount": auto_topup_amount,
        "low_balance_yen": low_balance_yen,
        "alert_thresholds_pct": None if alert_at is None else [] if alert_at == [0] else alert_at,
    }
    with open_wallets() as wallets:
        wallets.configure(wallet_id, **{name: value for name, value in given.items() if value is not None})
        show(wallets.show(wallet_id))


@wallet_commands.command("show")
def walletshow(wallet_id: WalletId) -> None:
    """Show a wallet: balance and the lots it is made of, holds, settings, spending of the cycle."""
    with open_wallets() as wallets:
        show({**structs.asdict(wallets.show(wallet_id)), "lots": [lot.view() for lot in wallets.lots.list(wallet_id)]})


@wallet_commands.command("list")
def wallet_list(
    after: Annotated[int, typer.Option(parser=integer, metavar="ID", help="Only wallets with a higher id.")] = 0,
    limit: Annotated[int, typer.Option(parser=integer, metavar="N", help="At most so many, up to 1,000.")] = 100,
) -> None:
    """List wallets by id."""
    with open_wallets() as wallets:
        show(wallets.list(after=after, limit=limit))


@wallet_commands.command("disable")
def wallet_disable(wallet_id: WalletId) -> None:
    """Stop a wallet from spending. Credit still comes in; open holds can be captured."""
    _switch(wallet_id, enabled=False)


@wallet_commands.command("enable")
def wallet_enable(wallet_id: WalletId) -> None:
    """Let a wallet spend again."""
    _switch(wallet_id, enabled=True)


Overlap = Annotated[
    int,
    typer.Option(
        parser=integer, metavar="S", help="So long the tokens before it go on working; 0 for one that has leaked."
    ),
]
Sha256 = Annotated[str, typer.Argument(metavar="SHA256", help="64 hex digits.")]


@wallet_commands.command("rotate-token")
def wallet_rotate_token(wallet_id: WalletId, overlap_seconds: Overlap = 3600) -> None:
    """Give a wallet another owner token and show it, this once."""
    with open_wallets() as wallets:
        show(wallets.rotate_owner_token(wallet_id, overlap_seconds=overlap_seconds))


@wallet_commands.command("register-secret")
def wallet_register_secret(
    wallet_id: WalletId,
    sha256: Sha256,
    agent_key: Annotated[
        int | None,
        typer.Option("--agent-key", parser=integer, metavar="KEY_ID", help="It opens this agent key, not the owner."),
    ] = None,
    ends_at: Annotated[
        str | None, typer.Option(metavar="T", help="When it ends: a date, that day included, or an ISO 8601 time.")
    ] = None,
) -> None:
    """Let a key of your own, known by its SHA-256, open a wallet."""
    with open_wallets() as wallets:
        show(wallets.secrets.register(wallet_id, sha256, agent_key, ends_at))


@wallet_commands.command("secrets")
def wallet_secrets(wallet_id: WalletId) -> None:
    """List what opens a wallet beside the current tokens: registered keys, earlier tokens in their overlap."""
    with open_wallets() as wallets:
        show(wallets.secrets.list(wallet_id))


@wallet_commands.command("remove-secret")
def wallet_remove_secret(sha256: Sha256) -> None:
    """Let a registered key, or an earlier token in its overlap, open nothing more."""
    with open_wallets() as wallets:
        show(wallets.secrets.remove(sha256))


def _switch(wallet_id: int, *, enabled: bool) -> None:
    with open_wallets() as wallets:
        wallets.configure(wallet_id, enabled=enabled)
        show(wallets.show(wallet_id))


@key_commands.command("create")
def key_create(
    wallet_id: WalletId,
    label: Annotated[str | None, typer.Option(help="Which agent it is for.")] = None,
    monthly_cap_yen: Annotated[
        int, typer.Option(parser=integer, metavar="N", help="Most it can spend a month; 0 = no cap.")
    ] = 0,
    expires_at: Annotated[
        str | None, typer.Option(metavar="T", help="When it ends: a date, that day included, or an ISO 8601 time.")
    ] = None,
) -> None:
    """Create an agent key and show its token, this once."""
    with open_wallets() as wallets:
        show(wallets.keys.create(wallet_id, label=label, monthly_cap_yen=monthly_cap_yen, expires_at=expires_at))


@key_commands.command("list")
def key_list(
    wallet_id: WalletId,
    after: Annotated[int, typer.Option(parser=integer, metavar="KEY_ID", help="Only keys with a higher id.")] = 0,
    limit: Annotated[int, typer.Option(parser=integer, metavar="N", help="At most so many keys, up to 1,000.")] = 1_000,
) -> None:
    """List a wallet's agent keys by id and what they have spent, ended and revoked ones included."""
    with open_wallets() as wallets:
        show(wallets.keys.list(wallet_id, after=after, limit=limit))


@key_commands.command("rotate")
def key_rotate(
    key_id: Annotated[int, typer.Argument(parser=integer, metavar="KEY_ID", help="The agent key.")],
    overlap_seconds: Overlap = 3600,
) -> None:
    """Give an agent key another token and show it, this once. Cap, spending and end stay."""
    with open_wallets() as wallets:
        show(wallets.keys.rotate(key_id, overlap_seconds=overlap_seconds))


@key_commands.command("revoke")
def key_revoke(key_id: Annotated[int, typer.Argument(parser=integer, metavar="KEY_ID", help="The agent key.")]) -> None:
    """Revoke an agent key for good, effective at once."""
    with open_wallets() as wallets:
        show({"key_id": key_id, "revoked_at": wallets.keys.revoke(key_id)})


SellerId = Annotated[int, typer.Argument(parser=integer, metavar="SELLER_ID", help="The seller.")]


@seller_commands.command("create")
def seller_create(label: Annotated[str | None, typer.Option(help="A name for people.")] = None) -> None:
    """Create a seller and show its token, this once: it charges, holds and refunds, and nothing else."""
    with open_wallets() as wallets:
        show(wallets.sellers.create(label=label))


@seller_commands.command("list")
def seller_list(
    after: Annotated[int, typer.Option(parser=integer, metavar="ID", help="Only sellers with a higher id.")] = 0,
    limit: Annotated[int, typer.Option(parser=integer, metavar="N", help="At most so many, up to 1,000.")] = 100,
) -> None:
    """List sellers by id, revoked ones included."""
    with open_wallets() as wallets:
        show(wallets.sellers.list(after=after, limit=limit))


@seller_commands.command("rotate")
def seller_rotate(seller_id: SellerId, overlap_seconds: Overlap = 3600) -> None:
    """Give a seller another token and show it, this once."""
    with open_wallets() as wallets:
        show(wallets.sellers.rotate(seller_id, overlap_seconds=overlap_seconds))


@seller_commands.command("revoke")
def seller_revoke(seller_id: SellerId) -> None:
    """Revoke a seller for good."""
    with open_wallets() as wallets:
        show(wallets.sellers.revoke(seller_id))
