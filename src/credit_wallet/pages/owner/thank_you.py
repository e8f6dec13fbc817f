"""Where people come back to from a page of Stripe's: what was credited, or what is still to do."""

from __future__ import annotations

from urllib.parse import quote

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.cookies import FRAMED
from credit_wallet.pages.owner.payment import is_open, payment_of
from credit_wallet.pages.payments import PAYMENT_WORDS
from credit_wallet.pages.routes import OWNER, page
from credit_wallet.pages.visit import Visit

PATH = "/thank-you"


@page(f"{OWNER}{PATH}", "anybody")
async def thank_you(visit: Visit) -> Reply:
    """What came of a payment, for whoever may see it; a thank-you without a figure for everybody else.

    A payment of another wallet is answered like one that there is not.
    """
    topup_id = visit.query.get("topup_id", "")
    if visit.caller is None or visit.caller.access is None or not visit.allows("manage"):
        back = quote(f"{OWNER}{PATH}?topup_id={topup_id}", safe="/")
        return visit.draw("thank-you.html", sign_in=f"/sign-in?next={back}", is_known=visit.caller is not None)
    try:
        payment = await payment_of(visit, topup_id)
    except Refused as refusal:
        if refusal.status != 404:
            raise
        return await visit.show("wallet/no-payment.html", status=404)
    return await visit.show("wallet/thank-you.html", payment=payment, may_pay=True, is_open=is_open, **PAYMENT_WORDS)


@page(f"{FRAMED}{PATH}", "anybody")
async def thank_you_in_frame(visit: Visit) -> Reply:
    """The same in a page of the host's."""
    return await thank_you(visit)
