"""Automatic top-up: on or off, within which limits, agreed to in which words, and its latest attempts."""

from __future__ import annotations

from typing import Final

from credit_wallet.domain.consents import ConsentFigures, standard_text
from credit_wallet.errors import InvalidRequest
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import wallet_action, wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

ATTEMPTS = 5
LOOKED_AT = 100
"""The latest top-ups, among which the automatic ones are looked for."""

CONSENTS = 10

FIGURES = ("auto_topup_threshold", "auto_topup_amount", "auto_topup_daily_yen", "auto_topup_monthly_yen")

TOPUP_STATUS: Final = {
    "requested": text("Processing"),
    "pending": text("Processing"),
    "requires_action": text("Needs your attention"),
    "succeeded": text("Paid"),
    "credited": text("Credited"),
    "failed": text("Failed"),
    "canceled": text("Given up"),
}
"""A payment's status in words."""

REASONS: Final = {
    "no_payment_method": text("No card is saved."),
    "payment_method_gone": text("The saved card is gone: it was removed, or its bank has replaced it."),
    "insufficient_funds": text("The card had insufficient funds."),
    "expired_card": text("The card has expired."),
    "lost_card": text("The card was reported lost."),
    "stolen_card": text("The card was reported stolen."),
    "authentication_required": text("The bank wants you to confirm the payment."),
    "card_declined": text("The bank has declined the card."),
    "fraudulent": text("The bank has declined the card."),
    "generic_decline": text("The bank has declined the card."),
}
"""Why automatic top-ups wait or have stopped, where we can say it in words."""


@wallet_page("/auto-topup")
async def show_auto_topup(visit: Visit) -> Reply:
    """Whether the wallet tops itself up, how, and what was agreed to."""
    topups = (await visit.get("/credit/topups", limit=LOOKED_AT))["topups"]
    options = await visit.get("/credit/topups/options")
    before = visit.query.get("before")
    consents = await visit.get("/credit/topups/consents", before=before, limit=CONSENTS + 1)
    return await visit.show(
        "wallet/auto-topup.html",
        accepts_payments=options["accepts_payments"],
        attempts=[each for each in topups if each["origin"] == "auto"][:ATTEMPTS],
        consents=consents[:CONSENTS],
        next_before=consents[CONSENTS - 1]["consent_no"] if len(consents) > CONSENTS else None,
        TOPUP_STATUS=TOPUP_STATUS,
        REASONS=REASONS,
    )


@wallet_action("/auto-topup", show_auto_topup)
async def set_auto_topup(visit: Visit) -> Reply:
    """Show in full what somebody agrees to, and switch automatic top-ups on when they have agreed to it."""
    figures = {name: _yen(visit, name) for name in FIGURES}
    language = visit.words.language
    if not visit.form.checked("agreed"):
        agreed_to = standard_text(ConsentFigures(**figures), language)
        return await visit.show("wallet/auto-topup-agree.html", figures=figures, text=agreed_to)
    await visit.send("PATCH", "/credit/wallet", {**figures, "auto_topup_consent_language": language})
    return visit.go("/auto-topup", done="auto-topup-on")


@wallet_action("/auto-topup/off", show_auto_topup)
async def switch_off(visit: Visit) -> Reply:
    """Switch automatic top-ups off; their limits stay for when they are switched on again."""
    body = {"auto_topup_threshold": 0, "auto_topup_amount": 0, "auto_topup_consent_language": visit.words.language}
    await visit.send("PATCH", "/credit/wallet", body)
    return visit.go("/auto-topup", done="auto-topup-off")


def _yen(visit: Visit, name: str) -> int:
    """Whole yen that can be agreed to. An empty limit is none; without the two others there is nothing to agree to."""
    given = visit.form.whole(name)
    if given is None and name in FIGURES[2:]:
        return 0
    if not isinstance(given, int) or (given == 0 and name in FIGURES[:2]):
        raise InvalidRequest(f"{name} must be whole yen", field=name)
    return given
