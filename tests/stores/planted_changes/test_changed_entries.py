"""``verify`` finds single rows that somebody has changed by SQL: wallets, entries, lots and what came back."""

from __future__ import annotations

from databases import on_both_databases
from planted import Change, Finder, missed

pytestmark = on_both_databases

_LOG = "am_credit_transaction_log"
_CHARGE = "WHERE note = 'tea' AND occurred_at LIKE '2026-09%'"

FOUND = [
    # Wallets
    Change(
        "a balance", "UPDATE am_credit_wallet SET balance_yen = balance_yen + 1 WHERE wallet_id = 1", "conservation"
    ),
    Change("what is held", "UPDATE am_credit_wallet SET held_yen = held_yen + 1 WHERE wallet_id = 1", "holds"),
    Change("a debt that grew", "UPDATE am_credit_wallet SET debt_yen = debt_yen + 1 WHERE wallet_id = 4", "clawbacks"),
    Change("a debt that is gone", "UPDATE am_credit_wallet SET debt_yen = 0 WHERE wallet_id = 4", "clawbacks"),
    Change("an opening", "UPDATE am_credit_wallet SET opening_yen = 5 WHERE wallet_id = 1", "conservation"),
    Change(
        "what is left of a lot",
        "UPDATE am_credit_wallet SET open_lots = replace(open_lots, 'paid\",', 'paid\",1') WHERE wallet_id = 3",
        "lots",
    ),
    Change(
        "an open lot's kind",
        "UPDATE am_credit_wallet SET open_lots = replace(open_lots, 'promo', 'paid') WHERE wallet_id = 2",
        "lot_kinds",
    ),
    Change(
        "an open lot's end",
        "UPDATE am_credit_wallet SET open_lots = replace(open_lots, '2027-02', '2028-02') WHERE wallet_id = 2",
        "lot_kinds",
    ),
    Change(
        "the order of open lots",
        'UPDATE am_credit_wallet SET open_lots = \'[[31,"paid",300,null],[29,"paid",667,null]]\' WHERE wallet_id = 2',
        "lot_order",
    ),
    Change(
        "a cycle ahead",
        "UPDATE am_credit_wallet SET current_cycle = '2027-01', cycle_spent_yen = 0 WHERE wallet_id = 1",
        "cycles",
    ),
    Change(
        "no cycle",
        "UPDATE am_credit_wallet SET current_cycle = NULL, cycle_spent_yen = 0 WHERE wallet_id = 1",
        "current_cycle",
    ),
    Change("a cycle's spending", "UPDATE am_credit_wallet SET cycle_spent_yen = 0 WHERE wallet_id = 1", "cycle_spend"),
    Change(
        "a threshold that never fired", "UPDATE am_credit_wallet SET alerted_pct = 100 WHERE wallet_id = 1", "alerted"
    ),
    Change(
        "the end of a chain",
        "UPDATE am_credit_wallet SET last_txn_id = last_txn_id - 1 WHERE wallet_id = 1",
        "chain_end",
    ),
    Change("nothing is due any more", "UPDATE am_credit_wallet SET next_due_at = NULL WHERE wallet_id = 1", "due"),
    Change(
        "due later", "UPDATE am_credit_wallet SET next_due_at = '2028-01-01T00:00:00.000Z' WHERE wallet_id = 1", "due"
    ),
    Change("a wallet is gone", "DELETE FROM am_credit_wallet WHERE wallet_id = 4", "ownership"),
    Change(
        "an owner's token that is another's",
        "UPDATE am_credit_wallet SET owner_token_hash = (SELECT token_hash FROM am_credit_key "
        "WHERE key_id = 3) WHERE wallet_id = 1",
        "tokens",
    ),
    # Entries
    Change("an entry's amount", f"UPDATE {_LOG} SET amount_yen = -119 {_CHARGE}", "chain"),
    Change("an entry's balance", f"UPDATE {_LOG} SET ledger_balance_yen = ledger_balance_yen + 1 {_CHARGE}", "chain"),
    Change("an entry without a balance", f"UPDATE {_LOG} SET ledger_balance_yen = NULL {_CHARGE}", "chain"),
    Change("an entry's wallet", f"UPDATE {_LOG} SET wallet_id = 2 {_CHARGE}", "chain"),
    Change("an entry's predecessor", f"UPDATE {_LOG} SET prev_txn_id = 1 {_CHARGE}", "chain_order"),
    Change("an entry's note", f"UPDATE {_LOG} SET note = 'coffee' {_CHARGE}", "seals"),
    Change(
        "why an entry took credit",
        f"UPDATE {_LOG} SET cause = 'pay_back' "
        f"WHERE txn_id = (SELECT min(txn_id) FROM {_LOG} WHERE cause = 'clawback')",
        "causes",
    ),
    Change("a cause where there is none", f"UPDATE {_LOG} SET cause = 'grant' {_CHARGE}", "causes"),
    Change("an entry's agent key", f"UPDATE {_LOG} SET key_id = 1 {_CHARGE}", "key_spend"),
    Change(
        "whose capture an entry is",
        f"UPDATE {_LOG} SET hold_id = 4 WHERE txn_id = (SELECT min(txn_id) FROM {_LOG} WHERE hold_id = 1)",
        "captures",
    ),
    Change(
        "what an entry refunds",
        f"UPDATE {_LOG} SET related_txn_id = 5 WHERE txn_id = (SELECT min(txn_id) FROM {_LOG} "
        f"WHERE txn_type = 'refund')",
        "refunds",
    ),
    Change("an entry's lots", f"UPDATE {_LOG} SET lots = '[[1,120]]' {_CHARGE}", "lot_flow"),
    Change("an entry's time", f"UPDATE {_LOG} SET occurred_at = '2026-10-05T12:00:00.000Z' {_CHARGE}", "cycles"),
    Change("an entry's second", f"UPDATE {_LOG} SET occurred_at = '2026-09-05T12:00:01.000Z' {_CHARGE}", "seals"),
    Change(
        "an entry's type",
        f"UPDATE {_LOG} SET txn_type = 'topup' WHERE txn_id = (SELECT min(txn_id) FROM {_LOG} "
        f"WHERE txn_type = 'refund')",
        "refunds",
    ),
    Change("an entry is gone", f"DELETE FROM {_LOG} {_CHARGE}", "chain"),
    Change(
        "the last entry is gone", f"DELETE FROM {_LOG} WHERE txn_id = (SELECT max(txn_id) FROM {_LOG})", "chain_end"
    ),
    Change(
        "an entry more",
        f"INSERT INTO {_LOG} (txn_id, wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, "
        "ledger_balance_yen, lots) VALUES (9999, 2, 5, 'topup', '2026-11-05T12:05:00.000Z', 29, 705, '[[9999,5]]')",
        "conservation",
    ),
    # Lots
    Change("a spent lot's kind", "UPDATE am_credit_lot SET kind = 'paid' WHERE lot_id = 2", "seals"),
    Change(
        "a spent lot's end",
        "UPDATE am_credit_lot SET expires_at = '2027-10-20T00:00:00.000Z' WHERE lot_id = 2",
        "seals",
    ),
    Change(
        "a lapsed lot's end",
        "UPDATE am_credit_lot SET expires_at = '2028-10-20T00:00:00.000Z' "
        f"WHERE lot_id = (SELECT max(txn_id) FROM {_LOG} WHERE txn_type = 'topup' AND amount_yen = 30)",
        "lot_ends",
    ),
    Change(
        "what a lot was granted",
        "UPDATE am_credit_lot SET granted_yen = granted_yen + 1 WHERE lot_id = 1",
        "lot_grants",
    ),
    Change("an open lot is gone", "DELETE FROM am_credit_lot WHERE lot_id = 1", "lot_kinds"),
    Change("a spent lot is gone", "DELETE FROM am_credit_lot WHERE lot_id = 2", "lot_grants"),
    Change(
        "a lot more",
        "INSERT INTO am_credit_lot (wallet_id, lot_id, kind, granted_yen) VALUES (1, 4, 'paid', 10)",
        "lot_grants",
    ),
    Change(
        "a paid top-up's lot",
        "UPDATE am_credit_lot SET kind = 'promo' "
        "WHERE lot_id = (SELECT credit_txn_id FROM am_credit_topup WHERE payment_intent = 'pi_disputed')",
        "topup_lots",
    ),
    # What came back
    Change(
        "more was refunded", "UPDATE am_credit_returned SET returned_yen = returned_yen + 1 WHERE txn_id = 4", "refunds"
    ),
    Change("nothing was refunded", "DELETE FROM am_credit_returned WHERE txn_id = 4", "refunds"),
    Change(
        "a refund that no entry made",
        "INSERT INTO am_credit_returned (wallet_id, txn_id, returned_yen) VALUES (1, 5, 3)",
        "refunds",
    ),
    Change("less was reversed", "UPDATE am_credit_returned SET returned_yen = 9 WHERE txn_id = 1", "reversals"),
    Change(
        "what was taken back", "UPDATE am_credit_clawback SET taken = '[[1,9]]' WHERE credit_txn_id = 1", "reversals"
    ),
    Change(
        "what is owed for a top-up",
        "UPDATE am_credit_clawback SET owed_yen = owed_yen - 1 WHERE wallet_id = 4 AND credit_txn_id > 0",
        "clawbacks",
    ),
    Change(
        "what is owed for what was served",
        "UPDATE am_credit_clawback SET owed_yen = 0 WHERE wallet_id = 4 AND credit_txn_id = 0",
        "clawbacks",
    ),
    Change("a clawback is gone", "DELETE FROM am_credit_clawback WHERE credit_txn_id = 1", "reversals"),
]


def test_every_change_is_found_by_the_check_for_it(find: Finder) -> None:
    assert missed(find, FOUND) == {}
