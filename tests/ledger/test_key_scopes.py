"""Scopes of agent keys: a key pays, sees and manages only what it was made for, by whatever door it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from databases import on_every_database
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.permissions import Scope
from credit_wallet.errors import Forbidden, InvalidRequest
from credit_wallet.ledger.wallet import CreditWallet as Wallets
from credit_wallet.mcp.tools import TOOLS
from credit_wallet.mcp.wallets import LedgerWallet


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    made = wallets.create().wallet_id
    wallets.topup(made, 1_000, idempotency_key="start")
    return made


READ_AND_SPEND: tuple[Scope, ...] = ("read", "spend")
WAYS_TO_PAY: dict[str, Callable[[Wallets, int, int], object]] = {
    "charge": lambda wallets, wallet, key: wallets.charge(wallet, 1, idempotency_key="k", key_id=key, actor="payer"),
    "hold": lambda wallets, wallet, key: wallets.hold(wallet, 1, idempotency_key="k", key_id=key, actor="payer"),
    "for a seller": lambda wallets, wallet, key: wallets.charge(
        wallet, 1, idempotency_key="k", key_id=key, actor="seller:1"
    ),
    "purchase": lambda wallets, wallet, key: wallets.purchases.buy(
        wallet, 1, purchase_key="p", attempt="a", key_id=key, actor="product"
    ),
    "held purchase": lambda wallets, wallet, key: wallets.purchases.buy(
        wallet, 1, purchase_key="p", attempt="a", hold_seconds=60, key_id=key, actor="product"
    ),
}


@on_every_database
@pytest.mark.parametrize("way", WAYS_TO_PAY)
def test_a_key_without_spend_pays_in_no_way(wallets: CreditWallet, wallet_id: int, way: str) -> None:
    blind: list[list[Scope]] = [["read"], ["manage"], ["read", "manage"]]
    for scopes in blind:
        key = wallets.keys.create(wallet_id, scopes=scopes)
        with pytest.raises(Forbidden, match="may not spend"):
            WAYS_TO_PAY[way](wallets, wallet_id, key.key_id)
        assert wallets.overview(wallet_id, key_id=key.key_id).spendable_micros == 0
    WAYS_TO_PAY[way](wallets, wallet_id, wallets.keys.create(wallet_id, scopes=["spend"]).key_id)
    assert wallets.show(wallet_id).balance_yen == 999


@on_every_database
def test_many_charges_of_a_batch_look_at_the_scopes_too(wallets: CreditWallet, wallet_id: int) -> None:
    keys = [wallets.keys.create(wallet_id, scopes=[scope]).key_id for scope in READ_AND_SPEND]
    asked = [Charge(wallet_id, f"{n}", MICROS, key_id=keys[n % 2], actor="payer") for n in range(12)]
    outcomes = wallets.charge_many(asked)
    assert [isinstance(each, Forbidden) for each in outcomes] == [True, False] * 6
    assert wallets.show(wallet_id).balance_yen == 994


def test_scopes_are_shown_in_order_and_checked(wallets: CreditWallet, wallet_id: int) -> None:
    given: dict[int, Any] = {
        wallets.keys.create(wallet_id).key_id: ("spend", "read"),
        wallets.keys.create(wallet_id, scopes=("manage", "spend")).key_id: ("spend", "manage"),
        wallets.keys.create(wallet_id, scopes={"read"}).key_id: ("read",),
    }
    assert {key.key_id: key.scopes for key in wallets.keys.list(wallet_id)} == given
    for wrong in ([], "read", ["own"], ["read", "admin"]):
        with pytest.raises(InvalidRequest) as refused:
            wallets.keys.create(wallet_id, scopes=wrong)  # type: ignore[arg-type]
        assert refused.value.details["field"] == "scopes"


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"scopes": ["manage"]}, "scopes"),
    ({"scopes": ["read", "manage"]}, {}, "scopes"),
    ({"monthly_cap_yen": 100}, {"monthly_cap_yen": 1}, "scopes"),
    ({"expires_at": "2026-06-01T00:00:00Z"}, {}, "expires_at"),
    ({"expires_at": "2026-06-01T00:00:00Z"}, {"expires_at": "2026-06-01T00:00:01Z"}, "expires_at"),
    ({"group": "acme"}, {}, "group"),
    ({"group": "acme"}, {"group": "acmes/a"}, "group"),
]
"""What a key that manages is made with, what it then asks for, and the field that is refused."""

ALLOWED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"monthly_cap_yen": 5}),
    ({"monthly_cap_yen": 100}, {"scopes": ["read"]}),
    ({"expires_at": "2026-06-01T00:00:00Z"}, {"expires_at": "2026-05-31T23:59:59Z"}),
    ({"group": "acme"}, {"group": "acme/research"}),
]


def test_a_key_that_manages_hands_on_no_more_than_it_has(wallets: CreditWallet, wallet_id: int) -> None:
    everything = ["spend", "read", "manage"]
    with Api(new_app(wallets)) as api:
        for own, asked, field in REFUSED:
            key = wallets.keys.create(wallet_id, **{"scopes": everything, **own})
            answer = api.call("POST", "/credit/keys", key.token, json=asked)
            assert (answer.status_code, answer.json()["field"]) == (403, field), (own, asked)
        for own, asked in ALLOWED:
            key = wallets.keys.create(wallet_id, **{"scopes": everything, **own})
            made = api.call("POST", "/credit/keys", key.token, json=asked)
            assert made.status_code == 201, made.text


def test_a_key_that_manages_touches_neither_itself_nor_the_owner(wallets: CreditWallet, wallet_id: int) -> None:
    manager = wallets.keys.create(wallet_id, scopes=["read", "manage"], monthly_cap_yen=50)
    peer, spender = wallets.keys.create(wallet_id, scopes=["manage"]), wallets.keys.create(wallet_id)
    reader = wallets.keys.create(wallet_id, scopes=["read"])
    bound = wallets.budgets.create(wallet_id, limit_yen=5, window="day", scope={"key_id": str(manager.key_id)})
    free = wallets.budgets.create(wallet_id, limit_yen=5, window="day", scope={"tool": "search"})
    calls: dict[tuple[str, str, Any], int] = {
        ("POST", "/credit/token/rotate", ()): 403,
        **{("POST", f"/credit/keys/{key.key_id}/rotate", ()): 403 for key in (manager, peer, spender)},
        ("POST", f"/credit/keys/{reader.key_id}/rotate", ()): 201,
        ("PATCH", f"/credit/keys/{manager.key_id}", (("monthly_cap_yen", 0),)): 403,
        ("PATCH", f"/credit/budgets/key-{manager.key_id}", (("limit_yen", 900),)): 403,
        ("PATCH", f"/credit/budgets/{bound.budget_id}", (("limit_yen", 900),)): 403,
        ("DELETE", f"/credit/budgets/{bound.budget_id}", None): 403,
        ("PATCH", f"/credit/budgets/{free.budget_id}", (("limit_yen", 900),)): 200,
        ("PATCH", "/credit/wallet", (("auto_topup_amount", 500), ("auto_topup_threshold", 100))): 403,
        ("PATCH", "/credit/wallet", (("label", "by the manager"),)): 200,
        ("POST", "/credit/charge", (("amount_yen", 1),)): 403,
        ("GET", "/credit/transactions", None): 200,
    }
    with Api(new_app(wallets)) as api:
        answered = {}
        for method, path, body in calls:
            sent = None if body is None else dict(body)
            answered[method, path, body] = api.call(method, path, manager.token, key="k", json=sent).status_code
        assert answered == calls
        entries = api.get("/credit/transactions", manager.token).json()["transactions"]
        assert [entry["txn_type"] for entry in entries] == ["topup"]  # not its own: it sees what the owner sees
        blind = wallets.keys.create(wallet_id, scopes=["spend"])
        refused = api.get("/credit/wallet", blind.token)
        assert (refused.status_code, "x-wallet-balance" in refused.headers) == (403, False)
        assert api.get("/credit/whoami", blind.token).json()["scopes"] == ["spend"]


def test_a_key_that_reads_has_the_reading_tools_alone(wallets: CreditWallet, wallet_id: int) -> None:
    reader, blind = (wallets.keys.create(wallet_id, scopes=[scope]) for scope in READ_AND_SPEND)
    for tool in TOOLS.values():
        arguments = {} if tool.is_read_only else {"amount_yen": 100}
        of_reader = LedgerWallet(wallets, lambda: wallets.tokens.authenticate(reader.token), None, "")
        if tool.is_read_only:
            asyncio.run(tool.call(of_reader, arguments))
        else:
            with pytest.raises(Forbidden):
                asyncio.run(tool.call(of_reader, arguments))
        of_blind = LedgerWallet(wallets, lambda: wallets.tokens.authenticate(blind.token), None, "")
        with pytest.raises(Forbidden):
            asyncio.run(tool.call(of_blind, arguments))
