"""A connection to a ledger's file that notices when the file is removed or replaced (``file``)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import unpack
from typing import Any
from weakref import WeakValueDictionary

import apsw

from credit_wallet.errors import DatabaseMoved
from credit_wallet.stores.sqlite.file import OpenedFiles

_PROBE_BYTES = 65_536
"""Rows of a disk space check: more than a movement writes."""

_PROBE = "INSERT INTO am_credit_counted (counted, last_txn_id) VALUES (?, 0)"

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\x00"
_IN_WAL_MODE = b"\x02\x02"


class _Header:
    """A database's header when a connection of this process last read it."""

    def __init__(self) -> None:
        self.counter_and_pages: tuple[int, int] | None = None


_headers: WeakValueDictionary[tuple[int, int], _Header] = WeakValueDictionary()
"""By device and inode, while a connection has the file open."""


class LedgerConnection(apsw.Connection):
    """A connection that knows the files it has opened, and whether they still have their names."""

    files: OpenedFiles | None = None
    _header = _Header()

    def take_note_of_files(self, path: Path) -> None:
        """Remember what was opened as ``path``. Raises ``DatabaseMoved`` when that no longer exists already."""
        self.execute("PRAGMA user_version").fetchall()  # opens the log, and reads no definition yet
        files = OpenedFiles(path, self.filename, self._is_overwritten)
        moved = array("i", [0])
        self.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, moved.buffer_info()[0])
        if moved[0]:
            raise DatabaseMoved(f"{path} was replaced while it was being opened; try again")
        self._header = _headers.setdefault(files.identity, _Header())
        self.files = files

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the database."""
        return None if self.files is None else self.files.identity

    def require_in_place(self) -> None:
        """Raises ``DatabaseMoved`` unless database and log are the opened files. The content of a removed log is saved
        into the database, if nobody has begun another one.
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
        """The rows of a statement. Raises ``DatabaseMoved``, and SQLite's errors."""
        try:
            rows = self.execute(statement, parameters).fetchall()
        except apsw.Error:
            self.require_in_place()  # what was taken away fails in many ways
            raise
        self.require_in_place()
        return rows

    def prove_room(self) -> None:
        """Write to the log as a movement would, and roll it back. Raises ``DatabaseMoved``, and SQLite's errors."""
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

        Change counter and pages of a database in WAL mode never decrease, except by VACUUM, which the connection
        detects.
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
        """Through SQLite: if Python opened and closed the file, the process would lose its locks on it."""
        file = apsw.VFSFile("", self.filename, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
        try:
            return file.xRead(_HEADER_BYTES, 0)
        finally:
            file.xClose()


@contextmanager
def transaction(connection: LedgerConnection) -> Iterator[None]:
    """One write transaction: committed when the block ends, rolled back when it raises.

    Raises ``DatabaseMoved`` when the ledger's files are not the ones that were opened. If that shows only after the
    commit, it is not acknowledged either: the files may never return.
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
