"""What nothing in a ledger tells from the truth, and why."""

from __future__ import annotations

from databases import on_both_databases
from planted import Finder

pytestmark = on_both_databases

_PLAIN = "WHERE payment_intent = 'pi_plain'"

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


def test_what_cannot_be_proved_is_not_found(find: Finder) -> None:
    """A change that is found some day belongs to the changes that are."""
    assert {change: found for change in NOT_PROVABLE if (found := find(change))} == {}
