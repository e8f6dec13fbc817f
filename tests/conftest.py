"""What many tests need: a database file, a clock, and wallets on both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clock import Clock
from hypothesis import settings

from credit_wallet import CreditWallet

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture
def db_url(tmp_path: Path) -> str:
    """A database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'wallet.db'}"


@pytest.fixture
def clock() -> Clock:
    """Noon of 15 May 2026."""
    return Clock(datetime(2026, 5, 15, 12, tzinfo=UTC))


@pytest.fixture
def wallets(db_url: str, clock: Clock) -> Iterator[CreditWallet]:
    """An open, empty ledger whose time is ``clock``."""
    with CreditWallet.open(db_url, clock=clock) as opened:
        yield opened
