"""A proof is of one moment: whoever writes while it is made, it finds nothing that is not there."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from hashlib import sha256
from itertools import count

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql
from rich_ledger import fill

from credit_wallet import CreditWallet, WalletError
from credit_wallet.errors import InvalidRequest
from credit_wallet.notices.recipients import hears
from credit_wallet.notices.targets import OPERATOR, Target, TargetSettings
from credit_wallet.notices.texts import Notice, message_of
from credit_wallet.reports.statement_forms import to_text
from credit_wallet.stores.jobs.seals import Anchor, parse_anchors

pytestmark = on_every_database

PROOFS = 6


def test_nothing_is_found_while_others_write(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    """Each movement changes several tables, and months pass: a proof in several steps would see halves of them."""
    ids = [wallets.create(monthly_budget_yen=500).wallet_id for _ in range(3)]
    agents = [wallets.keys.create(wallet_id, monthly_cap_yen=400).key_id for wallet_id in ids]
    proved = threading.Event()

    def write() -> None:
        with CreditWallet.open(db_url, clock=clock) as other:
            for turn in count():
                if proved.is_set():
                    return
                wallet_id, agent, key = ids[turn % 3], agents[turn % 3], f"turn {turn}"
                paid = other.topup(wallet_id, 90, idempotency_key=key + "t", promo=turn % 2 == 0)
                with suppress(WalletError):
                    charge = other.charge(wallet_id, 40, idempotency_key=key + "c", key_id=agent)
                    other.refund(charge.txn_id or 0, 5, idempotency_key=key + "r")
                    held = other.hold(wallet_id, 20, idempotency_key=key + "h", key_id=agent, ttl_seconds=60)
                    other.capture(held.hold_id or 0, 10, idempotency_key=key + "x")
                other.reverse(paid.txn_id or 0, 80, idempotency_key=key + "b")
                clock.advance(days=5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [wallets.verify() for _ in range(PROOFS)]
    finally:
        proved.set()
        writer.join()
    assert found == [[]] * PROOFS
    assert wallets.verify() == []


def test_what_a_host_writes_before_the_proof_is_adopted_first(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create().wallet_id
    with PlainSql(db_url) as host:
        host.move(wallet_id, "topup", 100, "2026-05-15T12:00:00.000Z")
    assert wallets.verify() == []


# Seals and anchors


def test_an_anchor_is_read_as_it_was_written(wallets: CreditWallet, clock: Clock) -> None:
    assert wallets.seals.latest() is None
    fill(wallets, clock)
    seal = wallets.seals.latest()
    assert seal is not None
    assert parse_anchors(f"noted on Monday: {seal}\n{seal}\n") == [seal, seal]
    assert wallets.verify([seal]) == []


def test_a_statement_carries_the_latest_seal_without_saying_how_long_the_ledger_is(
    wallets: CreditWallet, clock: Clock
) -> None:
    fill(wallets, clock)
    report = wallets.statement(1, "2026-11")
    assert report.seal is not None
    [noted] = parse_anchors(to_text(report))
    assert noted == parse_anchors(report.seal)[0]
    assert noted.last_txn_id is None
    assert wallets.verify([noted]) == []
    assert checks(wallets, Anchor(noted.seal_id, "0" * 64)) == {"anchors"}


@pytest.mark.parametrize("text", ["", "seal", "seal 1 entry 2 2026-05-15T12:00:00.000Z sha256 abc", '{"seal_id": 1}'])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="seal show"):
        parse_anchors(text)


def test_a_history_that_was_rewritten_and_sealed_anew_does_not_have_the_anchor(
    wallets: CreditWallet, db_url: str, clock: Clock
) -> None:
    """Whoever can write the database can compute every seal anew; what was noted elsewhere they cannot change."""
    fill(wallets, clock)
    noted = wallets.seals.latest()
    assert noted is not None
    with PlainSql(db_url) as forger:
        forger.run("DELETE FROM am_credit_seal")
    assert "anchors" in checks(wallets, noted)
    clock.advance(minutes=1)
    wallets.maintenance.seal()
    assert "anchors" in checks(wallets, noted)


def test_entries_that_wait_for_a_seal_for_more_than_an_hour_are_found_where_seals_are_made(
    wallets: CreditWallet, clock: Clock
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="first")
    clock.advance(hours=5)
    assert wallets.verify() == []  # nobody seals this ledger
    wallets.maintenance.seal()
    wallets.charge(wallet_id, 1, idempotency_key="second")
    clock.advance(minutes=59)
    assert wallets.verify() == []
    clock.advance(minutes=2)
    assert checks(wallets) == {"unsealed"}
    wallets.maintenance.seal()
    assert wallets.verify() == []


def test_a_seal_from_before_there_was_another_version_still_proves_its_entries(
    wallets: CreditWallet, db_url: str
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="first", note="tea")
    [entry] = wallets.history(wallet_id)
    with PlainSql(db_url) as host:
        host.run(
            "INSERT INTO am_credit_seal (first_txn_id, last_txn_id, entries, sha256, sealed_at) VALUES (?, ?, 1, ?, ?)",
            entry.txn_id,
            entry.txn_id,
            hash_of_version_1(entry.txn_id, wallet_id, entry.occurred_at),
            entry.occurred_at,
        )
    assert wallets.verify() == []
    wallets.charge(wallet_id, 1, idempotency_key="second")
    wallets.maintenance.seal()
    assert wallets.verify() == []


def hash_of_version_1(txn_id: int, wallet_id: int, at: str) -> str:
    """As migration 284's seals were made: the hash before, and each entry's columns as a JSON array."""
    entry = f'[{txn_id},{wallet_id},100,"topup","{at}","tea",0,100,"[[{txn_id},100]]",null,null,null]'
    return sha256(("0" * 64 + entry).encode()).hexdigest()


def test_the_operators_targets_are_told_of_the_latest_seal_once_a_day(
    wallets: CreditWallet, db_url: str, clock: Clock
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="first")
    assert not wallets.maintenance.emit_seal()
    wallets.maintenance.seal()
    assert not wallets.maintenance.emit_seal()
    wallets.targets.add(OPERATOR, TargetSettings(url="https://example.com/seals"))
    for _ in range(2):
        assert wallets.maintenance.emit_seal()
        clock.advance(hours=1)
    with PlainSql(db_url) as host:
        [(emitted_for, payload)] = host.run(
            "SELECT wallet_id, payload FROM am_credit_outbox WHERE kind = 'ledger.sealed'"
        )
    assert emitted_for == wallet_id
    noted = json.loads(payload)
    assert parse_anchors(noted["anchor"]) == [wallets.seals.latest()]
    message = message_of([Notice(1, wallet_id, None, "ledger.sealed", noted, "")], "en")
    assert parse_anchors(message.body) == [wallets.seals.latest()]


@pytest.mark.parametrize(("whose", "wanted"), [(OPERATOR, True), (7, False)])
def test_what_is_of_the_whole_ledger_is_not_told_to_owners(whose: int, wanted: bool) -> None:
    target = Target(
        url="https://example.com/seals",
        kinds=("ledger.sealed",),
        target_id=1,
        wallet_id=whose,
        secrets=(),
        stopped=None,
        created_at="2026-05-15T12:00:00.000Z",
    )
    assert hears(target, "ledger.sealed", target.created_at) is wanted


# What protects rows


def test_a_trigger_that_is_gone_or_another_is_found(wallets: CreditWallet, db_url: str) -> None:
    with PlainSql(db_url) as host:
        host.drop_trigger("am_credit_transaction_log_append_only_update")
    assert checks(wallets) == {"protection"}


def checks(wallets: CreditWallet, *anchors: Anchor) -> set[str]:
    return {violation.check for violation in wallets.verify(anchors)}
