"""Which database a URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from credit_wallet.database_urls import is_postgres, sqlite_path, without_password
from credit_wallet.errors import InvalidRequest
from credit_wallet.extras import needs
from credit_wallet.stores import Database
from credit_wallet.stores.sqlite.database import SqliteDatabase

if TYPE_CHECKING:
    from credit_wallet.stores.postgres.database import PostgresDatabase


def database_at(url: str) -> Database:
    """The database of ``sqlite:///path`` or ``postgresql://…``. Connects to nothing.

    Raises ``InvalidRequest`` for another URL, ``MissingExtra`` when PostgreSQL's driver is not installed.
    """
    return postgres_database_at(url) if is_postgres(url) else sqlite_database_at(url)


def sqlite_database_at(url: str) -> SqliteDatabase:
    """The file of ``sqlite:///path``. Raises ``InvalidRequest`` for another URL."""
    return SqliteDatabase(sqlite_path(url))


def postgres_database_at(url: str) -> PostgresDatabase:
    """The database of ``postgresql://…``. Raises like ``database_at``."""
    if not is_postgres(url):
        raise InvalidRequest(
            f"{without_password(url)!r} is not a PostgreSQL URL; write postgresql://user@host/database", field="db"
        )
    with needs("postgres"):
        from credit_wallet.stores.postgres.database import PostgresDatabase
    return PostgresDatabase(url)
