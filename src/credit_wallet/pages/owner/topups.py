"""Payments through Stripe: all of them, one with what to do, giving one up, its receipt."""

from __future__ import annotations

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.owner.payment import checked_id, is_open, payment_of, takes_test_money
from credit_wallet.pages.payments import PAYMENT_WORDS
from credit_wallet.pages.routes import wallet_action, wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

PAGE = 50


@wallet_page("/topups")
async def list_topups(visit: Visit) -> Reply:
    """Every payment, newest first."""
    page = await visit.get("/credit/topups", limit=PAGE, cursor=visit.query.get("cursor"))
    return await visit.show(
        "wallet/topups.html",
        topups=page["topups"],
        next_cursor=page["next_cursor"],
        waits=any(is_open(each) for each in page["topups"]),
        **PAYMENT_WORDS,
    )


@wallet_page("/topups/{topup}")
async def show_topup(visit: Visit) -> Reply:
    """One payment: how it stands and what to do; ``go`` leads on to the page where it is paid."""
    payment = await payment_of(visit, visit.params["topup"])
    may_pay = visit.allows("support" if visit.place.of_operator else "manage")
    goes_on = "go" in visit.query and not visit.place.of_operator and not visit.place.in_frame
    return await visit.show(
        "wallet/topup.html", payment=payment, may_pay=may_pay, goes_on=goes_on, is_open=is_open, **PAYMENT_WORDS
    )


@wallet_action("/topups/{topup}/cancel", show_topup)
async def cancel_topup(visit: Visit) -> Reply:
    """Give a payment up; one that was made meanwhile is credited, and its page says so."""
    topup_id = checked_id(visit.params["topup"])
    was = await visit.send("DELETE", f"/credit/topups/{topup_id}")
    return visit.go(f"/topups/{topup_id}", done="payment-canceled" if was["status"] == "canceled" else None)


@wallet_page("/topups/{topup}/receipt")
async def show_receipt(visit: Visit) -> Reply:
    """A receipt, to be printed."""
    payment = await payment_of(visit, visit.params["topup"])
    if payment["credit_txn_id"] is None:
        raise Refused(404, {"code": "not_found", "detail": text("There is a receipt once the payment is credited.")})
    entry = await visit.get(f"/credit/transactions/{payment['credit_txn_id']}")
    return await visit.show(
        "wallet/receipt.html",
        payment=payment,
        paid_at=entry["occurred_at"],
        is_test_money=await takes_test_money(visit),
        **PAYMENT_WORDS,
    )
