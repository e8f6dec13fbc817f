"""Ledgers to make a change in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import exact_ledger
import pytest
import rich_ledger
from databases import Databases
from planted import Finder, finder_in


@pytest.fixture
def find(databases: Databases, tmp_path: Path) -> Iterator[Finder]:
    """In a rich ledger of whole yen."""
    with finder_in(databases, tmp_path, rich_ledger.fill) as finder:
        yield finder


@pytest.fixture
def find_exactly(databases: Databases, tmp_path: Path) -> Iterator[Finder]:
    """In a ledger of amounts below the yen, with prices and facts."""
    with finder_in(databases, tmp_path, exact_ledger.fill) as finder:
        yield finder
