"""Automatic top-up: on or off, within which limits, agreed to in which words, and its latest attempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from credit_wallet.domain.consents import LANGUAGES, ConsentFigures, standard_text
from credit_wallet.errors import Forbidden, InvalidRequest
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.forms import Form
from credit_wallet.pages.routes import ONE_WALLET, action, wallet_action, wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import Words, text

ATTEMPTS = 5
LOOKED_AT = 100
"""The latest top-ups, among which the automatic ones are looked for."""

CONSENTS = 10

LIMITS = ("auto_topup_daily_yen", "auto_topup_monthly_yen")
FIGURES = ("auto_topup_threshold", "auto_topup_amount", *LIMITS)

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
        may_agree=_may_agree(visit),
        consents=consents[:CONSENTS],
        next_before=consents[CONSENTS - 1]["consent_no"] if len(consents) > CONSENTS else None,
        TOPUP_STATUS=TOPUP_STATUS,
        REASONS=REASONS,
    )


@wallet_action("/auto-topup", show_auto_topup)
async def set_auto_topup(visit: Visit) -> Reply:
    """Show in full what somebody agrees to, and switch automatic top-ups on when they have agreed to just that.

    The words that were shown come back with the form. When these are no longer the ones for the figures, in either
    language, they are shown again: nobody has agreed to other words than those that are kept.
    """
    if not _may_agree(visit):
        raise Forbidden(text("only the wallet's owner can agree to automatic top-ups"))
    wallet = await visit.wallet()
    changes = visit.form.changed(wallet, **dict.fromkeys(FIGURES, Form.whole))
    figures = {name: _yen(name, changes.get(name, wallet[name])) for name in FIGURES}
    texts = {language: standard_text(ConsentFigures(**figures), language) for language in LANGUAGES}
    agreed_to = visit.form.text("agreed_to")
    for language, its_text in texts.items():
        if agreed_to == its_text:
            await visit.send("PATCH", "/credit/wallet", {**figures, "auto_topup_consent_language": language})
            return visit.go("/auto-topup", done="auto-topup-on")
    return await visit.show(
        "wallet/auto-topup-agree.html",
        status=409 if agreed_to else 200,
        figures=figures,
        text=texts[visit.words.language],
        has_changed=bool(agreed_to),
    )


@action(f"{ONE_WALLET}/auto-topup/limits", "operator", show_auto_topup)
async def lower_limits(visit: Visit) -> Reply:
    """Let less be charged than the customer has agreed to; what is recorded says that an operator has done it."""
    visit.require(visit.changing)
    if not visit.form.text("act_note"):
        raise InvalidRequest("say why", field="act_note")
    wallet = await visit.wallet()
    changes = visit.form.changed(wallet, **dict.fromkeys(LIMITS, Form.whole_or_zero))
    for name, limit in changes.items():
        if isinstance(limit, int) and (not limit or (wallet[name] and limit > wallet[name])):
            raise Forbidden(text("An operator can only lower a limit."), field=name)
    if changes:
        body = {**changes, "auto_topup_consent": _lowered({**wallet, **changes}, visit.words)}
        await visit.send("PATCH", "/credit/wallet", {**body, "auto_topup_consent_language": visit.words.language})
    return visit.go("/auto-topup", done="saved")


def _lowered(wallet: Mapping[str, Any], words: Words) -> str:
    """What was recorded of limits that an operator has lowered, in plain text."""
    daily, monthly = (wallet[name] for name in LIMITS)
    figures = {"daily": f"¥{daily:,}", "monthly": f"¥{monthly:,}"}
    if daily and monthly:
        said = text("The operator has limited automatic top-ups to {daily} a day and {monthly} a month.")
    elif daily:
        said = text("The operator has limited automatic top-ups to {daily} a day.")
    else:
        said = text("The operator has limited automatic top-ups to {monthly} a month.")
    return str(words.say(said, **figures).unescape())


def _may_agree(visit: Visit) -> bool:
    """Whether the visitor is the owner, whose card is charged: no operator, and no agent that manages the wallet."""
    by_agent = visit.caller is not None and visit.caller.key_id is not None
    return visit.may_change and not visit.place.of_operator and not by_agent


@wallet_action("/auto-topup/off", show_auto_topup)
async def switch_off(visit: Visit) -> Reply:
    """Switch automatic top-ups off; their limits stay for when they are switched on again."""
    language = visit.form.text("language")
    if language not in LANGUAGES:
        raise InvalidRequest("the form is incomplete; open the page again", field="language")
    body = {"auto_topup_threshold": 0, "auto_topup_amount": 0, "auto_topup_consent_language": language}
    await visit.send("PATCH", "/credit/wallet", body)
    return visit.go("/auto-topup", done="auto-topup-off")


def _yen(name: str, given: int | str | None) -> int:
    """Whole yen that can be agreed to. An empty limit is none; without the two others there is nothing to agree to."""
    if given is None and name in FIGURES[2:]:
        return 0
    if not isinstance(given, int) or (given == 0 and name in FIGURES[:2]):
        raise InvalidRequest(f"{name} must be whole yen", field=name)
    return given
