"""Nodes that credit grants at once, beside one that cancels or is killed: each occurrence is credited once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from clock import Clock
from databases import on_postgres
from nodes import Host, Inside, Node, number, on_all, open_ledger

from credit_wallet import CreditWallet

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

pytestmark = on_postgres

WALLETS = 30


@pytest.fixture
def spare(start: Barrier, db_url: str) -> Iterator[Node]:
    """One more, which may be killed."""
    node = Node(start)
    node.call(open_ledger, f"{db_url}?application_name=spare")
    yield node
    node.kill()


def work(inside: Inside) -> int:
    """What the worker does: until nothing is left."""
    inside.meet()
    return work_alone(inside)


def work_alone(inside: Inside) -> int:
    done = step = inside.wallets.maintenance.credit_grants(7)
    while step:
        step = inside.wallets.maintenance.credit_grants(7)
        done += step
    return done


def cancel_each(inside: Inside, grant_ids: list[int]) -> None:
    for grant_id in grant_ids:
        inside.wallets.grants.cancel(grant_id)


def promised(db_url: str) -> list[int]:
    """Wallets that were promised ¥100 a month 70 days ago: three occurrences were missed."""
    clock = Clock(datetime.now(UTC) - timedelta(days=70))
    with CreditWallet.open(db_url, clock=clock) as then:
        ids = [then.create().wallet_id for _ in range(WALLETS)]
        for wallet_id in ids:
            then.grants.create(wallet_id, 100, every="month")
    return ids


def test_nodes_that_work_at_once_credit_each_occurrence_once(
    wallets: CreditWallet, nodes: list[Node], db_url: str, host: Host
) -> None:
    ids = promised(db_url)
    on_all(nodes, work)
    wallets.maintenance.credit_grants()
    assert {wallets.balance(wallet_id) for wallet_id in ids} == {300}
    assert number(host, "SELECT count(*) FROM am_credit_grant_occurrence") == 3 * WALLETS
    assert number(host, "SELECT count(*) FROM am_credit_transaction_log WHERE cause = 'grant'") == 3 * WALLETS
    assert on_all(nodes, work) == [0] * len(nodes)
    assert wallets.verify() == []


def test_a_node_that_cancels_beside_them_comes_before_or_after_an_occurrence(
    wallets: CreditWallet, nodes: list[Node], spare: Node, db_url: str
) -> None:
    promised(db_url)
    grants = wallets.grants.list()
    spare.begin(cancel_each, [grant.grant_id for grant in grants])
    on_all(nodes, work)
    spare.answer()
    for grant in grants:
        recorded = wallets.grants.occurrences(grant.grant_id)
        assert wallets.balance(grant.wallet_id) == 100 * len(recorded)
        assert wallets.grants.show(grant.grant_id).next_at is None
    assert wallets.maintenance.credit_grants() == 0
    assert wallets.verify() == []


def test_a_node_that_is_killed_at_work_leaves_the_rest_to_the_others(
    wallets: CreditWallet, nodes: list[Node], spare: Node, db_url: str
) -> None:
    ids = promised(db_url)
    spare.begin(work_alone)
    spare.kill()
    on_all(nodes, work)
    wallets.maintenance.credit_grants()
    assert {wallets.balance(wallet_id) for wallet_id in ids} == {300}
    assert wallets.verify() == []
