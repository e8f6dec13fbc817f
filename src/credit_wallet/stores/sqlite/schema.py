"""The schema of a SQLite database, for the migration runner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import apsw

from credit_wallet.errors import MigrationError
from credit_wallet.stores.sqlite.connection import naming_database_errors
from credit_wallet.stores.sqlite.ledger import LedgerConnection, transaction


class SqliteSchema:
    """The schema of the database that ``connection`` has open; ``path`` is for messages."""

    folder: ClassVar[str] = ""
    create_record: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS credit_wallet_migration (
        name       TEXT PRIMARY KEY,
        sha256     TEXT NOT NULL,
        applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    )
    """
    record_exists: ClassVar[str] = (
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'credit_wallet_migration'"
    )

    def __init__(self, connection: LedgerConnection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write transaction. Raises ``DatabaseError`` for what goes wrong in it."""
        with naming_database_errors(self._path), transaction(self._connection):
            yield

    def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement."""
        with naming_database_errors(self._path):
            return self._connection.execute(statement, parameters).fetchall()

    def run_script(self, name: str, script: str) -> None:
        """Run the statements of a file. Raises ``MigrationError`` when they do not fit the database."""
        try:
            self._connection.execute(script)
        except (apsw.SQLError, apsw.ConstraintError) as error:
            raise MigrationError(f"{name} does not fit this database ({error}); nothing of it was applied") from error
