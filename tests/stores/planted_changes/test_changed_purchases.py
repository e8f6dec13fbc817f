"""``verify`` finds single rows that somebody has changed by SQL: holds, purchases and sales."""

from __future__ import annotations

from databases import on_both_databases
from planted import Change, Finder, missed

pytestmark = on_both_databases

_CAPTURED = "WHERE hold_id = 1"
_PURCHASE = (
    "wallet_id, key_id, actor, fingerprint, attempt, status, amount_yen, txn_id, hold_id, undone_txn_id, "
    "free_used, lease_until, changed_on"
)

FOUND = [
    # Holds
    Change("a closed hold's amount", f"UPDATE am_credit_hold SET amount_yen = amount_yen + 1 {_CAPTURED}", "hold_lots"),
    Change("what was captured", f"UPDATE am_credit_hold SET captured_yen = captured_yen - 1 {_CAPTURED}", "captures"),
    Change("what was captured beyond a hold", f"UPDATE am_credit_hold SET above_yen = 7 {_CAPTURED}", "captures"),
    Change(
        "a hold that was never captured",
        "UPDATE am_credit_hold SET status = 'captured' WHERE hold_id = 2",
        "captures",
    ),
    Change("a closed hold is open again", f"UPDATE am_credit_hold SET status = 'open' {_CAPTURED}", "holds"),
    Change(
        "an open hold is closed",
        "UPDATE am_credit_hold SET status = 'released' WHERE status = 'open' AND closer = 'operator'",
        "holds",
    ),
    Change("whose key a hold is", f"UPDATE am_credit_hold SET key_id = NULL {_CAPTURED}", "captures"),
    Change("whose wallet a hold is", f"UPDATE am_credit_hold SET wallet_id = 2 {_CAPTURED}", "captures"),
    Change(
        "what a hold keeps of lots",
        "UPDATE am_credit_hold SET lots = '[[1,26]]' WHERE status = 'open' AND closer = 'operator'",
        "lot_flow",
    ),
    Change("a captured hold is gone", f"DELETE FROM am_credit_hold {_CAPTURED}", "captures"),
    Change("an open hold is gone", "DELETE FROM am_credit_hold WHERE status = 'open' AND closer = 'operator'", "holds"),
    Change(
        "who may close a hold",
        "UPDATE am_credit_hold SET closer = 'payer' "
        "WHERE hold_id = (SELECT max(hold_id) FROM am_credit_hold WHERE status = 'open' AND served = 1)",
        "closers",
    ),
    Change(
        "a payer's hold that was served",
        "UPDATE am_credit_hold SET served = 1, closer = 'payer' WHERE status = 'open' AND closer = 'operator'",
        "hold_states",
    ),
    Change(
        "an open hold ends before anybody looks",
        "UPDATE am_credit_hold SET expires_at = '2026-10-01T00:00:00.000Z' "
        "WHERE status = 'open' AND closer = 'operator'",
        "due",
    ),
    Change(
        "a purchase's hold is served",
        "UPDATE am_credit_hold SET served = 1 WHERE status = 'open' AND closer LIKE 'seller:%' AND served = 0",
        "served",
    ),
    # Purchases and sales
    Change(
        "a purchase's price",
        "UPDATE am_credit_purchase SET amount_yen = 49 "
        "WHERE hold_id = (SELECT max(hold_id) FROM am_credit_hold WHERE status = 'open' AND served = 1)",
        "purchases",
    ),
    Change(
        "a charged purchase's price",
        "UPDATE am_credit_purchase SET amount_yen = 60 WHERE txn_id = (SELECT min(txn_id) FROM am_credit_sale)",
        "purchases",
    ),
    Change(
        "who paid for a purchase",
        "UPDATE am_credit_purchase SET key_id = NULL "
        "WHERE hold_id = (SELECT max(hold_id) FROM am_credit_hold WHERE status = 'open' AND served = 1)",
        "purchases",
    ),
    Change(
        "a purchase more, of the same charge",
        f"INSERT INTO am_credit_purchase (purchase_key, {_PURCHASE}) SELECT 'another', {_PURCHASE} "
        "FROM am_credit_purchase WHERE txn_id = (SELECT min(txn_id) FROM am_credit_sale)",
        "answers",
    ),
    Change(
        "a purchase more, of the same hold",
        f"INSERT INTO am_credit_purchase (purchase_key, {_PURCHASE}) SELECT 'another', {_PURCHASE} "
        "FROM am_credit_purchase "
        "WHERE hold_id = (SELECT max(hold_id) FROM am_credit_hold WHERE status = 'open' AND served = 1)",
        "purchases",
    ),
    Change(
        "a purchase that is undone",
        "UPDATE am_credit_purchase SET status = 'undone' "
        "WHERE hold_id = (SELECT max(hold_id) FROM am_credit_hold WHERE status = 'open' AND served = 1)",
        "served",
    ),
    Change(
        "a purchase's charge",
        "UPDATE am_credit_purchase SET txn_id = 1 WHERE txn_id = (SELECT min(txn_id) FROM am_credit_sale)",
        "purchases",
    ),
    Change(
        "who sold a purchase",
        "UPDATE am_credit_purchase SET actor = 'seller:2' WHERE txn_id = (SELECT min(txn_id) FROM am_credit_sale)",
        "sales",
    ),
    Change(
        "a sale's seller",
        "UPDATE am_credit_sale SET seller_id = 2 WHERE txn_id = (SELECT max(txn_id) FROM am_credit_sale)",
        "seals",
    ),
    Change(
        "a sale is gone", "DELETE FROM am_credit_sale WHERE txn_id = (SELECT max(txn_id) FROM am_credit_sale)", "seals"
    ),
    Change("a sale more", "INSERT INTO am_credit_sale (wallet_id, txn_id, seller_id) VALUES (1, 1, 1)", "sales"),
]


def test_every_change_is_found_by_the_check_for_it(find: Finder) -> None:
    assert missed(find, FOUND) == {}
