"""Two nodes wait for the database while a month ends, and race for what the new one has: no cap is exceeded, ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from clock import Clock
from databases import Databases, on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import BudgetExhausted, KeyCapExhausted, RailBusy

pytestmark = [on_every_database, pytest.mark.slow]

MONTHS = [datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(12)]
WALLET_YEN, KEY_YEN, DAY_YEN = 100, 80, 60

_HELD = (
    "SELECT coalesce(sum(amount_yen - captured_yen), 0) FROM am_credit_hold WHERE status = 'open' AND created_at < ?"
)
_SPENT = """
SELECT coalesce(-sum(amount_yen), 0) FROM am_credit_transaction_log
WHERE txn_type = 'charge' AND occurred_at >= ? AND occurred_at < ?
"""
_INSTANTS = "SELECT occurred_at FROM am_credit_transaction_log ORDER BY txn_id"


@pytest.fixture
def two_nodes(databases: Databases) -> Iterator[tuple[str, Clock, list[CreditWallet]]]:
    clock = Clock(MONTHS[0])
    with (
        databases.ledger() as url,
        CreditWallet.open(url, clock=clock) as one,
        CreditWallet.open(url, clock=clock) as other,
    ):
        yield url, clock, [one, other]
        assert one.verify() == []


def used_yen(host: PlainSql, start: datetime, length: timedelta) -> int:
    """What was spent from an instant on, and what holds set aside that were made before the end: counted by hand."""
    bounds = format_instant(start), format_instant(start + length)
    [(spent,)], [(held,)] = host.run(_SPENT, *bounds), host.run(_HELD, bounds[1])
    return int(spent) + int(held)


def test_no_cap_is_exceeded_by_what_has_waited_over_the_end_of_a_month(
    two_nodes: tuple[str, Clock, list[CreditWallet]],
) -> None:
    url, clock, nodes = two_nodes
    random = Random(4)
    wallet_id = nodes[0].create(monthly_budget_yen=WALLET_YEN, budget_mode="cap").wallet_id
    nodes[0].topup(wallet_id, 100_000, idempotency_key="start")
    key_id = nodes[0].keys.create(wallet_id, monthly_cap_yen=KEY_YEN).key_id
    nodes[0].budgets.create(wallet_id, limit_yen=DAY_YEN, window="day")
    passed = 0
    with PlainSql(url) as host, ThreadPoolExecutor(8) as threads:
        for month, begins in enumerate(MONTHS[1:]):
            clock.set(begins - timedelta(milliseconds=1))
            waiting: list[Future[Any]] = []
            with PlainSql(url) as other, other.exclusively():
                for number in range(6):
                    node = random.choice(nodes)
                    call: Callable[..., Outcome] = node.hold if random.random() < 0.5 else node.charge
                    payer = {"key_id": random.choice([None, key_id]), "idempotency_key": f"{month}-{number}"}
                    waiting.append(threads.submit(partial(call, wallet_id, random.choice([20, 30, 40]), **payer)))
                    if number == random.randrange(6):
                        clock.set(begins)
                while sum(node._ledger.lanes.waiting() for node in nodes) < len(waiting):
                    pass
                clock.set(begins)
            outcomes = [each.exception() or each.result() for each in waiting]
            refused = [each for each in outcomes if isinstance(each, BudgetExhausted | KeyCapExhausted | RailBusy)]
            passed += len(outcomes) - len(refused)
            assert all(not isinstance(each, Exception) or each in refused for each in outcomes), outcomes
            assert used_yen(host, begins, timedelta(days=28)) <= WALLET_YEN
            assert used_yen(host, begins, timedelta(days=1)) <= DAY_YEN
            for outcome in outcomes:
                if isinstance(outcome, Outcome) and (hold_id := outcome.hold_id) is not None:
                    nodes[0].capture(hold_id, outcome.amount_yen, idempotency_key=f"capture-{hold_id}")
            assert used_yen(host, begins, timedelta(days=28)) <= WALLET_YEN
        instants = [at for (at,) in host.run(_INSTANTS)]
    assert instants == sorted(instants)
    assert passed >= len(MONTHS)
