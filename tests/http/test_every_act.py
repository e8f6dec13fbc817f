"""Every operation that changes something leaves an act: each is called, and every table is compared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clock import Clock
from fake_stripe import FakeStripe
from installation import Installation
from operations import MOVEMENTS, World, with_twins
from plain_sql import PlainSql, contents
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings
from credit_wallet.domain.acts import ActView
from credit_wallet.http.app import documented

LOG = "am_credit_act"


@pytest.fixture
def world(wallets: CreditWallet, clock: Clock, db_url: str) -> Iterator[World]:
    with FakeStripe(clock=lambda: int(clock().timestamp()), retry_seconds=(0.01,)) as fake, PlainSql(db_url) as host:
        owner, other = wallets.create(), wallets.create()
        for wallet in (owner, other):
            wallets.topup(wallet.wallet_id, 1_000, idempotency_key="start")
        clock.advance(days=180)  # what was issued in a period may be paid back in the next one
        installation = Installation(wallets, fake, clock, pay_back=True)
        yield World(installation, host, owner.wallet_id, owner.owner_token, other.wallet_id, other.owner_token)


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    notify = NotifySettings(mail_url="mailtos://user:password@example.com")
    with Api(new_app(world.wallets, payments=world.installation.payments, notify=notify)) as opened:
        yield opened


def operations() -> set[str]:
    """Every operation of the service that may change something."""
    served: set[str] = set()
    for route in documented().routes:
        for method in getattr(route, "route_handler_map", {}):
            if method not in ("GET", "HEAD", "OPTIONS"):
                served.add(f"{method} {route.path_format}")
    return served


def newest(world: World, since: int) -> list[ActView]:
    return [act for act in world.wallets.log() if act.act_id > since]


def test_every_operation_is_known_to_leave_an_act_or_said_not_to() -> None:
    served = operations()
    assert served == with_twins(served).keys() | MOVEMENTS.keys()
    assert not with_twins(served).keys() & MOVEMENTS.keys()


def test_every_operation_that_changes_something_leaves_an_act_of_its_caller(world: World, api: Api) -> None:
    silent, strangers, failed = [], [], []
    for number, (operation, scenario) in enumerate(with_twins(operations()).items()):
        method, address = operation.split()
        sent = scenario(world)
        by_operator = sent.by_operator or address.startswith("/operator")
        before = contents(world.host)
        since = max(row[0] for row in before[LOG])
        answer = api.call(
            method,
            address.format(**(sent.path or {})),
            OPERATOR_KEY if by_operator else world.owner_token,
            key=f"walk {number}",
            json=sent.body,
            headers={"X-Request-Id": f"walk-{number}"},
        )
        after = contents(world.host)
        changed = {name for name in after if after[name] != before[name]}
        left = newest(world, since)
        if not answer.is_success or not changed:
            failed.append((operation, answer.status_code, answer.text))
        if not left:
            silent.append((operation, changed))
        wanted = ("operator:operator" if by_operator else "owner", f"walk-{number}", "192.0.2.1")
        strangers += [(operation, act) for act in left if (act.by, act.request_id, act.address) != wanted]
    assert (failed, silent, strangers) == ([], [], [])
    assert world.wallets.verify() == []


def test_what_is_a_movement_leaves_none(world: World, api: Api) -> None:
    wallets, token = world.wallets, world.owner_token
    since = wallets.log()[0].act_id
    assert api.post("/credit/charge", token, key="a", amount_yen=1).is_success
    hold = api.post("/credit/hold", token, key="b", amount_yen=3).json()["hold_id"]
    assert api.post("/credit/extend", token, hold_id=hold, ttl_seconds=1_000).is_success
    assert api.post("/credit/capture", token, key="c", hold_id=hold, amount_yen=1).is_success
    seller = wallets.sellers.create()
    charge = api.post("/credit/charge", seller.token, key="d", amount_yen=2, wallet_id=world.owner_id).json()
    assert api.post("/credit/refund", seller.token, key="e", txn_id=charge["txn_id"]).is_success
    assert [act.kind for act in newest(world, since)] == ["seller.created"]
