"""What holds for one node holds for all together: exactly what there was is spent, and keys end for all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from databases import on_postgres
from nodes import (
    LIMIT_YEN,
    NODES,
    Answer,
    Host,
    Inside,
    Node,
    answer,
    charge,
    last_yen_of_a_wallet,
    number,
    on_all,
    until,
)
from width import WIDE

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Charged, Outcome
from credit_wallet.errors import Unauthorized

pytestmark = on_postgres


THREADS = 4
"""Callers of a node at once."""

ATTEMPTS = 25
"""Of each caller."""

YEN_IN_TENTHS = 1_000 if WIDE else 200


# What nodes are told to do


def spend(inside: Inside, wallet_id: int, key_id: int | None, name: str) -> list[Answer]:
    """Charge ``ATTEMPTS`` times ¥1 from each of ``THREADS`` threads, alone, in pairs, or by a hold."""
    wallets = inside.wallets

    def spend_in_turn(thread: int) -> list[Answer]:
        answers: list[Answer] = []
        for attempt in range(ATTEMPTS):
            key = f"{name}-{thread}-{attempt}"
            if attempt % 5:
                answers.append(answer(lambda: wallets.charge(wallet_id, 1, idempotency_key=key, key_id=key_id)))  # noqa: B023
            else:
                held = answer(lambda: wallets.hold(wallet_id, 1, idempotency_key=key, key_id=key_id))  # noqa: B023
                answers.append(held if isinstance(held, str) else wallets.capture(held.hold_id or 0, 1))
        return answers

    inside.meet()
    with ThreadPoolExecutor(THREADS) as threads:
        return [each for answers in threads.map(spend_in_turn, range(THREADS)) for each in answers]


def spend_tenths(inside: Inside, wallet_id: int, name: str) -> int:
    """Charge ¥0.1 in lists, and by a hold now and then, until there is nothing left; how many times."""
    wallets, spent = inside.wallets, 0
    for turn in count():
        held = answer(lambda: wallets.hold(wallet_id, "0.1", idempotency_key=f"{name} hold {turn}"))  # noqa: B023
        if not isinstance(held, str):
            wallets.capture(held.hold_id or 0, "0.1")
            spent += 1
        outcomes = wallets.charge_many([(wallet_id, "0.1", f"{name} {turn} {each}") for each in range(50)])
        done = sum(isinstance(outcome, Outcome) for outcome in outcomes)
        spent += done
        if not done:
            return spent
    raise AssertionError


def charge_same_keys(inside: Inside, wallet_id: int) -> list[Outcome]:
    """Half of them one by one, half of them in batches."""
    keys = [f"same-{number}" for number in range(ATTEMPTS)]
    inside.meet()
    with ThreadPoolExecutor(THREADS) as threads:
        singles = threads.map(lambda key: inside.wallets.charge(wallet_id, 1, idempotency_key=key), keys)
        batch = inside.wallets.charge_many((wallet_id, 1, f"batch-{key}") for key in keys)
        return [*singles, *(each for each in batch if isinstance(each, Outcome))]


def charge_until_refused(inside: Inside, wallet_id: int, key_id: int, name: str) -> str:
    """The code of the refusal."""
    for attempt in count():
        outcome = charge(inside, wallet_id, f"{name}-{attempt}", key_id)
        if isinstance(outcome, str):
            return outcome
    raise AssertionError


def revoke(inside: Inside, key_id: int) -> str:
    return inside.wallets.keys.revoke(key_id)


def access(inside: Inside, token: str) -> str:
    try:
        return f"key {inside.wallets.tokens.authenticate(token).key_id}"
    except Unauthorized as refusal:
        return refusal.code


# Exactly what there was is spent


def last_yen_of_a_budget(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create(monthly_budget_yen=LIMIT_YEN, budget_mode="cap").wallet_id
    wallets.topup(wallet_id, 10_000, idempotency_key="start")
    return wallet_id, None


def last_yen_of_an_agent_key(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10_000, idempotency_key="start")
    return wallet_id, wallets.keys.create(wallet_id, monthly_cap_yen=LIMIT_YEN).key_id


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        pytest.param(last_yen_of_a_wallet, "insufficient_funds", id="wallet"),
        pytest.param(last_yen_of_a_budget, "budget_exhausted", id="budget"),
        pytest.param(last_yen_of_an_agent_key, "key_cap_exhausted", id="agent-key"),
    ],
)
def test_nodes_spend_exactly_what_there_is(
    wallets: CreditWallet,
    nodes: list[Node],
    limit: Callable[[CreditWallet], tuple[int, int | None]],
    code: str,
) -> None:
    wallet_id, key_id = limit(wallets)
    for position, node in enumerate(nodes):
        node.begin(spend, wallet_id, key_id, f"node-{position}")
    answers = [each for node in nodes for each in node.answer()]
    assert len(answers) == NODES * THREADS * ATTEMPTS > LIMIT_YEN
    assert Counter(each if isinstance(each, str) else "spent" for each in answers) == {
        "spent": LIMIT_YEN,
        code: len(answers) - LIMIT_YEN,
    }
    assert wallets.show(wallet_id).current_cycle_spent_yen == LIMIT_YEN
    assert wallets.balance(wallet_id).held_yen == 0
    assert wallets.verify() == []


def test_two_nodes_spend_all_there_is_in_tenths_to_exactly_nothing(
    wallets: CreditWallet, nodes: list[Node], host: Host
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, YEN_IN_TENTHS, idempotency_key="start")
    for position, node in enumerate(nodes[:2]):
        node.begin(spend_tenths, wallet_id, f"node-{position}")
    spent = [node.answer() for node in nodes[:2]]
    assert sum(spent) == 10 * YEN_IN_TENTHS
    assert min(spent) > 0
    view = wallets.show(wallet_id)
    assert (view.balance_micros, view.held_micros, view.current_cycle_spent_micros) == (0, 0, YEN_IN_TENTHS * 10**6)
    assert number(host, "SELECT sum(amount_yen) FROM am_credit_transaction_log") == 0
    assert number(host, "SELECT sum(amount_micros) FROM v_credit_transaction_exact") == 0
    assert wallets.verify() == []


def test_keys_that_all_nodes_send_are_carried_out_once(wallets: CreditWallet, nodes: list[Node]) -> None:
    wallet_id, _ = last_yen_of_a_wallet(wallets)
    answers = on_all(nodes, charge_same_keys, wallet_id)
    for outcomes in zip(*answers, strict=True):
        assert [outcome.replayed for outcome in outcomes].count(False) == 1
        assert len({(outcome.txn_id, outcome.balance_yen) for outcome in outcomes}) == 1
    assert wallets.balance(wallet_id) == LIMIT_YEN - 2 * ATTEMPTS
    assert len(wallets.history(wallet_id, txn_type="charge", limit=1_000)) == 2 * ATTEMPTS
    assert wallets.verify() == []


# What one node does holds for the others at once


def test_a_key_that_one_node_revokes_opens_nothing_on_the_others(wallets: CreditWallet, nodes: list[Node]) -> None:
    wallet_id, _ = last_yen_of_a_wallet(wallets)
    key = wallets.keys.create(wallet_id)
    first, *others = nodes
    for node in others:
        assert node.call(access, key.token) == f"key {key.key_id}"
    assert [type(each) for each in on_all(others, charge, wallet_id, "before", key.key_id)] == [Charged] * len(others)
    first.call(revoke, key.key_id)
    assert on_all(nodes, charge, wallet_id, "after", key.key_id) == ["unauthorized"] * NODES
    assert on_all(nodes, access, key.token) == ["unauthorized"] * NODES


def test_nothing_is_spent_with_a_key_once_it_is_revoked(wallets: CreditWallet, nodes: list[Node], host: Host) -> None:
    wallet_id, _ = last_yen_of_an_agent_key(wallets)
    key_id = wallets.keys.create(wallet_id).key_id
    spent = "SELECT count(*) FROM am_credit_transaction_log WHERE key_id = %s"
    first, *others = nodes
    for position, node in enumerate(others):
        node.begin(charge_until_refused, wallet_id, key_id, f"node-{position}")
    until(lambda: number(host, spent, key_id) >= 30)
    first.call(revoke, key_id)
    spent_when_revoked = number(host, spent, key_id)
    assert [node.answer() for node in others] == ["unauthorized"] * len(others)
    assert number(host, spent, key_id) == spent_when_revoked
    assert wallets.verify() == []


def test_alerts_fire_once_whichever_node_crosses_the_threshold(
    wallets: CreditWallet, nodes: list[Node], host: Host
) -> None:
    wallet_id, _ = last_yen_of_a_budget(wallets)
    for position, node in enumerate(nodes):
        node.begin(spend, wallet_id, None, f"node-{position}")
    outcomes = [each for node in nodes for each in node.answer() if isinstance(each, Outcome)]
    fired = [alert for outcome in outcomes for alert in outcome.alerts]
    assert sorted((alert.threshold_pct, alert.spent_yen) for alert in fired) == [(50, 150), (80, 240), (100, 300)]
    assert sorted(alert.threshold_pct for alert in wallets.alerts.list(wallet_id)) == [50, 80, 100]
    assert number(host, "SELECT count(*) FROM am_credit_outbox WHERE kind = 'budget.threshold_reached'") == 3
