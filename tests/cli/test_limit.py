"""The limit of the benchmark writes what the ledger writes: the same rows in every table, and a sound ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from credit_wallet import CreditWallet
from credit_wallet.cli.equipped import create_equipped, equipped_charges
from credit_wallet.cli.limit import Limit
from credit_wallet.cli.workloads import AnyCharge, create_wallets, plain_charges

Making = Callable[[Path, int], Iterator[AnyCharge]]


def plain(path: Path, wallets: int) -> Iterator[AnyCharge]:
    return plain_charges(create_wallets(path, wallets))


def equipped(path: Path, wallets: int) -> Iterator[AnyCharge]:
    return equipped_charges(create_equipped(path, wallets))


def tables(path: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        return {str(name): sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for (name,) in names}


@pytest.mark.parametrize("charges", [plain, equipped])
@pytest.mark.parametrize("wallets", [1, 30])
def test_the_limit_leaves_the_ledger_that_charges_leave(tmp_path: Path, charges: Making, wallets: int) -> None:
    path = tmp_path / "ledger.db"
    made = charges(path, wallets)
    before = tables(path)
    with Limit(path) as limit:
        for batch, lists in ((1, 3), (64, 2), (200, 1)):
            assert limit.write(made, batch, lists).charges == batch * lists
    left = tables(path)
    assert left == tables(limit.path)
    assert len(left["am_credit_transaction_log"]) == len(before["am_credit_transaction_log"]) + 331
    assert len(left["am_credit_idempotency"]) == len(before["am_credit_idempotency"]) + 331
    with CreditWallet.open(f"sqlite:///{limit.path}") as left_by_limit:
        assert left_by_limit.verify(usage=True) == []


def test_the_limit_of_wallets_as_people_have_them_writes_keys_budgets_and_facts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    made = equipped(path, 5)
    before = tables(path)
    with Limit(path) as limit:
        limit.write(made, 100, 1)
    after = tables(limit.path)
    moved = {name for name in after if after[name] != before[name]}
    assert moved == {
        "am_credit_wallet",
        "am_credit_transaction_log",
        "am_credit_idempotency",
        "am_credit_key",
        "am_credit_budget_spent",
        "sqlite_sequence",
    }


def test_a_turn_of_the_limit_counts_what_it_has_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    made = plain(path, 2)
    with Limit(path) as limit:
        turn = limit.in_batches(made, 8)(0.0001)
    assert turn.charges % 8 == 0
    assert len(tables(limit.path)["am_credit_idempotency"]) == turn.charges + 2
    assert turn.seconds >= 0.0001
