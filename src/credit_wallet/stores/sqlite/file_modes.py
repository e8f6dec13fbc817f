"""Who else may read a ledger's files: nobody.

A ledger holds webhook secrets and everybody's purchases. Its file is created for its user alone, whatever the umask,
and SQLite gives its log and the log's index the same mode. Opening it up later is the user's decision; the check-up
reports it, and how to undo it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from credit_wallet.stores.sqlite.file import INDEX, LOG

OWN_FILE, OWN_FOLDER = 0o600, 0o700

_DATABASE = b"SQLite format 3\0"
_OTHERS = stat.S_IROTH | stat.S_IWOTH


def make_own_file(path: Path) -> None:
    """Create an empty file for this user alone if none exists; SQLite reports what prevents that."""
    with suppress(OSError):
        descriptor = os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, OWN_FILE)
        try:
            os.fchmod(descriptor, OWN_FILE)
        finally:
            os.close(descriptor)


def make_own_folders(folder: Path) -> None:
    """Create a folder and its parents, if they do not exist, for this user alone. Raises ``OSError``."""
    if folder.is_dir():
        return
    make_own_folders(folder.parent)
    folder.mkdir(OWN_FOLDER, exist_ok=True)


def open_to_others(path: Path) -> str | None:
    """The files of the database at ``path`` that every user of this machine can read, and the fix; None if there are
    none.
    """
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(_DATABASE)) != _DATABASE:
            return None
    files = [Path(f"{path}{end}") for end in ("", LOG, INDEX)]
    found = [str(file) for file in files if file.exists() and file.stat().st_mode & _OTHERS]
    if not found:
        return None
    return f"every user of this machine can read {', '.join(found)}; chmod {OWN_FILE:o} {' '.join(found)}"
