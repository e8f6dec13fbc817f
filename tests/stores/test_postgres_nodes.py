"""Four nodes, each a process of its own, on one PostgreSQL database: what holds for one holds for all together."""

from __future__ import annotations

import multiprocessing
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import psycopg
import pytest
from clock import Clock
from databases import Databases, on_postgres
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import Unauthorized, WalletError
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

pytestmark = on_postgres

NODES = 4
THREADS = 4
"""Callers of a node at once."""

ATTEMPTS = 25
"""Of each caller."""

LIMIT_YEN = 300
PATIENCE_SECONDS = 60

Host: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
Answer: TypeAlias = Outcome | str


# A node's process


class Failure(NamedTuple):
    """An exception that nobody reckoned with."""

    report: str


class Inside:
    """What a node's process has: its wallets, the place where all nodes meet, and the line to the test."""

    wallets: CreditWallet

    def __init__(self, line: Connection, start: Barrier) -> None:
        self.line = line
        self._start = start

    def meet(self) -> None:
        """Wait until all nodes have come here."""
        self._start.wait(PATIENCE_SECONDS)


def live(line: Connection, start: Barrier) -> None:
    """Do what the test says, one thing after the other."""
    inside = Inside(line, start)
    while True:
        work, arguments = line.recv()
        try:
            line.send(work(inside, *arguments))
        except Exception:
            line.send(Failure(traceback.format_exc()))


class Node:
    """A process that works on a ledger."""

    def __init__(self, start: Barrier) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, end = context.Pipe()
        self._process = context.Process(target=live, args=(end, start), daemon=True)
        self._process.start()
        end.close()

    def begin(self, work: Callable[..., object], *arguments: object) -> None:
        """Have ``work(inside, …)`` done."""
        self._line.send((work, arguments))

    def answer(self) -> Any:
        """What the work has come to."""
        if not self._line.poll(PATIENCE_SECONDS):
            raise TimeoutError("the node does not answer")
        answer = self._line.recv()
        if type(answer) is Failure:
            raise RuntimeError(answer.report)
        return answer

    def call(self, work: Callable[..., object], *arguments: object) -> Any:
        self.begin(work, *arguments)
        return self.answer()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.join()
        self._line.close()


def on_all(nodes: Sequence[Node], work: Callable[..., object], *arguments: object) -> list[Any]:
    """Have all nodes do the same at once."""
    for node in nodes:
        node.begin(work, *arguments)
    return [node.answer() for node in nodes]


@pytest.fixture(scope="module")
def start() -> Barrier:
    return multiprocessing.get_context("spawn").Barrier(NODES)


@pytest.fixture(scope="module")
def all_nodes(start: Barrier) -> Iterator[list[Node]]:
    """Processes without a ledger."""
    made = [Node(start) for _ in range(NODES)]
    yield made
    for node in made:
        node.kill()


@pytest.fixture
def nodes(all_nodes: list[Node], db_url: str) -> Iterator[list[Node]]:
    """Nodes that have the ledger of ``wallets`` open."""
    on_all(all_nodes, open_ledger, db_url)
    yield all_nodes
    on_all(all_nodes, close_ledger)


@pytest.fixture
def spare(start: Barrier, db_url: str) -> Iterator[Node]:
    """One more, which may be killed."""
    node = Node(start)
    node.call(open_ledger, f"{db_url}?application_name=spare")
    yield node
    node.kill()


@pytest.fixture
def host(db_url: str) -> Iterator[Host]:
    """Somebody who looks at the database."""
    with psycopg.connect(db_url, autocommit=True) as connection:
        yield connection


def number(host: Host, statement: str, *parameters: object) -> int:
    rows = host.execute(statement, parameters or None).fetchall()
    return int(rows[0][0])


def until(happens: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


# What nodes are told to do


def open_ledger(inside: Inside, url: str) -> None:
    inside.wallets = CreditWallet.open(url)


def close_ledger(inside: Inside) -> None:
    inside.wallets.close()


def answer(act: Callable[[], Outcome]) -> Answer:
    try:
        return act()
    except WalletError as refusal:
        return refusal.code


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


def charge_same_keys(inside: Inside, wallet_id: int) -> list[Outcome]:
    """Half of them one by one, half of them in batches."""
    keys = [f"same-{number}" for number in range(ATTEMPTS)]
    inside.meet()
    with ThreadPoolExecutor(THREADS) as threads:
        singles = threads.map(lambda key: inside.wallets.charge(wallet_id, 1, idempotency_key=key), keys)
        batch = inside.wallets.charge_many((wallet_id, 1, f"batch-{key}") for key in keys)
        return [*singles, *(each for each in batch if isinstance(each, Outcome))]


def charge(inside: Inside, wallet_id: int, key: str, key_id: int | None = None) -> Answer:
    return answer(lambda: inside.wallets.charge(wallet_id, 1, idempotency_key=key, key_id=key_id))


def charge_until_refused(inside: Inside, wallet_id: int, key_id: int, name: str) -> str:
    """The code of the refusal."""
    for attempt in count():
        outcome = charge(inside, wallet_id, f"{name}-{attempt}", key_id)
        if isinstance(outcome, str):
            return outcome
    raise AssertionError


def charge_each(inside: Inside, wallet_ids: Sequence[int], name: str, rounds: int) -> list[Answer]:
    return [charge(inside, wallet_id, f"{name}-{turn}") for turn in range(rounds) for wallet_id in wallet_ids]


def revoke(inside: Inside, key_id: int) -> str:
    return inside.wallets.keys.revoke(key_id)


def access(inside: Inside, token: str) -> str:
    try:
        return f"key {inside.wallets.tokens.authenticate(token).key_id}"
    except Unauthorized as refusal:
        return refusal.code


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

    inside.wallets._ledger.lanes.upkeep.call(lambda store: store.run(lock_and_hang))


# Exactly what there was is spent


def last_yen_of_a_wallet(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, LIMIT_YEN, idempotency_key="start")
    return wallet_id, None


def last_yen_of_a_budget(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create(monthly_budget_yen=LIMIT_YEN, budget_mode="cap").wallet_id
    wallets.topup(wallet_id, 10_000, idempotency_key="start")
    return wallet_id, None


def last_yen_of_an_agent_key(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10_000, idempotency_key="start")
    return wallet_id, wallets.keys.create(wallet_id, monthly_cap_yen=LIMIT_YEN).key_id


@pytest.fixture
def wallets(db_url: str) -> Iterator[CreditWallet]:
    """A node in this process."""
    with CreditWallet.open(db_url) as opened:
        yield opened


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
    assert [type(each) for each in on_all(others, charge, wallet_id, "before", key.key_id)] == [Outcome] * len(others)
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
