"""A ledger on a server of its own, reached through a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from databases import PostgresDatabases
from postgres import Server
from postgres_ledger import Ledger

from credit_wallet.runtime import deadlines
from credit_wallet.stores.postgres import database


@pytest.fixture(scope="module")
def own_databases() -> Iterator[PostgresDatabases]:
    """On a server of their own: what is set on it, and transactions that are left open, concern no other test."""
    with Server() as server, closing(PostgresDatabases(server.url())) as opened:
        yield opened


@pytest.fixture(scope="module", params=[1, 4], ids=["one-lane", "four-lanes"])
def ledger(own_databases: PostgresDatabases, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Proved at the end. Its readers try more often to connect than usual, for tests that are impatient."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "RECONNECT_SECONDS", 0.1)
        with own_databases.ledger() as url, closing(Ledger(url, request.param)) as opened:
            yield opened
            assert opened.wallets.verify() == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are told soon that the database is away."""
    monkeypatch.setattr(deadlines, "POSTGRES_PATIENCE_SECONDS", 0.3)
