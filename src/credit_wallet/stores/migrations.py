"""The migration runner: applies what the boot manifest lists, once each, and remembers the checksums.

The files are those of ``scripts/migrations``, shipped as ``credit_wallet.migrations``. Runs are safe to repeat and to
start in several processes at once: each file is applied and recorded in one write transaction.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import resources
from pathlib import Path

import apsw

from credit_wallet.errors import MigrationError
from credit_wallet.stores.sqlite_connection import naming_database_errors, transaction

MANIFEST = "jpcite_boot_manifest.txt"

_CREATE_RECORD = """
CREATE TABLE IF NOT EXISTS credit_wallet_migration (
    name       TEXT PRIMARY KEY,
    sha256     TEXT NOT NULL,
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
"""
_SEED = "281_"
_OWED = "SELECT count(*) FROM am_credit_wallet WHERE held_yen > 0 OR debt_yen > 0"
_RECORD_EXISTS = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'credit_wallet_migration'"
_RECORDED = "SELECT name, sha256 FROM credit_wallet_migration"
_RECORD = "INSERT INTO credit_wallet_migration (name, sha256) VALUES (?, ?)"
_FORGET = "DELETE FROM credit_wallet_migration WHERE name = ?"
_DROP_RECORD = "DROP TABLE credit_wallet_migration"


def manifest() -> list[str]:
    """File names of the migrations, in the order in which they apply."""
    lines = (line.strip() for line in _read(MANIFEST).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def pending(connection: apsw.Connection) -> list[str]:
    """Names of the migrations that are still to be applied.

    Raises ``MigrationError`` when a file is not what it was when it was applied.
    """
    recorded = _recorded(connection)
    for name in manifest():
        if name in recorded and recorded[name] != _checksum(name):
            raise MigrationError(
                f"{name} has changed since it was applied; restore the file and put the change into a new migration",
                migration=name,
            )
    return [name for name in manifest() if name not in recorded]


def migrate(connection: apsw.Connection, path: Path) -> list[str]:
    """Apply what is pending and return the names applied. Raises ``MigrationError`` and ``DatabaseError``."""
    applied = []
    with naming_database_errors(path):
        for name in pending(connection):
            with transaction(connection):
                if name in pending(connection):  # unless another process was faster
                    connection.execute(_CREATE_RECORD)
                    _run(connection, name)
                    connection.execute(_RECORD, (name, _checksum(name)))
                    applied.append(name)
    return applied


def rollback(connection: apsw.Connection, path: Path, number: int) -> list[str]:
    """Undo migration ``number`` and, before it, every later one that was applied; return the names undone.

    Raises ``MigrationError`` when there is no such migration or it was not applied.
    """
    undone = []
    with naming_database_errors(path), transaction(connection):
        plan = rollback_plan(connection, number)
        if not plan[-1].startswith(_SEED):
            _require_nothing_owed(connection)
        for name in plan:
            _run(connection, name.replace(".sql", "_rollback.sql"))
            connection.execute(_FORGET, (name,))
            undone.append(name)
        if not _recorded(connection):
            connection.execute(_DROP_RECORD)
    return undone


def rollback_plan(connection: apsw.Connection, number: int) -> list[str]:
    """Names of the migrations that ``rollback`` would undo, the latest first."""
    recorded = _recorded(connection)
    names = [name for name in manifest() if int(name.split("_")[0]) >= number and name in recorded]
    if not names or int(names[0].split("_")[0]) != number:
        raise MigrationError(f"migration {number} is not applied here", migration=number)
    return names[::-1]


def _require_nothing_owed(connection: apsw.Connection) -> None:
    """Held yen and debts are known to the later migrations alone, and their going must not change what a wallet has."""
    if "283_credit_wallet_state.sql" in _recorded(connection) and (owing := connection.execute(_OWED).get):
        raise MigrationError(f"{owing} wallets have open holds or debts; settle them before this rollback")


def _recorded(connection: apsw.Connection) -> dict[str, str]:
    if connection.execute(_RECORD_EXISTS).get is None:
        return {}
    return dict(connection.execute(_RECORDED))


def _run(connection: apsw.Connection, name: str) -> None:
    try:
        connection.execute(_read(name))
    except (apsw.SQLError, apsw.ConstraintError) as error:
        raise MigrationError(f"{name} does not fit this database ({error}); nothing of it was applied") from error


def _read(name: str) -> str:
    return (resources.files("credit_wallet.migrations") / name).read_text(encoding="utf-8")


def _checksum(name: str) -> str:
    return sha256(_read(name).encode()).hexdigest()
