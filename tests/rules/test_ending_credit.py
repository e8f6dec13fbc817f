"""Credit that ends is told before it does and when it has, and can be seen: each lot, what is left of it, its end.

Who would know of an end: the owner and the operator through their targets (30 days before, 7 days before, and when it
has come), an owner or an agent over HTTP and through the client, a model through MCP, an operator on the command line.
Who notices it: the worker, ``alerts run``, and for what has ended every movement and every look at the wallet.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clock import Clock
from databases import Databases, on_every_database
from msgspec import json
from plain_sql import PlainSql
from receivers import receiver
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings, open_notifier
from credit_wallet.domain.cycle import format_instant
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.notices.texts import Notice, message_of
from credit_wallet.stores.jobs import lot_notices
from credit_wallet.worker import JOBS, Worker

pytestmark = on_every_database

NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)


@pytest.fixture
def host(db_url: str, wallets: CreditWallet) -> Iterator[PlainSql]:
    """The ledger's database, by plain SQL, once the wallet has made it."""
    assert not wallets.maintenance.waiting()
    with PlainSql(db_url) as opened:
        yield opened


def in_days(days: float) -> str:
    return format_instant(NOW + timedelta(days=days))


def give(wallets: CreditWallet, wallet_id: int, amount_yen: int, days: float | None, *, promo: bool = True) -> int:
    """Credit that ends ``days`` after ``NOW``; its lot."""
    end = None if days is None else in_days(days)
    key = f"topup {amount_yen} {days}"
    outcome = wallets.topup(wallet_id, amount_yen, idempotency_key=key, promo=promo, expires_at=end)
    assert outcome.txn_id is not None
    return outcome.txn_id


def told(host: PlainSql) -> list[dict[str, Any]]:
    """What was told of credit that ends, oldest first, with its kind."""
    rows = host.run("SELECT kind, payload FROM am_credit_outbox WHERE kind LIKE 'credit%' ORDER BY event_id")
    return [{"kind": kind, **json.decode(payload)} for kind, payload in rows]


def notify(wallets: CreditWallet) -> None:
    while wallets.maintenance.emit_expiry_notices():
        pass


def test_a_lot_is_told_of_30_days_before_its_end_7_days_before_and_when_it_has_ended(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    wallet_id = wallets.create().wallet_id
    give(wallets, wallet_id, 1_000, None, promo=False)
    lot_id = give(wallets, wallet_id, 500, 40)
    lot = {"wallet_id": wallet_id, "lot_id": lot_id, "lot_kind": "promo", "expires_at": in_days(40)}
    expected: list[dict[str, Any]] = []
    for days, event in (
        (9.99, None),
        (10, {"kind": "credit.expiring", **lot, "remaining_yen": 500, "remaining": "500", "days": 30}),
        (32.99, None),
        (33, {"kind": "credit.expiring", **lot, "remaining_yen": 380, "remaining": "380", "days": 7}),
        (39.99, None),
        (40, {"kind": "credit.expired", **lot, "expired_yen": 380, "expired": "380"}),
        (80, None),
    ):
        clock.set(NOW + timedelta(days=days))
        if days == 20:
            wallets.charge(wallet_id, 120, idempotency_key="charge")
        expected += [event] if event else []
        for _ in range(3):
            notify(wallets)
            wallets.maintenance.expire_due()
            assert told(host) == expected, days
        if days == 10:
            wallets.charge(wallet_id, 120, idempotency_key="charge")
    assert wallets.balance(wallet_id) == 1_000
    assert wallets.verify() == []


@pytest.mark.parametrize(
    ("days", "looked_at", "notices"),
    [
        pytest.param(31, [0], [], id="in 31 days"),
        pytest.param(30, [0], [30], id="in 30 days"),
        pytest.param(20, [0, 12, 13], [30, 7], id="in 20 days"),
        pytest.param(7, [0], [7], id="in a week"),
        pytest.param(3, [0, 1], [7], id="in 3 days"),
        pytest.param(40, [35], [7], id="nobody looked for five weeks"),
        pytest.param(40, [41], [], id="nobody looked before the end"),
        pytest.param(None, [0, 400], [], id="it never ends"),
    ],
)
def test_a_notice_that_comes_late_is_the_latest_that_is_due(
    wallets: CreditWallet, host: PlainSql, clock: Clock, days: float | None, looked_at: list[int], notices: list[int]
) -> None:
    give(wallets, wallets.create().wallet_id, 500, days)
    for day in looked_at:
        clock.set(NOW + timedelta(days=day))
        notify(wallets)
    assert [event["days"] for event in told(host) if event["kind"] == "credit.expiring"] == notices


def test_nothing_is_told_of_a_lot_of_which_nothing_is_left(wallets: CreditWallet, host: PlainSql, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    give(wallets, wallet_id, 500, 20)
    charge = wallets.charge(wallet_id, 500, idempotency_key="all of it")
    notify(wallets)
    assert told(host) == []
    clock.advance(days=13)
    assert charge.txn_id is not None
    wallets.refund(charge.txn_id, 50, idempotency_key="some of it")
    notify(wallets)
    assert [(event["days"], event["remaining_yen"]) for event in told(host)] == [(7, 50)]
    wallets.charge(wallet_id, 50, idempotency_key="all of it again")
    clock.advance(days=8)
    wallets.maintenance.expire_due()
    assert len(told(host)) == 1  # nothing was left at its end
    wallets.refund(charge.txn_id, 10, idempotency_key="to a lot that has ended")
    wallets.refund(charge.txn_id, 10, idempotency_key="to it again")
    assert [(event["kind"], event.get("expired_yen")) for event in told(host)[1:]] == [("credit.expired", 10)]


def test_each_lot_of_each_wallet_is_told_of_whoever_ended_it(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    lots = []
    for number in range(3):
        wallet_id = wallets.create().wallet_id
        lots += [give(wallets, wallet_id, 100 + number, days) for days in (5, 6, None)][:2]
    notify(wallets)
    assert sorted(event["lot_id"] for event in told(host)) == sorted(lots)
    clock.advance(days=5)
    wallets.show(1)
    wallets.charge(2, 1, idempotency_key="charge")
    wallets.maintenance.expire_due()
    clock.advance(days=1)
    wallets.maintenance.expire_due()
    ended = [event["lot_id"] for event in told(host) if event["kind"] == "credit.expired"]
    assert sorted(ended) == sorted(lots)
    assert wallets.verify() == []


def test_many_lots_are_told_of_in_steps(wallets: CreditWallet, host: PlainSql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lot_notices, "LOTS_A_STEP", 7)
    wallet_id = wallets.create().wallet_id
    for number in range(20):
        give(wallets, wallet_id, 1, 5 + number / 100)
    assert [wallets.maintenance.emit_expiry_notices() for _ in range(4)] == [7, 7, 6, 0]
    assert [event["expires_at"] for event in told(host)] == [in_days(5 + number / 100) for number in range(20)]


def test_a_damaged_wallet_keeps_no_other_from_being_told(wallets: CreditWallet, host: PlainSql) -> None:
    damaged, other = wallets.create().wallet_id, wallets.create().wallet_id
    give(wallets, damaged, 100, 5)
    lot_id = give(wallets, other, 100, 5)
    host.run("UPDATE am_credit_wallet SET open_lots = 'nonsense' WHERE wallet_id = ?", damaged)
    notify(wallets)
    assert [event["lot_id"] for event in told(host)] == [lot_id]


def test_workers_at_once_tell_of_each_lot_once(
    wallets: CreditWallet, host: PlainSql, db_url: str, clock: Clock
) -> None:
    for _ in range(10):
        wallet_id = wallets.create().wallet_id
        for days in (5, 6, 20):
            give(wallets, wallet_id, 100, days)
    with CreditWallet.open(db_url, clock=clock) as second:
        threads = [threading.Thread(target=notify, args=(each,)) for each in (wallets, second, wallets, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = [(event["wallet_id"], event["lot_id"], event["days"]) for event in told(host)]
    assert len(events) == 30
    assert len(set(events)) == 30


def test_lots_from_before_there_were_notices_are_told_of(databases: Databases, clock: Clock) -> None:
    from credit_wallet.stores.migrations import manifest

    assert "290_credit_expiry_notices.sql" in manifest()
    with databases.ledger() as url, PlainSql(url) as host, CreditWallet.open(url, clock=clock) as wallets:
        lot_id = give(wallets, wallets.create().wallet_id, 100, 5)
        assert host.run("SELECT notices_emitted FROM am_credit_lot") == [(0,)]
        notify(wallets)
        assert [event["lot_id"] for event in told(host)] == [lot_id]
        assert host.run("SELECT notices_emitted FROM am_credit_lot") == [(2,)]


def test_the_next_notices_are_found_by_an_index(wallets: CreditWallet, host: PlainSql, databases: Databases) -> None:
    if databases.kind != "sqlite":
        pytest.skip("PostgreSQL scans small tables whatever the indexes")
    [where] = lot_notices.due(NOW)[:1]
    statement = lot_notices.SQL["notices_due"]
    for name, value in where.items():
        statement = statement.replace(f":{name}", repr(value))
    plan = " ".join(row[-1] for row in host.run(f"EXPLAIN QUERY PLAN {statement}"))
    assert "idx_am_credit_lot_next_notice" in plan
    assert "TEMP B-TREE" not in plan
    assert wallets.maintenance.emit_expiry_notices() == 0


def test_the_worker_tells(wallets: CreditWallet, host: PlainSql, clock: Clock) -> None:
    give(wallets, wallets.create().wallet_id, 100, 5)
    worker = Worker(wallets, JOBS)
    worker.run_due(0.0)
    assert [event["kind"] for event in told(host)] == ["credit.expiring"]
    clock.advance(days=5)
    worker.run_due(1.0)
    assert [event["kind"] for event in told(host)] == ["credit.expiring", "credit.expired"]


def test_a_webhook_is_told(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create(time_zone="Asia/Tokyo", label="search").wallet_id
    lot_id = give(wallets, wallet_id, 500, 40, promo=False)
    notifier = open_notifier(wallets, NotifySettings(private=True))
    assert notifier is not None
    with receiver() as endpoint:
        wallets.targets.add(wallet_id, TargetSettings(url=endpoint.url), private=True)
        clock.advance(days=10)
        notify(wallets)
        assert notifier.deliver() == 1
        [request] = endpoint.received
    assert request.json["type"] == "credit.expiring"
    assert request.json["data"] == {
        "lot_id": lot_id,
        "lot_kind": "paid",
        "remaining_yen": 500,
        "remaining": "500",
        "expires_at": in_days(40),
        "days": 30,
    }


@pytest.mark.parametrize(
    ("kind", "language", "title", "body"),
    [
        (
            "credit.expiring",
            "en",
            "Credit expires within 30 days",
            "¥1,500 of promotional credit (lot 3) in Wallet 7 (search) expires at 2026-06-15 00:00 (Asia/Tokyo) "
            "unless it is spent first.",
        ),
        (
            "credit.expiring",
            "ja",
            "30日以内に失効する残高があります",
            "ウォレット7(search)の無償残高のうち¥1,500(ロット3)は、2026-06-15 00:00 (Asia/Tokyo)に失効します。"
            "それまでにご利用ください。",
        ),
        (
            "credit.expired",
            "en",
            "Credit has expired",
            "¥1,500 of promotional credit (lot 3) in Wallet 7 (search) expired at 2026-06-15 00:00 (Asia/Tokyo) and "
            "can no longer be spent.",
        ),
        (
            "credit.expired",
            "ja",
            "残高が失効しました",
            "ウォレット7(search)の無償残高のうち¥1,500(ロット3)は、2026-06-15 00:00 (Asia/Tokyo)に有効期限を迎え、"
            "失効しました。",
        ),
    ],
)
def test_people_read_the_end_by_the_wallets_clocks(kind: str, language: str, title: str, body: str) -> None:
    payload = {"lot_id": 3, "lot_kind": "promo", "remaining_yen": 1_500, "expired_yen": 1_500, "days": 30}
    end = {"expires_at": "2026-06-14T15:00:00.000Z"}
    message = message_of([Notice(1, 7, "search", kind, {**payload, **end}, "", "Asia/Tokyo")], language)
    assert (message.title, message.body) == (title, body)


# Where lots can be seen


def test_owners_and_agents_see_the_lots(wallets: CreditWallet) -> None:
    owner = wallets.create()
    agent = wallets.keys.create(owner.wallet_id)
    paid = give(wallets, owner.wallet_id, 1_000, None, promo=False)
    later, sooner = give(wallets, owner.wallet_id, 300, 60), give(wallets, owner.wallet_id, 200, 20)
    wallets.charge(owner.wallet_id, 50, idempotency_key="charge")
    lots = [
        {
            "lot_id": sooner,
            "kind": "promo",
            "remaining_yen": 150,
            "remaining": "150",
            "expires_at": in_days(20),
            "days_left": 20,
        },
        {
            "lot_id": later,
            "kind": "promo",
            "remaining_yen": 300,
            "remaining": "300",
            "expires_at": in_days(60),
            "days_left": 60,
        },
        {
            "lot_id": paid,
            "kind": "paid",
            "remaining_yen": 1_000,
            "remaining": "1000",
            "expires_at": None,
            "days_left": None,
        },
    ]
    with Api(new_app(wallets)) as api:
        for token in (owner.owner_token, agent.token):
            assert api.get("/credit/lots", token).json() == lots
            assert api.get("/credit/wallet", token).json()["lots"] == lots
        assert api.get("/credit/lots", "cw_live_nobody").status_code == 401


def test_lots_that_have_ended_are_not_shown(wallets: CreditWallet, clock: Clock) -> None:
    owner = wallets.create()
    give(wallets, owner.wallet_id, 200, 20)
    clock.advance(days=20)
    with Api(new_app(wallets)) as api:
        assert api.get("/credit/lots", owner.owner_token).json() == []
        assert api.get("/credit/wallet", owner.owner_token).json()["lots"] == []
