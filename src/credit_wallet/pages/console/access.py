"""What opens one wallet, and what it is called: links, tokens, keys of the host's, metadata, personal data."""

from __future__ import annotations

from typing import Any

from msgspec import json

from credit_wallet.errors import InvalidRequest
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.console.corrections import CORRECTIONS, corrections, require_confirmed
from credit_wallet.pages.forms import Form, merged
from credit_wallet.pages.routes import CONSOLE, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text
from credit_wallet.wire.asgi import AsgiApp, Receive, Scope, Send

REVOKE = f"{CONSOLE}/revoke-token"
PERSONAL_PAGE = 500

KINDS_OF_TOKEN = {
    "agent_key": text("It was an agent key."),
    "earlier_token": text("It was an earlier token of the owner's."),
    "operator_key": text("It was an operator's key."),
    "owner_token": text("It was the owner's token. The owner has none until you make another."),
    "registered_key": text("It was a key of your own."),
    "seller_token": text("It was a seller's token. The seller has none until you make another."),
}


def _api(visit: Visit) -> str:
    return f"/operator/wallets/{visit.place.wallet_id}"


@action(f"{CORRECTIONS}/link", "operator", corrections)
async def make_link(visit: Visit) -> Reply:
    """Make a link that lets the customer in, and show it once."""
    form = visit.form
    body = form.given(
        expires_in_seconds=form.whole("expires_in_seconds"),
        scopes=["read", "manage"] if form.checked("manage") else ["read"],
        path=form.optional("path"),
        language=form.optional("language"),
    )
    link = await visit.send("POST", f"{_api(visit)}/link", body)
    return await visit.show("console/link-made.html", link=link)


@action(f"{CORRECTIONS}/token", "operator", corrections)
async def rotate_token(visit: Visit) -> Reply:
    """Give the owner another token, and show it once."""
    require_confirmed(visit)
    body = {"overlap_seconds": visit.form.whole("overlap_seconds") or 0}
    made = await visit.send("POST", f"{_api(visit)}/token/rotate", body)
    return await visit.show("console/token-made.html", token=made["owner_token"], back="/corrections")


@action(f"{CORRECTIONS}/secrets", "operator", corrections)
async def register_secret(visit: Visit) -> Reply:
    """Let a key of the host's own open the wallet."""
    form = visit.form
    body = form.given(sha256=form.text("sha256").lower(), key_id=form.whole("key_id"), ends_at=form.optional("ends_at"))
    await visit.send("POST", f"{_api(visit)}/secrets", body)
    return visit.go("/corrections", done="secret-registered")


@action(f"{CORRECTIONS}/secrets/{{secret}}/remove", "operator", corrections)
async def remove_secret(visit: Visit) -> Reply:
    """End such a key."""
    await visit.send("DELETE", f"/operator/secrets/{visit.params['secret']}")
    return visit.go("/corrections", done="secret-removed")


@action(f"{CORRECTIONS}/price-group", "operator", corrections)
async def set_price_group(visit: Visit) -> Reply:
    """Have the prices of a group count for the wallet."""
    visit.require("administer")
    changes = visit.form.changed(await visit.wallet(), price_group=Form.optional)
    if changes:
        await visit.send("POST", f"{_api(visit)}/price-group", changes)
    return visit.go("/corrections", done="saved")


@action(f"{CORRECTIONS}/metadata", "operator", corrections)
async def set_metadata(visit: Visit) -> Reply:
    """Change the wallet's metadata."""
    was, wanted = (pairs_of(visit.form.text(name)) for name in ("was.metadata", "metadata"))
    metadata = merged(was, wanted, (await visit.wallet())["metadata"], "metadata")
    await visit.send("POST", f"{_api(visit)}/metadata", {"metadata": metadata})
    return visit.go("/corrections", done="saved")


def pairs_of(lines: str) -> dict[str, str]:
    """Pairs of lines ``name = value``. Raises ``InvalidRequest``."""
    pairs: dict[str, str] = {}
    for line in filter(None, (each.strip() for each in lines.split("\n"))):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise InvalidRequest(f"write each pair on a line as name = value, not {line!r}", field="metadata")
        if name in pairs:
            raise InvalidRequest(f"{name!r} stands there twice", field="metadata")
        pairs[name] = value
    return pairs


@page(f"{CORRECTIONS}/personal-data", "operator")
async def export_personal_data(visit: Visit) -> Reply:
    """All that the ledger knows of the people behind the wallet, as a file of lines of JSON."""
    api = f"{_api(visit)}/personal-data"
    first = await visit.get(api, limit=PERSONAL_PAGE)
    return _lines(visit, api, first)


def _lines(visit: Visit, api: str, first: Any) -> AsgiApp:
    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        name = f"wallet-{visit.place.wallet_id}-personal-data.jsonl"
        headers = [
            (b"content-type", b"application/jsonl; charset=utf-8"),
            (b"content-disposition", f'attachment; filename="{name}"'.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        page = first
        while True:
            lines = b"".join(json.encode(item) + b"\n" for item in page["items"])
            await send({"type": "http.response.body", "body": lines, "more_body": True})
            if page["next_cursor"] is None:
                break
            page = await visit.get(api, limit=PERSONAL_PAGE, cursor=page["next_cursor"])
        await send({"type": "http.response.body", "body": b""})

    return answer


@action(f"{CORRECTIONS}/erase", "operator", corrections)
async def erase_personal_data(visit: Visit) -> Reply:
    """Erase what a closed wallet has of people."""
    form = visit.form
    if form.text("wallet_id") != str(visit.place.wallet_id):
        raise InvalidRequest("write the wallet's id to confirm that it is this one", field="wallet_id")
    await visit.send("POST", f"{_api(visit)}/erase", form.given(note=form.optional("note")))
    return visit.go("/corrections", done="erased")


@page(REVOKE, "operator")
async def revoking(visit: Visit) -> Reply:
    """Where a token that has leaked is ended, whatever it opens."""
    return await visit.show("console/revoke-token.html", revoked=None, said=None)


@action(REVOKE, "operator", revoking)
async def revoke_token(visit: Visit) -> Reply:
    """End a token, and say what it was."""
    try:
        revoked = await visit.send("POST", "/operator/tokens/revoke", {"token": visit.form.text("token")})
    finally:
        visit.form.fields.pop("token", None)  # it is not shown again when it is refused
    return await visit.show("console/revoke-token.html", revoked=revoked, said=KINDS_OF_TOKEN[revoked["kind"]])
