"""Which database a URL names."""

from __future__ import annotations

from credit_wallet.config import is_postgres, sqlite_path
from credit_wallet.errors import DatabaseError
from credit_wallet.stores import Database
from credit_wallet.stores.sqlite_database import SqliteDatabase


def database_at(url: str) -> Database:
    """The database of ``sqlite:///path`` or ``postgresql://…``. Connects to nothing.

    Raises ``InvalidRequest`` for another URL, ``DatabaseError`` when PostgreSQL's driver is not installed.
    """
    if not is_postgres(url):
        return SqliteDatabase(sqlite_path(url))
    try:
        from credit_wallet.stores.postgres_database import PostgresDatabase
    except ModuleNotFoundError as error:
        raise DatabaseError(f"{error.name} is missing; install agent-credit-wallet[postgres]") from error
    return PostgresDatabase(url)
