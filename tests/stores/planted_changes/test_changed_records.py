"""``verify`` finds single rows that somebody has changed by SQL: payments, identities, cycles, alerts, seals."""

from __future__ import annotations

from databases import on_both_databases
from planted import Change, Finder, missed

pytestmark = on_both_databases

_DISPUTED = "WHERE payment_intent = 'pi_disputed'"
_PLAIN = "WHERE payment_intent = 'pi_plain'"
_ANSWER = "wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, created_on"

FOUND = [
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
    # Grants and consents
    Change("a grant of more", "UPDATE am_credit_grant SET amount_yen = amount_yen + 1 WHERE grant_id = 2", "grants"),
    Change(
        "a grant of a micro more", "UPDATE am_credit_grant SET amount_fraction = 500001 WHERE grant_id = 2", "grants"
    ),
    Change("a grant that has credited is gone", "DELETE FROM am_credit_grant WHERE grant_id = 2", "grants"),
    Change(
        "another entry is a grant's",
        "UPDATE am_credit_grant_occurrence SET txn_id = 1 WHERE grant_id = 2 AND occurrence = 0",
        "grants",
    ),
    Change(
        "one entry is two grants'",
        "UPDATE am_credit_grant_occurrence SET txn_id = (SELECT txn_id FROM am_credit_grant_occurrence "
        "WHERE grant_id = 3) WHERE grant_id = 2",
        "grant_entries",
    ),
    Change(
        "credit that had lapsed was credited",
        "UPDATE am_credit_grant_occurrence SET status = 'credited', txn_id = 1 WHERE grant_id = 1 AND occurrence = 0",
        "grants",
    ),
    Change("a grant's credit is paid", "UPDATE am_credit_grant SET kind = 'paid' WHERE grant_id = 2", "grant_lots"),
    Change(
        "a grant's credit lapses later",
        "UPDATE am_credit_grant_occurrence SET lapses_at = NULL WHERE grant_id = 2",
        "grant_lots",
    ),
    Change(
        "a grant comes again", "UPDATE am_credit_grant SET next_occurrence = 0 WHERE grant_id = 3", "grant_progress"
    ),
    Change("an occurrence is forgotten", "DELETE FROM am_credit_grant_occurrence WHERE grant_id = 3", "grant_progress"),
    Change("a consent is gone", "DELETE FROM am_credit_auto_topup_consent WHERE consent_no = 2", "consents"),
    Change("all consents are gone", "DELETE FROM am_credit_auto_topup_consent", "consents"),
    Change(
        "consents of nobody",
        "UPDATE am_credit_auto_topup_consent SET wallet_id = 99 WHERE consent_no = 1",
        "consents",
    ),
    Change(
        "consents are not counted",
        "UPDATE am_credit_wallet SET auto_topup_consents = 0 WHERE wallet_id = 2",
        "consents",
    ),
    Change(
        "it tops up by more", "UPDATE am_credit_wallet SET auto_topup_amount = 501 WHERE wallet_id = 2", "consented"
    ),
    Change(
        "it tops up sooner", "UPDATE am_credit_wallet SET auto_topup_threshold = 101 WHERE wallet_id = 2", "consented"
    ),
    Change(
        "it tops up without a limit",
        "UPDATE am_credit_wallet SET auto_topup_daily_yen = 0 WHERE wallet_id = 2",
        "consented",
    ),
    Change(
        "less was agreed to",
        "UPDATE am_credit_auto_topup_consent SET monthly_yen = 1 WHERE consent_no = 2",
        "consented",
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


def test_every_change_is_found_by_the_check_for_it(find: Finder) -> None:
    assert missed(find, FOUND) == {}
