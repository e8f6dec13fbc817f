"""The schema of a PostgreSQL database, for the migration runner."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg

from credit_wallet.errors import MigrationError
from credit_wallet.stores.postgres.connection import (
    PostgresConnection,
    Raw,
    naming_database_errors,
    transaction,
)

_ONE_MIGRATOR = """
SELECT set_config('lock_timeout', '60s', true), pg_advisory_xact_lock(hashtext('credit_wallet_migration'))
"""
"""Other nodes that start now wait here; this waits for charges under way elsewhere, a minute at most."""


_PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass('am_credit_wallet')"
_CREATE_TABLE = re.compile(r"^CREATE TABLE (?P<unless>IF NOT EXISTS )?(?P<table>\w+) \(\n.*?\n\);", re.DOTALL | re.M)
_TRUNCATE_TRIGGER = re.compile(r"^(CREATE|DROP) TRIGGER \w+_truncate\b[^;]*?\bON (?P<table>\w+)[^;]*;", re.M)
_WITHOUT_WALLET = (
    "am_credit_seal",
    "am_credit_installation",
    "am_credit_counted",
    "am_credit_reference",
    "am_credit_month_total",
    "am_credit_totals",
    "am_credit_quarter_total",
)


def partitioned(script: str, partitions: int) -> str:
    """A migration with its tables split by a hash of ``wallet_id``, but for those that span wallets."""

    def split(statement: re.Match[str]) -> str:
        table, unless = statement["table"], statement["unless"] or ""
        if table in _WITHOUT_WALLET:
            return statement[0]
        parts = [
            f"CREATE TABLE {unless}{table}_p{remainder} PARTITION OF {table} "
            f"FOR VALUES WITH (MODULUS {partitions}, REMAINDER {remainder});"
            for remainder in range(partitions)
        ]
        return "\n".join([f"{statement[0].removesuffix(';')} PARTITION BY HASH (wallet_id);", *parts])

    def repeat(statement: re.Match[str]) -> str:
        """Partitions inherit the triggers of rows, but not those of statements."""
        end = statement.end("table") - statement.start()
        head, tail = statement[0][:end], statement[0][end:]
        return "\n".join([statement[0], *(f"{head}_p{remainder}{tail}" for remainder in range(partitions))])

    return _TRUNCATE_TRIGGER.sub(repeat, _CREATE_TABLE.sub(split, script))


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
    record_exists: ClassVar[str] = "SELECT 1 FROM pg_class WHERE oid = to_regclass('credit_wallet_migration')"
    """Reads a table, which has PostgreSQL look again at names that it did not find before the wait for a migrator."""

    def __init__(self, raw: Raw, url: str, partitions: int = 0) -> None:
        """``partitions`` is how many each table will have, hashed by ``wallet_id``; for a database without tables."""
        self._raw = raw
        self._url = url
        self._partitions = partitions

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
        [(there_are,)] = self._raw.execute(_PARTITIONS).fetchall()
        if partitions := there_are or self._partitions:
            script = partitioned(script, partitions)
        try:
            self._raw.execute(script, prepare=False)
        except (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.NotSupportedError) as error:
            raise MigrationError(f"{name} does not fit this database ({error}); nothing of it was applied") from error
