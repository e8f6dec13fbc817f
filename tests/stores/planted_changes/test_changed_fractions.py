"""``verify`` finds what somebody has changed below the yen: fractions, details, items, facts, prices."""

from __future__ import annotations

from databases import on_both_databases, on_sqlite
from planted import Change, Finder, missed

pytestmark = on_both_databases

_LOG = "am_credit_transaction_log"
_TEA = "WHERE note = 'tea' AND occurred_at LIKE '2026-09%'"
_SEARCH = "WHERE note = 'search' AND occurred_at LIKE '2026-09%'"
_EIGHT_FACTS = ",".join(f'"t{number}":"x"' for number in range(8))
_OPEN = "WHERE status = 'open' AND closer = 'operator'"


def _column(table: str, column: str, where: str, check: str, by: int = 1) -> Change:
    """A micro more of an amount."""
    return Change(f"{table}.{column} {where}", f"UPDATE {table} SET {column} = {column} + {by} WHERE {where}", check)


def _detail(name: str, old: str, new: str, where: str, check: str) -> Change:
    """Another text in the detail of an entry."""
    detail = f"json(replace(CAST(detail AS TEXT), '{old}', '{new}'))"
    return Change(name, f"UPDATE {_LOG} SET detail = {detail} {where}", check)


FOUND = [
    _column("am_credit_wallet", "balance_fraction", "wallet_id = 1", "lots"),
    _column("am_credit_wallet", "ledger_fraction", "wallet_id = 1", "conservation"),
    _column("am_credit_wallet", "debt_fraction", "wallet_id = 2", "clawbacks"),
    _column("am_credit_wallet", "cycle_spent_fraction", "wallet_id = 1", "cycle_spend"),
    _column("am_credit_key", "cycle_spent_fraction", "key_id = 1", "key_spend"),
    _column("am_credit_key", "held_fraction", "key_id = 1", "key_holds"),
    _column("am_credit_hold", "amount_fraction", "hold_id = 1", "hold_lots"),
    _column("am_credit_hold", "captured_fraction", "hold_id = 1", "captures"),
    _column("am_credit_hold", "above_fraction", "hold_id = 1", "captures"),
    _column("am_credit_lot", "granted_fraction", "lot_id = 1", "lot_grants"),
    _column("am_credit_returned", "returned_fraction", "txn_id = 3", "refunds"),
    _column("am_credit_returned", "returned_fraction", "txn_id = 1", "reversals"),
    _column("am_credit_cycle_spend", "spent_fraction", "key_id = 0", "cycle_spend"),
    _column("am_credit_cycle_spend", "spent_fraction", "key_id = 1", "key_spend"),
    _column("am_credit_cycle_segment", "closing_fraction", "segment_no = 1", "cycles"),
    _column("am_credit_clawback", "owed_fraction", "owed_yen + owed_fraction > 0", "clawbacks"),
    _column("am_credit_purchase", "amount_fraction", "status = 'running' AND txn_id IS NOT NULL", "purchases"),
    _column("am_credit_purchase", "amount_fraction", "status = 'running' AND hold_id IS NOT NULL", "purchases"),
    Change(
        "part of an open lot below the yen",
        "UPDATE am_credit_wallet SET open_lots = replace(open_lots, 'null,', 'null,1') WHERE wallet_id = 1",
        "lots",
    ),
    Change(
        "part of a hold's lot below the yen",
        f"UPDATE am_credit_hold SET lots = replace(lots, '0]]', '1]]') {_OPEN}",
        "hold_lots",
    ),
    Change(
        "part of an entry's lot below the yen",
        f"UPDATE {_LOG} SET lots = replace(lots, '000]', '001]') {_TEA}",
        "lot_flow",
    ),
    Change(
        "what was taken back below the yen",
        "UPDATE am_credit_clawback SET taken = replace(taken, '00000]', '00001]') WHERE credit_txn_id = 1",
        "reversals",
    ),
    Change(
        "what an answer says below the yen",
        "UPDATE am_credit_idempotency SET detail = replace(detail, '\"amount_fraction\":30', '\"amount_fraction\":31') "
        "WHERE idempotency_key = '9 tea'",
        "answers",
    ),
    Change(
        "the balance that an answer says below the yen",
        "UPDATE am_credit_idempotency SET balance_yen = 999 WHERE idempotency_key = '9 tea'",
        "answers",
    ),
    _detail("an exact amount", "-3300000", "-3300001", _TEA, "chain"),
    _detail("an exact amount, a yen away", "-3300000", "-5300000", _TEA, "details"),
    _detail("an amount of the other sign", "-3300000", "300000", _TEA, "details"),
    _detail("what the ledger balance has beyond whole yen", '"fraction":', '"fraction":1', _SEARCH, "details"),
    _detail("a fraction of the ledger balance by a micro", "450000", "450001", _TEA, "chain"),
    Change("a detail is gone", f"UPDATE {_LOG} SET detail = NULL {_TEA}", "chain"),
    Change("a detail that says nothing", f"UPDATE {_LOG} SET detail = '{{}}' {_TEA}", "details"),
    Change("a detail that is none", f"UPDATE {_LOG} SET detail = '[1]' {_TEA}", "details"),
    _detail("a detail that says it twice", '{"micros":', '{"micros":1,"micros":', _TEA, "details"),
    _detail("a detail that says more", '{"micros":', '{"other":1,"micros":', _TEA, "details"),
    _detail("an amount that is no integer", "-3300000", "-3300000.5", _TEA, "details"),
    _detail("an amount that no column holds", "-3300000", "-99999999999999999999999", _TEA, "details"),
    _detail("an item", '"item":"search"', '"item":"tokens.input"', _SEARCH, "seals"),
    _detail("an item that is none", '"item":"search"', '"item":"Search"', _SEARCH, "details"),
    _detail("a quantity", '"quantity":2000000', '"quantity":3000000', _SEARCH, "seals"),
    _detail("a quantity of nothing", '"quantity":2000000', '"quantity":0', _SEARCH, "details"),
    _detail(
        "a version of the prices that there never was", '"price_version":1', '"price_version":9', _SEARCH, "prices"
    ),
    _detail("a fact", '"tool":"web"', '"tool":"car"', _SEARCH, "seals"),
    _detail("a fact that is too long", '"tool":"web"', f'"tool":"{"w" * 65}"', _SEARCH, "details"),
    _detail("a fact's key", '"tool":"web"', '"Tool":"web"', _SEARCH, "details"),
    _detail("who said a fact", '"agent_facts"', '"facts"', _SEARCH, "details"),
    _detail("more facts than there can be", '"tool":"web"', _EIGHT_FACTS, _SEARCH, "details"),
    Change(
        "a hold's usage that is none",
        "UPDATE am_credit_hold SET usage = '{\"quantity\":1}' WHERE usage IS NOT NULL",
        "details",
    ),
    Change(
        "a purchase's prices that there never were",
        "UPDATE am_credit_purchase SET usage = json(replace(CAST(usage AS TEXT), 'version\":1', 'version\":7'))",
        "prices",
    ),
    Change("a version of the prices is gone", "DELETE FROM am_credit_price_version WHERE version = 1", "prices"),
]

NO_FRACTIONS = [
    _column("am_credit_wallet", "balance_fraction", "wallet_id = 1", "fractions", by=1_000_000),
    _column("am_credit_wallet", "ledger_fraction", "wallet_id = 1", "fractions", by=1_000_000),
    _column("am_credit_wallet", "debt_fraction", "wallet_id = 1", "fractions", by=-1),
    _column("am_credit_wallet", "cycle_spent_fraction", "wallet_id = 1", "fractions", by=1_000_000),
    _column("am_credit_key", "cycle_spent_fraction", "key_id = 1", "fractions", by=1_000_000),
    _column("am_credit_key", "held_fraction", "key_id = 1", "fractions", by=1_000_000),
    _column("am_credit_hold", "amount_fraction", "hold_id = 1", "fractions", by=1_000_000),
    _column("am_credit_hold", "captured_fraction", "hold_id = 1", "fractions", by=1_000_000),
    _column("am_credit_hold", "above_fraction", "hold_id = 1", "fractions", by=-1),
    _column("am_credit_lot", "granted_fraction", "lot_id = 1", "fractions", by=1_000_000),
    _column("am_credit_returned", "returned_fraction", "txn_id = 3", "fractions", by=1_000_000),
    _column("am_credit_clawback", "owed_fraction", "wallet_id = 2", "fractions", by=1_000_000),
    _column("am_credit_purchase", "amount_fraction", "status = 'running'", "fractions", by=1_000_000),
    _column("am_credit_cycle_spend", "spent_fraction", "key_id = 1", "fractions", by=1_000_000),
    _column("am_credit_cycle_segment", "closing_fraction", "segment_no = 1", "fractions", by=1_000_000),
]
"""What no database with its CHECKs has; PostgreSQL's cannot be switched off."""

NOT_PROVABLE = {
    "INSERT INTO am_credit_hour_spend (wallet_id, hour, spent_yen, spent_fraction) VALUES (1, '2026-10-05T12', 1, 7)": (
        "hours are compared with each other, and decide about a notice"
    ),
    "UPDATE am_credit_tier_usage SET quantity = 3": "what was used and is owed has no entry",
    "UPDATE am_credit_price SET unit_price_yen = 9 WHERE item = 'search'": "what was agreed is in the price file",
    "UPDATE am_credit_price SET valid_from = '2027-01-01T00:00:00.000Z', per = 7 WHERE item = 'search'": "the same",
    "DELETE FROM am_credit_price WHERE item = 'free'": "the same",
    "UPDATE am_credit_price_version SET applied_at = '2026-01-01T00:00:00.000Z', applied_by = 'another'": (
        "who applied a file and when; no entry has it"
    ),
    "UPDATE am_credit_wallet SET price_group = 'partners' WHERE wallet_id = 1": "a setting, which has no history",
    "UPDATE am_credit_idempotency SET detail = replace(detail, '\"price_version\":1', '\"price_version\":2') "
    "WHERE idempotency_key = '9 search'": "the entry that it answers with has the version",
    "UPDATE am_credit_hold SET usage = NULL WHERE usage IS NOT NULL": "its captures say what they are for",
    "UPDATE am_credit_purchase SET usage = NULL WHERE usage IS NOT NULL": "so does its charge",
    "UPDATE am_credit_idempotency SET detail = replace(detail, '\"balance_fraction\":4', '\"balance_fraction\":3') "
    "WHERE idempotency_key = '9 tea'": "the balance of an answer has bounds only",
}
"""Changes below the yen that no entry tells from the truth, and why."""


def test_every_change_is_found_by_the_check_for_it(find_exactly: Finder) -> None:
    assert missed(find_exactly, FOUND) == {}


@on_sqlite
def test_what_amounts_have_beyond_their_yen_is_less_than_a_yen(find_exactly: Finder) -> None:
    assert missed(find_exactly, NO_FRACTIONS) == {}


def test_what_cannot_be_proved_is_not_found(find_exactly: Finder) -> None:
    assert {change: found for change in NOT_PROVABLE if (found := find_exactly(change))} == {}
