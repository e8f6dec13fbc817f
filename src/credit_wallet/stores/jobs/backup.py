"""A ledger as one file that is proved before it gets its name.

All pages of one moment (from PostgreSQL all rows of one snapshot) go into a private folder beside FILE, and to disk →
SQLite finds no damage → every invariant holds → the file gets its name. Whatever ends it earlier leaves no such name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from credit_wallet.domain.cycle import format_instant
from credit_wallet.errors import BackupRefused, DatabaseCorrupt, MigrationError
from credit_wallet.stores import Progress, migrations
from credit_wallet.stores.jobs.backfill import is_backfilled
from credit_wallet.stores.jobs.seals import Anchor, latest_seal
from credit_wallet.stores.jobs.verify import verify
from credit_wallet.stores.jobs.verify_processes import provers, sensible_processes
from credit_wallet.stores.sqlite.connection import connect_for_reading
from credit_wallet.stores.sqlite.database import SqliteDatabase
from credit_wallet.stores.sqlite.file import INDEX, LOG
from credit_wallet.stores.sqlite.pages import damage
from credit_wallet.stores.sqlite.placing import place, workshop_beside
from credit_wallet.stores.sqlite.schema import SqliteSchema

if TYPE_CHECKING:
    from credit_wallet.stores import Database

BESIDE_A_DATABASE = (LOG, INDEX, "-journal")
"""Suffixes of what SQLite keeps beside a database that is in use."""


class BackedUp(Struct, frozen=True):
    """A backup."""

    file: str
    bytes: int
    taken_at: str
    """The moment whose state it has; it has no entry of later."""

    verified: bool
    seal: Anchor | None
    """Its latest seal, None before the first. Keep it elsewhere: it tells this ledger's history from any other."""


def back_up(
    database: Database, file: Path, now: datetime, progress: Progress, *, overwrite: bool, prove: bool
) -> BackedUp:
    """Write all of ``database`` into ``file``, while others use it, and ``prove`` what was written.

    Raises ``BackupRefused`` when the file exists (unless ``overwrite``) or the ledger breaks an invariant, and
    ``DatabaseError``.
    """
    require_free(file, overwrite=overwrite)
    if isinstance(database, SqliteDatabase):
        _require_another_file(file, database.path)
    database.require_ledger()
    with workshop_beside(file) as workshop:
        copy = workshop / file.name
        database.write_file(copy, progress)
        seal = sealed_and_sound(copy, f"the ledger of {file}", now) if prove else _seal_of(copy)
        size = copy.stat().st_size
        try:
            place(copy, file, over_another=overwrite)
        except FileExistsError as error:
            raise _exists(file) from error
    return BackedUp(str(file), size, format_instant(now), prove, seal)


def require_free(file: Path, *, overwrite: bool) -> None:
    """Raise ``BackupRefused`` when something has the name ``file`` that must not be overwritten."""
    if file.is_dir():
        raise BackupRefused(f"{file} is a folder; name a file", file=str(file))
    if file.exists() and not file.is_file():
        raise BackupRefused(f"{file} is a device, pipe or socket; name a file", file=str(file))
    if os.path.lexists(file) and not overwrite:
        raise _exists(file)
    for beside in (Path(f"{file}{suffix}") for suffix in BESIDE_A_DATABASE):
        if os.path.lexists(beside):
            raise BackupRefused(
                f"{beside} belongs to a database that was at {file} or is in use there; choose another name",
                file=str(file),
            )


def sealed_and_sound(file: Path, what: str, now: datetime, anchors: Iterable[Anchor] = ()) -> Anchor | None:
    """Prove the ledger in ``file``, which is left as it is, and return its latest seal.

    No page is damaged, and every invariant holds.

    One of an earlier release, or with entries of plain SQL, is proved on a copy that is brought up to date. Raises
    ``BackupRefused`` and ``DatabaseError``; ``MigrationError`` when the ledger is of a later release.
    """
    if damaged := damage(file):
        raise DatabaseCorrupt(f"{what} is damaged ({damaged}); see docs/how-to/back-up-and-restore.md")
    database = SqliteDatabase(file)
    if not _is_up_to_date(database):
        database = SqliteDatabase(file.with_name(f"{file.name}.upgraded"))
        shutil.copyfile(file, database.path)
        database.upgrade(now)
    with (
        closing(database.open_source()) as source,
        provers(sensible_processes(source)) as proving,
        proving.at(source) as (snapshot, proved),
    ):
        violations = verify(snapshot, anchors=anchors, prove=proved, pieces=proving.pieces)
        seal = latest_seal(snapshot)
    if violations:
        raise BackupRefused(
            f"{what} breaks {len(violations)} invariants, the first of them {violations[0].message}; "
            "credit-wallet verify names them all",
            violations=len(violations),
        )
    return seal


def _seal_of(file: Path) -> Anchor | None:
    """The latest seal of a ledger that is not proved; None as well if it is of an earlier release."""
    if not _is_up_to_date(SqliteDatabase(file)):
        return None
    with closing(SqliteDatabase(file).open_source()) as source:
        return latest_seal(source)


def _is_up_to_date(database: SqliteDatabase) -> bool:
    with closing(connect_for_reading(database.path)) as connection:
        schema = SqliteSchema(connection, database.path)
        if unknown := migrations.of_later_releases(schema):
            raise MigrationError(f"the ledger is of a later release ({', '.join(unknown)}); install that and try again")
        if migrations.pending(schema):
            return False
    with closing(database.open_source()) as source:
        return is_backfilled(source)


def _require_another_file(file: Path, ledger: Path) -> None:
    own = {Path(f"{ledger.resolve()}{suffix}") for suffix in ("", *BESIDE_A_DATABASE)}
    if file.absolute() == ledger.absolute() or file.resolve() in own:
        raise BackupRefused(f"{file} is the ledger itself; choose another name", file=str(file))


def _exists(file: Path) -> BackupRefused:
    return BackupRefused(f"{file} exists already; choose another name, or add --overwrite", file=str(file))
