"""What the migration runner needs to know about PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg

from credit_wallet.errors import MigrationError
from credit_wallet.stores.postgres_connection import (
    PostgresConnection,
    Raw,
    naming_database_errors,
    transaction,
)

_ONE_MIGRATOR = """
SELECT set_config('lock_timeout', '60s', true), pg_advisory_xact_lock(hashtext('credit_wallet_migration'))
"""
"""Other nodes that start now wait here; charges under way elsewhere are waited for, a minute at most."""


class PostgresSchema:
    """The schema of the database that ``raw`` has open; ``url`` is for messages."""

    folder: ClassVar[str] = "postgres/"
    create_record: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS credit_wallet_migration (
        name       TEXT PRIMARY KEY,
        sha256     TEXT NOT NULL,
        applied_at TEXT NOT NULL
                   DEFAULT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    )
    """
    record_exists: ClassVar[str] = "SELECT 1 WHERE to_regclass('credit_wallet_migration') IS NOT NULL"

    def __init__(self, raw: Raw, url: str) -> None:
        self._raw = raw
        self._url = url

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction, one migrator at a time. Raises ``DatabaseError`` for what goes wrong in it."""
        with naming_database_errors(self._url), transaction(self._raw):
            self._raw.execute(_ONE_MIGRATOR)
            yield

    def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement."""
        with naming_database_errors(self._url):
            if parameters is None:
                cursor = self._raw.execute(statement)
            else:
                cursor = PostgresConnection(self._raw).execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def run_script(self, name: str, script: str) -> None:
        """Run the statements of a file. Raises ``MigrationError`` when they do not fit the database."""
        try:
            self._raw.execute(script, prepare=False)
        except (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.NotSupportedError) as error:
            raise MigrationError(f"{name} does not fit this database ({error}); nothing of it was applied") from error
