"""Agent keys: make, cap, rotate, revoke."""

from __future__ import annotations

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.forms import Form
from credit_wallet.pages.routes import wallet_action, wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.rules.validation import MAX_ID

PAGE = 100


@wallet_page("/keys")
async def list_keys(visit: Visit) -> Reply:
    """Every key, the newest first."""
    keys = await visit.get("/credit/keys", limit=PAGE + 1, before=visit.query.get("before") or MAX_ID)
    return await visit.show(
        "wallet/keys.html",
        keys=keys[:PAGE],
        next_before=keys[PAGE - 1]["key_id"] if len(keys) > PAGE else None,
        is_first="before" not in visit.query,
    )


@wallet_action("/keys", list_keys)
async def create_key(visit: Visit) -> Reply:
    """Make a key, and show its token once."""
    form = visit.form
    made = await visit.send(
        "POST",
        "/credit/keys",
        form.given(
            label=form.optional("label"),
            monthly_cap_yen=form.whole("monthly_cap_yen"),
            expires_at=form.optional("expires_at"),
            scopes=form.many("scopes") or None,
        ),
    )
    return await visit.show("wallet/key-made.html", made=made, rotated=False)


@wallet_page("/keys/{key_id}")
async def show_key(visit: Visit) -> Reply:
    """One key."""
    return await visit.show("wallet/key.html", key=await visit.get(f"/credit/keys/{visit.id('key_id')}"))


@wallet_action("/keys/{key_id}", show_key)
async def configure_key(visit: Visit) -> Reply:
    """Change a key's label and cap."""
    visit.require(visit.changing)
    key = f"/credit/keys/{visit.id('key_id')}"
    changes = visit.form.changed(await visit.get(key), label=Form.optional, monthly_cap_yen=Form.whole_or_zero)
    if changes:
        await visit.send("PATCH", key, changes)
    return visit.go(f"/keys/{visit.id('key_id')}", done="saved")


@wallet_action("/keys/{key_id}/rotate", show_key)
async def rotate_key(visit: Visit) -> Reply:
    """Give a key another token, and show it once."""
    body = {"overlap_seconds": visit.form.whole("overlap_seconds") or 0}
    made = await visit.send("POST", f"/credit/keys/{visit.id('key_id')}/rotate", body)
    return await visit.show("wallet/key-made.html", made=made, rotated=True)


@wallet_action("/keys/{key_id}/revoke", show_key)
async def revoke_key(visit: Visit) -> Reply:
    """End a key for good."""
    await visit.send("DELETE", f"/credit/keys/{visit.id('key_id')}")
    return visit.go("/keys", done="key-revoked")
