"""What hosts do beside the ledger: triggers, settings of their sessions, plain SQL that commits late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from faulty_proxy import Moment
from plain_sql import PlainSql
from postgres_ledger import (
    PATIENCE_SECONDS,
    Ledger,
    end_sessions,
    on_one_lane,
    other_transaction,
    rule,
    stalled_charge,
    until,
)

from credit_wallet.errors import (
    DatabaseRefused,
)
from credit_wallet.stores import Store
from credit_wallet.stores.postgres import horizon

pytestmark = pytest.mark.slow


# A rule of the host's


@pytest.mark.parametrize(
    "refusal",
    [
        "RAISE EXCEPTION 'closed by the host';",
        "RAISE EXCEPTION 'closed by the host' USING ERRCODE = '45000';",
        "RAISE EXCEPTION 'closed by the host' USING ERRCODE = 'check_violation';",
        "PERFORM 1 / 0;",
        "PERFORM 1 FROM table_that_the_host_has_dropped;",
        "NEW.amount_yen := 0;",
    ],
)
def test_what_a_hosts_trigger_refuses_fails_alone(ledger: Ledger, refusal: str) -> None:
    refused_id, *others = ledger.on_one_lane(4)
    rail = ledger.wallets._ledger.lanes.of(refused_id)
    over = threading.Event()

    def wait(_: Store) -> None:
        assert over.wait(PATIENCE_SECONDS)

    with (
        rule(ledger, f"IF NEW.wallet_id = {refused_id} THEN {refusal} END IF;"),
        ThreadPoolExecutor(len(others) + 2) as threads,
    ):
        try:
            threads.submit(rail.call, wait)
            refused = threads.submit(ledger.wallets.charge, refused_id, 1, idempotency_key="new")
            charging = [threads.submit(ledger.wallets.charge, each, 1, idempotency_key="new") for each in others]
            until(lambda: rail.waiting() == len(others) + 1)
        finally:
            over.set()
        assert [each.result().balance_yen for each in charging] == [999] * len(others)
        with pytest.raises(DatabaseRefused, match=r"a rule of .* refused a row"):
            refused.result()
    assert ledger.wallets.charge(refused_id, 1, idempotency_key="new").balance_yen == 999
    assert ledger.wallets.verify() == []


# What the host has set for its sessions


@on_one_lane
@pytest.mark.parametrize(
    ("place", "given", "used"),
    [
        ("url", "off", "on"),
        ("url", "local", "on"),
        ("url", "remote_write", "on"),
        ("url", "remote_apply", "remote_apply"),
        ("role", "off", "on"),
    ],
)
def test_commits_are_durable_whatever_the_host_has_set(ledger: Ledger, place: str, given: str, used: str) -> None:
    role = f"ALTER ROLE postgres IN DATABASE {urlsplit(ledger.url).path[1:]}"
    if place == "role":
        ledger.host.execute(f"{role} SET synchronous_commit = {given}")
    options = {"synchronous_commit": given} if place == "url" else {}
    try:
        with closing(ledger.node(ledger.url, **options)) as wallets:
            for _ in range(2):
                for rail in wallets._ledger.lanes._rails:
                    assert rail.call(lambda store: store.run(shown, "synchronous_commit")) == used
                    assert rail.call(lambda store: store.run(shown, "fsync")) == "on"
                end_sessions(ledger)
    finally:
        ledger.host.execute(f"{role} RESET synchronous_commit")


def shown(connection: Any, setting: str) -> str:
    return str(connection.execute(f"SHOW {setting}").fetchall()[0][0])


# Plain SQL, and the order in which transactions end


def seal_all(ledger: Ledger) -> None:
    while ledger.wallets.maintenance.seal():
        pass


def unsealed(ledger: Ledger) -> int:
    return ledger.count(
        "SELECT count(*) FROM am_credit_transaction_log "
        "WHERE txn_id > coalesce((SELECT max(last_txn_id) FROM am_credit_seal), 0)"
    )


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing does not wait long for transactions that are under way."""
    monkeypatch.setattr(horizon, "SETTLE_SECONDS", 0.05)


@pytest.mark.usefixtures("unsettled")
def test_seals_wait_for_an_entry_of_plain_sql_that_is_not_committed(ledger: Ledger) -> None:
    wallet_id, other_id = ledger.funded(), ledger.funded()
    seal_all(ledger)
    with other_transaction(ledger) as other:
        other.execute(
            "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (%s, 7, 'topup')",
            [wallet_id],
        )
        for number in range(3):
            ledger.wallets.charge(other_id, 1, idempotency_key=f"meanwhile-{number}")
        assert ledger.wallets.maintenance.seal() == 0
        other.execute("UPDATE am_credit_wallet SET balance_yen = balance_yen + 7 WHERE wallet_id = %s", [wallet_id])
    assert ledger.wallets.maintenance.seal() == 0  # the chain of an entry is not fixed before it is backfilled
    assert ledger.wallets.charge(wallet_id, 1, idempotency_key="backfills").balance_yen == 1_006
    assert ledger.wallets.maintenance.seal() == 5
    assert unsealed(ledger) == 0
    assert ledger.wallets.verify() == []


@pytest.mark.usefixtures("unsettled")
@pytest.mark.parametrize("moment", [Moment.BEFORE_WRITES, Moment.AFTER_WRITES, Moment.HALF_COMMIT])
def test_seals_wait_for_a_batch_of_another_node_that_is_not_committed(ledger: Ledger, moment: Moment) -> None:
    stalled_id, other_id = ledger.funded(), ledger.funded()
    seal_all(ledger)
    with closing(ledger.node(ledger.url)) as node:
        with stalled_charge(ledger, stalled_id, moment):
            node.charge(other_id, 1, idempotency_key="meanwhile")
            assert node.maintenance.seal() == 0
        until(lambda: node.maintenance.seal() == 2)
    assert unsealed(ledger) == 0
    assert ledger.wallets.verify() == []


def test_a_writer_of_plain_sql_between_the_lanes_loses_nothing(ledger: Ledger) -> None:
    wallet_ids = [ledger.funded() for _ in range(5)]
    rounds = 25

    def charge_in_turn(thread: int) -> None:
        for number in range(rounds):
            wallet_id = wallet_ids[(thread + number) % len(wallet_ids)]
            ledger.wallets.charge(wallet_id, 1, idempotency_key=f"{thread}-{number}")

    def write_plain_sql(thread: int) -> None:
        with PlainSql(ledger.url) as host:
            for number in range(rounds):
                wallet_id = wallet_ids[(thread + number) % len(wallet_ids)]
                host.move(wallet_id, *(("topup", 5), ("charge", -1))[number % 2])

    with ThreadPoolExecutor(8) as threads:
        working = [threads.submit(work, number) for number in range(4) for work in (charge_in_turn, write_plain_sql)]
        for each in working:
            each.result()
    assert ledger.wallets.verify() == []
    written = 4 * (5 * (rounds - rounds // 2) - rounds // 2)
    assert sum(map(ledger.wallets.balance, wallet_ids)) == 5_000 - 4 * rounds + written
    seal_all(ledger)
    assert unsealed(ledger) == 0
    assert ledger.wallets.verify() == []
