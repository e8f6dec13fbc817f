"""Opening a SQLite file the one safe way, and naming what can go wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ctypes import addressof, c_int
from pathlib import Path
from struct import unpack
from threading import Lock
from time import monotonic, sleep
from typing import Any
from weakref import WeakValueDictionary

import apsw
from msgspec import DecodeError

from credit_wallet.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseFull,
    DatabaseLocked,
    DatabaseMoved,
    DatabaseReadOnly,
    DatabaseRefused,
    RailBusy,
)
from credit_wallet.stores import OLDEST_SAFE_SQLITE
from credit_wallet.stores.sqlite_file import OpenedFiles, require_no_lost_log

BUSY_TIMEOUT_MS = 5_000
"""How long a writer waits for another process before it reports ``database_locked``."""

CACHE_KIB = 65_536

CHECKPOINT_PAGES = 4_000
"""Pages of write-ahead log (16 MB) after which a commit moves them into the database."""

_PROBE_BYTES = 65_536
"""What a check of the room writes: more than one movement does."""

_PROBE = "INSERT INTO am_credit_counted (counted, last_txn_id) VALUES (?, 0)"

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\x00"
_IN_WAL_MODE = b"\x02\x02"


class _Header:
    """What a database's header was when a connection of this process looked at it last."""

    def __init__(self) -> None:
        self.counter_and_pages: tuple[int, int] | None = None


_headers: WeakValueDictionary[tuple[int, int], _Header] = WeakValueDictionary()
"""By device and inode, while a connection has the file open."""

_headers_lock = Lock()


class LedgerConnection(apsw.Connection):
    """A connection that knows the files it has opened, and whether they still stand under their names."""

    files: OpenedFiles | None = None
    _header = _Header()

    def take_note_of_files(self, path: Path) -> None:
        """Remember what was opened as ``path``. Raises ``DatabaseMoved`` when that is not there any more already."""
        self.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # opens the log
        files = OpenedFiles(path, self.filename, self._is_overwritten)
        moved = c_int()
        self.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, addressof(moved))
        if moved.value:
            raise DatabaseMoved(f"{path} was replaced while it was being opened; try again")
        with _headers_lock:
            self._header = _headers.setdefault(files.identity, _Header())
        self.files = files

    def require_in_place(self) -> None:
        """Raises ``DatabaseMoved`` unless database and log are what was opened.

        What is in a log that was removed is saved into the database, if nobody has begun another one.
        """
        if self.files is None:
            return
        try:
            self.files.require_in_place()
        except DatabaseMoved:
            if not self.in_transaction and self.files.may_be_written_to():
                with suppress(apsw.Error):  # it stays in the log then, which is open
                    self.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            raise

    def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """What a statement answers. Raises ``DatabaseMoved``, and SQLite's errors."""
        try:
            rows = self.execute(statement, parameters).fetchall()
        except apsw.Error:
            self.require_in_place()  # what was taken away fails in many ways
            raise
        self.require_in_place()
        return rows

    def prove_room(self) -> None:
        """Write to the log as a movement would, and take it back. Raises ``DatabaseMoved``, and SQLite's errors."""
        self.require_in_place()
        self.execute("BEGIN IMMEDIATE")
        try:
            self.execute(_PROBE, ("?" * _PROBE_BYTES,))
            self.cache_flush()
        finally:
            if self.in_transaction:
                self.execute("ROLLBACK")

    def close(self, force: bool = False) -> None:
        """Close it. SQLite writes the log back and deletes it by its name: not when the names are of other files."""
        if self.files is not None and not self.files.may_be_written_to():
            with suppress(apsw.ConnectionClosedError):
                self.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        super().close(force)
        self._header = _Header()  # another file may come to have the same inode from now on

    def _is_overwritten(self) -> bool:
        """Whether the file's header says that somebody has copied another state of the ledger into the file.

        Change counter and pages of a database in WAL mode never fall, but for VACUUM, of which the connection knows.
        """
        known = self._header.counter_and_pages  # before the file is read: what is read cannot be older
        header = self._read_header()
        if known is not None and not (len(header) == _HEADER_BYTES and header.startswith(_MAGIC)):
            return True
        if header[18:20] != _IN_WAL_MODE:
            return False
        counter, pages = unpack(">II", header[24:32])
        known_counter, known_pages = known or (0, 0)
        if counter < known_counter:
            return True
        if counter == known_counter and pages < known_pages <= self.pragma("page_count"):
            return True
        self._header.counter_and_pages = counter, pages
        return False

    def _read_header(self) -> bytes:
        """Through SQLite: a file that Python opens and closes takes the process's locks on it away."""
        file = apsw.VFSFile("", self.filename, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
        try:
            return file.xRead(_HEADER_BYTES, 0)
        finally:
            file.xClose()


def make_folder(path: Path) -> None:
    """Make the folder that the ledger at ``path`` goes into. Raises ``DatabaseError``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"the folder of {path} cannot be made ({error.strerror}); choose another or make it"
        ) from error


def connect(path: Path) -> LedgerConnection:
    """Open the ledger at ``path`` for writing, creating it when it is not there.

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
    """Open the ledger at ``path`` while nobody else has it open, and keep others out. Raises ``DatabaseLocked``."""
    return _open(path, apsw.SQLITE_OPEN_READWRITE, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE")


def connect_for_reading(path: Path) -> LedgerConnection:
    """Open the ledger at ``path``, which must exist, and leave it as it is. Raises ``DatabaseError``."""
    return _open(path, apsw.SQLITE_OPEN_READWRITE, "PRAGMA query_only = ON")


def _open(path: Path, flags: int, *pragmas: str) -> LedgerConnection:
    _require_safe_sqlite()
    with naming_database_errors(path):
        if flags & apsw.SQLITE_OPEN_CREATE:
            require_no_lost_log(path)
        connection = LedgerConnection(str(path), flags=flags, statementcachesize=200)
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
    """SQLite opens a file without write permission for reading, and would make a log beside it that stays read-only."""
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
def transaction(connection: LedgerConnection) -> Iterator[None]:
    """One write transaction: committed when the block ends, rolled back when it raises.

    Raises ``DatabaseMoved`` when the ledger's files are not the ones that were opened. When that is found after the
    commit, whoever asked is not acknowledged either: the files may never come back.
    """
    connection.require_in_place()
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, apsw.Error):
            connection.require_in_place()  # what was taken away fails in many ways
        raise
    connection.require_in_place()


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
            f"{path} is damaged or is no database ({error}); stop the wallet and restore a backup"
        ) from error
    except apsw.ConstraintError as error:
        raise DatabaseRefused(f"a rule of {path} did not let this in ({error}); nothing moved") from error
    except apsw.ConnectionClosedError as error:
        raise RailBusy(f"{path} has been closed; open it and try again") from error
    except apsw.CantOpenError as error:
        raise DatabaseError(f"{path} cannot be opened; check that its folder exists and can be written") from error
    except apsw.IOError as error:
        raise DatabaseError(
            f"reading or writing {path} failed ({_name_of(error)}); nothing is acknowledged, check the disk and try "
            "again with the same idempotency key"
        ) from error
    except apsw.Error as error:
        raise DatabaseError(f"SQLite refused to work on {path}: {error}") from error


def _name_of(error: apsw.Error) -> str:
    """What SQLite calls the error: its text is about the last statement, which may have gone well."""
    return str(apsw.mapping_extended_result_codes.get(getattr(error, "extendedresult", -1), error))


def _require_safe_sqlite() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SAFE_SQLITE:
        oldest = ".".join(map(str, OLDEST_SAFE_SQLITE))
        raise DatabaseError(
            f"SQLite {apsw.sqlite_lib_version()} is not safe for a ledger; install one from {oldest} on"
        )
