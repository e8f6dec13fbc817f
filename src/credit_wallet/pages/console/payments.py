"""Payments of all customers: those that need help first, what to do about each, and paying back."""

from __future__ import annotations

from typing import Final

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.console.corrections import require_confirmed
from credit_wallet.pages.payments import PAYMENT_WORDS
from credit_wallet.pages.routes import CONSOLE, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

PAGE = 50

STATES: Final = {
    "failed": text("Failed"),
    "succeeded": text("Paid, not credited yet"),
    "requires_action": text("Waits for the customer"),
    "pending": text("Not paid yet"),
    "requested": text("Not begun"),
    "credited": text("Credited"),
    "canceled": text("Given up"),
    "all": text("All"),
}
"""What the list can be narrowed to; what needs help stands first."""

BADGES: Final = {"failed": "bad", "succeeded": "warn", "requires_action": "warn", "pending": "warn", "credited": "good"}

STEPS: Final = (
    text("ask the owner to save another card, or to pay a new top-up; this card will not work again"),
    text("the bank asks for the owner: ask the owner to pay a new top-up and to confirm it"),
    text("compare the payment with Stripe's: what it reports is not in yen, and nothing of it was credited"),
    text("wait for the owner to pay, or cancel it; it is compared with Stripe every five minutes"),
    text("wait a moment: it is paid, and is credited when it is next compared with Stripe"),
    text("ask the owner to save a card: there is none that could be charged"),
    text("wait: it is tried again, three times in all; the wallet's auto_topup says when, or that it has stopped"),
    text("ask the owner to try again, or to use another card"),
)
"""What the API says to do next, as far as it says so in the same words each time."""

CLAWBACKS: Final = {"dispute": text("Disputed"), "refund": text("Refunded at Stripe"), "pay_back": text("Paid back")}
CLAWBACK_STATES: Final = {
    "announced": text("on its way"),
    "withdrawn": text("taken from the wallet"),
    "reinstated": text("credited again"),
}


@page(f"{CONSOLE}/payments", "operator")
async def list_payments(visit: Visit) -> Reply:
    """Top-ups through Stripe, newest first; failed ones unless others are asked for."""
    state = visit.query.get("status", "failed")
    status = state if state in STATES and state != "all" else None
    found = await visit.get("/operator/topups", status=status, cursor=visit.query.get("cursor"), limit=PAGE)
    return await visit.show("console/payments.html", found=found, state=state, states=STATES, badges=BADGES)


@page(f"{CONSOLE}/payments/{{topup}}", "operator")
async def show_payment(visit: Visit) -> Reply:
    """One payment, and its state."""
    payment = await visit.get(f"/operator/topups/{visit.params['topup']}")
    return await visit.show(
        "console/payment.html",
        payment=payment,
        left=int(payment["credited_yen"]) - int(payment["reversed_yen"]),
        states=STATES,
        badges=BADGES,
        clawbacks=CLAWBACKS,
        clawback_states=CLAWBACK_STATES,
        **PAYMENT_WORDS,
    )


@action(f"{CONSOLE}/payments/{{topup}}/pay-back", "operator", show_payment)
async def pay_back(visit: Visit) -> Reply:
    """Pay unused credit back to where it came from."""
    require_confirmed(visit)
    topup, form = visit.params["topup"], visit.form
    await visit.send(
        "POST",
        f"/operator/topups/{topup}/pay-back",
        form.given(amount_yen=form.whole("amount_yen")),
        idempotency_key=form.text("idempotency_key"),
    )
    return visit.leave(f"{CONSOLE}/payments/{topup}", done="paid-back")


@action(f"{CONSOLE}/payments/{{topup}}/give-up", "operator", show_payment)
async def give_up(visit: Visit) -> Reply:
    """Cancel a payment that nobody has made."""
    topup = visit.params["topup"]
    payment = await visit.get(f"/operator/topups/{topup}")
    await visit.send("DELETE", f"/operator/wallets/{payment['wallet_id']}/topups/{topup}")
    return visit.leave(f"{CONSOLE}/payments/{topup}", done="given-up")
