"""Copying a SQLite database page by page, as it is at one moment, while others write to it.

A reader of a write-ahead log never waits for writers nor they for it, and one that keeps its transaction open sees one
moment however long it takes. So the copy is made in steps, each of which is on disk before the next: writing all of a
large file to disk at once would hold up the commits of everybody else on that disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import apsw

from credit_wallet.errors import DatabaseError, DatabaseFull, NoLedger
from credit_wallet.stores import Progress
from credit_wallet.stores.sqlite.connection import connect_for_reading, name_of, naming_database_errors
from credit_wallet.stores.sqlite.file import LOG
from credit_wallet.stores.sqlite.file_modes import OWN_FILE
from credit_wallet.stores.sqlite.ledger import LedgerConnection

STEP_PAGES = 1_024
"""Pages of one step, 4 MiB."""

_LEDGER = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'am_credit_wallet'"
_BEGIN_TO_READ = "SELECT 1 FROM sqlite_schema LIMIT 1"


def copy_of_live_ledger(path: Path, target: Path, progress: Progress) -> None:
    """Copy the ledger at ``path`` into the new file ``target``, on disk when this returns.

    Raises ``NoLedger``, ``DatabaseMoved`` when the ledger's files were taken away, and other ``DatabaseError``.
    """
    with closing(connect_for_reading(path)) as here, naming_database_errors(path):
        _copy(here, path, target, progress)
        here.require_in_place()


def copy_of_resting_ledger(path: Path, target: Path, progress: Progress) -> None:
    """The same of a file that nobody writes to, such as a backup: nothing is created beside it, and its folder may be
    read-only. If a log is beside it, the file is read with it.
    """
    if Path(f"{path.resolve()}{LOG}").exists():
        copy_of_live_ledger(path, target, progress)
        return
    with naming_database_errors(path):
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        with closing(apsw.Connection(f"file:{quote(str(path.absolute()))}?immutable=1", flags=flags)) as here:
            _copy(here, path, target, progress)


def damage(path: Path) -> str | None:
    """The damage that SQLite finds in the file's pages, rows or indexes; None if there is none."""
    with closing(connect_for_reading(path)) as connection, naming_database_errors(path):
        [(found,)] = connection.rows("PRAGMA integrity_check(1)")
    return None if found == "ok" else str(found).splitlines()[-1]


def _copy(here: apsw.Connection | LedgerConnection, path: Path, target: Path, progress: Progress) -> None:
    here.execute("BEGIN")
    here.execute(_BEGIN_TO_READ).fetchall()
    if here.execute(_LEDGER).fetchall() == []:
        raise NoLedger(f"no ledger found: {path} has no wallet tables")
    with (
        _naming_copying_errors(path),
        _on_disk(target) as put_on_disk,
        closing(apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE)) as there,
    ):
        there.execute("PRAGMA journal_mode = OFF")
        there.execute("PRAGMA synchronous = OFF")
        with there.backup("main", here, "main") as pages:
            while not pages.done:
                pages.step(STEP_PAGES)
                put_on_disk()
                progress("copying", pages.page_count - pages.remaining, pages.page_count)
    here.execute("COMMIT")


@contextmanager
def _naming_copying_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.FullError as error:
        raise DatabaseFull(f"no room is left for a copy of {path}; free some and try again") from error
    except apsw.IOError as error:
        raise DatabaseError(f"copying {path} failed ({name_of(error)}); check the disks of both files") from error


@contextmanager
def _on_disk(target: Path) -> Iterator[Callable[[], None]]:
    """Create ``target`` for this user alone; what is given puts it on disk, as leaving the block does."""
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWN_FILE)
    try:
        yield lambda: os.fsync(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
