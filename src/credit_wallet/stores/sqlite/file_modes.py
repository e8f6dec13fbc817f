"""Who else may read a ledger's files: nobody.

A ledger holds webhook secrets and what everybody bought. Its file is made for its user alone, whatever the umask, and
SQLite gives its log and the log's index the same mode. What somebody has opened up since is that user's decision; the
check-up says so, and how to undo it.
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
    """Make an empty file for this user alone where none is; what keeps it from being made, SQLite will say."""
    with suppress(OSError):
        descriptor = os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, OWN_FILE)
        try:
            os.fchmod(descriptor, OWN_FILE)
        finally:
            os.close(descriptor)


def make_own_folders(folder: Path) -> None:
    """Make a folder and those it is in, where they are not there, for this user alone. Raises ``OSError``."""
    if folder.is_dir():
        return
    make_own_folders(folder.parent)
    folder.mkdir(OWN_FOLDER, exist_ok=True)


def open_to_others(path: Path) -> str | None:
    """What every user of this machine can read of the database at ``path``, and the fix; None when it is none."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(_DATABASE)) != _DATABASE:
            return None
    files = [Path(f"{path}{end}") for end in ("", LOG, INDEX)]
    found = [str(file) for file in files if file.exists() and file.stat().st_mode & _OTHERS]
    if not found:
        return None
    return f"every user of this machine can read {', '.join(found)}; chmod {OWN_FILE:o} {' '.join(found)}"
