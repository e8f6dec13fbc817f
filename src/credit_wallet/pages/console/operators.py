"""Operators and sellers: who they are, what they may do, and their keys."""

from __future__ import annotations

from typing import Any, Final

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.console.corrections import require_confirmed
from credit_wallet.pages.routes import CONSOLE, action, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

OPERATORS = f"{CONSOLE}/operators"
SELLERS = f"{CONSOLE}/sellers"
ONE, ONE_SELLER = f"{OPERATORS}/{{operator_id}}", f"{SELLERS}/{{seller_id}}"
PAGE = 1_000

ROLES: Final = {
    "viewer": text("Viewer"),
    "support": text("Support"),
    "finance": text("Finance"),
    "seller": text("Sales"),
    "admin": text("Administrator"),
}
MAY: Final = {
    "viewer": text("Sees everything, changes nothing."),
    "support": text("Lets customers in, freezes wallets, sets them up."),
    "finance": text("Puts credit right, pays back, closes wallets."),
    "seller": text("Charges any wallet: for the program that sells."),
    "admin": text("May do everything, also prices and operators."),
}


@page(OPERATORS, "operator")
async def list_operators(visit: Visit) -> Reply:
    """Operators and sellers, those that have ended last."""
    operators: list[Any] = await visit.get("/operator/operators", limit=PAGE)
    sellers: list[Any] = await visit.get("/operator/sellers", limit=PAGE)
    for each in (operators, sellers):
        each.sort(key=lambda one: one["revoked_at"] is not None)
    return await visit.show("console/operators.html", operators=operators, sellers=sellers, roles=ROLES, may=MAY)


@action(OPERATORS, "operator", list_operators)
async def create_operator(visit: Visit) -> Reply:
    """Add an operator, and show the key once."""
    body = {"name": visit.form.text("name"), "role": visit.form.text("role")}
    made = await visit.send("POST", "/operator/operators", body)
    return await _made(visit, made["token"], f"{OPERATORS}/{made['operator_id']}")


@page(ONE, "operator")
async def show_operator(visit: Visit) -> Reply:
    """One operator, with keys and latest acts."""
    operator_id = visit.id("operator_id")
    operator = await visit.get(f"/operator/operators/{operator_id}")
    keys: list[Any] = await visit.get(f"/operator/operators/{operator_id}/keys")
    keys.sort(key=lambda key: (key["revoked_at"] is not None, -key["operator_key_id"]))
    done = await visit.get("/operator/log", by=f"operator:{operator_id}", limit=10)
    return await visit.show("console/operator.html", operator=operator, keys=keys, done=done, roles=ROLES, may=MAY)


@action(ONE, "operator", show_operator)
async def configure_operator(visit: Visit) -> Reply:
    """Give an operator another role."""
    operator_id = visit.id("operator_id")
    await visit.send("POST", f"/operator/operators/{operator_id}", {"role": visit.form.text("role")})
    return visit.leave(f"{OPERATORS}/{operator_id}", done="saved")


@action(f"{ONE}/keys", "operator", show_operator)
async def rotate_key(visit: Visit) -> Reply:
    """Give an operator another key, and show it once."""
    operator_id = visit.id("operator_id")
    body = {"overlap_seconds": visit.form.whole("overlap_seconds") or 0}
    made = await visit.send("POST", f"/operator/operators/{operator_id}/keys", body)
    return await _made(visit, made["token"], f"{OPERATORS}/{operator_id}")


@action(f"{ONE}/keys/{{key_id}}/revoke", "operator", show_operator)
async def revoke_key(visit: Visit) -> Reply:
    """End one key of an operator."""
    operator_id = visit.id("operator_id")
    await visit.send("DELETE", f"/operator/operators/{operator_id}/keys/{visit.id('key_id')}")
    return visit.leave(f"{OPERATORS}/{operator_id}", done="key-ended")


@action(f"{ONE}/revoke", "operator", show_operator)
async def revoke_operator(visit: Visit) -> Reply:
    """End an operator with all keys and sessions."""
    require_confirmed(visit)
    await visit.send("DELETE", f"/operator/operators/{visit.id('operator_id')}")
    return visit.leave(OPERATORS, done="operator-revoked")


@page(f"{SELLERS}/{{seller_id}}", "operator")
async def show_seller(visit: Visit) -> Reply:
    """One seller."""
    seller_id = visit.id("seller_id")
    found: list[Any] = await visit.get("/operator/sellers", after=seller_id - 1, limit=1)
    if not found or found[0]["seller_id"] != seller_id:
        raise Refused(404, {"code": "not_found", "detail": ""})
    return await visit.show("console/seller.html", seller=found[0])


@action(SELLERS, "operator", list_operators)
async def create_seller(visit: Visit) -> Reply:
    """Add a seller, and show its token once."""
    made = await visit.send("POST", "/operator/sellers", visit.form.given(label=visit.form.optional("label")))
    return await _made(visit, made["token"], f"{SELLERS}/{made['seller_id']}")


@action(f"{ONE_SELLER}/rotate", "operator", show_seller)
async def rotate_seller(visit: Visit) -> Reply:
    """Give a seller another token, and show it once."""
    seller_id = visit.id("seller_id")
    body = {"overlap_seconds": visit.form.whole("overlap_seconds") or 0}
    made = await visit.send("POST", f"/operator/sellers/{seller_id}/rotate", body)
    return await _made(visit, made["token"], f"{SELLERS}/{seller_id}")


@action(f"{ONE_SELLER}/revoke", "operator", show_seller)
async def revoke_seller(visit: Visit) -> Reply:
    """End a seller."""
    require_confirmed(visit)
    await visit.send("DELETE", f"/operator/sellers/{visit.id('seller_id')}")
    return visit.leave(OPERATORS, done="seller-revoked")


async def _made(visit: Visit, token: str, address: str) -> Reply:
    return await visit.show("console/token-made.html", token=token, back=address.removeprefix(CONSOLE))
