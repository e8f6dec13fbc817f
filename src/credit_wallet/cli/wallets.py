"""``credit-wallet wallet``: wallets, their settings, and what opens them."""

from __future__ import annotations

from typing import Any, Literal

import click

from credit_wallet.cli.context import (
    INTEGER,
    Decorator,
    agent_key,
    ends,
    label,
    limit,
    metadata,
    new_metadata,
    no_metadata,
    open_wallets,
    overlap_seconds,
    show,
    wallet_id,
)
from credit_wallet.cli.reasons import note, optional_note, reason
from credit_wallet.config import FRAME_ORIGINS, PUBLIC_URL
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.links import HOME, LANGUAGES, LINK_SCOPES, LINK_SECONDS, Language

commands = click.Group("wallet", help="Create, show and configure wallets and their tokens.")

STATUSES = ("low", "in_debt", "exhausted", "disabled", "closed", "failed_topup")
_KEYS = ("wallet_id", "label", "reference", "created_at", "balance", "spent")
SERVED_AT = "http://127.0.0.1:8787"
"""Where ``credit-wallet serve`` listens by default."""

SORTS = (*_KEYS, *(f"-{key}" for key in _KEYS))

sha256 = click.argument("sha256", metavar="SHA256")


def _setting(option: str, help_text: str, *, of_new_wallet: bool) -> Decorator:
    """A setting in yen: 0 for a new wallet, and unchanged for one that there is, unless given."""
    return click.option(option, type=INTEGER, metavar="N", default=0 if of_new_wallet else None, help=help_text)


def _settings(*, of_new_wallet: bool) -> Decorator:
    """The options that ``create`` and ``configure`` share."""

    def decorated(function: Any) -> Any:
        for decorate in (
            _setting("--auto-topup-amount", "Yen to top up by.", of_new_wallet=of_new_wallet),
            _setting(
                "--auto-topup-threshold",
                "Top up when the balance falls below N yen; 0 = never.",
                of_new_wallet=of_new_wallet,
            ),
            click.option(
                "--budget-mode",
                type=click.Choice(["alert", "cap"]),
                default="alert" if of_new_wallet else None,
                show_default=of_new_wallet,
                help="At 100 % of the budget: notify (alert), or also stop spending (cap).",
            ),
            _setting("--monthly-budget-yen", "Monthly budget; 0 = none.", of_new_wallet=of_new_wallet),
            label,
        ):
            function = decorate(function)
        return function

    return decorated


@commands.command("create")
@_settings(of_new_wallet=True)
@click.option(
    "--time-zone",
    metavar="NAME",
    default="UTC",
    show_default=True,
    help="Time zone of the billing cycle, such as Asia/Tokyo.",
)
@click.option(
    "--reference", metavar="TEXT", help="Your id of the customer; if a wallet has it already, that wallet is shown."
)
@metadata
def wallet_create(metadata: tuple[tuple[str, str], ...], **settings: Any) -> None:
    """Create a wallet; its owner token is shown only once.

    Creates the ledger if there is none.
    """
    with open_wallets(create=True) as wallets:
        show(wallets.create(metadata=dict(metadata), **settings))


@commands.command("find")
@click.option("--reference", metavar="TEXT", required=True, help="Your id of the customer.")
def wallet_find(reference: str) -> None:
    """Show the wallet that has a reference."""
    with open_wallets() as wallets:
        show(wallets.find(reference=reference))


@commands.command("configure")
@wallet_id
@_settings(of_new_wallet=False)
@_setting("--auto-topup-daily-yen", "The owner's limit on automatic top-ups a day; 0 = none.", of_new_wallet=False)
@_setting("--auto-topup-monthly-yen", "The owner's limit on automatic top-ups a month; 0 = none.", of_new_wallet=False)
@click.option("--auto-topup-consent", metavar="TEXT", help="Text that was agreed to; by default the standard one.")
@click.option(
    "--auto-topup-consent-language", type=click.Choice(["en", "ja"]), help="Language of that text; by default en."
)
@_setting("--low-balance-yen", "Notify when the balance falls below N yen; 0 = never.", of_new_wallet=False)
@click.option(
    "--alert-at",
    type=INTEGER,
    metavar="PCT",
    multiple=True,
    help="Also alert at PCT % of the budget; may be repeated; 0 = no others.",
)
@click.option("--price-group", metavar="NAME", help="Group whose prices count for the wallet; empty for none.")
@metadata
@no_metadata
def wallet_configure(
    wallet_id: int,
    alert_at: tuple[int, ...],
    price_group: str | None,
    metadata: tuple[tuple[str, str], ...],
    no_metadata: bool,
    **settings: Any,
) -> None:
    """Change a wallet's settings.

    Settings that are not given stay as they are.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if alert_at:
        given["alert_thresholds_pct"] = [] if alert_at == (0,) else [*alert_at]
    if price_group is not None:
        given["price_group"] = price_group or None
    given |= new_metadata(metadata, no_metadata)
    with open_wallets() as wallets:
        wallets.configure(wallet_id, **given)
        show(wallets.show(wallet_id))


@commands.command("show")
@wallet_id
def wallet_show(wallet_id: int) -> None:
    """Show a wallet's balance, credit, holds and settings."""
    from msgspec import structs

    from credit_wallet.cli.shown import WalletWithLots

    with open_wallets() as wallets:
        wallet, lots = wallets.show(wallet_id), wallets.lots.list(wallet_id)
        show(WalletWithLots(**structs.asdict(wallet), lots=lots))


@commands.command("list")
@click.option("--query", metavar="TEXT", help="What is known: an id, words of a name, a reference, metadata, a token.")
@click.option("--reference", metavar="TEXT", help="Only the wallet with exactly this reference.")
@click.option("--status", type=click.Choice(STATUSES), help="Only wallets in this state.")
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    metavar="ORDER",
    default="wallet_id",
    show_default=True,
    help="wallet_id, label, reference or created_at; balance or spent of few; - before it begins with the largest.",
)
@click.option("--cursor", metavar="CURSOR", help="Where the page before ended.")
@limit(100)
def wallet_list(**given: Any) -> None:
    """List and search wallets.

    What follows after a page is shown by the --cursor that is printed on stderr.
    """
    with open_wallets() as wallets:
        page = wallets.search(**given)
    show(page.wallets)
    if page.next_cursor is not None:
        click.echo(f"There may be more: --cursor {page.next_cursor}", err=True)


@commands.command("disable")
@wallet_id
@reason("other")
@optional_note
def wallet_disable(wallet_id: int, reason: CorrectionReason, note: str | None) -> None:
    """Freeze a wallet: nothing is spent of it.

    It can still be topped up, and its open holds can be captured.
    """
    with open_wallets() as wallets:
        show(wallets.freeze(wallet_id, reason=reason, note=note))


@commands.command("enable")
@wallet_id
@reason("other")
@optional_note
def wallet_enable(wallet_id: int, reason: CorrectionReason, note: str | None) -> None:
    """Let a frozen wallet spend again.

    It takes back a closing that has not ended.
    """
    with open_wallets() as wallets:
        show(wallets.unfreeze(wallet_id, reason=reason, note=note))


@commands.command("close")
@wallet_id
@reason("closing")
@note
@click.option(
    "--unused",
    type=click.Choice(["pay_back", "write_off"]),
    default="pay_back",
    show_default=True,
    help="What happens to unused credit that was paid for.",
)
@click.option("--release-holds", is_flag=True, help="Release open holds instead of waiting for them.")
@click.option("--write-off-debt", is_flag=True, help="Write off what the wallet owes.")
def wallet_close(
    wallet_id: int,
    reason: CorrectionReason,
    note: str,
    unused: Literal["pay_back", "write_off"],
    release_holds: bool,
    write_off_debt: bool,
) -> None:
    """Close the wallet of a customer who leaves, for good.

    Run it again when it was blocked or interrupted: it goes on where it stopped.
    """
    with open_wallets() as wallets:

        def pay_back(topup_id: str, amount_yen: int, *, idempotency_key: str) -> object:
            from credit_wallet.payments.factory import require_payments

            return require_payments(wallets).pay_back(topup_id, amount_yen, idempotency_key=idempotency_key)

        show(
            wallets.close_wallet(
                wallet_id,
                reason=reason,
                note=note,
                unused=unused,
                release_holds=release_holds,
                write_off_debt=write_off_debt,
                pay_back=pay_back,
            )
        )


@commands.command("merge")
@wallet_id
@click.argument("into_wallet", type=INTEGER, metavar="INTO")
@reason("merge")
@note
def wallet_merge(wallet_id: int, into_wallet: int, reason: CorrectionReason, note: str) -> None:
    """Move all credit of wallet ID to wallet INTO and close ID.

    Both must be the same customer's. Run it again when it was blocked or interrupted: it goes on where it stopped.
    """
    with open_wallets() as wallets:
        show(wallets.merge(wallet_id, into_wallet, reason=reason, note=note))


@commands.command("link")
@wallet_id
@click.option(
    "--expires-in-seconds",
    type=INTEGER,
    metavar="N",
    default=LINK_SECONDS,
    show_default=True,
    help="For how long it can be opened: 30 to 3,600 seconds.",
)
@click.option("--read-only", is_flag=True, help="See the wallet, but change nothing.")
@click.option("--path", metavar="PATH", default=HOME, show_default=True, help="The page that it leads to.")
@click.option("--language", type=click.Choice(LANGUAGES), help="Language of the pages; by default the browser's.")
def wallet_link(wallet_id: int, expires_in_seconds: int, read_only: bool, path: str, language: Language | None) -> None:
    """Make a link that lets a customer in to the pages of wallet ID, once.

    It is shown only once. It leads to the address of CREDIT_WALLET_PUBLIC_URL.
    """
    from credit_wallet.wire.link_bodies import WalletLink

    with open_wallets() as wallets:
        link = wallets.links.create(
            wallet_id,
            expires_in_seconds=expires_in_seconds,
            scopes=("read",) if read_only else LINK_SCOPES,
            path=path,
            language=language,
        )
    show(WalletLink.of(link, PUBLIC_URL.read() or SERVED_AT, in_frames=bool(FRAME_ORIGINS.read())))


@commands.command("hand-over")
@wallet_id
@click.argument("reference", metavar="REFERENCE")
@click.option("--rotate-token", is_flag=True, help="Hand it over: a new owner token, and every other one ends.")
@reason("other")
@optional_note
def wallet_hand_over(
    wallet_id: int, reference: str, rotate_token: bool, reason: CorrectionReason, note: str | None
) -> None:
    """Attach wallet ID to the customer REFERENCE.

    A new owner token is shown only once.
    """
    with open_wallets() as wallets:
        show(wallets.hand_over(wallet_id, reference, rotate_token=rotate_token, reason=reason, note=note))


@commands.command("erase")
@wallet_id
@reason("customer_request")
@optional_note
def wallet_erase(wallet_id: int, reason: CorrectionReason, note: str | None) -> None:
    """Erase what the closed wallet ID has of people, for good.

    Labels, references, metadata, notes and addresses. Run it again when it was interrupted: it goes on.
    """
    with open_wallets() as wallets:
        show(wallets.erase_personal_data(wallet_id, reason=reason, note=note))


@commands.command("rotate-token")
@wallet_id
@overlap_seconds
def wallet_rotate_token(wallet_id: int, overlap_seconds: int) -> None:
    """Give a wallet a new owner token, shown only once."""
    with open_wallets() as wallets:
        show(wallets.rotate_owner_token(wallet_id, overlap_seconds=overlap_seconds))


@commands.command("register-secret")
@wallet_id
@sha256
@agent_key("The secret acts as this agent key, not as the owner.")
@ends("--ends-at", "When it stops working")
def wallet_register_secret(wallet_id: int, sha256: str, agent_key: int | None, ends_at: str | None) -> None:
    """Let a secret of your own open a wallet.

    SHA256 is the hash of the secret, 64 hex digits.
    """
    with open_wallets() as wallets:
        show(wallets.secrets.register(wallet_id, sha256, agent_key, ends_at))


@commands.command("secrets")
@wallet_id
def wallet_secrets(wallet_id: int) -> None:
    """List registered secrets and old tokens that still work."""
    with open_wallets() as wallets:
        show(wallets.secrets.list(wallet_id))


@commands.command("remove-secret")
@sha256
def wallet_remove_secret(sha256: str) -> None:
    """Remove a registered secret or an old token.

    SHA256 is its hash, as `wallet secrets` lists it.
    """
    with open_wallets() as wallets:
        show(wallets.secrets.remove(sha256))
