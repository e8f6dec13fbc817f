"""Settings of a wallet: its name, its monthly budget, when it warns, its token, and what its operator notes."""

from __future__ import annotations

from contextlib import suppress

from credit_wallet.errors import WalletError
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import OWNER, action, wallet_action, wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.wire.asgi import address_of

SPARE_PAIRS = 2
"""Empty rows below the pairs of metadata."""


@wallet_page("/settings")
async def show_settings(visit: Visit) -> Reply:
    """What of the wallet can be set, and what it is."""
    wallet = await visit.wallet()
    sent = list(zip(visit.form.many("name"), visit.form.many("value"), strict=False))
    pairs = sent or [*wallet["metadata"].items(), *[("", "")] * SPARE_PAIRS]
    return await visit.show(
        "wallet/settings.html",
        pairs=pairs,
        owns=visit.allows("own") and not visit.place.of_operator,
        signs_out_everywhere=not visit.place.of_operator and not visit.place.in_frame,
    )


@wallet_action("/settings/name", show_settings)
async def rename(visit: Visit) -> Reply:
    """Change the wallet's name."""
    await visit.send("PATCH", "/credit/wallet", {"label": visit.form.text("label")})
    return visit.go("/settings", done="saved")


@wallet_action("/settings/budget", show_settings)
async def set_monthly_budget(visit: Visit) -> Reply:
    """Change what may be spent in a month, what happens then, and when notices are sent."""
    form = visit.form
    body = {
        "monthly_budget_yen": form.whole("monthly_budget_yen") or 0,
        "budget_mode": form.text("budget_mode"),
        "alert_thresholds_pct": form.percentages("alert_thresholds_pct"),
    }
    await visit.send("PATCH", "/credit/wallet", body)
    return visit.go("/settings", done="saved")


@wallet_action("/settings/low-balance", show_settings)
async def set_low_balance(visit: Visit) -> Reply:
    """Change below which balance a notice is sent."""
    await visit.send("PATCH", "/credit/wallet", {"low_balance_yen": visit.form.whole("low_balance_yen") or 0})
    return visit.go("/settings", done="saved")


@wallet_action("/settings/metadata", show_settings)
async def set_metadata(visit: Visit) -> Reply:
    """Change what the operator notes about the wallet."""
    form = visit.form
    pairs = zip(form.many("name"), form.many("value"), strict=False)
    metadata = {name.strip(): value.strip() for name, value in pairs if name.strip() or value.strip()}
    await visit.send("POST", f"/operator/wallets/{visit.place.wallet_id}/metadata", {"metadata": metadata})
    return visit.go("/settings", done="saved")


@wallet_action("/settings/rotate-token", show_settings)
async def rotate_token(visit: Visit) -> Reply:
    """Make another owner token and show it once; the session goes on with it, since the earlier token may end at once.

    The token is shown whatever happens to the session: nobody could ask for it again.
    """
    await visit.wallet()
    made = await visit.send(
        "POST", "/credit/token/rotate", {"overlap_seconds": visit.form.whole("overlap_seconds") or 0}
    )
    if not visit.place.of_operator:
        with suppress(WalletError):
            await _sign_in_again(visit, made["owner_token"])
    return await visit.show("wallet/token-made.html", made=made)


@action(f"{OWNER}/settings/sign-out-everywhere", "owner", show_settings)
async def sign_out_everywhere(visit: Visit) -> Reply:
    """End every session that the same token or key has opened, this one too."""
    if visit.secret is not None:
        await visit.entrance.people.end_all(visit.secret)
    visit.set_cookie(visit.entrance.cookies.end_session(in_frame=visit.place.in_frame))
    return visit.leave("/", done="signed-out-everywhere")


async def _sign_in_again(visit: Visit, token: str) -> None:
    begun = await visit.entrance.people.sign_in(token, address_of(visit.scope), earlier=visit.secret)
    visit.set_cookie(visit.entrance.cookies.set_session(begun.secret, in_frame=visit.place.in_frame))
    visit.csrf = begun.csrf
