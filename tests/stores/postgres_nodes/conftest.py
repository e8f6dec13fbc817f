"""Nodes, and a ledger that all of them have open."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest
from nodes import NODES, Host, Node, close_ledger, on_all, open_ledger

from credit_wallet import CreditWallet

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier


@pytest.fixture(scope="module")
def start() -> Barrier:
    return multiprocessing.get_context("spawn").Barrier(NODES)


@pytest.fixture(scope="module")
def all_nodes(start: Barrier) -> Iterator[list[Node]]:
    """Processes without a ledger."""
    made = [Node(start) for _ in range(NODES)]
    yield made
    for node in made:
        node.kill()


@pytest.fixture
def nodes(all_nodes: list[Node], db_url: str) -> Iterator[list[Node]]:
    """Nodes that have the ledger of ``wallets`` open."""
    on_all(all_nodes, open_ledger, db_url)
    yield all_nodes
    on_all(all_nodes, close_ledger)


@pytest.fixture
def host(db_url: str) -> Iterator[Host]:
    """Somebody who looks at the database."""
    with psycopg.connect(db_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def wallets(db_url: str) -> Iterator[CreditWallet]:
    """A node in this process."""
    with CreditWallet.open(db_url) as opened:
        yield opened
