"""What an operator puts right in one wallet: credit, and whether the wallet may be used."""

from __future__ import annotations

from typing import Any

from credit_wallet.errors import InvalidRequest
from credit_wallet.pages.acts import REASONS
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import ONE_WALLET, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.rules.adjustments import BY_HAND

CORRECTIONS = f"{ONE_WALLET}/corrections"
TOPUPS_SHOWN = 50
GRANTS_SHOWN = 1_000


@page(CORRECTIONS, "operator")
async def corrections(visit: Visit) -> Reply:
    """All that can be put right here, each with its form."""
    wallet = await visit.wallet()
    closed = wallet["closed_at"] is not None
    return await visit.show(
        "console/corrections.html",
        reasons=[(code, visit.words.say(said)) for code, said in REASONS.items()],
        topups=await _manual_topups(visit) if visit.allows("finance") and not closed else [],
        grants=await _grants(visit) if visit.allows("finance") and not closed else [],
        secrets=await _secrets(visit) if visit.allows("support") and not closed else [],
        metadata_lines="\n".join(f"{name} = {value}" for name, value in wallet["metadata"].items()),
    )


async def _manual_topups(visit: Visit) -> list[Any]:
    page = await visit.get("/credit/transactions", type="topup", limit=TOPUPS_SHOWN)
    return [entry for entry in page["transactions"] if entry["cause"] in BY_HAND]


async def _grants(visit: Visit) -> list[Any]:
    found: list[Any] = await visit.get("/operator/grants", wallet_id=visit.place.wallet_id, limit=GRANTS_SHOWN)
    return [grant for grant in found if grant["next_at"] is not None and grant["canceled_at"] is None]


async def _secrets(visit: Visit) -> list[Any]:
    found: list[Any] = await visit.get(f"{_api(visit)}/secrets")
    return found


def _api(visit: Visit) -> str:
    return f"/operator/wallets/{visit.place.wallet_id}"


def require_confirmed(visit: Visit) -> None:
    """Raises ``InvalidRequest`` unless the box that says what will happen is ticked."""
    if not visit.form.checked("confirmed"):
        raise InvalidRequest("tick the box that says what will happen, then send the form again", field="confirmed")


@action(f"{CORRECTIONS}/topup", "operator", corrections)
async def top_up(visit: Visit) -> Reply:
    """Credit the wallet by hand."""
    require_confirmed(visit)
    form = visit.form
    body = form.given(
        wallet_id=visit.place.wallet_id,
        amount_yen=form.amount("amount_yen"),
        promo=form.text("kind") == "promo",
        expires_at=form.optional("expires_at"),
        note=form.optional("note"),
        reference=form.optional("reference"),
    )
    await visit.send("POST", "/operator/topup", body, idempotency_key=form.text("idempotency_key"))
    return visit.go("/corrections", done="topped-up")


@action(f"{CORRECTIONS}/adjust", "operator", corrections)
async def adjust(visit: Visit) -> Reply:
    """Add to the balance, or take from it."""
    require_confirmed(visit)
    form = visit.form
    amount = form.amount("amount_yen")
    takes = form.text("direction") == "take"
    body = form.given(
        amount_yen=f"-{amount}" if takes and amount else amount,
        reason=form.optional("reason"),
        note=form.text("note"),
        kind=None if takes else form.optional("kind"),
        expires_at=None if takes else form.optional("expires_at"),
        allow_debt=takes and form.checked("allow_debt"),
    )
    await visit.send("POST", f"{_api(visit)}/adjust", body, idempotency_key=form.text("idempotency_key"))
    return visit.go("/corrections", done="adjusted")


@action(f"{CORRECTIONS}/take-back", "operator", corrections)
async def take_back(visit: Visit) -> Reply:
    """Take back a top-up that was made by hand."""
    require_confirmed(visit)
    form = visit.form
    body = form.given(
        txn_id=form.whole("txn_id"),
        amount_yen=form.amount("amount_yen"),
        reason=form.optional("reason"),
        note=form.text("note"),
        allow_debt=form.checked("allow_debt"),
    )
    await visit.send("POST", f"{_api(visit)}/take-back", body, idempotency_key=form.text("idempotency_key"))
    return visit.go("/corrections", done="taken-back")


@action(f"{CORRECTIONS}/grants", "operator", corrections)
async def create_grant(visit: Visit) -> Reply:
    """Promise credit, once or every month."""
    require_confirmed(visit)
    form = visit.form
    lapses = form.text("lapses")
    body = form.given(
        wallet_id=visit.place.wallet_id,
        amount_yen=form.amount("amount_yen"),
        promo=form.text("kind") == "promo",
        starts_at=form.optional("starts_at"),
        every="month" if form.text("every") == "month" else None,
        until=form.optional("until"),
        lapses=int(lapses) if lapses.isascii() and lapses.isdigit() else lapses or None,
        note=form.optional("note"),
    )
    await visit.send("POST", "/operator/grants", body, idempotency_key=form.text("idempotency_key"))
    return visit.go("/corrections", done="granted")


@action(f"{CORRECTIONS}/grants/{{grant_id}}/cancel", "operator", corrections)
async def cancel_grant(visit: Visit) -> Reply:
    """End a grant: nothing more of it is credited."""
    await visit.send("DELETE", f"/operator/grants/{visit.id('grant_id')}")
    return visit.go("/corrections", done="grant-ended")


@action(f"{CORRECTIONS}/freeze", "operator", corrections)
async def freeze(visit: Visit) -> Reply:
    """Freeze the wallet, or let it be used again."""
    form = visit.form
    frozen = form.text("frozen") == "1"
    if frozen:
        require_confirmed(visit)
    body = form.given(frozen=frozen, reason=form.optional("reason"), note=form.optional("note"))
    await visit.send("POST", f"{_api(visit)}/freeze", body)
    return visit.go("/corrections", done="frozen" if frozen else "unfrozen")


@action(f"{CORRECTIONS}/close", "operator", corrections)
async def close(visit: Visit) -> Reply:
    """Close the wallet for good; what it still has is paid back or written off."""
    require_confirmed(visit)
    form = visit.form
    body = form.given(
        reason=form.optional("reason"),
        note=form.text("note"),
        unused=form.optional("unused"),
        release_holds=form.checked("release_holds"),
        write_off_debt=form.checked("write_off_debt"),
    )
    closed = await visit.send("POST", f"{_api(visit)}/close", body)
    return visit.go("/corrections", done="closed" if closed["closed_at"] else "closing")


@action(f"{CORRECTIONS}/merge", "operator", corrections)
async def merge(visit: Visit) -> Reply:
    """Move all credit to another wallet of the same customer, and close this one."""
    require_confirmed(visit)
    form = visit.form
    body = form.given(
        into_wallet_id=form.whole("into_wallet_id"), reason=form.optional("reason"), note=form.text("note")
    )
    merged = await visit.send("POST", f"{_api(visit)}/merge", body)
    return visit.leave(f"/console/wallets/{merged['merged_into']}", done="merged")


@action(f"{CORRECTIONS}/hand-over", "operator", corrections)
async def hand_over(visit: Visit) -> Reply:
    """Attach the wallet to another customer, whose token is shown once when the earlier one's ends."""
    require_confirmed(visit)
    form = visit.form
    body: dict[str, Any] = {
        "reference": form.optional("reference"),
        "rotate_token": form.checked("rotate_token"),
        **form.given(reason=form.optional("reason"), note=form.optional("note")),
        **({"metadata": {}} if form.checked("empty_metadata") else {}),
    }
    handed = await visit.send("POST", f"{_api(visit)}/hand-over", body)
    if handed["owner_token"] is None:
        return visit.go("/corrections", done="handed-over")
    return await visit.show("console/token-made.html", token=handed["owner_token"], back="/corrections")
