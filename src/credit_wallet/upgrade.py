"""Bringing a database's schema up to date, or back, without opening it for business."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

from msgspec import Struct

from credit_wallet.config import sqlite_path
from credit_wallet.errors import MigrationError
from credit_wallet.stores import migrations
from credit_wallet.stores.sqlite import bring_up_to_date
from credit_wallet.stores.sqlite_connection import connect, connect_for_reading, make_folder


class Upgrade(Struct, frozen=True):
    """What an upgrade did."""

    applied: list[str]
    wallets_adopted: int


def pending_migrations(url: str) -> list[str]:
    """Names of the migrations that ``upgrade_database`` would apply. Changes nothing, not even a missing file."""
    path = sqlite_path(url)
    if not path.exists():
        return migrations.manifest()
    with closing(connect_for_reading(path)) as connection:
        return migrations.pending(connection)


def upgrade_database(url: str) -> Upgrade:
    """Apply what is pending and adopt what plain SQL wrote. Raises ``MigrationError`` and ``DatabaseError``."""
    path = sqlite_path(url)
    make_folder(path)
    with closing(connect(path)) as connection:
        applied, adopted = bring_up_to_date(connection, path, datetime.now(UTC))
    return Upgrade(applied, adopted)


def rollback_database(url: str, number: int) -> list[str]:
    """Undo migration ``number`` and every later one; return their names, latest first. Raises ``MigrationError``."""
    path = sqlite_path(url)
    if not path.exists():
        raise MigrationError(f"there is no database {path}; nothing to undo")
    with closing(connect(path)) as connection:
        return migrations.rollback(connection, path, number)
