"""A SQLite file on a network disk is found by the type of what it lies on, as Linux has it in its table of mounts."""

# ruff: noqa: F811 - fixtures are imported, and parameters have their names

from __future__ import annotations

from pathlib import Path

import pytest
from service import Service
from shell import (
    Shell,
    shell,  # noqa: F401
)

from credit_wallet.stores.databases import database_at
from credit_wallet.stores.sqlite import mounts
from credit_wallet.stores.sqlite.mounts import mount_of, network_disk

TABLE = """\
/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
tmpfs /srv tmpfs rw 0 0
10.0.0.1:/export /srv/nfs nfs4 rw 0 0
/dev/vdb /srv/nfs/local xfs rw 0 0
//server/share /mnt/my\\040share cifs rw 0 0
user@host:/home /home/me/remote fuse.sshfs rw 0 0
/dev/sda1 /mnt/ntfs fuseblk rw 0 0
overlay /var/lib/x fuse.fuse-overlayfs rw 0 0
s3 /mnt/s3 fuse.s3fs rw 0 0
host:/volume /mnt/unknown fuse.newfs rw 0 0
share /mnt/host 9p rw 0 0
/dev/vdc /mnt/twice ext4 rw 0 0
old:/twice /mnt/twice nfs rw 0 0
server:/one /data/wallet.db nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind", "is_network"),
    [
        ("/wallet.db", "ext4", False),
        ("/srv/wallet.db", "tmpfs", False),
        ("/srv/nfs/wallet.db", "nfs4", True),
        ("/srv/nfs/a/b/wallet.db", "nfs4", True),
        ("/srv/nfs/local/wallet.db", "xfs", False),
        ("/srv/nfsish/wallet.db", "tmpfs", False),
        ("/mnt/my share/wallet.db", "cifs", True),
        ("/home/me/remote/wallet.db", "fuse.sshfs", True),
        ("/mnt/ntfs/wallet.db", "fuseblk", False),
        ("/var/lib/x/wallet.db", "fuse.fuse-overlayfs", False),
        ("/mnt/s3/wallet.db", "fuse.s3fs", True),
        ("/mnt/unknown/wallet.db", "fuse.newfs", True),
        ("/mnt/host/wallet.db", "9p", True),
        ("/mnt/twice/wallet.db", "nfs", True),
        ("/data/wallet.db", "nfs", True),
        ("/data/wallet.db-wal", "ext4", False),
    ],
)
def test_a_file_lies_on_the_nearest_mount(path: str, kind: str, is_network: bool) -> None:
    mount = mount_of(Path(path), TABLE)
    assert mount is not None
    assert (mount.kind, mount.is_network) == (kind, is_network)


@pytest.mark.parametrize("table", ["", "\n", "nonsense", "a b"])
def test_a_table_that_says_nothing_is_no_alarm(table: str) -> None:
    assert mount_of(Path("/wallet.db"), table) is None


def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    table = tmp_path / "mounts"
    table.write_text(f"/dev/vda / ext4 rw 0 0\nhost:/x {tmp_path} {kind} rw 0 0\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)


def test_a_link_to_a_network_disk_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    table = tmp_path / "mounts"
    table.write_text(f"/dev/vda / ext4 rw 0 0\nhost:/x {tmp_path}/disk nfs rw 0 0\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)
    assert "nfs" in str(network_disk(tmp_path / "link" / "wallet.db"))
    assert network_disk(tmp_path / "wallet.db") is None


def test_where_there_is_no_table_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "none")
    assert network_disk(tmp_path / "wallet.db") is None


def test_a_check_up_says_so(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shell("migrate")
    mounted(monkeypatch, tmp_path, "nfs4")
    answer = shell.run("--db", shell.url, "doctor")
    assert answer.code == 1
    assert "network disk (nfs4 at" in " ".join(answer.out.split())
    mounted(monkeypatch, tmp_path, "ext4")
    assert shell.run("--db", shell.url, "doctor").code == 0


def test_a_postgresql_database_is_no_file() -> None:
    assert database_at("postgresql://user@host/database").network_disk() is None


@pytest.mark.parametrize(("kind", "warned"), [("cifs", True), ("xfs", False)])
def test_a_service_warns_of_it_when_it_starts(tmp_path: Path, kind: str, warned: bool) -> None:
    table = tmp_path / "mounts"
    table.write_text(f"//host/share {tmp_path} {kind} rw 0 0\n")
    adjust = "from pathlib import Path; from credit_wallet.stores.sqlite import mounts; "
    adjust += f"mounts.MOUNTS = Path({str(table)!r})"
    with Service(f"sqlite:///{tmp_path}/w.db", adjust=adjust) as service:
        service.stop()
        assert (b"network_disk" in service.output()) is warned
