"""How much a charge reads: its own budgets, however many others there are."""

from __future__ import annotations

from contextlib import closing

import apsw
import psycopg
import pytest
from background import funded
from budgeted import make, spent_in
from clock import Clock
from databases import on_both_databases, on_every_database, on_postgres, on_sqlite
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.database_urls import sqlite_path
from credit_wallet.errors import BudgetExhausted
from credit_wallet.stores.postgres import budgets as postgres_budgets
from credit_wallet.stores.sqlite import budgets as sqlite_budgets

MANY = 100_000

_MAKE = """
INSERT INTO am_credit_budget (wallet_id, unit, limit_whole, time_window, scope, anchor, mode, shares, time_zone,
                              week_start, created_at, after_txn_id)
SELECT {wallet_id}, 'yen', 10, 'total', '[["run","r' || n || '"]]', 'run=r' || n, 'cap', '[80,100]', 'UTC', 'monday',
       '2026-05-15T00:00:00.000Z', 0
FROM {numbers}
"""
_SQLITE_NUMBERS = f"(WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {MANY}) SELECT n FROM c)"
_POSTGRES_NUMBERS = f"generate_series(1, {MANY}) AS c (n)"


def make_many(db_url: str, wallet_id: int) -> None:
    """A budget for each of very many runs."""
    numbers = _POSTGRES_NUMBERS if db_url.startswith("postgres") else _SQLITE_NUMBERS
    with PlainSql(db_url) as ledger:
        ledger.run(_MAKE.format(wallet_id=wallet_id, numbers=numbers))
        kinds = f'{{"run":{MANY}}}'
        ledger.run("UPDATE am_credit_wallet SET budget_kinds = ? WHERE wallet_id = ?", kinds, wallet_id)


@pytest.mark.slow
@on_both_databases
def test_a_charge_reads_its_own_of_very_many_budgets(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet_id = funded(wallets, 100_000)
    make_many(db_url, wallet_id)
    read: list[int] = []
    for kind, module in (("Sqlite", sqlite_budgets), ("Postgres", postgres_budgets)):
        tables = getattr(module, f"{kind}Budgets")
        definitions = tables.definitions

        def counted(self, anchors, ids, definitions=definitions):  # type: ignore[no-untyped-def]
            found = definitions(self, anchors, ids)
            read.append(len(found))
            return found

        monkeypatch.setattr(tables, "definitions", counted)
    for number in range(1, 200):
        wallets.charge(wallet_id, 8, idempotency_key=str(number), facts={"run": f"r{number * 500}"})
        with pytest.raises(BudgetExhausted):
            wallets.charge(wallet_id, 3, idempotency_key=f"{number} more", facts={"run": f"r{number * 500}"})
    assert max(read) == 1


@on_sqlite
def test_sqlite_finds_everything_by_its_keys(wallets: CreditWallet, db_url: str) -> None:
    wallets.create()
    statements = [
        *((sqlite_budgets._AT_ANCHORS[size], 2 * size) for size in (1, 128)),
        (sqlite_budgets._BY_ID, 2),
        *((sqlite_budgets._FIGURES[size], 4 * size) for size in (1, 128)),
        (sqlite_budgets._BETWEEN, 5),
        (sqlite_budgets._OLDEST, 4),
    ]
    with closing(apsw.Connection(str(sqlite_path(db_url)))) as connection:
        for statement, parameters in statements:
            plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", ("",) * parameters)]
            assert not [step for step in plan if "SCAN am_credit" in step or "SCAN s" in step or "TEMP B-TREE" in step]


@on_postgres
def test_postgres_finds_everything_by_its_keys(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 10, window="rolling:1m")
    wallets.charge(wallet_id, 9, idempotency_key="a")
    asked = (
        (postgres_budgets._AT_ANCHORS, ["{1}", '{"run=r1"}']),
        (postgres_budgets._BY_ID, ["{1}", "{1}"]),
        (postgres_budgets._FIGURES, ["{1}", "{1}", '{""}', '{""}']),
        (postgres_budgets._ROLLING, ["{1}", "{1}", '{""}', '{"2026-05-15T00:00:00.000Z"}', "{10}"]),
    )
    with closing(psycopg.connect(db_url, autocommit=True)) as connection:
        connection.execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        for statement, parameters in asked:
            rows = connection.execute(f"EXPLAIN {statement}".encode(), parameters).fetchall()
            plan = "\n".join(text for (text,) in rows)
            assert "Seq Scan" not in plan, plan


@on_every_database
def test_distinct_values_are_read_in_few_statements(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A charge of a value that was never seen costs one lookup, and one that was costs none."""
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10, window="total", scope=(("run", "*"),))
    for number in range(20):
        wallets.charge(wallet_id, 1, idempotency_key=str(number), facts={"run": str(number)})
    asked: list[int] = []
    for kind, module in (("Sqlite", sqlite_budgets), ("Postgres", postgres_budgets)):
        tables = getattr(module, f"{kind}Budgets")
        figures = tables.figures

        def counted(self, counters, figures=figures):  # type: ignore[no-untyped-def]
            asked.append(len(counters))
            return figures(self, counters)

        monkeypatch.setattr(tables, "figures", counted)
    clock.advance(days=1)
    for number in range(20):
        wallets.charge(wallet_id, 1, idempotency_key=f"{number} again", facts={"run": str(number)})
    assert asked == []
    assert set(spent_in(db_url, budget_id).values()) == {2}
