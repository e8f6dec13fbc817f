"""A ledger in a place that can be taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from taken_files import Ledger, Place, funded

from credit_wallet import CreditWallet


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    """An open ledger with a wallet that has spent ¥1."""
    with CreditWallet.open(place.url) as wallets:
        yield Ledger(wallets, funded(wallets))
