"""A fresh database, and files of migrations that may be changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import MIGRATIONS, Databases

from credit_wallet.stores import migrations


@pytest.fixture
def fresh_url(databases: Databases) -> Iterator[str]:
    """A database with nothing in it."""
    with databases.nothing() as url:
        yield url


@pytest.fixture
def copied_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the runner reads from, free to be changed."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    monkeypatch.setattr(migrations, "_bytes", lambda name: (folder / name).read_bytes())
    monkeypatch.setattr(migrations, "_read", lambda name: (folder / name).read_text(encoding="utf-8"))
    return folder
