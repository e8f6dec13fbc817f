"""Whether a file lies on a network disk, where SQLite's locks and its write-ahead log cannot be relied on.

The log needs memory that all processes share, which works only on one machine (sqlite.org/wal.html, "Overview"), and
locks of network file systems are known to fail (sqlite.org/howtocorrupt.html, section 2.1).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

MOUNTS = Path("/proc/self/mounts")
"""Linux's table of what is mounted where (proc_pid_mounts(5)); other systems have none."""

NETWORK_TYPES = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "drvfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "prl_fs",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
    }
)
"""File systems of other machines, including those that a virtual machine gets from its host."""

NETWORK_FUSE = frozenset(
    {
        "cephfs",
        "davfs",
        "davfs2",
        "gcsfuse",
        "geesefs",
        "glusterfs",
        "goofys",
        "google-drive-ocamlfuse",
        "juicefs",
        "mount-s3",
        "rclone",
        "s3fs",
        "s3ql",
        "seaweedfs",
        "smbnetfs",
        "sshfs",
        "vmhgfs-fuse",
    }
)
"""The network types that may follow ``fuse.``."""

_REMOTE_SOURCE = re.compile(r"//|[^/:]+:|[^/]+@[^/]+:|\[[0-9a-fA-F:]+\]:")
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A file system and where it is mounted."""

    source: str
    point: Path
    kind: str

    @property
    def is_network(self) -> bool:
        """Whether another machine, or a host of virtual machines, has the files."""
        if self.kind.startswith("fuse"):
            name = self.kind.partition(".")[2]
            return name in NETWORK_FUSE or _REMOTE_SOURCE.match(self.source) is not None
        return self.kind in NETWORK_TYPES


def mount_of(path: Path, table: str) -> Mount | None:
    """The mount of ``path`` in a table of mounts; None when the table does not have it."""
    places = {path, *path.parents}
    found = [mount for mount in map(_mount, table.splitlines()) if mount is not None and mount.point in places]
    # Of two at one place the later one hides the earlier.
    return max(reversed(found), key=lambda mount: len(mount.point.parts), default=None)


def network_disk(path: Path) -> str | None:
    """The problem with the disk of ``path``, for people; None when it is a local disk, or unknown."""
    try:
        table = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        mount = mount_of(path.resolve(), table)
    except OSError:
        return None
    if mount is None or not mount.is_network:
        return None
    return (
        f"{path} lies on a network disk ({mount.kind} at {mount.point}), where SQLite can lose or damage what it has "
        "written; move it to a local disk, or use PostgreSQL"
    )


def _mount(line: str) -> Mount | None:
    fields = line.split(" ")
    if len(fields) < 3:
        return None
    source, point, kind = (_ESCAPE.sub(lambda escape: chr(int(escape[1], 8)), field) for field in fields[:3])
    return Mount(source, Path(point), kind)
