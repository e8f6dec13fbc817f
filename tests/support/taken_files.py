"""Ways in which a ledger's files are taken away while it is open, and are put back."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseMoved

FILES = ("", "-wal", "-shm")

START_YEN = 1_000


class Place:
    """A ledger's files: ``ledger/w.db``, its log and its index, and room beside them."""

    def __init__(self, folder: Path) -> None:
        self.beside = folder
        self.folder = folder / "ledger"
        self.folder.mkdir()
        self.path = self.folder / "w.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def file(self, suffix: str = "") -> Path:
        return Path(f"{self.path}{suffix}")

    def backup(self) -> Path:
        """Another file with the ledger as it is now."""
        copy = self.beside / "backup.db"
        with (
            closing(apsw.Connection(str(self.path))) as here,
            closing(apsw.Connection(str(copy))) as there,
            there.backup("main", here, "main") as backup,
        ):
            backup.step()
        return copy

    def written_back(self) -> None:
        """Have the log written into the database, as it is from time to time."""
        with closing(apsw.Connection(str(self.path))) as other:
            other.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)


def put(kept: Path, name: Path) -> None:
    kept.replace(name)


def remove(*suffixes: str) -> Callable[[Place], Callable[[], None]]:
    """Remove files; a second link to each brings the very same ones back."""

    def take(place: Place) -> Callable[[], None]:
        for suffix in suffixes:
            os.link(place.file(suffix), place.beside / f"kept{suffix}")
            place.file(suffix).unlink()

        def put_back() -> None:
            for suffix in suffixes:
                (place.beside / f"kept{suffix}").replace(place.file(suffix))

        return put_back

    return take


def restore_while_it_runs(place: Place) -> Callable[[], None]:
    backup, old = place.backup(), place.beside / "old"
    old.mkdir()
    for suffix in FILES:
        place.file(suffix).rename(old / f"w.db{suffix}")
    shutil.copy(backup, place.path)

    def put_back() -> None:
        for suffix in FILES:
            (old / f"w.db{suffix}").replace(place.file(suffix))

    return put_back


def move_a_backup_over_it(place: Place) -> Callable[[], None]:
    kept = place.beside / "kept"
    os.link(place.path, kept)
    place.backup().replace(place.path)
    return lambda: put(kept, place.path)


FOUR = {
    "removed": remove(""),
    "restored-while-it-runs": restore_while_it_runs,
    "backup-moved-over-it": move_a_backup_over_it,
    "log-removed": remove("-wal"),
}


class Ledger(NamedTuple):
    wallets: CreditWallet
    wallet_id: int


def funded(wallets: CreditWallet) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, START_YEN, idempotency_key="start")
    wallets.charge(wallet_id, 1, idempotency_key="first")
    return wallet_id


def everything(ledger: Ledger) -> dict[str, Callable[[], object]]:
    wallets, wallet_id = ledger
    return {
        "charge": lambda: wallets.charge(wallet_id, 1, idempotency_key="taken"),
        "acharge": lambda: asyncio.run(in_a_coroutine(wallets, wallet_id)),
        "charge_many": lambda: wallets.charge_many([(wallet_id, 1, "taken")]),
        "hold": lambda: wallets.hold(wallet_id, 1, idempotency_key="taken hold"),
        "replay": lambda: wallets.charge(wallet_id, 1, idempotency_key="first"),
        "create": wallets.create,
        "create_key": lambda: wallets.keys.create(wallet_id),
        "balance": lambda: wallets.balance(wallet_id),
        "history": lambda: wallets.history(wallet_id),
        "totals": wallets.maintenance.totals,
        "verify": wallets.verify,
        "ready": wallets.maintenance.check_ready,
        "seal": wallets.maintenance.seal,
        "alerts": wallets.alerts.run,
        "expire": wallets.maintenance.expire_due,
        "prune": wallets.maintenance.prune_idempotency_keys,
    }


async def in_a_coroutine(wallets: CreditWallet, wallet_id: int) -> object:
    return await wallets.acharge(wallet_id, 1, idempotency_key="taken")


def assert_nobody_is_acknowledged(ledger: Ledger) -> None:
    for ask in everything(ledger).values():
        with pytest.raises(DatabaseMoved, match="nothing is acknowledged") as refused:
            ask()
        assert refused.value.code == "database_moved"
