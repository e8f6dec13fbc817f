"""A fresh database, and files of migrations that may be changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import Databases


@pytest.fixture
def fresh_url(databases: Databases) -> Iterator[str]:
    """A database with nothing in it."""
    with databases.nothing() as url:
        yield url
