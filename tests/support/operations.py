"""A successful call of every operation that is no GET: what it needs, made by the library, and what is sent."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from installation import Installation, intent_of
from notified import told_of_charges
from plain_sql import PlainSql

from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.notices.confirming import code_sha256
from credit_wallet.notices.targets import WantedTarget
from credit_wallet.wire.mirrored import mirrored


class World(NamedTuple):
    """A ledger with the wallet of an owner, one of somebody else, and payments."""

    installation: Installation
    host: PlainSql
    owner_id: int
    owner_token: str
    other_id: int
    other_token: str

    @property
    def wallets(self) -> Any:
        return self.installation.wallets


class Sent(NamedTuple):
    """What a call sends: the ids in its address, and its body. Operators send what is under ``/operator``."""

    path: dict[str, Any] | None = None
    body: dict[str, Any] | None = None
    by_operator: bool = False


Scenario = Callable[[World], Sent]


def _key(world: World) -> dict[str, Any]:
    return {"key_id": world.wallets.keys.create(world.owner_id, label="before").key_id}


def _budget(world: World) -> dict[str, Any]:
    budget = world.wallets.budgets.create(world.owner_id, limit_yen=900, window="day")
    return {"budget_id": budget.budget_id}


def _seller(world: World) -> dict[str, Any]:
    return {"seller_id": world.wallets.sellers.create(label="shop").seller_id}


def _closed(world: World) -> int:
    wallet_id: int = world.wallets.create(label="left").wallet_id
    world.wallets.close_wallet(wallet_id, note="contract ended")
    return wallet_id


def _grant(world: World) -> dict[str, Any]:
    return {"grant_id": world.wallets.grants.create(world.owner_id, 5).grant_id}


def _mailbox(world: World) -> dict[str, Any]:
    """An unconfirmed mailbox of the owner's, whose code is ``K7QM-3XRA``."""
    url = f"mailto:{new_idempotency_key()}@example.com"
    world.wallets.targets.set(world.owner_id, [])
    [target] = world.wallets.targets.set(world.owner_id, [WantedTarget(url=url)], mail=True)
    world.host.run("UPDATE am_credit_target SET code_sha256 = ?", code_sha256("K7QM-3XRA"))
    return {"target_id": target.target_id}


def _delivery(world: World) -> dict[str, Any]:
    wallet_id = told_of_charges(world.wallets, "https://example.com/told")
    world.wallets.notices.lease(())
    [delivery, *_] = world.wallets.deliveries.list(wallet_id)
    return {"delivery_id": delivery.delivery_id}


def _secret(world: World) -> dict[str, Any]:
    digest = sha256(b"a key of the host's").hexdigest()
    world.wallets.secrets.register(world.owner_id, digest)
    return {"sha256": digest}


def _paid(world: World) -> dict[str, Any]:
    topup = world.installation.request(world.owner_id, 500, key="paid")
    world.installation.fake.pay(intent_of(topup))
    world.installation.payments.reconcile()
    world.installation.hear()
    return {"topup_id": topup.topup_id}


def _charged(world: World) -> int:
    txn_id: int = world.wallets.charge(world.owner_id, 5, idempotency_key=new_idempotency_key()).txn_id
    return txn_id


def _topped_up(world: World) -> int:
    txn_id: int = world.wallets.topup(world.owner_id, 5, idempotency_key=new_idempotency_key()).txn_id
    return txn_id


def _operator(world: World) -> dict[str, Any]:
    name = f"bob{new_idempotency_key()[-8:]}"
    return {"operator_id": world.wallets.operators.create(name=name, role="viewer").operator_id}


def _operator_key(world: World) -> dict[str, Any]:
    operator = _operator(world)
    [key] = world.wallets.operators.keys(operator["operator_id"])
    return {**operator, "operator_key_id": key.operator_key_id}


def _wallet(world: World) -> dict[str, Any]:
    return {"wallet_id": world.owner_id}


OPERATIONS: dict[str, Scenario] = {
    "PATCH /credit/wallet": lambda _: Sent(
        body={"monthly_budget_yen": 5_000, "notification_targets": [{"url": "https://example.com/hook"}]}
    ),
    "POST /credit/token/rotate": lambda _: Sent(body={}),
    "POST /credit/keys": lambda _: Sent(body={"label": "agent"}),
    "PATCH /credit/keys/{key_id}": lambda world: Sent(_key(world), {"label": "after"}),
    "DELETE /credit/keys/{key_id}": lambda world: Sent(_key(world)),
    "POST /credit/keys/{key_id}/rotate": lambda world: Sent(_key(world), {}),
    "POST /credit/budgets": lambda _: Sent(body={"limit_yen": 900, "window": "day"}),
    "PATCH /credit/budgets/{budget_id}": lambda world: Sent(_budget(world), {"limit_yen": 800}),
    "DELETE /credit/budgets/{budget_id}": lambda world: Sent(_budget(world)),
    "POST /credit/notification-targets/{target_id}/confirm": lambda world: Sent(_mailbox(world), {"code": "K7QM-3XRA"}),
    "POST /credit/notification-targets/{target_id}/ask-again": lambda world: Sent(_mailbox(world)),
    "POST /credit/transfers": lambda world: Sent(body={"amount_yen": 1, "to_owner_token": world.other_token}),
    "POST /credit/topup": lambda _: Sent(body={"amount_yen": 500}),
    "DELETE /credit/topups/{topup_id}": lambda world: Sent(
        {
            "topup_id": world.installation.payments.request(
                world.owner_id, 500, idempotency_key=new_idempotency_key()
            ).topup_id
        }
    ),
    "POST /credit/refund": lambda world: Sent(body={"txn_id": _charged(world)}, by_operator=True),
    "POST /operator/topup": lambda world: Sent(body={"wallet_id": world.owner_id, "amount_yen": 1}),
    "POST /operator/topups/{topup_id}/pay-back": lambda world: Sent(_paid(world), {"amount_yen": 1}),
    "POST /operator/transfers": lambda world: Sent(
        body={"from_wallet_id": world.owner_id, "to_wallet_id": world.other_id, "amount_yen": 1}
    ),
    "POST /operator/prices": lambda _: Sent(body={"prices": '[[price]]\nitem = "search"\nunit_price_yen = "3"\n'}),
    "POST /operator/wallets": lambda _: Sent(body={"label": "new"}),
    "POST /operator/wallets/{wallet_id}/freeze": lambda world: Sent(
        _wallet(world), {"frozen": True, "reason": "fraud", "note": "ticket 4715"}
    ),
    "POST /operator/wallets/{wallet_id}/close": lambda world: Sent(
        {"wallet_id": world.wallets.create().wallet_id}, {"note": "contract ended"}
    ),
    "POST /operator/wallets/{wallet_id}/erase": lambda world: Sent({"wallet_id": _closed(world)}, {}),
    "POST /operator/wallets/{wallet_id}/link": lambda world: Sent(_wallet(world), {}),
    "POST /operator/wallets/{wallet_id}/hand-over": lambda world: Sent(
        _wallet(world), {"reference": "cust_2", "note": "company sold"}
    ),
    "POST /operator/wallets/{wallet_id}/merge": lambda world: Sent(
        {"wallet_id": world.wallets.create().wallet_id}, {"into_wallet_id": world.owner_id, "note": "registered twice"}
    ),
    "POST /operator/wallets/{wallet_id}/price-group": lambda world: Sent(_wallet(world), {"price_group": "partners"}),
    "POST /operator/wallets/{wallet_id}/metadata": lambda world: Sent(_wallet(world), {"metadata": {"plan": "pro"}}),
    "POST /operator/wallets/{wallet_id}/token/rotate": lambda world: Sent(
        {"wallet_id": world.other_id}, {"overlap_seconds": 60}
    ),
    "POST /operator/wallets/{wallet_id}/secrets": lambda world: Sent(_wallet(world), {"sha256": "a" * 64}),
    "DELETE /operator/secrets/{sha256}": lambda world: Sent(_secret(world)),
    "PUT /operator/notification-targets": lambda _: Sent(
        body={"notification_targets": [{"url": "https://example.com/operator"}]}
    ),
    "POST /operator/wallets/{wallet_id}/adjust": lambda world: Sent(
        _wallet(world), {"amount_yen": 1, "reason": "goodwill", "note": "sorry"}
    ),
    "POST /operator/wallets/{wallet_id}/take-back": lambda world: Sent(
        _wallet(world), {"txn_id": _topped_up(world), "reason": "mistyped_topup", "note": "one zero too many"}
    ),
    "POST /operator/deliveries/{delivery_id}/resend": lambda world: Sent(_delivery(world)),
    "POST /operator/grants": lambda world: Sent(body={"wallet_id": world.owner_id, "amount_yen": 5}),
    "DELETE /operator/grants/{grant_id}": lambda world: Sent(_grant(world)),
    "POST /operator/operators": lambda _: Sent(body={"name": "alice", "role": "support"}),
    "POST /operator/operators/{operator_id}": lambda world: Sent(_operator(world), {"role": "finance"}),
    "DELETE /operator/operators/{operator_id}": lambda world: Sent(_operator(world)),
    "POST /operator/operators/{operator_id}/keys": lambda world: Sent(_operator(world), {}),
    "DELETE /operator/operators/{operator_id}/keys/{operator_key_id}": lambda world: Sent(_operator_key(world)),
    "POST /operator/tokens/revoke": lambda world: Sent(body={"token": world.wallets.keys.create(world.owner_id).token}),
    "POST /operator/sellers": lambda _: Sent(body={"label": "shop"}),
    "DELETE /operator/sellers/{seller_id}": lambda world: Sent(_seller(world)),
    "POST /operator/sellers/{seller_id}/rotate": lambda world: Sent(_seller(world), {}),
}
"""Operations that leave acts: those of owners, and those of operators under ``/operator`` or ``by_operator``."""

MOVEMENTS: dict[str, str] = {
    "POST /credit/charge": "the entry says who paid, for what and when",
    "POST /credit/charge/batch": "the entries of charges",
    "POST /credit/hold": "the hold's row, and the entry of its capture",
    "POST /credit/capture": "the entry of the charge",
    "POST /credit/release": "the hold's row says how it ended",
    "POST /credit/extend": "the hold's row says when it ends",
    "POST /credit/purchase": "the entry of the charge, or the hold",
    "POST /credit/purchase/serve": "the purchase's row",
    "POST /credit/purchase/renew": "the purchase's row",
    "POST /credit/purchase/undo": "the entry of the refund, or the hold",
    "POST /webhooks/stripe": "what Stripe reports: the history of the top-up has it",
    "POST /mcp": "its tools call the operations above",
}
"""Operations that leave none, each with what is left instead."""


def _twin(scenario: Scenario) -> Scenario:
    def on_behalf(world: World) -> Sent:
        sent = scenario(world)
        return Sent({**(sent.path or {}), "wallet_id": world.owner_id}, sent.body, by_operator=True)

    return on_behalf


def with_twins(served: set[str]) -> dict[str, Scenario]:
    """``OPERATIONS``, and those of owners that operators have as well, of the ``served`` ones."""
    twins = {}
    for operation, scenario in OPERATIONS.items():
        method, address = operation.split()
        twin = f"{method} {mirrored(address, '{wallet_id}')}"
        if twin in served - OPERATIONS.keys():
            twins[twin] = _twin(scenario)
    return OPERATIONS | twins
