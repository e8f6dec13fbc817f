"""``verify`` finds books that do not tie, gifts that have become money, and credit that nobody lets lapse.

Each changes one thing in a ledger that is in order.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet

pytestmark = on_every_database

END = "2026-12-10T00:00:00.000Z"

SWAP_CYCLES = """
UPDATE am_credit_cycle_segment SET billing_cycle = CASE segment_no WHEN 1 THEN '2026-10' ELSE '2026-09' END
"""


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 9, 5, 12, tzinfo=UTC))


@pytest.fixture
def busy(wallets: CreditWallet, clock: Clock) -> int:
    """A wallet with three months, a gift, a hold, a charge that was refunded, a top-up that was taken back, a debt."""
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    paid = wallets.topup(wallet_id, 1_000, idempotency_key="paid").txn_id
    charge = wallets.charge(wallet_id, 100, idempotency_key="september").txn_id
    clock.set(datetime(2026, 10, 5, 12, tzinfo=UTC))
    wallets.topup(wallet_id, 200, idempotency_key="gift", promo=True, expires_at=END)
    gift_spent = wallets.charge(wallet_id, 50, idempotency_key="october").txn_id
    assert paid is not None
    assert charge is not None
    assert gift_spent is not None
    wallets.refund(gift_spent, 30, idempotency_key="refund")
    wallets.reverse(paid, 950, idempotency_key="dispute")
    clock.set(datetime(2026, 11, 5, 12, tzinfo=UTC))
    wallets.topup(wallet_id, 300, idempotency_key="more", promo=True, expires_at=END)
    hold_id = wallets.hold(wallet_id, 40, idempotency_key="hold", ttl_seconds=86_400).hold_id
    assert hold_id is not None
    wallets.charge(wallet_id, 60, idempotency_key="november")
    assert wallets.verify() == []
    return wallet_id


def broken_checks(wallets: CreditWallet) -> set[str]:
    return {violation.check for violation in wallets.verify()}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("UPDATE am_credit_cycle_segment SET billing_cycle = '2026-08' WHERE segment_no = 1", "cycles"),
        ("UPDATE am_credit_cycle_segment SET closing_yen = closing_yen + 1 WHERE segment_no = 2", "cycles"),
        ("UPDATE am_credit_cycle_segment SET last_txn_id = last_txn_id - 1 WHERE segment_no = 1", "cycles"),
        ("DELETE FROM am_credit_cycle_segment WHERE segment_no = 1", "cycles"),
        ("DELETE FROM am_credit_cycle_segment", "cycles"),
        ("INSERT INTO am_credit_cycle_segment VALUES ({wallet_id}, 3, 5, '2026-11', 1080, 0)", "cycles"),
        (
            SWAP_CYCLES,
            "cycles",
        ),
        ("UPDATE am_credit_wallet SET open_lots = replace(open_lots, 'promo', 'paid')", "lot_kinds"),
        ("UPDATE am_credit_wallet SET open_lots = replace(open_lots, '2026-12-10', '2026-12-11')", "lot_kinds"),
        (
            "UPDATE am_credit_wallet SET open_lots = replace(open_lots, '\"' || '" + END + "' || '\"', 'null')",
            "lot_kinds",
        ),
        ("DELETE FROM am_credit_lot WHERE expires_at IS NOT NULL", "lot_kinds"),
        ("UPDATE am_credit_clawback SET taken = '[[1,951]]'", "returned_lots"),
        ("UPDATE am_credit_clawback SET taken = replace(taken, '[1,', '[3,')", "returned_lots"),
        ("UPDATE am_credit_clawback SET owed_yen = owed_yen + 1", "clawbacks"),
        ("UPDATE am_credit_wallet SET next_due_at = NULL", "due"),
        ("UPDATE am_credit_wallet SET next_due_at = '2026-11-06T12:00:00.001Z'", "due"),
    ],
)
def test_a_change_is_found(wallets: CreditWallet, db_url: str, busy: int, change: str, check: str) -> None:
    with PlainSql(db_url) as host:
        host.run(change.format(wallet_id=busy))
    assert check in broken_checks(wallets)


def test_a_refund_to_another_lot_than_was_spent_is_found(wallets: CreditWallet, db_url: str) -> None:
    """A gift that becomes money: the lots' flow is right, and no lot has more than it was granted."""
    wallet_id = wallets.create().wallet_id
    paid = wallets.topup(wallet_id, 100, idempotency_key="paid").txn_id
    gift = wallets.topup(wallet_id, 100, idempotency_key="gift", promo=True, expires_at=END).txn_id
    charge = wallets.charge(wallet_id, 150, idempotency_key="charge").txn_id
    assert charge is not None
    wallets.refund(charge, 60, idempotency_key="refund")
    assert wallets.verify() == []
    with PlainSql(db_url) as host:
        host.drop_trigger("am_credit_transaction_log_append_only_update")
        host.run("UPDATE am_credit_transaction_log SET lots = ? WHERE txn_type = 'refund'", f"[[{paid},51],[{gift},9]]")
        host.run("UPDATE am_credit_wallet SET open_lots = ?", f'[[{gift},"promo",9,"{END}"],[{paid},"paid",101,null]]')
    assert broken_checks(wallets) == {"returned_lots", "protection"}


@pytest.mark.parametrize("turn", ["skew", "plain SQL"])
def test_books_in_order_are_not_found_fault_with(
    wallets: CreditWallet, db_url: str, busy: int, clock: Clock, turn: str
) -> None:
    """Several segments of one cycle, and entries that do not stand in the order of their ids, are walked and right."""
    if turn == "skew":
        for number, month in enumerate((11, 10, 11, 10, 9)):
            clock.set(datetime(2026, month, 20, 12, tzinfo=UTC))
            wallets.charge(busy, 1 + number, idempotency_key=f"skew-{number}")
    else:
        with PlainSql(db_url) as host:
            for number, month in enumerate((10, 8, 11)):
                host.move(busy, "charge", -1 - number, f"2026-{month:02d}-20T00:00:00.000Z")
    assert wallets.verify() == []
