"""The migration runner: applies the migrations of the boot manifest, once each, and records their checksums.

The files are those of ``scripts/migrations``, shipped as ``credit_wallet.migrations``; PostgreSQL takes the files of
the same names under ``postgres``. Runs are safe to repeat and to start in several processes at once: each file is
applied and recorded in one write transaction that waits for the others'.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar, Protocol

from credit_wallet.errors import MigrationError
from credit_wallet.stores.sql import shipped

MANIFEST = "jpcite_boot_manifest.txt"


class Schema(Protocol):
    """The schema of a database: the parts of migrating that differ between databases."""

    folder: ClassVar[str]
    """Where its files are, below the folder of the migrations."""

    create_record: ClassVar[str]
    """Creates the table of applied migrations if it does not exist."""

    record_exists: ClassVar[str]
    """Selects a row when that table exists."""

    def transaction(self) -> AbstractContextManager[None]:
        """A write transaction that waits for other migrators. Raises ``DatabaseError`` for what goes wrong in it."""

    def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement."""

    def run_script(self, name: str, script: str) -> None:
        """Run the statements of a file. Raises ``MigrationError`` when they do not fit the database."""


_SEED = "281_"
_OWED = "SELECT count(*) FROM am_credit_wallet WHERE held_yen > 0 OR debt_yen > 0"
_RECORDED = "SELECT name, sha256 FROM credit_wallet_migration"
_RECORD = "INSERT INTO credit_wallet_migration (name, sha256) VALUES (:name, :sha256)"
_DELETE_RECORD = "DELETE FROM credit_wallet_migration WHERE name = :name"
_DROP_RECORD = "DROP TABLE credit_wallet_migration"


def manifest() -> list[str]:
    """File names of the migrations, in the order in which they apply."""
    lines = (line.strip() for line in _read(MANIFEST).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def scripts(folder: str) -> list[str]:
    """The texts of the migrations that ``folder`` has, in the order in which they apply."""
    return [_read(folder + name) for name in manifest()]


def pending(schema: Schema) -> list[str]:
    """Names of the migrations that are still to be applied.

    Raises ``MigrationError`` when a file is not what it was when it was applied.
    """
    recorded = _recorded(schema)
    for name in manifest():
        if name in recorded and recorded[name] != _checksum(schema, name):
            raise MigrationError(
                f"{name} has changed since it was applied; restore the file and put the change into a new migration",
                migration=name,
            )
    return [name for name in manifest() if name not in recorded]


def of_later_releases(schema: Schema) -> list[str]:
    """Names of the migrations that were applied and that this release does not know."""
    return sorted(set(_recorded(schema)) - set(manifest()))


def require_current(schema: Schema) -> None:
    """Raise ``MigrationError`` when a migration is still to be applied."""
    if missing := pending(schema):
        raise MigrationError(f"migrations are pending: {', '.join(missing)}; run credit-wallet migrate")


def migrate(schema: Schema) -> list[str]:
    """Apply what is pending and return the names applied. Raises ``MigrationError`` and ``DatabaseError``."""
    applied = []
    for name in pending(schema):
        with schema.transaction():
            if name in pending(schema):  # unless another process was faster
                schema.rows(schema.create_record)
                _run(schema, name)
                schema.rows(_RECORD, {"name": name, "sha256": _checksum(schema, name)})
                applied.append(name)
    return applied


def rollback(schema: Schema, number: int) -> list[str]:
    """Undo migration ``number`` and, before it, every later one that was applied; return the names undone.

    Raises ``MigrationError`` when there is no such migration or it was not applied.
    """
    undone = []
    with schema.transaction():
        plan = rollback_plan(schema, number)
        if not plan[-1].startswith(_SEED):
            _require_nothing_owed(schema)
        for name in plan:
            _run(schema, name.replace(".sql", "_rollback.sql"))
            schema.rows(_DELETE_RECORD, {"name": name})
            undone.append(name)
        if not _recorded(schema):
            schema.rows(_DROP_RECORD)
    return undone


def rollback_plan(schema: Schema, number: int) -> list[str]:
    """Names of the migrations that ``rollback`` would undo, the latest first."""
    recorded = _recorded(schema)
    names = [name for name in manifest() if int(name.split("_")[0]) >= number and name in recorded]
    if not names or int(names[0].split("_")[0]) != number:
        raise MigrationError(f"migration {number} is not applied here", migration=number)
    return names[::-1]


def _require_nothing_owed(schema: Schema) -> None:
    """Only the later migrations know held yen and debts, so undoing them must not change what a wallet has."""
    if "283_credit_wallet_state.sql" in _recorded(schema) and (owing := schema.rows(_OWED)[0][0]):
        raise MigrationError(f"{owing} wallets have open holds or debts; settle them before this rollback")


def _recorded(schema: Schema) -> dict[str, str]:
    return dict(schema.rows(_RECORDED)) if schema.rows(schema.record_exists) else {}


def _run(schema: Schema, name: str) -> None:
    schema.run_script(name, _read(schema.folder + name))


@cache  # each opening of a ledger and each check of readiness compares all of them
def _read(name: str) -> str:
    return _bytes(name).decode()


def _bytes(name: str) -> bytes:
    return shipped("credit_wallet.migrations", name)


def _checksum(schema: Schema, name: str) -> str:
    return sha256(_bytes(schema.folder + name)).hexdigest()
