"""Jobs that all nodes run at once are done once; nodes that open at once or are killed harm nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from clock import Clock
from databases import Databases, on_postgres
from nodes import (
    LIMIT_YEN,
    NODES,
    Answer,
    Host,
    Inside,
    Node,
    charge,
    close_ledger,
    last_yen_of_a_wallet,
    number,
    on_all,
    open_ledger,
    until,
)
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

pytestmark = on_postgres


# A node's process


@pytest.fixture
def spare(start: Barrier, db_url: str) -> Iterator[Node]:
    """One more, which may be killed."""
    node = Node(start)
    node.call(open_ledger, f"{db_url}?application_name=spare")
    yield node
    node.kill()


# What nodes are told to do


def charge_each(inside: Inside, wallet_ids: Sequence[int], name: str, rounds: int) -> list[Answer]:
    return [charge(inside, wallet_id, f"{name}-{turn}") for turn in range(rounds) for wallet_id in wallet_ids]


def upgrade_and_open(inside: Inside, url: str) -> tuple[list[str], int]:
    """The migrations that this node has applied, and how many wallets it has backfilled."""
    inside.meet()
    upgrade = database_at(url).upgrade(datetime.now(UTC))
    open_ledger(inside, url)
    return upgrade.applied, upgrade.wallets_backfilled


def run_alerts(inside: Inside) -> int:
    inside.meet()
    return len(inside.wallets.alerts.run().alerts_fired)


def expire_due(inside: Inside) -> int:
    inside.meet()
    return inside.wallets.maintenance.expire_due()


def seal(inside: Inside) -> int:
    inside.meet()
    return inside.wallets.maintenance.seal()


def prune(inside: Inside) -> int:
    inside.meet()
    return inside.wallets.maintenance.prune_idempotency_keys()


def hang_with_a_lock(inside: Inside, wallet_id: int) -> None:
    """Lock a wallet, say so, and never come to the end of the transaction."""

    def lock_and_hang(connection: Any) -> None:
        connection.execute("SELECT 1 FROM am_credit_wallet WHERE wallet_id = :id FOR UPDATE", {"id": wallet_id})
        inside.line.send("locked")
        threading.Event().wait()

    inside.wallets._ledger.lanes.maintenance.call(lambda store: store.run(lock_and_hang))


# Jobs that all nodes run at once


def test_the_alert_job_fires_once(wallets: CreditWallet, nodes: list[Node], db_url: str, host: Host) -> None:
    with PlainSql(db_url) as plain:
        for _ in range(10):
            wallet_id = plain.wallet(monthly_budget_yen=100, balance_yen=200)
            plain.move(wallet_id, "charge", -85, datetime.now(UTC).isoformat())
    fired = on_all(nodes, run_alerts)
    assert sum(fired) == 2 * 10
    assert number(host, "SELECT count(*) FROM am_credit_spending_alert") == 2 * 10
    assert number(host, "SELECT count(*) FROM am_credit_outbox WHERE kind = 'budget.threshold_reached'") == 2 * 10
    assert wallets.verify() == []


def test_what_is_due_is_carried_out_once(wallets: CreditWallet, nodes: list[Node], db_url: str, host: Host) -> None:
    clock = Clock(datetime.now(UTC) - timedelta(days=1))
    with CreditWallet.open(db_url, clock=clock) as yesterday:
        for _ in range(20):
            wallet_id, _ = last_yen_of_a_wallet(yesterday)
            expiry = (clock() + timedelta(hours=1)).isoformat()
            yesterday.topup(wallet_id, 7, idempotency_key="promo", promo=True, expires_at=expiry)
            yesterday.hold(wallet_id, 10, idempotency_key="hold", ttl_seconds=60)
    assert sum(on_all(nodes, expire_due)) >= 20
    assert number(host, "SELECT count(*) FROM am_credit_hold WHERE status = 'expired'") == 20
    assert number(host, "SELECT count(*) FROM am_credit_transaction_log WHERE txn_type = 'expire'") == 20
    assert wallets.maintenance.totals().balance_yen == 20 * LIMIT_YEN
    assert on_all(nodes, expire_due) == [0] * NODES
    assert wallets.verify() == []


def test_entries_are_sealed_once(wallets: CreditWallet, nodes: list[Node]) -> None:
    wallet_id, _ = last_yen_of_a_wallet(wallets)
    sealed: list[int] = []
    for turn in range(3):
        wallets.charge_many((wallet_id, 1, f"charge-{turn}-{each}") for each in range(10))
        sealed += on_all(nodes, seal)

    def all_are_sealed() -> bool:
        """Sealing waits for transactions of other databases too."""
        sealed.append(wallets.maintenance.seal())
        return sum(sealed) == 31

    until(all_are_sealed)
    assert wallets.verify() == []


def test_idempotency_keys_are_forgotten_once(wallets: CreditWallet, nodes: list[Node], db_url: str) -> None:
    with CreditWallet.open(db_url, clock=Clock(datetime.now(UTC) - timedelta(days=10))) as long_ago:
        old_id, _ = last_yen_of_a_wallet(long_ago)
        long_ago.charge_many((old_id, 1, f"charge-{each}") for each in range(99))
    wallet_id, _ = last_yen_of_a_wallet(wallets)
    assert sum(on_all(nodes, prune)) == 100
    assert wallets.topup(wallet_id, LIMIT_YEN, idempotency_key="start").replayed
    assert wallets.verify() == []


# Opening


@pytest.mark.databases("postgres")
def test_nodes_that_open_an_empty_database_at_once_make_its_schema_once(
    all_nodes: list[Node], databases: Databases
) -> None:
    with databases.nothing() as url:
        done = on_all(all_nodes, upgrade_and_open, url)
        assert sorted(name for applied, _ in done for name in applied) == migrations.manifest()
        with CreditWallet.open(url) as wallets:
            wallet_id, _ = last_yen_of_a_wallet(wallets)
            assert [each.replayed for each in on_all(all_nodes, charge, wallet_id, "same")].count(False) == 1
            assert wallets.verify() == []
        on_all(all_nodes, close_ledger)


def test_nodes_that_open_a_hosts_database_at_once_adopt_it_once(all_nodes: list[Node], databases: Databases) -> None:
    with databases.seed() as url:
        with PlainSql(url) as plain:
            wallet_ids = [plain.wallet() for _ in range(20)]
            for wallet_id in wallet_ids:
                plain.move(wallet_id, "topup", 100)
                plain.move(wallet_id, "charge", -30)
        done = on_all(all_nodes, upgrade_and_open, url)
        assert sorted(name for applied, _ in done for name in applied) == migrations.manifest()
        with CreditWallet.open(url) as wallets:
            assert wallets.verify() == []
            assert [wallets.balance(wallet_id) for wallet_id in wallet_ids] == [70] * 20
        on_all(all_nodes, close_ledger)


# A node is killed


def test_a_node_that_is_killed_in_a_transaction_leaves_no_locks(
    wallets: CreditWallet, nodes: list[Node], spare: Node, host: Host
) -> None:
    wallet_id, _ = last_yen_of_a_wallet(wallets)
    spare.begin(hang_with_a_lock, wallet_id)
    assert spare.answer() == "locked"
    for position, node in enumerate(nodes):
        node.begin(charge, wallet_id, f"node-{position}")
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
    until(lambda: number(host, blocked) == NODES)
    spare.kill()
    assert sorted(node.answer().balance_yen for node in nodes) == [LIMIT_YEN - each for each in range(NODES, 0, -1)]
    assert wallets.verify() == []


def test_nodes_go_on_when_one_of_them_is_killed_under_load(
    wallets: CreditWallet, nodes: list[Node], spare: Node, host: Host
) -> None:
    wallet_ids = [last_yen_of_a_wallet(wallets)[0] for _ in range(3)]
    rounds = 30
    spare.begin(charge_each, wallet_ids, "spare", rounds)
    for position, node in enumerate(nodes):
        node.begin(charge_each, wallet_ids, f"node-{position}", rounds)
    done = "SELECT count(*) FROM am_credit_idempotency WHERE starts_with(idempotency_key, 'spare-')"
    until(lambda: number(host, done) >= rounds)
    spare.kill()
    for node in nodes:
        assert not any(isinstance(each, str) or each.replayed for each in node.answer())
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'spare'"
    until(lambda: not number(host, sessions))
    done_when_killed = number(host, done)
    answers = nodes[0].call(charge_each, wallet_ids, "spare", rounds)
    assert [each.replayed for each in answers].count(True) == done_when_killed
    assert [wallets.balance(wallet_id) for wallet_id in wallet_ids] == [LIMIT_YEN - rounds * (NODES + 1)] * 3
    assert wallets.verify() == []
