"""Writing a whole ledger from one snapshot of PostgreSQL into a new SQLite file, while others use it.

Every table in order of its key, a chunk of rows at a time, so memory does not grow with the ledger. ``copying`` goes
the other way.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from credit_wallet.database_urls import without_password
from credit_wallet.errors import BackupRefused
from credit_wallet.stores import Connection, Progress, migrations
from credit_wallet.stores.jobs.copying import DELETE_OWN_ROWS, TABLES, Table, chunks, columns_of, count_of
from credit_wallet.stores.postgres.connection import PostgresConnection, Raw
from credit_wallet.stores.sqlite.connection import connect, naming_database_errors
from credit_wallet.stores.sqlite.ledger import LedgerConnection, transaction
from credit_wallet.stores.sqlite.schema import SqliteSchema

_COLUMNS_THERE = """
SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = :table
ORDER BY ordinal_position
"""
_LAST_ID = "SELECT pg_sequence_last_value(to_regclass(:sequence))"
_PUT_LAST_ID = "UPDATE sqlite_sequence SET seq = :last WHERE name = :table AND seq < :last"


def dump_ledger(snapshot: Raw, url: str, target: Path, progress: Progress) -> None:
    """Write what ``snapshot``, a transaction of the ledger at ``url``, sees into the new file ``target``.

    Raises ``BackupRefused`` when the ledger has columns of a host's, and ``DatabaseError``.
    """
    there = PostgresConnection(snapshot)
    with naming_database_errors(target), closing(connect(target)) as here:
        here.execute("PRAGMA synchronous = OFF")  # put on disk below, before anybody relies on it
        migrations.migrate(SqliteSchema(here, target))
        for statement in DELETE_OWN_ROWS:
            here.execute(statement)
        for table in TABLES:
            _dump(there, here, table, url, progress)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _dump(there: Connection, here: LedgerConnection, table: Table, url: str, progress: Progress) -> None:
    columns = columns_of(here, table)
    theirs = {name for (name,) in there.execute(_COLUMNS_THERE, {"table": table.name})}
    if unknown := sorted(theirs - {*columns}):
        raise BackupRefused(
            f"{table.name} of {without_password(url)} has columns that no ledger's file has: {', '.join(unknown)}; "
            "back the database up with PostgreSQL's own tools",
            table=table.name,
        )
    total, done = count_of(there, table), 0
    progress(f"copying {table.name}", done, total)
    insert = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    for chunk in chunks(there, table, ", ".join(columns), None):
        with transaction(here):
            here.executemany(insert, chunk)
        done += len(chunk)
        progress(f"copying {table.name}", done, total)
    if table.numbered:
        [(last,)] = there.execute(_LAST_ID, {"sequence": f"{table.name}_{table.key[0]}_seq"}).fetchall()
        here.execute(_PUT_LAST_ID, {"table": table.name, "last": last or 0})
