"""A host that writes the seed's schema by plain SQL and knows of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import apsw

MIGRATION_281 = Path(__file__).resolve().parents[1] / "scripts" / "migrations" / "281_credit_wallet.sql"
NOON = "2026-05-15T12:00:00.000Z"


class PlainSql:
    """A connection of its own, through the wallet's SQLite library: two in a process do not see each other's locks."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(5_000)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._owners = 0

    @classmethod
    def with_281(cls, path: Path) -> Self:
        """A new database that has migration 281 alone."""
        host = cls(path)
        host._connection.execute(MIGRATION_281.read_text(encoding="utf-8"))
        return host

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self, statement: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Any statement, and its rows."""
        return self._connection.execute(statement, bindings).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What a careful writer does: an entry and its balance together."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def wallet(self, **columns: int | str) -> int:
        """Insert a wallet and return its id."""
        self._owners += 1
        row: dict[str, int | str] = {"owner_token_hash": f"{self._owners:064x}", **columns}
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        return int(
            self.run(f"INSERT INTO am_credit_wallet ({names}) VALUES ({marks}) RETURNING wallet_id", *row.values())[0][
                0
            ]
        )

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
