"""A host that writes the seed's schema by plain SQL and knows of nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import apsw
import psycopg
from psycopg.types.string import TextLoader

from credit_wallet.database_urls import is_postgres, sqlite_path

NOON = "2026-05-15T12:00:00.000Z"


class _Sqlite:
    """A connection through the wallet's SQLite library: two in a process do not see each other's locks."""

    begin = "BEGIN IMMEDIATE"
    begin_exclusively = "BEGIN IMMEDIATE"
    drop_references = "PRAGMA foreign_keys = OFF"
    drop_trigger = "DROP TRIGGER {}"

    def __init__(self, url: str) -> None:
        self._connection = apsw.Connection(str(sqlite_path(url)))
        self._connection.set_busy_timeout(5_000)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self.close = self._connection.close

    def run(self, statement: str, bindings: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, bindings).fetchall()


class _Postgres:
    begin = "BEGIN"
    begin_exclusively = "BEGIN; LOCK TABLE am_credit_wallet IN EXCLUSIVE MODE"
    drop_references = "DROP TRIGGER am_credit_transaction_log_wallet_exists ON am_credit_transaction_log"
    drop_trigger = "DROP TRIGGER {} ON am_credit_transaction_log"

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.adapters.register_loader("json", TextLoader)
        self.close = self._connection.close

    def run(self, statement: str, bindings: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.replace("?", "%s"), bindings or None)
        return cursor.fetchall() if cursor.description else []


class PlainSql:
    """A connection of its own to the database at a URL."""

    def __init__(self, url: str) -> None:
        self._connection = _Postgres(url) if is_postgres(url) else _Sqlite(url)
        self._owners = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self, statement: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Any statement with ``?`` for its bindings, and its rows."""
        return self._connection.run(statement, bindings)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What a careful writer does: an entry and its balance together."""
        with self._between(self._connection.begin):
            yield

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Nobody else can write while the block runs."""
        with self._between(self._connection.begin_exclusively):
            yield

    @contextmanager
    def _between(self, begin: str) -> Iterator[None]:
        self.run(begin)
        try:
            yield
        except BaseException:
            self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def drop_references(self) -> None:
        """Let entries of wallets that do not exist in."""
        self.run(self._connection.drop_references)

    def drop_trigger(self, name: str) -> None:
        """Drop one of the ledger's triggers."""
        self.run(self._connection.drop_trigger.format(name))

    def wallet(self, **columns: int | str) -> int:
        """Insert a wallet and return its id."""
        self._owners += 1
        row: dict[str, int | str] = {"owner_token_hash": f"{self._owners:064x}", **columns}
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        [(wallet_id,)] = self.run(
            f"INSERT INTO am_credit_wallet ({names}) VALUES ({marks}) RETURNING wallet_id", *row.values()
        )
        return int(wallet_id)

    def entry(self, wallet_id: int, txn_type: str, amount_yen: int, at: str = NOON) -> None:
        """Insert a ledger row and leave the balance alone."""
        self.run(
            "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, occurred_at) VALUES (?, ?, ?, ?)",
            wallet_id,
            amount_yen,
            txn_type,
            at,
        )

    def move(self, wallet_id: int, txn_type: str, amount_yen: int, at: str = NOON) -> None:
        """Insert a ledger row and keep the balance in step with it."""
        with self.transaction():
            self.entry(wallet_id, txn_type, amount_yen, at)
            self.run(
                "UPDATE am_credit_wallet SET balance_yen = balance_yen + ? WHERE wallet_id = ?", amount_yen, wallet_id
            )


_IN_A_PROCESS = """
import sys
from plain_sql import PlainSql
with PlainSql(sys.argv[1]) as host:
    for statement in sys.argv[2:]:
        host.run(statement)
"""


def run_in_a_process(url: str, *statements: str) -> None:
    """Run statements on the database at ``url`` from a process of its own."""
    subprocess.run(
        [sys.executable, "-c", _IN_A_PROCESS, url, *statements], cwd=Path(__file__).parent, check=True, timeout=60
    )


def contents(host: PlainSql) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a ledger in SQLite, but sessions: they note when they are used."""
    names = host.run("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'am_credit%' ORDER BY name")
    return {name: host.run(f"SELECT * FROM {name}") for (name,) in names if name != "am_credit_session"}
