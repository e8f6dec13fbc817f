"""Paying in: how much, by which method, and the way to the page where it is paid."""

from __future__ import annotations

from typing import Any

from credit_wallet.errors import InvalidAmount
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.owner.payment import is_open, payment_of
from credit_wallet.pages.payments import PAYMENT_WORDS
from credit_wallet.pages.routes import wallet_action, wallet_page
from credit_wallet.pages.visit import Visit

PRESETS_YEN = (1_000, 5_000, 10_000, 50_000)
OWN = "own"
"""Stands for an amount that is typed in."""

RECENT = 10
"""Among which payments that are not finished are looked for."""


@wallet_page("/pay-in")
async def pay_in(visit: Visit) -> Reply:
    """The form; whoever has left Stripe's page is asked whether to go on."""
    options = await visit.get("/credit/topups/options")
    left = await _left_open(visit)
    unfinished = await _unfinished(visit, left)
    presets = [yen for yen in PRESETS_YEN if options["min_yen"] <= yen <= options["max_yen"]]
    wallet = await visit.wallet()
    wants_card = wallet["auto_topup"]["state"] != "off" and wallet["auto_topup"]["payment_method"] is None
    return await visit.show(
        "wallet/pay-in.html",
        options=options,
        presets=presets,
        chosen=_chosen(visit, presets, [each["method"] for each in options["methods"]]),
        saves_card=wants_card or "save_card" in visit.query,
        left=left,
        unfinished=unfinished,
        own=OWN,
        **PAYMENT_WORDS,
    )


@wallet_action("/pay-in", pay_in)
async def begin(visit: Visit) -> Reply:
    """Ask for the payment, and go on at its page, which leads to Stripe's."""
    form = visit.form
    preset = form.text("preset")
    amount_yen = form.whole("amount_yen") if preset in ("", OWN) else form.whole("preset")
    if not isinstance(amount_yen, int):
        raise InvalidAmount("amount_yen must be a whole number", field="amount_yen")
    body = form.given(
        amount_yen=amount_yen,
        checkout=True,
        method=form.optional("method"),
        save_card=form.checked("save_card"),
        language=visit.words.language,
    )
    made = await visit.send("POST", "/credit/topup", body, idempotency_key=form.text("idempotency_key"))
    return visit.go(f"/topups/{made['topup_id']}?go=1")


async def _left_open(visit: Visit) -> Any:
    """The payment whose page at Stripe was left without paying, if it can still be paid."""
    try:
        payment = await payment_of(visit, visit.query.get("topup_id", ""))
    except Refused:
        return None
    return payment if is_open(payment) and payment["next_action"] else None


async def _unfinished(visit: Visit, left: Any) -> list[Any]:
    """Payments that wait for somebody, besides the one that was left just now."""
    page = await visit.get("/credit/topups", limit=RECENT)
    known = left["topup_id"] if left else None
    return [each for each in page["topups"] if is_open(each) and each["topup_id"] != known]


def _chosen(visit: Visit, presets: list[int], methods: list[str]) -> dict[str, str]:
    """What the address asks for, such as that of "try again": an amount and a method, else the first of each."""
    amount = visit.query.get("amount", "")
    asked = amount if amount.isascii() and amount.isdigit() and len(amount) < 10 else ""
    preset = asked if asked in map(str, presets) else OWN if asked or not presets else str(presets[0])
    method = visit.query.get("method", "")
    return {
        "preset": preset,
        "amount_yen": "" if preset != OWN else asked,
        "method": method if method in methods else next(iter(methods), ""),
    }
