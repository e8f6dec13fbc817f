"""``verify`` finds single rows of budgets that somebody has changed by SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import budgets_ledger
import pytest
from databases import Databases, on_both_databases
from planted import Change, Finder, finder_in, missed

pytestmark = on_both_databases

_OPEN = "WHERE status = 'open' AND reserved IS NOT NULL AND hold_id = (SELECT max(hold_id) FROM am_credit_hold)"

FOUND = [
    # What a budget is
    Change("another limit", "UPDATE am_credit_budget SET limit_whole = 1000 WHERE budget_id = 1", "budget_changes"),
    Change("a bit more limit", "UPDATE am_credit_budget SET limit_fraction = 7 WHERE budget_id = 2", "budget_changes"),
    Change("a cap that tells", "UPDATE am_credit_budget SET mode = 'alert' WHERE budget_id = 1", "budget_changes"),
    Change("another window", "UPDATE am_credit_budget SET time_window = 'month' WHERE budget_id = 1", "budget_changes"),
    Change("another zone", "UPDATE am_credit_budget SET time_zone = 'UTC' WHERE budget_id = 1", "budget_spent"),
    Change(
        "another scope",
        """UPDATE am_credit_budget SET scope = '[["run","r2"]]' WHERE budget_id = 5""",
        "budget_changes",
    ),
    Change("no charge finds it", "UPDATE am_credit_budget SET anchor = 'run=r9' WHERE budget_id = 5", "budgets"),
    Change("no wallet knows it", "UPDATE am_credit_wallet SET budget_kinds = '' WHERE wallet_id = 1", "budgets"),
    Change(
        "a raise for ever",
        "UPDATE am_credit_budget SET raised_until = '2999-01-01T00:00:00.000Z' WHERE budget_id = 7",
        "budget_changes",
    ),
    Change(
        "a raise that nobody made",
        "UPDATE am_credit_budget SET raised_whole = 900, raised_fraction = 0, "
        "raised_until = '2999-01-01T00:00:00.000Z' WHERE budget_id = 1",
        "budget_changes",
    ),
    Change(
        "a budget deleted",
        "UPDATE am_credit_budget SET deleted_at = '2026-10-01T00:00:00.000Z' WHERE budget_id = 1",
        "budget_changes",
    ),
    Change("a budget is back", "UPDATE am_credit_budget SET deleted_at = NULL WHERE budget_id = 8", "budget_changes"),
    Change("a budget is gone", "DELETE FROM am_credit_budget WHERE budget_id = 1", "budget_changes"),
    Change("it begins later", "UPDATE am_credit_budget SET after_txn_id = 1000 WHERE budget_id = 2", "budget_spent"),
    Change("another's budget", "UPDATE am_credit_budget SET wallet_id = 2 WHERE budget_id = 1", "budget_changes"),
    # The log of changes
    Change("a creation is gone", "DELETE FROM am_credit_budget_change WHERE budget_id = 'budget-1'", "budget_changes"),
    Change(
        "a change is gone",
        "DELETE FROM am_credit_budget_change WHERE budget_id = 'budget-7' AND before IS NOT NULL",
        "budget_changes",
    ),
    Change(
        "from what it was changed",
        """UPDATE am_credit_budget_change SET before = '{"raised_limit":"6"}'
           WHERE budget_id = 'budget-7' AND before IS NOT NULL""",
        "budget_changes",
    ),
    Change(
        "when a key was in a group",
        "UPDATE am_credit_budget_change SET after_txn_id = 1000 WHERE after LIKE '%other%'",
        "budget_spent",
    ),
    # What is spent
    Change("less spent", "UPDATE am_credit_budget_spent SET spent = spent - 1 WHERE budget_id = 1", "budget_spent"),
    Change(
        "a bit more spent",
        "UPDATE am_credit_budget_spent SET spent_fraction = spent_fraction + 1 WHERE budget_id = 2 AND value = 'r1'",
        "budget_spent",
    ),
    Change("nothing spent", "DELETE FROM am_credit_budget_spent WHERE budget_id = 3", "budget_spent"),
    Change(
        "by another run",
        "UPDATE am_credit_budget_spent SET value = 'r9' WHERE budget_id = 2 AND value = 'r2'",
        "budget_spent",
    ),
    Change("a call less", "UPDATE am_credit_budget_spent SET spent = 0 WHERE budget_id = 5", "budget_spent"),
    Change(
        "a shadow's more than all",
        "UPDATE am_credit_budget_spent SET spent = spent + 500 WHERE budget_id = 6",
        "budget_spent",
    ),
    Change("a shadow's nothing", "UPDATE am_credit_budget_spent SET refused = 0 WHERE budget_id = 6", "budget_spent"),
    Change("a rolling sum", "UPDATE am_credit_budget_spent SET spent = 0 WHERE budget_id = 4", "budget_steps"),
    Change(
        "when it is empty",
        "UPDATE am_credit_budget_spent SET last_at = '2026-01-01T00:00:00.000Z' WHERE budget_id = 4",
        "budget_steps",
    ),
    Change("a second's spending", "UPDATE am_credit_budget_step SET spent = 1 WHERE budget_id = 4", "budget_steps"),
    Change("no seconds", "DELETE FROM am_credit_budget_step WHERE budget_id = 4", "budget_steps"),
    # What is reserved
    Change("less held", "UPDATE am_credit_budget_held SET held = 1 WHERE budget_id = 1", "budget_held"),
    Change("nothing held", "DELETE FROM am_credit_budget_held WHERE budget_id = 4", "budget_held"),
    Change(
        "held by nobody",
        "INSERT INTO am_credit_budget_held (wallet_id, budget_id, value, held) VALUES (1, 2, 'r9', 5)",
        "budget_held",
    ),
    Change("a hold without budgets", f"UPDATE am_credit_hold SET reserved = NULL {_OPEN}", "budget_held"),
    Change(
        "a hold in a budget that never was",
        f"""UPDATE am_credit_hold SET reserved = '[1,[[99,"",1]]]' {_OPEN}""",
        "budget_reserves",
    ),
    Change(
        "a hold that was not captured",
        f"UPDATE am_credit_hold SET reserved = replace(reserved, '[1,[', '[0,[') {_OPEN}",
        "budget_reserves",
    ),
]


@pytest.fixture
def find(databases: Databases, tmp_path: Path) -> Iterator[Finder]:
    """In a ledger with budgets."""
    with finder_in(databases, tmp_path, budgets_ledger.fill) as finder:
        yield finder


def test_a_changed_budget_is_found(find: Finder) -> None:
    assert missed(find, FOUND) == {}
