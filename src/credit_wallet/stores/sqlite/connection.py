"""Opening a SQLite file safely, and translating its errors."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from weakref import WeakKeyDictionary

import apsw
from msgspec import DecodeError

from credit_wallet.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseFull,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseRefused,
    RailBusy,
)
from credit_wallet.runtime import forks
from credit_wallet.stores import OLDEST_SAFE_SQLITE
from credit_wallet.stores.sqlite.file import require_no_lost_log
from credit_wallet.stores.sqlite.file_modes import make_own_file, make_own_folders
from credit_wallet.stores.sqlite.ledger import LedgerConnection

BUSY_TIMEOUT_MS = 5_000
"""How long a writer waits for another process before it reports ``database_locked``."""

CACHE_KIB = 65_536

CHECKPOINT_PAGES = 4_000
"""Pages of write-ahead log (16 MB) after which a commit moves them into the database."""


PAUSE_SECONDS = 5.0
"""How long a fork waits for SQLite to be at rest."""


class _Open:
    """The connections of this process that may be open, each with the lock that is held while it is at work.

    SQLite tracks its locks by file and process. A child process would take the parent's locks for its own and then work
    without any: so its copies of the connections are closed, without writing or locking anything, before it opens a new
    one. A connection must be idle then, and SQLite is unusable in the child if another thread was inside it, holding
    one of its mutexes. A connection without a lock always counts as at work.
    """

    def __init__(self) -> None:
        self.locks: WeakKeyDictionary[apsw.Connection, threading.Lock | None] = WeakKeyDictionary()
        self._paused: list[threading.Lock] = []
        self.usable = True

    def pause(self) -> None:
        """Before a fork: wait until every connection is idle."""
        give_up_at = monotonic() + PAUSE_SECONDS
        for lock in list(self.locks.values()):
            if lock is not None and lock.acquire(timeout=max(0.0, give_up_at - monotonic())):
                self._paused.append(lock)

    def resume(self) -> None:
        """In the parent, afterwards."""
        while self._paused:
            self._paused.pop().release()

    def leave_behind(self) -> None:
        """In the child: close the parent's connections."""
        locks = [lock for connection, lock in list(self.locks.items()) if _is_open(connection)]
        self.usable = self.usable and all(map(self._was_at_rest, locks))
        if self.usable:
            for connection in list(self.locks):
                with suppress(apsw.Error):
                    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                    connection.close()
        else:
            _left_behind.extend(self.locks)
        self.locks.clear()
        self._paused.clear()

    def _was_at_rest(self, lock: threading.Lock | None) -> bool:
        return lock is not None and (lock in self._paused or lock.acquire(blocking=False))


_open_connections = _Open()
_left_behind: list[apsw.Connection] = []
"""Connections of the parent that were at work when this process was forked; they are never touched again."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_open_connections.pause,
        after_in_parent=_open_connections.resume,
        after_in_child=_open_connections.leave_behind,
    )


def _is_open(connection: apsw.Connection) -> bool:
    try:
        return connection.filename is not None
    except apsw.ConnectionClosedError:
        return False


def rests_between(connection: apsw.Connection, at_work: threading.Lock) -> None:
    """Promise to use ``connection`` only while holding ``at_work``, so that the process may be forked in between."""
    _open_connections.locks[connection] = at_work


def make_folder(path: Path) -> None:
    """Create the folder of the ledger at ``path``. Raises ``DatabaseError``."""
    try:
        make_own_folders(path.parent)
    except OSError as error:
        raise DatabaseError(
            f"the folder of {path} cannot be created ({error.strerror}); create it, or choose another"
        ) from error


def connect(path: Path) -> LedgerConnection:
    """Open the ledger at ``path`` for writing, creating it if it does not exist.

    Write-ahead log with ``synchronous=FULL``: a commit returns when the operating system has it on disk. Raises
    ``DatabaseError``.
    """
    return _open(
        path,
        apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        f"PRAGMA cache_size = -{CACHE_KIB}",
        f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
    )


def connect_alone(path: Path) -> LedgerConnection:
    """Open the ledger at ``path`` exclusively, and keep others out. Raises ``DatabaseLocked``."""
    return _open(path, apsw.SQLITE_OPEN_READWRITE, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE")


def connect_for_reading(path: Path) -> LedgerConnection:
    """Open the ledger at ``path``, which must exist, and leave it as it is. Raises ``DatabaseError``."""
    return _open(path, apsw.SQLITE_OPEN_READWRITE, "PRAGMA query_only = ON")


def connect_to_hold_writers(path: Path) -> LedgerConnection:
    """Open the ledger at ``path``, which must exist, and keep others from writing. Raises ``DatabaseError``."""
    return _open(path, apsw.SQLITE_OPEN_READWRITE, "BEGIN IMMEDIATE")


def _open(path: Path, flags: int, *pragmas: str) -> LedgerConnection:
    _require_safe_sqlite()
    if not _open_connections.usable:
        forks.refuse()
    with naming_database_errors(path):
        if flags & apsw.SQLITE_OPEN_CREATE:
            require_no_lost_log(path)
            make_own_file(path)
        connection = LedgerConnection(str(path), flags=flags, statementcachesize=200)
        _open_connections.locks[connection] = None
        try:
            if flags & apsw.SQLITE_OPEN_CREATE:
                _require_writable(connection)
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            for pragma in pragmas:
                _execute_patiently(connection, pragma)
            connection.take_note_of_files(path)
        except BaseException:
            connection.close()
            raise
        return connection


def _require_writable(connection: apsw.Connection) -> None:
    """SQLite opens a file without write permission for reading, and would create a read-only log beside it."""
    if connection.readonly("main"):
        raise apsw.ReadOnlyError


def _execute_patiently(connection: apsw.Connection, pragma: str) -> None:
    """SQLite does not wait when two connections change a new database's journal mode at once; this does."""
    give_up_at = monotonic() + BUSY_TIMEOUT_MS / 1_000
    while True:
        try:
            connection.execute(pragma)
        except apsw.BusyError:
            if monotonic() >= give_up_at:
                raise
            sleep(0.01)
        else:
            return


@contextmanager
def naming_database_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ``DatabaseError`` that say what happened to ``path`` and what to do."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise DatabaseLocked(
            f"another process keeps {path} locked; nothing moved, try again with the same idempotency key"
        ) from error
    except apsw.FullError as error:
        raise DatabaseFull(f"no room is left for {path} or its log; nothing moved, free some and try again") from error
    except apsw.ReadOnlyError as error:
        raise DatabaseReadOnly(f"{path} or its folder cannot be written; nothing moved, give write access") from error
    except (apsw.CorruptError, apsw.NotADBError, DecodeError, UnicodeDecodeError) as error:
        raise DatabaseCorrupt(
            f"{path} is damaged or not a SQLite database ({error}); stop the wallet and restore a backup"
        ) from error
    except apsw.ConstraintError as error:
        raise DatabaseRefused(f"a rule of {path} refused a row ({error}); nothing moved") from error
    except apsw.ConnectionClosedError as error:
        raise RailBusy(f"{path} has been closed; open it and try again") from error
    except apsw.CantOpenError as error:
        raise DatabaseError(f"{path} cannot be opened; check that its folder exists and can be written") from error
    except apsw.IOError as error:
        raise DatabaseError(
            f"reading or writing {path} failed ({name_of(error)}); nothing is acknowledged, check the disk and try "
            "again with the same idempotency key"
        ) from error
    except apsw.Error as error:
        raise DatabaseError(f"SQLite refused to work on {path}: {error}") from error


def name_of(error: apsw.Error) -> str:
    """SQLite's name of the error: its text is about the last statement, which may have succeeded."""
    return str(apsw.mapping_extended_result_codes.get(getattr(error, "extendedresult", -1), error))


def _require_safe_sqlite() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SAFE_SQLITE:
        oldest = ".".join(map(str, OLDEST_SAFE_SQLITE))
        raise DatabaseError(f"SQLite {apsw.sqlite_lib_version()} is not safe for a ledger; install {oldest} or newer")
