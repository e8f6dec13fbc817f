"""Putting a backup in place of a ledger.

The backup is copied beside the ledger's name and proved there first. A ledger that is replaced is kept under another
name; nobody may have it open, and nobody can open it until its place is taken.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import Struct

from credit_wallet.errors import BackupRefused, DatabaseError, DatabaseLocked
from credit_wallet.stores import Progress
from credit_wallet.stores.jobs.backup import BESIDE_A_DATABASE, sealed_and_sound
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.stores.sqlite.connection import connect_alone, make_folder
from credit_wallet.stores.sqlite.database import SqliteDatabase
from credit_wallet.stores.sqlite.file import LOG
from credit_wallet.stores.sqlite.pages import copy_of_resting_ledger
from credit_wallet.stores.sqlite.placing import naming_file_errors, place, put_names_on_disk, workshop_beside

if TYPE_CHECKING:
    from credit_wallet.stores.postgres.database import PostgresDatabase

_LOCK_BYTES = 512, 0x40000000
"""Number and place of the bytes that everybody who has a SQLite file open holds a lock on (sqlite.org/fileformat2.html,
"The Lock-Byte Page").
"""


class Restored(Struct, frozen=True):
    """What a restore did."""

    restored_from: str
    seal: Anchor | None
    """The latest seal of what was restored."""

    replaced: str | None
    """Where the ledger is kept that was there before."""


def restore(
    file: Path, database: SqliteDatabase, now: datetime, progress: Progress, anchors: Iterable[Anchor], *, replace: bool
) -> Restored:
    """Put the backup ``file`` in place as ``database``.

    Raises ``BackupRefused`` when a ledger is there (unless ``replace``) or the backup does not verify or lacks one of
    ``anchors``, ``DatabaseLocked`` when somebody has the ledger open, and other ``DatabaseError``.
    """
    path = database.path.resolve()
    found = [each for each in _files_of(path) if os.path.lexists(each)]
    if found and not replace:
        raise BackupRefused(
            f"{found[0]} exists already; restore to another --db, or add --replace, which keeps it under another name",
            file=str(found[0]),
        )
    if path.exists() and not path.is_file():
        raise BackupRefused(f"{path} is a folder, device, pipe or socket; name a file with --db", file=str(path))
    if os.path.lexists(path) and path.samefile(file):
        raise BackupRefused(f"{file} is the ledger itself", file=str(file))
    make_folder(path)
    with workshop_beside(path) as workshop:
        copy = workshop / path.name
        seal = _proved_copy(file, copy, now, progress, anchors)
        _give_to_owner(copy, path)
        with _nobody_has_it_open(path) as is_whole:
            kept = _kept_aside(path, now, is_whole=is_whole) if found else None
            _take_the_place(copy, path, replace=replace and is_whole)
    return Restored(str(file), seal, None if kept is None else str(kept))


def restore_to_postgres(
    file: Path, database: PostgresDatabase, now: datetime, progress: Progress, anchors: Iterable[Anchor]
) -> Restored:
    """Copy the backup ``file`` into ``database``, which must be empty. Raises like ``restore``, and ``CopyRefused``."""
    from credit_wallet.stores.jobs.copying import copy_ledger  # needs PostgreSQL's driver

    with TemporaryDirectory(prefix="credit-wallet-restore-") as workshop:
        copy = Path(workshop) / "ledger.db"
        seal = _proved_copy(file, copy, now, progress, anchors)
        copy_ledger(SqliteDatabase(copy), database, now, progress)
    return Restored(str(file), seal, None)


def _proved_copy(file: Path, copy: Path, now: datetime, progress: Progress, anchors: Iterable[Anchor]) -> Anchor | None:
    """Copy ``file`` to ``copy``, prove that, and return its latest seal."""
    if not file.is_file():
        raise BackupRefused(f"{file} is not a file; name a backup", file=str(file))
    copy_of_resting_ledger(file, copy, progress)
    return sealed_and_sound(copy, f"the ledger in {file}", now, anchors)


def _files_of(path: Path) -> list[Path]:
    return [path, *(Path(f"{path}{suffix}") for suffix in BESIDE_A_DATABASE)]


def _give_to_owner(copy: Path, path: Path) -> None:
    """To whom the ledger belonged, or else its folder, when root restores it: the service must be able to open it."""
    if os.geteuid() == 0:
        owner = (path if path.exists() else path.parent).stat()
        os.chown(copy, owner.st_uid, owner.st_gid)
    if path.exists():
        copy.chmod(path.stat().st_mode & 0o777)


@contextmanager
def _nobody_has_it_open(path: Path) -> Iterator[bool]:
    """Keep others from opening the ledger at ``path``, if there is one; whether the file alone is all of it.

    It is when SQLite could open it and has written its log back. Raises ``DatabaseLocked`` when somebody has it open.
    """
    if not path.exists():
        yield False
        return
    _write_log_back(path)
    with naming_file_errors(path), path.open("r+b") as database:
        try:
            fcntl.lockf(database, fcntl.LOCK_EX | fcntl.LOCK_NB, *_LOCK_BYTES)
        except BlockingIOError as error:
            raise _in_use(path) from error
        yield not Path(f"{path}{LOG}").exists()


def _write_log_back(path: Path) -> None:
    try:
        connect_alone(path).close()
    except DatabaseLocked as error:
        raise _in_use(path) from error
    except DatabaseError:
        return  # it is damaged, which may be why it is replaced


def _kept_aside(path: Path, now: datetime, *, is_whole: bool) -> Path:
    """Keep the ledger at ``path`` under another name, which is returned; when its file ``is_whole``, under both."""
    kept = path.with_name(f"{path.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
    for old in _files_of(path):
        new = Path(f"{kept}{str(old).removeprefix(str(path))}")
        if os.path.lexists(old):
            if is_whole and old == path:
                os.link(old, new)
            else:
                old.rename(new)
    put_names_on_disk(path.parent)
    return kept


def _take_the_place(copy: Path, path: Path, *, replace: bool) -> None:
    try:
        place(copy, path, over_another=replace)
    except FileExistsError as error:
        raise BackupRefused(f"{path} was created meanwhile; stop what uses it and try again", file=str(path)) from error


def _in_use(path: Path) -> DatabaseLocked:
    return DatabaseLocked(f"a process has {path} open; stop the service, the worker and whatever else uses it first")
