"""A ledger that the last version without micros made, as it left it: everything of ``rich_ledger``, in whole yen.

``tests/stores/migrating/whole_yen`` has the rows of its tables as that version wrote them, on SQLite and on PostgreSQL,
and in the last line what it answered: its movements with their outcomes (entry, hold, yen, balance), and its
statements. The tables themselves are those of the migrations up to 295.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, json
from plain_sql import PlainSql

from credit_wallet.database_urls import is_postgres, sqlite_path
from credit_wallet.stores import migrations
from credit_wallet.stores.postgres.connection import connect
from credit_wallet.stores.postgres.schema import PostgresSchema
from credit_wallet.stores.sqlite.connection import connect as connect_file
from credit_wallet.stores.sqlite.schema import SqliteSchema

LAST = "295_credit_event_kinds.sql"
"""The last migration that the version had."""

_FOLDER = Path(__file__).resolve().parents[1] / "stores" / "migrating" / "whole_yen"

_SEQUENCES = "SELECT sequencename, setval(sequencename::regclass, 1000) FROM pg_sequences WHERE schemaname = 'public'"


class Rows(Struct):
    """A table's rows, in the order of their columns."""

    table: str
    columns: list[str]
    rows: list[list[Any]]


class Answers(Struct):
    """What the version said, at ``now``, of the ledger."""

    now: datetime
    calls: list[tuple[str, list[Any], dict[str, Any], list[Any]]]
    """Method, arguments and named arguments, and of the outcome ``txn_id, hold_id, amount_yen, balance_yen``."""

    statements: list[tuple[int, str, int, int, list[list[Any]]]]
    """Wallet and cycle, opening and closing, and of each entry id, yen, kind, balance after it and note."""


class WholeYenLedger(Struct):
    """Its tables and its answers."""

    tables: list[Rows]
    answers: Answers


def read(url: str) -> WholeYenLedger:
    """The one of the database at ``url``."""
    path = _FOLDER / ("postgres.jsonl" if is_postgres(url) else "sqlite.jsonl")
    *tables, answers = path.read_text(encoding="utf-8").splitlines()
    return WholeYenLedger([json.decode(line, type=Rows) for line in tables], json.decode(answers, type=Answers))


def lay_out(url: str, ledger: WholeYenLedger, partitions: int) -> None:
    """Put it into an empty database, as it was before the migrations after ``LAST``."""
    with _migrated_so_far():
        if is_postgres(url):
            with closing(connect(url)) as raw:
                migrations.migrate(PostgresSchema(raw, url, partitions))
        else:
            with closing(connect_file(sqlite_path(url))) as connection:
                migrations.migrate(SqliteSchema(connection, sqlite_path(url)))
    with PlainSql(url) as host:
        host.run("SET session_replication_role = replica" if is_postgres(url) else "PRAGMA foreign_keys = OFF")
        for table in ledger.tables:
            host.run(f"DELETE FROM {table.table}")
            columns, marks = ", ".join(table.columns), ", ".join("?" * len(table.columns))
            for row in table.rows:
                host.run(f"INSERT INTO {table.table} ({columns}) VALUES ({marks})", *map(_value, row))
        if is_postgres(url):
            host.run(_SEQUENCES)


def rows_of(url: str, ledger: WholeYenLedger) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of its tables today, as far as the columns that they had."""
    cast = "::text" if is_postgres(url) else ""
    with PlainSql(url) as host:
        return {
            table.table: sorted(
                host.run(f"SELECT {', '.join(name + cast for name in table.columns)} FROM {table.table}"), key=str
            )
            for table in ledger.tables
        }


@contextmanager
def _migrated_so_far() -> Iterator[None]:
    names = migrations.manifest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "manifest", lambda: names[: names.index(LAST) + 1])
        yield


def _value(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
