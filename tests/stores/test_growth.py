"""What costs nothing leaves nothing for good: loops that move no money, and what remains of them after months."""

from __future__ import annotations

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.config import MIN_CLOSED_DAYS
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.errors import InvalidRequest
from credit_wallet.stores.jobs import pruning

pytestmark = on_every_database

LOOPS = 20
TABLES = (
    "am_credit_hold",
    "am_credit_topup",
    "am_credit_topup_history",
    "am_credit_key",
    "am_credit_secret",
    "am_credit_end",
    "am_credit_profile",
    "am_credit_search_term",
    "am_credit_idempotency",
)


def rows(db_url: str) -> dict[str, int]:
    with PlainSql(db_url) as ledger:
        return {table: int(ledger.run(f"SELECT count(*) FROM {table}")[0][0]) for table in TABLES}


def free_loops(wallets: CreditWallet, clock: Clock, wallet_id: int) -> None:
    """What an agent and an owner can do over and over: each loop ends where it began."""
    for number in range(LOOPS):
        held = wallets.hold(wallet_id, 10, idempotency_key=f"release {number}", ttl_seconds=60)
        wallets.release(int(str(held.hold_id)))
        wallets.hold(wallet_id, 10, idempotency_key=f"expire {number}", ttl_seconds=1)
        asked = wallets.topups.request(wallet_id, 100, idempotency_key=f"topup {number}")
        given_up = PaymentFact(observed_at=1, status="canceled", reason="given up")
        wallets.topups.settle(wallet_id, str(asked.topup_id), given_up)
        key = wallets.keys.create(wallet_id, label=f"agent {number}", reference=f"agent_{number}")
        held = wallets.hold(wallet_id, 10, idempotency_key=f"key {number}", key_id=key.key_id)
        wallets.release(int(str(held.hold_id)))
        wallets.keys.rotate(key.key_id)
        wallets.keys.revoke(key.key_id)
        clock.advance(seconds=2)
        wallets.maintenance.expire_due()


def paid_things(wallets: CreditWallet, wallet_id: int) -> None:
    """One of each that has moved money, and one that is not over."""
    key = wallets.keys.create(wallet_id)
    held = wallets.hold(wallet_id, 30, idempotency_key="paid", key_id=key.key_id)
    wallets.capture(int(str(held.hold_id)), 20)
    wallets.keys.revoke(key.key_id)
    wallets.keys.create(wallet_id)
    asked = wallets.topups.request(wallet_id, 100, idempotency_key="pays")
    fact = PaymentFact(observed_at=1, status="succeeded", received_yen=100, payment_intent="pi_1")
    wallets.topups.settle(wallet_id, str(asked.topup_id), fact)


@pytest.mark.parametrize("rows_a_step", [7, 5_000])
def test_free_loops_leave_nothing_after_months(
    wallets: CreditWallet, clock: Clock, db_url: str, monkeypatch: pytest.MonkeyPatch, rows_a_step: int
) -> None:
    monkeypatch.setattr(pruning, "ROWS_A_STEP", rows_a_step)
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    paid_things(wallets, wallet_id)
    clock.advance(seconds=1)
    kept = rows(db_url)
    free_loops(wallets, clock, wallet_id)
    made = rows(db_url)
    assert made["am_credit_hold"] == kept["am_credit_hold"] + 3 * LOOPS
    assert made["am_credit_key"] == kept["am_credit_key"] + LOOPS

    clock.advance(days=89)
    wallets.maintenance.prune_idempotency_keys()
    assert wallets.maintenance.prune_closed() == 0
    assert rows(db_url) == made | {"am_credit_idempotency": 0}

    clock.advance(days=2)
    assert wallets.maintenance.prune_closed() > 3 * LOOPS
    assert rows(db_url) == kept | {"am_credit_topup_history": 0, "am_credit_idempotency": 0}
    assert wallets.maintenance.prune_closed() == 0
    assert wallets.verify() == []
    assert [entry.txn_type for entry in wallets.history(wallet_id)] == ["topup", "charge", "topup"]


def test_what_moved_less_than_a_yen_has_moved_money(wallets: CreditWallet, clock: Clock, db_url: str) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="start")
    key = wallets.keys.create(wallet_id)
    wallets.charge(wallet_id, "0.5", idempotency_key="charge", key_id=key.key_id)
    held = wallets.hold(wallet_id, 5, idempotency_key="hold")
    wallets.capture(held.hold_id, "0.000001", final=False, idempotency_key="part")
    wallets.release(held.hold_id, idempotency_key="release")
    wallets.keys.revoke(key.key_id)
    before = rows(db_url)
    clock.advance(days=100)
    wallets.maintenance.prune_closed()
    assert rows(db_url) == before
    assert wallets.verify() == []


def test_what_was_given_up_and_forgotten_is_credited_when_it_is_paid_all_the_same(
    wallets: CreditWallet, clock: Clock
) -> None:
    wallet_id = wallets.create().wallet_id
    asked = wallets.topups.request(wallet_id, 100, idempotency_key="topup")
    wallets.topups.settle(
        wallet_id, str(asked.topup_id), PaymentFact(observed_at=1, status="canceled", payment_intent="pi")
    )
    clock.advance(days=100)
    wallets.maintenance.prune_closed()
    paid = PaymentFact(observed_at=2, status="succeeded", received_yen=100, payment_intent="pi")
    wallets.topups.settle(wallet_id, "tu_pi", paid, amount_yen=100)
    assert wallets.balance(wallet_id) == 100
    assert wallets.verify() == []


def test_history_is_forgotten_from_its_beginning_also_when_clocks_disagreed(
    wallets: CreditWallet, clock: Clock
) -> None:
    """Of a top-up whose later steps are dated before its earlier ones no step is left over to speak for it."""
    wallet_id = wallets.create().wallet_id
    facts = (
        PaymentFact(observed_at=1, status="succeeded", received_yen=100, payment_intent="pi"),
        PaymentFact(observed_at=1, status="canceled"),
    )
    for number, fact in enumerate(facts):
        topup_id = str(wallets.topups.request(wallet_id, 100, idempotency_key=f"{number}").topup_id)
        clock.advance(days=-2)
        wallets.topups.settle(wallet_id, topup_id, fact)
        clock.advance(days=2)
    for _ in range(3):
        clock.advance(days=89)
        wallets.maintenance.prune_closed()
        assert wallets.verify() == []


def test_a_top_up_that_may_still_be_credited_keeps_its_history(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topups.request(wallet_id, 100, idempotency_key="asked")
    wallets.topups.settle(wallet_id, "tu_found", PaymentFact(observed_at=1, payment_intent="pi"), amount_yen=100)
    clock.advance(days=400)
    wallets.maintenance.prune_closed()
    assert wallets.verify() == []


@pytest.mark.parametrize("is_undone", [True, False])
def test_a_purchase_that_is_kept_longer_than_its_hold_is_served_by_a_charge(
    wallets: CreditWallet, clock: Clock, *, is_undone: bool
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 70, idempotency_key="start")
    wallets.purchases.buy(wallet_id, 50, purchase_key="call", attempt="a", hold_seconds=60)
    if is_undone:
        wallets.purchases.undo(wallet_id, "call", attempt="a")
    clock.advance(days=1)
    wallets.maintenance.expire_due()
    clock.advance(days=100)
    wallets.maintenance.prune_closed()
    assert wallets.verify() == []

    assert wallets.purchases.serve(wallet_id, "call", attempt="a").amount_yen == 50
    assert wallets.balance(wallet_id) == 20
    assert wallets.verify() == []


def test_months_are_not_days(wallets: CreditWallet) -> None:
    with pytest.raises(InvalidRequest, match="must be 40 to"):
        wallets.maintenance.prune_closed(MIN_CLOSED_DAYS - 1)


def test_a_pass_ends_between_two_steps_when_jobs_are_to_end(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "ROWS_A_STEP", 1)
    wallet_id = wallets.create().wallet_id
    for number in range(3):
        wallets.topup(wallet_id, 1, idempotency_key=f"{number}")
    clock.advance(days=5)
    wallets.maintenance.stop()
    assert wallets.maintenance.prune_idempotency_keys() == 0
