"""``verify`` finds single rows that somebody has changed by SQL, whoever protected them.

Each change is made in a ledger that is in order, with no trigger and no foreign key in its way, and put back. The name
is what has to find it; others may as well. What nothing can find is listed with why.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest
from clock import Clock
from databases import Databases, on_both_databases
from rich_ledger import START, fill

from credit_wallet import CreditWallet
from credit_wallet.config import is_postgres, sqlite_path
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.stores.jobs.verify import verify
from credit_wallet.stores.postgres.connection import connect
from credit_wallet.stores.postgres.database import PostgresSnapshot

pytestmark = on_both_databases

_LOG = "am_credit_transaction_log"
_DISPUTED = "WHERE payment_intent = 'pi_disputed'"
_PLAIN = "WHERE payment_intent = 'pi_plain'"
_CAPTURED = "WHERE hold_id = 1"
_PURCHASE = (
    "wallet_id, key_id, actor, fingerprint, attempt, status, amount_yen, txn_id, hold_id, undone_txn_id, "
    "free_used, lease_until, changed_on"
)
_ANSWER = "wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, created_on"
_CHARGE = "WHERE note = 'tea' AND occurred_at LIKE '2026-09%'"


class Change(NamedTuple):
    name: str
    sql: str
    check: str


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
    # Payments
    Change("a top-up is to be credited again", f"UPDATE am_credit_topup SET status = 'succeeded' {_PLAIN}", "topups"),
    Change(
        "a top-up forgets its credit",
        f"UPDATE am_credit_topup SET status = 'succeeded', credited_yen = 0, credit_txn_id = NULL {_PLAIN}",
        "topup_entries",
    ),
    Change(
        "a failed top-up succeeds",
        "UPDATE am_credit_topup SET status = 'succeeded', received_yen = 80 WHERE status = 'failed'",
        "topup_history",
    ),
    Change(
        "a canceled top-up is asked for",
        "UPDATE am_credit_topup SET status = 'requested' WHERE status = 'canceled'",
        "topup_history",
    ),
    Change("more was credited", f"UPDATE am_credit_topup SET credited_yen = credited_yen + 1 {_PLAIN}", "topups"),
    Change("less was received", f"UPDATE am_credit_topup SET received_yen = 1 {_PLAIN}", "topups"),
    Change("a dispute is forgotten", f"UPDATE am_credit_topup SET takings = '[]' {_DISPUTED}", "topup_history"),
    Change("nothing was taken back", f"UPDATE am_credit_topup SET reversed_yen = 0 {_DISPUTED}", "reversals"),
    Change("another entry credited it", f"UPDATE am_credit_topup SET credit_txn_id = 1 {_PLAIN}", "topups"),
    Change("another wallet's top-up", f"UPDATE am_credit_topup SET wallet_id = 1 {_PLAIN}", "topups"),
    Change("a credited top-up is gone", f"DELETE FROM am_credit_topup {_PLAIN}", "topup_entries"),
    Change("a failed top-up is gone", "DELETE FROM am_credit_topup WHERE status = 'failed'", "topup_history"),
    Change(
        "a top-up that was never asked for",
        "INSERT INTO am_credit_topup (topup_id, wallet_id, amount_yen, origin, way, status, received_yen, created_at, "
        "updated_at) VALUES ('tu_more', 2, 700, 'owner', 'intent', 'succeeded', 700, '2026-11-05T12:05:00.000Z', "
        "'2026-11-05T12:05:00.000Z')",
        "topup_history",
    ),
    Change(
        "a payment of another top-up",
        "UPDATE am_credit_topup SET payment_intent = 'pi_plain' WHERE status = 'requested'",
        "paid_once",
    ),
    Change("one payment twice", f"UPDATE am_credit_topup SET payment_intent = 'pi_won' {_PLAIN}", "paid_once"),
    Change(
        "a second name of the ledger",
        "INSERT INTO am_credit_installation (installation_id) VALUES ('another')",
        "installation",
    ),
    # Agent keys, sellers and tokens
    Change("an agent key's spending", "UPDATE am_credit_key SET cycle_spent_yen = 0 WHERE key_id = 1", "key_spend"),
    Change(
        "an agent key's cycle ahead",
        "UPDATE am_credit_key SET current_cycle = '2027-01', cycle_spent_yen = 0 WHERE key_id = 1",
        "key_spend",
    ),
    Change("what an agent key holds", "UPDATE am_credit_key SET held_yen = 0 WHERE key_id = 1", "key_holds"),
    Change(
        "an agent key that was revoked lives", "UPDATE am_credit_key SET revoked_at = NULL WHERE key_id = 2", "ends"
    ),
    Change(
        "an agent key that was revoked lives as another",
        "UPDATE am_credit_key SET key_id = 99, revoked_at = NULL WHERE key_id = 2",
        "ends",
    ),
    Change("an agent key that ends later", "UPDATE am_credit_key SET expires_at = NULL WHERE key_id = 5", "ends"),
    Change("an end is forgotten", "DELETE FROM am_credit_end WHERE identity_id = 2", "ends"),
    Change(
        "a seller that was revoked lives", "UPDATE am_credit_seller SET revoked_at = NULL WHERE seller_id = 3", "ends"
    ),
    Change(
        "a token of two things",
        "INSERT INTO am_credit_secret (token_hash, wallet_id, key_id, created_at) "
        "SELECT token_hash, 2, 2, created_at FROM am_credit_key WHERE key_id = 1",
        "tokens",
    ),
    Change(
        "an earlier token without an end",
        "UPDATE am_credit_secret SET ends_at = NULL WHERE registered = 0 AND key_id = 1",
        "secrets",
    ),
    Change(
        "a host's key of another wallet's agent",
        "UPDATE am_credit_secret SET key_id = 1 WHERE registered = 1",
        "secrets",
    ),
    # Cycles, alerts, answers
    Change(
        "spending of a cycle that is over",
        "UPDATE am_credit_cycle_spend SET spent_yen = 1 WHERE key_id = 0 AND billing_cycle = '2026-09'",
        "cycle_spend",
    ),
    Change(
        "a key's spending of a cycle that is over",
        "DELETE FROM am_credit_cycle_spend WHERE key_id = 1 AND billing_cycle = '2026-09'",
        "key_spend",
    ),
    Change(
        "a segment", "UPDATE am_credit_cycle_segment SET closing_yen = closing_yen + 1 WHERE segment_no = 1", "cycles"
    ),
    Change(
        "an alert without a cause", "UPDATE am_credit_spending_alert SET spent_yen = 1 WHERE alert_id = 1", "alerts"
    ),
    Change(
        "an alert of more than was spent",
        "UPDATE am_credit_spending_alert SET spent_yen = 900 WHERE alert_id = 1",
        "alerts",
    ),
    Change("an alert that was told is gone", "DELETE FROM am_credit_spending_alert WHERE alert_id = 1", "alerted"),
    Change(
        "an answer's amount",
        "UPDATE am_credit_idempotency SET amount_yen = amount_yen + 1 WHERE idempotency_key = '9 charge'",
        "answers",
    ),
    Change(
        "an answer's entry",
        "UPDATE am_credit_idempotency SET txn_id = txn_id + 1 WHERE idempotency_key = '9 charge'",
        "answers",
    ),
    Change(
        "an answer's balance",
        "UPDATE am_credit_idempotency SET balance_yen = 999999 WHERE idempotency_key = '9 charge'",
        "answers",
    ),
    Change(
        "another key for the same charge",
        f"INSERT INTO am_credit_idempotency (idempotency_key, {_ANSWER}) SELECT 'another', {_ANSWER} "
        "FROM am_credit_idempotency WHERE idempotency_key = '9 charge'",
        "answers",
    ),
    # Seals
    Change(
        "a seal's hash",
        "UPDATE am_credit_seal SET sha256 = replace(sha256, substr(sha256, 1, 1), 'x') WHERE seal_id = 1",
        "seals",
    ),
    Change(
        "a seal's time", "UPDATE am_credit_seal SET sealed_at = '2026-11-05T12:06:03.000Z' WHERE seal_id = 1", "seals"
    ),
    Change("a seal's version", "UPDATE am_credit_seal SET version = 1 WHERE seal_id = 1", "seals"),
    Change("a seal's range", "UPDATE am_credit_seal SET first_txn_id = 0 WHERE seal_id = 1", "seals"),
    Change("the first seal is gone", "DELETE FROM am_credit_seal WHERE seal_id = 1", "seals"),
    Change("the last seal is gone", "DELETE FROM am_credit_seal WHERE seal_id = 2", "anchors"),
    Change("all seals are gone", "DELETE FROM am_credit_seal", "anchors"),
]

NOT_PROVABLE = {
    "UPDATE am_credit_wallet SET label = 'another' WHERE wallet_id = 1": "a name, which decides about nothing",
    "UPDATE am_credit_wallet SET monthly_budget_yen = 5, budget_mode = 'cap', low_balance_yen = 1 "
    "WHERE wallet_id = 1": ("settings have a present value and no history"),
    "UPDATE am_credit_wallet SET enabled = 0 WHERE wallet_id = 1": "the same",
    "UPDATE am_credit_wallet SET auto_topup_threshold = 9, auto_topup_amount = 9 WHERE wallet_id = 1": "the same",
    "UPDATE am_credit_key SET monthly_cap_yen = 0 WHERE key_id = 1": "the same",
    "UPDATE am_credit_wallet SET exhausted = 1 "
    "WHERE wallet_id = 1": "a refusal leaves no entry; it decides on a notice",
    "UPDATE am_credit_wallet SET next_due_at = '2026-11-01T00:00:00.000Z' WHERE wallet_id = 1": (
        "it may be early: one looks in vain once"
    ),
    "UPDATE am_credit_wallet SET owner_token_hash = 'a' || substr(owner_token_hash, 2) WHERE wallet_id = 2": (
        "a token is known to its owner alone"
    ),
    "UPDATE am_credit_hold SET note = 'another' WHERE hold_id = 2": "no entry has it",
    "DELETE FROM am_credit_hold WHERE hold_id = 2": "a hold that moved nothing may be forgotten",
    "DELETE FROM am_credit_idempotency WHERE idempotency_key = '9 charge'": "keys are forgotten after two days",
    "DELETE FROM am_credit_purchase WHERE status = 'undone'": "purchases are forgotten with their keys",
    "UPDATE am_credit_topup SET amount_yen = 61 WHERE status = 'requested'": "what was asked for: compare with Stripe",
    f"UPDATE am_credit_topup SET payment_intent = 'pi_another' {_PLAIN}": "which payment it was: compare with Stripe",
    "UPDATE am_credit_payer SET stopped = 1": "what a provider said of a method",
    "DELETE FROM am_credit_outbox WHERE kind = 'topup.failed'": "news, which decide about nothing",
}
"""Changes that no entry tells from the truth, and why."""

Finder = Callable[[str], set[str]]


@pytest.fixture
def find(databases: Databases, tmp_path: Path) -> Iterator[Finder]:
    """Makes a change in a rich ledger, says which checks find it, and takes it back."""
    clock = Clock(START)
    with databases.ledger() as url:
        with CreditWallet.open(url, clock=clock) as wallets:
            fill(wallets, clock)
            seal = wallets.seals.latest()
            assert seal is not None
        if is_postgres(url):
            with _in_a_transaction(url, clock, seal) as finder:
                yield finder
        else:
            yield _on_a_copy(url, tmp_path, clock, seal)


def _on_a_copy(url: str, folder: Path, clock: Clock, seal: Anchor) -> Finder:
    def find(change: str) -> set[str]:
        path = folder / "changed.db"
        shutil.copy(sqlite_path(url), path)
        with closing(apsw.Connection(str(path))) as forger:
            triggers = forger.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            forger.execute("".join(f"DROP TRIGGER {name};" for name, _ in triggers))
            forger.execute(change)
            assert forger.changes(), change
            forger.execute("".join(f"{text};" for _, text in triggers))
        with closing(database_at(f"sqlite:///{path}").open_source()) as source:
            return {violation.check for violation in verify(source, clock(), [seal])}

    return find


@contextmanager
def _in_a_transaction(url: str, clock: Clock, seal: Anchor) -> Iterator[Finder]:
    with closing(connect(url)) as raw:

        def find(change: str) -> set[str]:
            raw.execute("BEGIN")
            raw.execute("SET LOCAL session_replication_role = replica")  # no trigger, no foreign key
            assert raw.execute(change).rowcount, change
            found = {violation.check for violation in verify(PostgresSnapshot(raw), clock(), [seal])}
            raw.execute("ROLLBACK")
            return found

        yield find


def test_every_change_is_found_by_the_check_for_it(find: Finder) -> None:
    missed = {change.name: found for change in FOUND if change.check not in (found := find(change.sql))}
    assert missed == {}
    assert len(FOUND) > 100


def test_what_cannot_be_proved_is_not_found(find: Finder) -> None:
    """A change that is found some day belongs to the list above."""
    assert {change: found for change in NOT_PROVABLE if (found := find(change))} == {}
