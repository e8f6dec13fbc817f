"""A ledger's files are its user's alone, whatever the umask; what was opened up is told and left as it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from credit_wallet import CreditWallet
from credit_wallet.cli import doctor
from credit_wallet.stores.databases import database_at


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
def test_what_the_wallet_makes_is_for_its_user_alone(tmp_path: Path, mask: int) -> None:
    folder = tmp_path / "srv" / "wallet"
    path = folder / "w.db"
    with umask(mask), CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallets.create()
        assert {file.name: mode(file) for file in folder.iterdir()} == {
            "w.db": 0o600,
            "w.db-wal": 0o600,
            "w.db-shm": 0o600,
        }
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)


def test_migrate_makes_the_same(tmp_path: Path, clock: object) -> None:
    path = tmp_path / "w.db"
    with umask(0):
        database_at(f"sqlite:///{path}").upgrade(clock())  # type: ignore[operator]
    assert mode(path) == 0o600


def test_a_link_to_a_file_that_is_not_there_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "w.db", tmp_path / "link.db"
    link.symlink_to(target)
    with umask(0), CreditWallet.open(f"sqlite:///{link}"):
        assert mode(target) == 0o600


def test_what_is_there_keeps_its_mode_and_the_check_up_names_the_fix(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    path = folder / "w.db"
    CreditWallet.open(f"sqlite:///{path}").close()
    for given, fine in ((0o644, False), (0o640, True), (0o660, True), (0o666, False), (0o600, True)):
        path.chmod(given)
        CreditWallet.open(f"sqlite:///{path}").close()
        assert mode(path) == given
        found = {finding.check: finding for finding in doctor.examine(f"sqlite:///{path}")}
        assert ("file_modes" not in found) == fine
        if not fine:
            assert not found["file_modes"].ok
            assert found["file_modes"].detail.endswith(f"chmod 600 {path}")
    assert mode(folder) == 0o755
