"""Seals: each covers its entries and the seal before, none is left out, and a change breaks it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from background import covered, funded, job_named, seals_of, txn_ids_of
from clock import Clock
from databases import on_every_database, on_postgres
from plain_sql import PlainSql
from structlog.testing import capture_logs
from width import WIDE

from credit_wallet import CreditWallet
from credit_wallet.stores.jobs import seals
from credit_wallet.stores.postgres import horizon
from credit_wallet.worker import Worker

if TYPE_CHECKING:
    pass

pytestmark = on_every_database

ENTRY_COLUMNS = (
    "txn_id, wallet_id, amount_yen, txn_type, occurred_at, note, prev_txn_id, ledger_balance_yen, lots, key_id, "
    "related_txn_id, hold_id, cause"
)

ACT_COLUMNS = (
    "act_id, wallet_id, kind, subject, occurred_at, actor, author, address, request_id, before, after, reason, note"
)


@pytest.fixture
def sealed(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> CreditWallet:
    """Ten entries on two wallets under four seals: 1 to 3, 4 to 6, 7 to 9, 10."""
    monkeypatch.setattr(seals, "ENTRIES_A_SEAL", 3)
    for wallet_id in (funded(wallets), funded(wallets)):
        for number in range(4):
            wallets.charge(wallet_id, 1, idempotency_key=f"charge-{number}", note="検索 “deep”" if number else None)
    with capture_logs() as logs:
        Worker(wallets, (job_named("seal"),)).run_due(0.0)
    assert [log["done"] for log in logs] == [10]
    assert wallets.verify() == []
    return wallets


@pytest.mark.usefixtures("sealed")
def test_each_seal_covers_its_entries_and_the_seal_before(db_url: str) -> None:
    previous = "0" * 64
    ranges = []
    for seal_id, first, last, entries, recorded, sealed_at in seals_of(db_url, ", sealed_at"):
        with PlainSql(db_url) as ledger:
            rows = ledger.run(
                f"SELECT {ENTRY_COLUMNS} FROM am_credit_transaction_log WHERE txn_id BETWEEN ? AND ? ORDER BY 1",
                first,
                last,
            )
            lots = ledger.run(
                "SELECT lot_id, kind, granted_yen, expires_at, NULL, 0, NULL FROM am_credit_lot "
                "WHERE lot_id BETWEEN ? AND ? ORDER BY lot_id",
                first,
                last,
            )
            [(follows, last_act, acts)] = ledger.run(
                "SELECT follows, last_act_id, acts FROM am_credit_seal WHERE seal_id = ?", seal_id
            )
            done = ledger.run(
                f"SELECT {ACT_COLUMNS} FROM am_credit_act WHERE act_id > ? AND act_id <= ? ORDER BY act_id",
                last_act - acts,
                last_act,
            )
        assert len(done) == (4 if first == 1 else 0)
        parts = ([5, sealed_at, first, last, entries, last_act, acts, follows], rows, lots, done)
        text = "".join(json.dumps(part, ensure_ascii=False, separators=(",", ":")) for part in parts)
        assert recorded == sha256((previous + text).encode()).hexdigest()
        assert len(rows) == entries
        ranges.append((first, last))
        previous = recorded
    assert ranges == [(1, 3), (4, 6), (7, 9), (10, 10)]


def test_sealing_goes_on_where_it_stopped_and_seals_nothing_twice(sealed: CreditWallet, db_url: str) -> None:
    assert sealed.maintenance.seal() == 0
    sealed.charge(1, 1, idempotency_key="one more")
    assert (sealed.maintenance.seal(), sealed.maintenance.seal()) == (1, 0)
    assert [row[1:4] for row in seals_of(db_url)][-2:] == [(10, 10, 1), (11, 11, 1)]
    assert sealed.verify() == []


def test_an_entry_that_is_still_to_be_adopted_waits_for_its_seal(wallets: CreditWallet, db_url: str) -> None:
    funded(wallets)
    with PlainSql(db_url) as host:
        host.move(1, "charge", -5)
    assert (wallets.maintenance.seal(), wallets.maintenance.seal()) == (1, 0)
    assert wallets.verify() == []  # backfills it
    assert (wallets.maintenance.seal(), wallets.maintenance.seal()) == (1, 0)


@on_postgres
def test_an_entry_is_sealed_when_no_earlier_one_can_come_any_more(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two other nodes: what the second one has drawn an earlier id for is still to come when the first one commits."""
    monkeypatch.setattr(horizon, "SETTLE_SECONDS", 0.05)
    wallet_ids = [funded(wallets), funded(wallets)]
    assert wallets.maintenance.seal() == 2
    lock = "SELECT 1 FROM am_credit_wallet WHERE wallet_id = ? FOR NO KEY UPDATE"
    append = """
    INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, prev_txn_id, ledger_balance_yen, lots)
    VALUES (?, 1, 'topup', ?, 1001, '[]')
    """
    with PlainSql(db_url) as first, PlainSql(db_url) as second:
        with second.transaction():
            with first.transaction():
                first.run(lock, wallet_ids[0])
                second.run(lock, wallet_ids[1])
                second.run("SELECT nextval('am_credit_transaction_log_txn_id_seq')")
                first.run(append, wallet_ids[0], 1)
            assert wallets.maintenance.seal() == 0
        assert wallets.maintenance.seal() == 1


TURNS = 5 if WIDE else 2
"""How often each caller charges each wallet beside the sealing."""


def test_sealing_beside_charges_leaves_no_entry_out(
    wallets: CreditWallet, db_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "ENTRIES_A_SEAL", 3)
    wallet_ids = [funded(wallets) for _ in range(5)]

    def charge(caller: int, node: CreditWallet) -> None:
        for number, wallet_id in enumerate(wallet_ids * TURNS):
            node.charge(wallet_id, 1, idempotency_key=f"caller-{caller}-{number}")

    def seal(node: CreditWallet, done: threading.Event) -> None:
        while (sealed := node.maintenance.seal()) or not done.is_set():
            assert not sealed or node.verify() == []

    done = threading.Event()
    with CreditWallet.open(db_url, clock=clock) as other, ThreadPoolExecutor(8) as threads:
        sealers = [threads.submit(seal, node, done) for node in (wallets, other)]
        callers = [threads.submit(charge, caller, (wallets, other)[caller % 2]) for caller in range(6)]
        for future in callers:
            future.result()
        done.set()
        for future in sealers:
            future.result()
    while wallets.maintenance.seal():
        pass
    assert wallets.verify() == []
    with PlainSql(db_url) as ledger:
        txn_ids = txn_ids_of(ledger)
    assert len(txn_ids) == len(wallet_ids) * (1 + 6 * TURNS)
    assert covered(seals_of(db_url), txn_ids) == txn_ids


def tamper(db_url: str, statements: str) -> None:
    """Change the ledger behind its back."""
    with PlainSql(db_url) as host:
        host.drop_trigger("am_credit_transaction_log_append_only_update")
        host.drop_trigger("am_credit_transaction_log_append_only_delete")
        host.run(statements)


SWAP_SEALS = """
UPDATE am_credit_seal SET seal_id = -2 WHERE seal_id = 2;
UPDATE am_credit_seal SET seal_id = 2 WHERE seal_id = 3;
UPDATE am_credit_seal SET seal_id = 3 WHERE seal_id = -2;
"""
CHANGE = "UPDATE am_credit_transaction_log SET {} WHERE txn_id = 5"


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        (CHANGE.format("note = 'something else'"), [2]),
        (CHANGE.format("note = NULL"), [2]),
        (CHANGE.format("amount_yen = -2"), [2]),
        (CHANGE.format("occurred_at = '2026-05-15T12:00:00.001Z'"), [2]),
        (CHANGE.format("wallet_id = 2"), [2]),
        (CHANGE.format("key_id = 0"), [2]),
        (CHANGE.format("txn_id = -5"), [2]),
        ("DELETE FROM am_credit_transaction_log WHERE txn_id = 10", [4]),
        ("UPDATE am_credit_seal SET sha256 = '" + "f" * 64 + "' WHERE seal_id = 2", [2, 3]),
        ("UPDATE am_credit_seal SET last_txn_id = 5 WHERE seal_id = 2", [2, 3]),
        ("DELETE FROM am_credit_seal WHERE seal_id = 2", [3]),
        (SWAP_SEALS, [2, 3, 4]),
    ],
)
def test_what_changes_under_a_seal_breaks_it(
    sealed: CreditWallet, db_url: str, statement: str, broken: list[int]
) -> None:
    tamper(db_url, statement)
    sealed.close()  # which would not take a ledger without its latest entry for its own
    with CreditWallet.open(db_url) as wallets:
        found = [violation for violation in wallets.verify() if violation.check == "seals"]
    named = [violation.message.partition(":")[0] for violation in found if "were made" not in violation.message]
    assert named == [f"seal {number}" for number in broken]
    assert all(violation.wallet_id is None for violation in found)


def test_a_seal_from_before_there_were_details_still_proves_its_entries(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet_id = funded(wallets)
    wallets.charge(wallet_id, 1, idempotency_key="whole")
    monkeypatch.setattr(seals, "VERSION", 3)
    wallets.maintenance.seal()
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_seal SET follows = NULL, last_act_id = 0, acts = 0")  # as before they covered acts
    monkeypatch.undo()
    wallets.charge(wallet_id, "1.5", idempotency_key="exact", facts={"tool": "search"})
    wallets.maintenance.seal()
    assert [row[-1] for row in seals_of(db_url, ", version")] == [3, 5]
    assert wallets.verify() == []
    tamper(db_url, "UPDATE am_credit_seal SET version = 3 WHERE seal_id = 2")
    assert {violation.check for violation in wallets.verify()} == {"seals", "protection"}
