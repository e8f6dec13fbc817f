"""A check-up of an installation: configuration, database, clock."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
from msgspec import Struct

from credit_wallet.config import sqlite_path
from credit_wallet.cycle import format_instant
from credit_wallet.errors import WalletError
from credit_wallet.wallet import CreditWallet

LEAST_FREE_BYTES = 1 << 30
CLOCK_TOLERANCE = timedelta(seconds=5)


class Finding(Struct, frozen=True):
    """One thing looked at; ``detail`` says what was found and, when it is not ``ok``, what to do."""

    check: str
    ok: bool
    detail: str


def examine(url: str) -> list[Finding]:
    """Look at everything a wallet at ``url`` needs. Never raises for what it finds wrong."""
    findings: list[Finding] = []
    try:
        findings.extend(_examine(url))
    except WalletError as error:
        findings.append(Finding(error.code, False, str(error)))
    return findings


def _examine(url: str) -> Iterator[Finding]:
    path = sqlite_path(url)
    yield Finding("configuration", True, f"database {url}")
    yield Finding("sqlite", True, f"SQLite {apsw.sqlite_lib_version()}")
    yield _disk(path)
    with CreditWallet.open(url) as wallets:
        yield Finding("database", True, "opens, is up to date and can be written")
        yield _clock(wallets)
        violations = wallets.verify()
        yield Finding("ledger", not violations, violations[0].message if violations else "every invariant holds")


def _disk(path: Path) -> Finding:
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free >> 20:,} MiB free in {folder}"
    return Finding("disk", free >= LEAST_FREE_BYTES, detail if free >= LEAST_FREE_BYTES else f"{detail}; free some")


def _clock(wallets: CreditWallet) -> Finding:
    now = datetime.now(UTC)
    newest = wallets.newest_entry_at()
    ahead = newest is not None and newest > format_instant(now + CLOCK_TOLERANCE)
    if ahead:
        return Finding("clock", False, f"the newest entry is dated {newest}, after now; set the clock (NTP)")
    return Finding("clock", True, f"{format_instant(now)}")
