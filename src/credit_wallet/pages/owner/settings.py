"""Settings of a wallet: its name, its monthly budget, when it warns, its token, and what its operator notes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec import MsgspecError, json

from credit_wallet.errors import InvalidRequest, WalletError
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.forms import Form, merged
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
    shown = json.encode(wallet["metadata"]).decode()
    pairs = sent or [*wallet["metadata"].items(), *[("", "")] * SPARE_PAIRS]
    return await visit.show(
        "wallet/settings.html",
        pairs=pairs,
        metadata=visit.was_in(f"{visit.place.base}/settings/metadata", "metadata", shown),
        owns=visit.allows("own") and not visit.place.of_operator,
        signs_out_everywhere=not visit.place.of_operator and not visit.place.in_frame,
    )


@wallet_action("/settings/name", show_settings)
async def rename(visit: Visit) -> Reply:
    """Change the wallet's name."""
    return await _change(visit, label=Form.text)


@wallet_action("/settings/budget", show_settings)
async def set_monthly_budget(visit: Visit) -> Reply:
    """Change what may be spent in a month, what happens then, and when notices are sent."""
    return await _change(
        visit,
        monthly_budget_yen=Form.whole_or_zero,
        budget_mode=Form.text,
        alert_thresholds_pct=Form.percentages,
    )


@wallet_action("/settings/low-balance", show_settings)
async def set_low_balance(visit: Visit) -> Reply:
    """Change below which balance a notice is sent."""
    return await _change(visit, low_balance_yen=Form.whole_or_zero)


async def _change(visit: Visit, **fields: Callable[[Form, str], Any]) -> Reply:
    visit.require(visit.changing)
    changes = visit.form.changed(await visit.wallet(), **fields)
    if changes:
        await visit.send("PATCH", "/credit/wallet", changes)
    return visit.go("/settings", done="saved")


@wallet_action("/settings/metadata", show_settings)
async def set_metadata(visit: Visit) -> Reply:
    """Change what the operator notes about the wallet."""
    form = visit.form
    pairs = zip(form.many("name"), form.many("value"), strict=False)
    wanted = {name.strip(): value.strip() for name, value in pairs if name.strip() or value.strip()}
    metadata = merged(_shown_metadata(form), wanted, (await visit.wallet())["metadata"], "metadata")
    await visit.send("POST", f"/operator/wallets/{visit.place.wallet_id}/metadata", {"metadata": metadata})
    return visit.go("/settings", done="saved")


def _shown_metadata(form: Form) -> dict[str, str]:
    """The pairs that the page has shown. Raises ``InvalidRequest``."""
    try:
        return json.decode(form.text("was.metadata"), type=dict[str, str])
    except MsgspecError as error:
        raise InvalidRequest("the form is incomplete; open the page again", field="metadata") from error


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
