"""Giving a finished file its name: all of it or nothing, and never over another file unless that was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from credit_wallet.errors import BackupRefused, DatabaseError, DatabaseFull

_NO_ROOM = ("ENOSPC", "EDQUOT", "EFBIG")


@contextmanager
def workshop_beside(path: Path) -> Iterator[Path]:
    """A folder for this user alone, on the disk of ``path``, to make in it what is to have that name; gone at the end.

    A process that is killed leaves the folder, ``.NAME.….partial``, never a file that looks finished.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise BackupRefused(f"the folder {folder} does not exist; create it, or choose another", file=str(path))
    with naming_file_errors(path), TemporaryDirectory(prefix=f".{path.name}.", suffix=".partial", dir=folder) as made:
        yield Path(made)


def place(finished: Path, path: Path, *, over_another: bool = False) -> None:
    """Give ``finished``, which is on disk, the name ``path`` for good. Raises ``FileExistsError`` when there is such a
    name already, a symbolic link included, unless it may be put ``over_another``; nothing is written through a link.
    """
    if over_another:
        finished.replace(path)
    else:
        os.link(finished, path, follow_symlinks=False)
        finished.unlink()
    put_names_on_disk(path.absolute().parent)


def put_names_on_disk(folder: Path) -> None:
    """Make what was created, renamed and removed in ``folder`` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming_file_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system into ``DatabaseFull`` and ``DatabaseError`` that name ``path``."""
    from errno import errorcode

    try:
        yield
    except OSError as error:
        if errorcode.get(error.errno or 0) in _NO_ROOM:
            raise DatabaseFull(f"no room is left for {path}; free some and try again") from error
        raise DatabaseError(f"{path} cannot be written ({error.strerror or error})") from error
